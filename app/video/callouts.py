"""Words beside points of a cloud: on the outer side of each, clear of each other, inside their pane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.picture.theme import Rgb
from app.video import typeface
from app.video.canvas import Align, Canvas
from app.video.layout import Box

SIZE, AWAY, PAD = 38, 30, 16
"""Of type, from a point to its word, and from a word to the edge of the pane, in units."""


def callouts(
    canvas: Canvas,
    box: Box,
    xs: NDArray[np.float64],
    ys: NDArray[np.float64],
    words: Sequence[tuple[str, Rgb, float]],
) -> None:
    """Words at points whose places are in pixels of the box, each with its colour and opacity."""
    unit, middle = canvas.unit, float(np.nanmean(xs))
    high, away, pad = SIZE * 1.25 * unit, AWAY * unit, PAD * unit
    taken: list[tuple[float, float, float]] = []
    for x, y, (word, color, opacity) in zip(xs.tolist(), ys.tolist(), words, strict=True):
        if not (np.isfinite(x) and np.isfinite(y)):
            continue
        wide = typeface.width(word, SIZE * unit, bold=True)
        left = x - away - wide if x < middle else x + away
        left = min(max(left, pad), max(box.width - pad - wide, pad))
        top = min(max(y - high / 2, pad), box.height - pad - high)
        while any(abs(top - other) < high and left < end and begin < left + wide for begin, end, other in taken):
            top += high * 0.5
        taken.append((left, left + wide, top))
        line = Box(round(box.x + left), round(box.y + top), round(wide) + 2, round(high))
        canvas.text(line, word, color, SIZE, Align.LEFT, bold=True, opacity=opacity, ground=canvas.theme.cloud_bottom)
