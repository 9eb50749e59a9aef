"""How far values of a series scatter, as a band for the eye; and labels beside each other that keep apart. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from hnm_core.run.series import Floats

LEAST = 8
"""Values that make a piece of the band; of fewer nobody can say how far they scatter."""
SAMPLE = 64
"""Values of a piece that are looked at, evenly spaced, so that a long series costs no more than a short one."""


def spread(x: Floats, y: Floats, pieces: int) -> tuple[Floats, Floats, Floats]:
    """The quartiles of a series, piece by piece.

    Args:
        x: (n,) ascending.
        y: (n,); what is not finite is passed over.
        pieces: at most so many, of equally many values each; the last may have a few more or fewer.

    Returns:
        x of the middle of each piece (of the first and the last its end), lower and upper quartile; pieces without a
        finite value are left out. Empty where there are not two pieces of `LEAST` values.
    """
    size = max(LEAST, -(-len(x) // max(1, pieces)))
    count = -(-len(x) // size)
    if len(x) - (count - 1) * size < LEAST:
        count -= 1  # too few are left at the end for a piece of their own
    if count < 2:
        return np.empty(0), np.empty(0), np.empty(0)
    start = np.arange(count) * size
    own = np.append(np.full(count - 1, size), len(x) - start[-1])
    looked = min(SAMPLE, int(own.max()))
    step = np.arange(looked)
    spaced = np.where(own[:, None] > looked, own[:, None] * step // looked, np.minimum(step, own[:, None] - 1))
    values = y[start[:, None] + spaced]
    values = np.sort(np.where(np.isfinite(values) & (step < own[:, None]), values, np.nan), axis=1)
    known = np.isfinite(values).sum(1)
    middle = (x[start] + x[start + own - 1]) / 2
    middle[0], middle[-1] = x[0], x[-1]
    rows, full = np.arange(count), known > 0
    quartiles = []
    for q in (0.25, 0.75):
        place = q * np.maximum(known - 1, 0)
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, np.maximum(known - 1, 0))
        low, high = values[rows, below], values[rows, above]
        quartiles.append(low + (place - below) * (high - low))
    return middle[full], quartiles[0][full], quartiles[1][full]


def kept_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float] | None:
    """Places near those wanted, in the same order, at least `gap` apart and within a range; None where it is too short
    for all of them."""
    if (len(wanted) - 1) * gap > high - low:
        return None
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    places = [min(max(value, low), high) for value in wanted]
    for before, after in pairwise(order):
        places[after] = max(places[after], places[before] + gap)
    limit = high
    for place in reversed(order):
        places[place] = min(places[place], limit)
        limit = places[place] - gap
    return places
