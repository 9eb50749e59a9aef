"""Arithmetic of series: smoothing, thinning for the screen, quantiles, the last rows that count. Pure numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def smoothed(values: Floats, factor: float) -> Floats:
    """Exponential moving average over the full series, debiased as Adam does, so that it does not start at 0.

    Args:
        values: (n,); entries that are not finite are passed over, with the average before them held.
        factor: weight of the past, 0 <= factor < 1; 0 gives the series itself.

    Returns:
        (n,); NaN before the first finite value.

    Raises:
        ValueError: factor out of range; at 1 nothing new would ever count.
    """
    if not 0 <= factor < 1:
        raise ValueError(f"factor = {factor} must lie in 0 <= factor < 1")
    finite = np.isfinite(values)
    weighted = np.where(finite, values, 0.0)
    weight = finite.astype(np.float64)
    # Twice the reach in every round: sum_{j < 2 r} f^j v_{i-j} = S_r(i) + f^r S_r(i - r).
    reach = 1
    while factor > 0 and reach < min(len(values), memory(factor)):
        fade = factor**reach
        weighted[reach:] += fade * weighted[:-reach]
        weight[reach:] += fade * weight[:-reach]
        reach *= 2
    if factor == 0:
        return np.where(finite, values, np.nan)
    result = np.full(len(values), np.nan)
    np.divide(weighted, weight, out=result, where=weight > 0)
    return result


def memory(factor: float) -> int:
    """Rows after which a value's weight is below a double's resolution."""
    return 1 if factor <= 0 else int(np.ceil(-40 / np.log(factor))) + 1


def decimate(x: Floats, y: Floats, pixels: int) -> tuple[Floats, Floats]:
    """The points that make the same picture: lowest and highest of each pixel column, at most 2 * `pixels` in all.

    Args:
        x: (n,) ascending.
        y: (n,); NaN and infinite points are passed over unless a column has nothing else, which leaves a gap.
        pixels: columns between the first and the last x, at least 1.

    Returns:
        Points of the input, in input order. A series that is short enough is returned as it is.
    """
    if len(x) <= 2 * pixels:
        return x, y
    start = np.searchsorted(x, np.linspace(x[0], x[-1], pixels + 1)[:-1], side="left")
    start = _distinct(start)
    size = np.append(start[1:], len(x)) - start
    finite = np.isfinite(y)
    whole = bool(finite.all())
    chosen = []
    for reduce, worst in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        comparable = y if whole else np.where(finite, y, worst)
        extreme = reduce.reduceat(comparable, start)
        hit = np.flatnonzero(comparable == np.repeat(extreme, size))
        chosen.append(hit[np.searchsorted(hit, start)])
    index = np.concatenate(chosen)
    index.sort()
    index = _distinct(index)
    return x[index], y[index]


def _distinct(ascending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Without repetitions; `np.unique` would sort or hash what is sorted already."""
    first = np.ones(len(ascending), np.bool_)
    first[1:] = ascending[1:] != ascending[:-1]
    return ascending[first]


def late_quantile(ascending: Floats, ran: NDArray[np.int64], q: float) -> Floats:
    """Quantile of the last `ran` entries of every column, linear between ranks; 0 where `ran` is 0."""
    if not len(ascending):
        return np.zeros(ascending.shape[1])
    column = np.arange(ascending.shape[1])
    place = len(ascending) - ran + q * np.maximum(ran - 1, 0)
    below = np.minimum(np.floor(place).astype(int), len(ascending) - 1)
    above = np.minimum(below + 1, len(ascending) - 1)
    low, high = ascending[below, column], ascending[above, column]
    return np.where(ran > 0, low + (place - below) * (high - low), 0.0)


def last_rows(holds: Callable[[slice], NDArray[np.bool_]], most: int, stop: int, start: int = 0) -> NDArray[np.int64]:
    """The last `most` rows of `start`..`stop` of which something holds, ascending; fewer where there are no more.

    Args:
        holds: (n,) whether it holds, of the n rows of a slice. It is asked only as far back as needed, so that of a
            long series the cost is that of its end.
        most: at least 1.
    """
    reach = most
    while True:
        first = max(start, stop - reach)
        rows = first + np.flatnonzero(holds(slice(first, max(first, stop))))
        if len(rows) >= most or first == start:
            return rows[-most:]
        reach *= 4
