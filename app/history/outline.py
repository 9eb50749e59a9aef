"""How far up and down a long series goes, kept as it grows, so that a look at all of it costs little. No Qt."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.history import Column
from hnm_core.run.series import Floats

BLOCK = 64
"""Values that are looked at once; of each block the lowest and the highest are remembered."""
CROWDED = 4
"""Blocks that a pixel column must hold before they stand for the series in it."""


class Outline:
    """Lowest and highest values of one series after the other; one that goes on from the last costs only what is new.

    Values that are not finite are passed over.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget what was seen."""
        self._y: Floats = np.empty(0)
        self._rows = Column(np.int64)  # of each whole block two, ascending
        self._seen = 0
        self.lowest, self.highest, self.least_positive = math.inf, -math.inf, math.inf
        """Of all values; infinite where there are none. `least_positive` is of those above 0, for logarithmic axes."""

    def follow(self, y: Floats) -> None:
        """Take a series in: (n,). One in the same memory as the last goes on from it, as columns of histories do."""
        if not goes_on(self._y, y):
            self.begin()
        self._y = y
        new = y[self._seen :]
        new = new[np.isfinite(new)]
        positive = new[new > 0]
        self.lowest = min(self.lowest, float(new.min(initial=math.inf)))
        self.highest = max(self.highest, float(new.max(initial=-math.inf)))
        self.least_positive = min(self.least_positive, float(positive.min(initial=math.inf)))
        self._seen = len(y)
        known = len(self._rows) // 2
        whole = len(y) // BLOCK
        blocks = y[known * BLOCK : whole * BLOCK].reshape(-1, BLOCK)
        finite = np.isfinite(blocks)
        ends = np.stack(
            [np.where(finite, blocks, math.inf).argmin(1), np.where(finite, blocks, -math.inf).argmax(1)], axis=1
        )
        self._rows.extend((np.sort(ends, axis=1) + (np.arange(known, whole) * BLOCK)[:, None]).ravel())

    def rows(self, inside: slice, pixels: int) -> slice | NDArray[np.int64]:
        """Which rows of `inside` draw the series over so many pixels: all of them, or where several blocks fall on a
        pixel their lowest and highest, once or twice each, ascending, between the first and the last."""
        first, stop, _ = inside.indices(len(self._y))
        if stop - first <= CROWDED * BLOCK * pixels:
            return slice(first, stop)
        begin, end = -(-first // BLOCK), stop // BLOCK
        kept: NDArray[np.int64] = self._rows.values[2 * begin : 2 * end]
        head, tail = max(begin * BLOCK, first + 1), min(end * BLOCK, stop - 1)
        return np.concatenate((np.arange(first, head), kept, np.arange(tail, stop)))


def goes_on(before: NDArray[np.float64], after: NDArray[np.float64]) -> bool:
    """Whether a column that only grows is the same as before, or has more rows: it lies at the same place, and as long
    as somebody holds the view of before nothing else does."""
    return len(before) <= len(after) and len(before) > 0 and _place(before) == _place(after)


def _place(values: NDArray[np.float64]) -> tuple[int, tuple[int, ...], str]:
    return values.__array_interface__["data"][0], values.strides, values.dtype.str
