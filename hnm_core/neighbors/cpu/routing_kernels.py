"""Kernels of the routed search: sift tiles of products, settle what passed exactly, and place rows in cells.

For anchor i and row j of a cell with centre m the product p of q_i and x_j - m bounds the score from both sides,

    score = base_i + weight_j - 2 p  +-  (slack_i b_j + error_i),

where slack, b and error cover all rounding; base and weight make it the squared distance, or -2 q x. The k-th smallest
upper bound so far is the limit: a row whose lower bound does not lie under it cannot be among the k best. What passes
waits and is measured exactly at the end. So the answer over the rows looked at is that of exact scores, however coarse
the products and in whatever order the cells came.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu.keys import EMPTY, insert, key_bits, key_of
from hnm_core.neighbors.cpu.rescore_kernels import measure

ELEMENTS = simd.ELEMENTS
_AHEAD = 6
"""Anchors between asking for memory and using it."""


class Columns(NamedTuple):
    """What anchors are compared with: rows in order of their cells, or the centres of the cells. D is padded to 16s."""

    points: Any
    """(N, D) float32."""
    weight: Any
    """(N + 16,) float32."""
    size: Any
    """(N + 16,) float32, b_j: the length of what is multiplied."""
    name: Any
    """(N,) int64, what to call the row in the answer."""
    label: Any
    """(N + 16,) int32, the class of the row; -1 for a centre of several classes."""


class Anchors(NamedTuple):
    """The anchors of one chunk, and what is known of each so far."""

    query: Any
    """(R, D) float32."""
    slack: Any
    """(R,) float32, times b_j the rounding of a product, twice."""
    error: Any
    """(R,) float32, what else may be rounded away."""
    label: Any
    """(R,) int32, its class, which it leaves out; below -1 where it leaves out none."""
    low: Any
    """(R,) int32, first of a range of columns that all are of this class."""
    high: Any
    """(R,) int32, column after the last of the range."""
    upper: Any
    """(R, 16 + K) float32, the k smallest upper bounds from column 16 on; K is k rounded up to sixteens."""
    candidate: Any
    """(R, M) int32, columns that passed."""
    lower: Any
    """(R, M) float32, their lower bounds."""
    count: Any
    """(R,) int64, how many wait."""


def waiting_anchors(query: Any, slack: Any, error: Any, label: Any, low: Any, high: Any, k: int) -> Anchors:
    """Anchors for which nothing was seen yet."""
    rows = len(query)
    upper = np.full((rows, ELEMENTS + ((k + ELEMENTS - 1) & -ELEMENTS)), np.inf, np.float32)
    upper[:, :ELEMENTS] = -np.inf
    room = max(64, 4 * k)
    candidate, lower = np.empty((rows, room), np.int32), np.empty((rows, room), np.float32)
    label, low, high = (values.astype(np.int32) for values in (label, low, high))
    return Anchors(query, slack, error, label, low, high, upper, candidate, lower, np.zeros(rows, np.int64))


@njit(cache=True, nogil=True, parallel=True)
def sift(
    products: Any,
    coarse: bool,
    first: int,
    last: int,
    who: Any,
    base: Any,
    k: int,
    exact_product: bool,
    columns: Any,
    anchors: Any,
) -> None:
    """Pass a tile of products, (S, W) with W a multiple of 16 and at least last - first, to the anchors `who` (S,).

    Column c of the tile is column first + c of `columns`. With `coarse` the products are bfloat16 bits (int16), else
    float32. Nobody stands in `who` twice.
    """
    width = anchors.upper.shape[1]
    for i in prange(len(who)):
        # Anchors lie far apart in memory: ask for one while others are at work.
        simd.prefetch(anchors.upper, who[min(i + _AHEAD, len(who) - 1)] * width + ELEMENTS + k - 1)
        # A function of its own: writes into a tuple's arrays right here would be taken for dead code.
        _sift_row(i, products, coarse, first, last, who[i], base[i], k, exact_product, columns, anchors)


@njit(cache=True, nogil=True)
def _sift_row(
    i: Any,
    products: Any,
    coarse: bool,
    first: int,
    last: int,
    anchor: Any,
    base: Any,
    k: int,
    exact_product: bool,
    columns: Any,
    anchors: Any,
) -> None:
    width = products.shape[1]
    low, high = np.int64(anchors.low[anchor]), np.int64(anchors.high[anchor])
    error, own = anchors.error[anchor], anchors.label[anchor]
    here = simd.splat(np.float32(base - error))
    slack = simd.splat(anchors.slack[anchor])
    minus_two = simd.splat(np.float32(-2))
    bounds = np.empty(ELEMENTS, np.float32)
    upper = anchors.upper[anchor]
    limit = upper[ELEMENTS + k - 1]
    for start in range(first, last, ELEMENTS):
        if start >= low and start + ELEMENTS <= high:
            continue
        if coarse:
            product = simd.load_bfloat16(products, i * width + start - first)
        else:
            product = simd.load(products, i * width + start - first)
        middle = simd.add(simd.add(here, simd.load(columns.weight, start)), simd.multiply(minus_two, product))
        lower = simd.subtract(middle, simd.multiply(slack, simd.load(columns.size, start)))
        passing = simd.less(lower, simd.splat(limit))
        if passing == 0:
            continue
        if start + ELEMENTS > last:
            passing &= (np.uint32(1) << np.uint32(last - start)) - np.uint32(1)
        simd.store(bounds, 0, lower)
        while passing:
            slot = simd.lowest(passing)
            passing &= passing - np.uint32(1)
            column = start + slot
            if bounds[slot] >= limit or columns.label[column] == own:
                continue
            if anchors.count[anchor] == anchors.candidate.shape[1]:
                _thin(anchor, k, exact_product, columns, anchors)
                limit = upper[ELEMENTS + k - 1]
                if bounds[slot] >= limit:
                    continue
            anchors.candidate[anchor, anchors.count[anchor]] = column
            anchors.lower[anchor, anchors.count[anchor]] = bounds[slot]
            anchors.count[anchor] += 1
            most = bounds[slot] + np.float32(2) * (anchors.slack[anchor] * columns.size[column] + error)
            if most < limit:
                offset = ELEMENTS + ((k - 1) & ~(ELEMENTS - 1))
                while True:
                    simd.push_float(upper, offset, most)
                    if offset == ELEMENTS or upper[offset - 1] <= most:
                        break
                    offset -= ELEMENTS
                limit = upper[ELEMENTS + k - 1]


@njit(cache=True, nogil=True)
def _thin(i: Any, k: int, exact_product: bool, columns: Any, anchors: Any) -> None:
    """Make room: drop what the limit has overtaken; where that frees little, measure and keep the k best."""
    limit = anchors.upper[i, ELEMENTS + k - 1]
    kept = 0
    for j in range(anchors.count[i]):
        if anchors.lower[i, j] <= limit:
            anchors.candidate[i, kept] = anchors.candidate[i, j]
            anchors.lower[i, kept] = anchors.lower[i, j]
            kept += 1
    anchors.count[i] = kept
    if kept <= anchors.candidate.shape[1] // 2:
        return
    best = np.full(8 + ((k + 7) & ~7), EMPTY, np.int64)
    best[:8] = np.iinfo(np.int64).min
    value = np.empty(1, np.float32)
    bits = value.view(np.int32)
    for j in range(kept):
        column = np.int64(anchors.candidate[i, j])
        value[0] = measure(columns.points, column, anchors.query, i, exact_product)
        insert(best, 8, k, key_of(bits[0], column))
    anchors.count[i] = 0
    for j in range(k):
        if best[8 + j] == EMPTY:
            break
        bits[0] = key_bits(best[8 + j])
        anchors.candidate[i, j] = best[8 + j] & np.int64(0xFFFFFFFF)
        anchors.lower[i, j] = value[0]
        anchors.count[i] += 1
        # What was measured is its own upper bound; the k of them take the place of coarser ones.
        anchors.upper[i, ELEMENTS + j] = min(value[0], limit)


@njit(cache=True, nogil=True, parallel=True)
def settle(k: int, exact_product: bool, columns: Any, anchors: Any, scores: Any, found: Any) -> None:
    """Measure what waits and write the k best to scores and found (R, k): the scores, and the columns' names.

    Equal scores stand by name; missing ones are infinity and -1.
    """
    for i in prange(len(anchors.count)):
        best = np.full(8 + ((k + 7) & ~7), EMPTY, np.int64)
        best[:8] = np.iinfo(np.int64).min
        value = np.empty(1, np.float32)
        bits = value.view(np.int32)
        limit = anchors.upper[i, ELEMENTS + k - 1]
        for j in range(anchors.count[i]):
            if anchors.lower[i, j] <= limit:
                column = np.int64(anchors.candidate[i, j])
                value[0] = measure(columns.points, column, anchors.query, i, exact_product)
                insert(best, 8, k, key_of(bits[0], columns.name[column]))
        for rank in range(k):
            bits[0] = key_bits(best[8 + rank])
            scores[i, rank] = value[0]
            found[i, rank] = np.int32(best[8 + rank] & np.int64(0xFFFFFFFF))


@njit(cache=True, nogil=True, parallel=True)
def gather(source: Any, who: Any, target: Any) -> None:
    """Copy rows source[who] (S, D) to the first rows of target, D a multiple of 16 float32."""
    dim = source.shape[1]
    for i in prange(len(who)):
        ahead = np.int64(who[min(i + _AHEAD, len(who) - 1)])
        row = np.int64(who[i])
        for axis in range(0, dim, ELEMENTS):
            simd.prefetch(source, ahead * dim + axis)
            simd.store(target, i * dim + axis, simd.load(source, row * dim + axis))


@njit(cache=True, nogil=True)
def by_cell(route: Any, cells: int, start: Any, who: Any, rank: Any) -> None:
    """Turn route (R, M), the cells of each anchor with -1 for none, round: the anchors of each cell.

    Cell c is asked by anchors who[start[c] : start[c + 1]], of which it is number rank[...] of the route.
    """
    start[:] = 0
    for i in range(route.shape[0]):
        for j in range(route.shape[1]):
            if route[i, j] >= 0:
                start[route[i, j] + 1] += 1
    for cell in range(cells):
        start[cell + 1] += start[cell]
    free = start[:-1].copy()
    for i in range(route.shape[0]):
        for j in range(route.shape[1]):
            cell = route[i, j]
            if cell >= 0:
                who[free[cell]], rank[free[cell]] = i, j
                free[cell] += 1


@njit(cache=True, nogil=True, parallel=True)
def nearest_centers(points: Any, rows: Any, centers: Any, squares: Any, found: Any) -> None:
    """found (R,) int32: which of the centers is nearest to points[rows]; the first of equal ones.

    centers (D, C) float32 stand in columns, C a multiple of 16; squares (C,) holds half their squared lengths, infinity
    where there is no centre.
    """
    for i in prange(len(rows)):
        found[i] = _nearest_center(points, rows[i], centers, squares)


@njit(cache=True, nogil=True)
def _nearest_center(points: Any, row: Any, centers: Any, squares: Any) -> Any:
    dim, count = centers.shape
    scores = np.empty(ELEMENTS, np.float32)
    best, where = np.float32(np.inf), 0
    for first in range(0, count, ELEMENTS):
        sums = simd.load(squares, first)
        for axis in range(dim):
            sums = simd.subtract(
                sums, simd.multiply(simd.splat(points[row, axis]), simd.load(centers, axis * count + first))
            )
        if simd.less(sums, simd.splat(best)) == 0:
            continue
        simd.store(scores, 0, sums)
        for lane in range(ELEMENTS):
            if scores[lane] < best:
                best, where = scores[lane], first + lane
    return where


@njit(cache=True, nogil=True, parallel=True)
def segment_means(points: Any, rows: Any, start: Any, means: Any) -> None:
    """means (S, D) float64 of points[rows[start[s] : start[s + 1]]] for each s; an empty segment keeps its mean."""
    for segment in prange(len(start) - 1):
        count = start[segment + 1] - start[segment]
        if count == 0:
            continue
        means[segment] = 0
        for place in range(start[segment], start[segment + 1]):
            for axis in range(means.shape[1]):
                means[segment, axis] += points[rows[place], axis]
        means[segment] /= count


def warm_up() -> None:
    """Compile: each kernel once."""
    n, k = 32, 2
    points = np.zeros((n, ELEMENTS), np.float32)
    padded = np.zeros(n + ELEMENTS, np.float32)
    columns = Columns(points, padded, padded, np.arange(n), np.zeros(n, np.int32))
    anchors = waiting_anchors(points[:2], padded[:2], padded[:2], np.arange(2), np.zeros(2, np.int64), np.full(2, 4), k)
    who = np.arange(2, dtype=np.int32)
    for tile, coarse in ((np.zeros((2, n), np.float32), False), (np.zeros((2, n), np.int16), True)):
        sift(tile, coarse, 0, n, who, padded[:2], k, False, columns, anchors)
    gather(points, who, points.copy())
    settle(k, False, columns, anchors, np.empty((2, k), np.float32), np.empty((2, k), np.int64))
    by_cell(np.zeros((2, 1), np.int64), 3, np.empty(4, np.int64), np.empty(2, np.int32), np.empty(2, np.int32))
    rows = np.arange(n)
    nearest_centers(points, rows, np.zeros((ELEMENTS, ELEMENTS), np.float32), padded[:ELEMENTS], np.empty(n, np.int32))
    segment_means(points, rows, np.array([0, n]), np.zeros((1, ELEMENTS)))


__all__ = [
    "Anchors",
    "Columns",
    "by_cell",
    "gather",
    "nearest_centers",
    "numba",
    "segment_means",
    "settle",
    "sift",
    "waiting_anchors",
    "warm_up",
]
