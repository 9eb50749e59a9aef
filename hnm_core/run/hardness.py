"""How hard mined tuples are, for the eye: the separation d(a,n) - d(a,p) of each, in bands and as a histogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BANDS = ("hard", "semi_hard", "easy")
"""hard: the negative is no farther than the positive; semi_hard: farther, by no more than the margin; easy: the rest.
A tuple count of a `StepRecord` for each, see `hnm_core.run.events.TUPLE_COUNTS`."""

UNKNOWN_BAND = -1
BINS = 64


@dataclass(frozen=True, eq=False)
class Hardness:
    """The separations of the tuples that a frame tells of.

    Bin i holds those above `edges[i]` up to, with, `edges[i + 1]`. Edges are multiples of `width`, so that 0, where
    hard ends, is one of them, and the histograms of two frames of equal width can be added.
    """

    margin: float
    """Up to which separation a tuple is semi-hard."""
    hard: int
    semi_hard: int
    easy: int
    width: float
    """Of a bin, in units of the lane's distance; 1, 2 or 5 times a power of ten."""
    first: int
    """The first bin begins at `first * width`."""
    bins: NDArray[np.int64]
    """(BINS,) tuples in each bin. Of very many tuples only the newest are counted here; the bands count all."""

    @property
    def total(self) -> int:
        """Tuples in all bands."""
        return self.hard + self.semi_hard + self.easy

    @property
    def edges(self) -> NDArray[np.float64]:
        """(BINS + 1,) where bins begin and end."""
        return np.arange(self.first, self.first + len(self.bins) + 1).astype(np.float64) * self.width


def bands_of(separation: NDArray[np.float32], margin: float) -> NDArray[np.int8]:
    """(M,) the place in `BANDS` of each separation, `UNKNOWN_BAND` where that is NaN."""
    bands = (separation > 0).astype(np.int8) + (separation > max(margin, 0.0))
    return np.where(np.isnan(separation), np.int8(UNKNOWN_BAND), bands)


def histogram(separation: NDArray[np.floating]) -> tuple[float, int, NDArray[np.int64]]:
    """Width, first bin and (BINS,) counts of the finite ones among separations, as `Hardness` has them.

    The width is the smallest of its kind with which all of them fit.
    """
    finite = separation[np.isfinite(separation)].astype(np.float64)
    if not len(finite):
        return 1.0, 0, np.zeros(BINS, np.int64)
    low, high = min(float(finite.min()), 0.0), max(float(finite.max()), 0.0)
    width = _width(low, high)
    first = _bin(low, width)
    # A value just above an edge may be put below it by the rounding of the division, and at the ends beyond the bins.
    place = np.clip(np.ceil(finite / width).astype(np.int64) - 1 - first, 0, BINS - 1)
    return width, first, np.bincount(place, minlength=BINS)


def _bin(value: float, width: float) -> int:
    return int(np.ceil(value / width)) - 1


def _width(low: float, high: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten with which the bins from `low` to `high` are at most `BINS`."""
    if high == low:
        return 1.0
    width = round_above((high - low) / BINS)
    while _bin(high, width) - _bin(low, width) >= BINS:  # they begin at multiples of the width, not at `low`
        width = round_above(1.5 * width)
    return width


def round_above(value: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is not below `value`, which is above 0."""
    power = int(np.floor(np.log10(value)))
    for exponent in (power, power + 1):
        for digit in (1, 2, 5):
            candidate = digit * 10.0**exponent if exponent >= 0 else digit / 10.0**-exponent
            if candidate >= value * (1 - 1e-9):
                return candidate
    return 10.0 ** (power + 2)
