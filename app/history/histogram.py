"""How hard mined tuples are, as bars to paint: heights, what they are coloured by, and which stretch is seen. No Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.hardness import Hardness
from hnm_core.run.series import Floats

HARD, SEMI_HARD, EASY = range(3)
"""Places in `hnm_core.run.hardness.BANDS`."""

TOUCH = 1e-6
"""A margin so near to the edge of a bin (in widths of a bin) is that edge: as a float, an edge may be a little off."""
LOOSE = 0.6
"""A stretch that fills less than this of an axis is looked at from nearer."""
ROOM, GROWN = 0.02, 0.08
"""Free at either end of an axis, as a share of it; and how much more where it has just become too short."""
BEND_FITS = 3.0
"""An axis keeps its bend while the margin is neither so many times larger nor smaller."""


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
    share: Floats
    """(B,) of the tuples; over the width of the bar, whatever the axis, it is how high the bar is"""
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
    share = hardness.bins[full] / max(1, int(hardness.bins.sum()))
    margin = max(margin, 0.0)
    inside = (left + TOUCH * hardness.width < margin) & (margin < right - TOUCH * hardness.width)
    for place in np.flatnonzero(inside):  # at most one; its tuples count as spread evenly
        part = share[place] * (margin - left[place]) / (right[place] - left[place])
        share = np.insert(share, place, part)
        share[place + 1] -= part
        left, right = np.insert(left, place + 1, margin), np.insert(right, place, margin)
    middle = (left + right) / 2
    band = (middle > 0).astype(np.int8) + (middle > margin)
    return Bars(left, right, share, band.astype(np.int8))


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
    """From where to where tuples lie; 0 and the margin are inside."""
    full = np.flatnonzero(hardness.bins)
    if not len(full):
        return min(0.0, margin), max(hardness.width, margin)
    edges = hardness.edges
    return min(0.0, margin, float(edges[full[0]])), max(0.0, margin, float(edges[full[-1] + 1]))


@dataclass(frozen=True)
class Axis:
    """Which separations are seen, and where: straight around 0, where the bands meet, and ever closer together farther
    off (as arsinh), so that a margin and tuples many margins away are seen together."""

    low: float
    high: float
    bend: float
    """How far from 0 it is about straight, in units of distance"""

    def share(self, separations: Floats) -> Floats:
        """(n,) how far along the axis separations are: 0 at the low end, 1 at the high one."""
        low, high = self._ends
        place: Floats = (np.arcsinh(separations / self.bend) - low) / (high - low)
        return place

    def place(self, separation: float) -> float:
        """As `share`, of one."""
        low, high = self._ends
        return (math.asinh(separation / self.bend) - low) / (high - low)

    def separation(self, place: float) -> float:
        """What is so far along the axis."""
        low, high = self._ends
        return math.sinh(low + place * (high - low)) * self.bend

    @property
    def _ends(self) -> tuple[float, float]:
        return math.asinh(self.low / self.bend), math.asinh(self.high / self.bend)


@lru_cache(maxsize=64)
def ticks(axis: Axis, apart: float) -> tuple[float, ...]:
    """Round separations from left to right, no two closer than `apart` (a share of the axis); 0 is one."""
    top = int(np.floor(np.log10(max(-axis.low, axis.high))))
    kept = [0.0]
    for digit in (1, 3, 2, 5):
        for power in range(top, top - 4, -1):
            for value in (float(f"{digit}e{power}"), float(f"-{digit}e{power}")):
                near = min(abs(axis.place(other) - axis.place(value)) for other in kept)
                if axis.low <= value <= axis.high and near >= apart:
                    kept.append(value)
    return tuple(sorted(kept))


def axis_over(stretches: Sequence[tuple[float, float]], margins: Sequence[float], before: Axis | None) -> Axis:
    """One axis for some stretches with margins: what it was `before` while that fits well, so that it does not tremble
    from frame to frame."""
    low, high = min((low for low, _ in stretches), default=0.0), max((high for _, high in stretches), default=1.0)
    if high <= low:
        high = low + 1.0
    wanted = float(np.median([margin for margin in margins if margin > 0] or [max(-low, high) / 4]))
    bend = wanted
    if before is not None and 1 / BEND_FITS <= wanted / before.bend <= BEND_FITS:
        bend = before.bend
        left, right = before.place(low), before.place(high)
        if left >= 0 and right <= 1 and right - left >= LOOSE:
            return before
    tight = Axis(low, high, bend)
    room = ROOM if before is None or before.bend != bend else ROOM + GROWN
    return Axis(tight.separation(-room), tight.separation(1 + room), bend)


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
    touch = TOUCH * (right - left)
    return [band for band in (HARD, SEMI_HARD, EASY) if left < highs[band] - touch and right > lows[band] + touch]
