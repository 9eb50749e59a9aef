"""A fixed shuffle of points and lines, by which a part of them is chosen that stays the same from frame to frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def stratified_rank(keys: NDArray[np.int64], strata: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) place of every entry in a fixed shuffle of its stratum, as a share in (0, 1).

    Keeping the entries below a share s keeps that share of every stratum, and a larger s keeps all of them and more.
    The shuffle depends on `keys` only (equal keys keep their order).
    """
    shuffled = (keys.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    shuffled ^= shuffled >> np.uint64(29)
    order = np.lexsort((shuffled * np.uint64(0xBF58476D1CE4E5B9), strata))
    _, first, counts = np.unique(strata[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(first, counts)
    rank = np.empty(len(order))
    rank[order] = (place + 0.5) / np.repeat(counts, counts)
    return rank
