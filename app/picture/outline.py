"""Which points lie inside an outline that was drawn on a picture. No Qt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def inside(outline: NDArray[np.floating], xs: NDArray[np.floating], ys: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(N,) which points (xs, ys) lie inside the closed outline through (V, 2) corners; where it crosses itself, what it
    goes round twice is outside. A point that is not finite is outside."""
    within = np.zeros(len(xs), np.bool_)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        crosses = (ys >= min(y0, y1)) & (ys < max(y0, y1))
        within ^= crosses & (xs < x0 + (ys - y0) * ((x1 - x0) / (y1 - y0)))
    within &= np.isfinite(xs) & np.isfinite(ys)
    return within
