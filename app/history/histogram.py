"""How hard mined tuples are, as bars to paint: heights, what they are coloured by, and which stretch is seen. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.hardness import Hardness
from hnm_core.run.series import Floats

HARD, SEMI_HARD, EASY = range(3)
"""Places in `hnm_core.run.hardness.BANDS`."""

STRAY = 0.002
"""So much of the tuples may lie beyond either end of what is seen, so that a few far ones do not press all flat."""
LOOSE = 0.55
"""A stretch that fills less than this of what is seen is looked at from nearer."""
ROOM = 0.03
"""Free at either end, as a share of the stretch."""


class Bands(NamedTuple):
    """How many tuples are in each band."""

    hard: int
    semi_hard: int
    easy: int

    @property
    def total(self) -> int:
        """Of all bands."""
        return sum(self)


@dataclass(frozen=True, eq=False)
class Bars:
    """B bars from left to right; a bin that a border of bands goes through is two of them."""

    left: Floats
    """(B,) d(a,n) - d(a,p)"""
    right: Floats
    density: Floats
    """(B,) share of the tuples by unit of distance; times width, summed, it is 1"""
    band: NDArray[np.int8]
    """(B,) `HARD`, `SEMI_HARD` or `EASY`"""


class Bin(NamedTuple):
    """One bin of a histogram."""

    left: float
    right: float
    tuples: int
    share: float
    """Of those that the bins count"""


def bars(hardness: Hardness, margin: float) -> Bars:
    """The bins that are not empty, banded as if `margin` were that of the loss."""
    full = np.flatnonzero(hardness.bins)
    left, right = hardness.edges[full], hardness.edges[full + 1]
    density = hardness.bins[full] / max(1, int(hardness.bins.sum())) / hardness.width
    margin = max(margin, 0.0)
    split = (left < margin) & (margin < right)
    lefts = np.concatenate((left, np.full(int(split.sum()), margin)))
    rights = np.concatenate((np.where(split, margin, right), right[split]))
    order = np.argsort(lefts, kind="stable")
    lefts, rights = lefts[order], rights[order]
    middle = (lefts + rights) / 2
    band = (middle > 0).astype(np.int8) + (middle > margin)
    return Bars(lefts, rights, np.concatenate((density, density[split]))[order], band.astype(np.int8))


def bands_at(hardness: Hardness, margin: float) -> Bands:
    """How many tuples would be in each band with another margin.

    Exact at the edges of bins and at the margin that the frame was counted with; within a bin tuples count as spread
    evenly. Where the bins hold the newest tuples alone, as many shares of all.
    """
    beyond = hardness.semi_hard + hardness.easy
    edges, bins = hardness.edges, hardness.bins
    right = np.clip(edges, 0.0, None)
    inside = np.concatenate(([0.0], np.cumsum(np.where(edges[:-1] >= 0, bins, 0)))).astype(np.float64)
    if inside[-1] > 0:
        inside *= beyond / inside[-1]
    if hardness.margin > 0:
        place = int(np.searchsorted(right, hardness.margin))
        if place == len(right) or right[place] > hardness.margin:
            right, inside = np.insert(right, place, hardness.margin), np.insert(inside, place, 0.0)
        inside[:place] = np.minimum(inside[:place], hardness.semi_hard)
        inside[place] = hardness.semi_hard
        inside[place:] = np.maximum(inside[place:], hardness.semi_hard)
    semi_hard = round(float(np.interp(margin, right, inside))) if margin > 0 else 0
    return Bands(hardness.hard, semi_hard, beyond - semi_hard)


def bin_at(hardness: Hardness, separation: float) -> Bin | None:
    """The bin that holds a separation; None outside all of them."""
    place = int(np.ceil(separation / hardness.width)) - 1 - hardness.first
    if not 0 <= place < len(hardness.bins):
        return None
    edges, count = hardness.edges, int(hardness.bins[place])
    return Bin(float(edges[place]), float(edges[place + 1]), count, count / max(1, int(hardness.bins.sum())))


def stretch(hardness: Hardness, margin: float) -> tuple[float, float]:
    """From where to where tuples lie, but for `STRAY` of them at either end; 0 and the margin are inside."""
    edges, total = hardness.edges, int(hardness.bins.sum())
    if not total:
        return min(0.0, margin), max(hardness.width, margin)
    upto = np.cumsum(hardness.bins) / total
    first = int(np.searchsorted(upto, STRAY, side="right"))
    last = int(np.searchsorted(upto, 1 - STRAY))
    return min(0.0, margin, float(edges[first])), max(0.0, margin, float(edges[last + 1]))


def seen(stretches: Sequence[tuple[float, float]], before: tuple[float, float] | None) -> tuple[float, float]:
    """The range of an axis over some stretches: what it was `before` while they fit well, so that it does not tremble
    from frame to frame."""
    low = min((low for low, _ in stretches), default=0.0)
    high = max((high for _, high in stretches), default=1.0)
    if high <= low:
        high = low + 1.0
    if before is not None and before[0] <= low and high <= before[1] and high - low >= LOOSE * (before[1] - before[0]):
        return before
    room = ROOM * (high - low)
    grown = 0.15 * (high - low) if before is not None else 0.0  # what moved once will move again
    return low - room - (grown if low < 0 else 0.0), high + room + grown


def round_ticks(low: float, high: float, most: int) -> Floats:
    """At most `most` (at least one) multiples of 1, 2 or 5 times a power of ten within a range."""
    stride = round_above((high - low) / max(1, most))
    ticks: Floats = np.arange(np.ceil(low / stride), np.floor(high / stride) + 1) * stride + 0.0
    return ticks


def round_above(value: float) -> float:
    """The smallest 1, 2 or 5 times a power of ten that is not below `value`, which is above 0."""
    power = int(np.floor(np.log10(value)))
    for exponent in (power, power + 1):
        for digit in (1, 2, 5):
            candidate = digit * 10.0**exponent if exponent >= 0 else digit / 10.0**-exponent
            if candidate >= value * (1 - 1e-9):
                return candidate
    return 10.0 ** (power + 2)


def on_grid(value: float, stride: float) -> float:
    """The multiple of `stride` nearest to a value."""
    return float(f"{round(value / stride) * stride:.12g}")


def next_on_grid(value: float, stride: float, way: int) -> float:
    """The next multiple of `stride` above a value (`way` 1) or below it (-1)."""
    place = np.floor(value / stride + 1e-6) + 1 if way > 0 else np.ceil(value / stride - 1e-6) - 1
    return float(f"{place * stride:.12g}")


def bands_within(left: float, right: float, margin: float) -> list[int]:
    """The bands that reach into a bin above `left` up to `right`."""
    lows, highs = (-np.inf, 0.0, max(margin, 0.0)), (0.0, max(margin, 0.0), np.inf)
    return [band for band in (HARD, SEMI_HARD, EASY) if left < highs[band] and right > lows[band]]
