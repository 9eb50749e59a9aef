"""Kernels that filter tiles of approximate products down to the exact nearest negatives.

For anchor i and row j the product p of a tile bounds the squared distance from both sides,

    d^2 = |q_i|^2 + |x_j|^2 - 2 p  +-  a_i b_j,

where a and b cover all rounding. The k-th smallest upper bound so far is the limit: a row whose lower bound does not
lie under it cannot be among the k nearest. What passes waits in a list and is measured exactly, from coordinate
differences, once all tiles were seen (or when the list is full). So the answer is that of exact distances, however
coarse the products.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core.neighbors import simd
from hnm_core.neighbors.keys import EMPTY, insert, key_bits, key_of

LANES = simd.LANES
ROUNDING = np.float32(2.0**-20)
"""Both squares come 2^-21 too small, so that adding up in float32 cannot lift a lower bound over the distance."""


class Rows(NamedTuple):
    """The bank, sorted by class; D is filled up with zeros to a multiple of 16."""

    points: Any
    """(N, D) float32."""
    queries: Any
    """(N, D) float32, the rows as anchors."""
    square: Any
    """(N + 16,) float32, |x_j|^2 about the centre, as the products have it."""
    slack: Any
    """(N + 16,) float32, b_j."""
    row: Any
    """(N,) int64, the caller's row at each place."""


class Waiting(NamedTuple):
    """What is known of each anchor of a tile."""

    place: Any
    """(R,) int64, the anchors."""
    low: Any
    """(R,) int64, first place of the anchor's class."""
    high: Any
    """(R,) int64, place after its last."""
    square: Any
    """(R,) float32, |q_i|^2."""
    slack: Any
    """(R,) float32, a_i."""
    upper: Any
    """(R, 16 + K) float32, the k smallest upper bounds from column 16 on; K is k rounded up to sixteens."""
    candidate: Any
    """(R, M) int32, places that passed."""
    lower: Any
    """(R, M) float32, their lower bounds."""
    count: Any
    """(R,) int64, how many wait."""


@njit(cache=True, nogil=True, parallel=True)
def filter_tile(
    products: Any, coarse: bool, columns: int, first: int, k: int, rows: Any, waiting: Any, keep: bool
) -> None:
    """Pass a tile of products, (R, W) with W >= `columns`, W a multiple of 16, through the filter.

    Column c stands for the row at place first + c. With `coarse` the products are bfloat16 bits (int16), else float32.
    Without `keep` only the upper bounds are noted.
    """
    for i in prange(len(waiting.place)):
        # A function of its own: writes into a tuple's arrays right here would be taken for dead code.
        _filter_row(i, products, coarse, columns, first, k, rows, waiting, keep)


@njit(cache=True, nogil=True)
def _filter_row(
    i: Any, products: Any, coarse: bool, columns: int, first: int, k: int, rows: Any, waiting: Any, keep: bool
) -> None:
    width = products.shape[1]
    low, high = waiting.low[i], waiting.high[i]
    here = simd.splat(waiting.square[i])
    slack = simd.splat(waiting.slack[i])
    minus_two = simd.splat(np.float32(-2))
    bounds = np.empty(LANES, np.float32)
    upper = waiting.upper[i]
    limit = upper[LANES + k - 1]
    for column in range(0, columns, LANES):
        start = first + column
        if start >= low and start + LANES <= high:
            continue
        if coarse:
            product = simd.load_bfloat16(products, i * width + column)
        else:
            product = simd.load(products, i * width + column)
        middle = simd.add(simd.add(here, simd.load(rows.square, start)), simd.multiply(minus_two, product))
        lower = simd.subtract(middle, simd.multiply(slack, simd.load(rows.slack, start)))
        passing = simd.less(lower, simd.splat(limit))
        if passing == 0:
            continue
        if column + LANES > columns or (start < high and start + LANES > low):
            for slot in range(LANES):
                if column + slot >= columns or low <= start + slot < high:
                    passing &= ~(np.uint32(1) << np.uint32(slot))
        simd.store(bounds, 0, lower)
        while passing:
            slot = simd.lowest(passing)
            passing &= passing - np.uint32(1)
            if bounds[slot] >= limit:
                continue
            place = start + slot
            if keep:
                if waiting.count[i] == waiting.candidate.shape[1]:
                    _thin(i, k, rows, waiting)
                    limit = upper[LANES + k - 1]
                waiting.candidate[i, waiting.count[i]] = place
                waiting.lower[i, waiting.count[i]] = bounds[slot]
                waiting.count[i] += 1
            most = bounds[slot] + np.float32(2) * waiting.slack[i] * rows.slack[place]
            most += ROUNDING * (waiting.square[i] + rows.square[place])
            if most < limit:
                offset = LANES + ((k - 1) & ~(LANES - 1))
                while True:
                    simd.push_float(upper, offset, most)
                    if offset == LANES or upper[offset - 1] <= most:
                        break
                    offset -= LANES
                limit = upper[LANES + k - 1]


@njit(cache=True, nogil=True)
def _thin(i: Any, k: int, rows: Any, waiting: Any) -> None:
    """Make room: drop what the limit has overtaken; where that frees little, measure and keep the k nearest."""
    limit = waiting.upper[i, LANES + k - 1]
    kept = 0
    for j in range(waiting.count[i]):
        if waiting.lower[i, j] < limit:
            waiting.candidate[i, kept] = waiting.candidate[i, j]
            waiting.lower[i, kept] = waiting.lower[i, j]
            kept += 1
    waiting.count[i] = kept
    if kept <= waiting.candidate.shape[1] // 2:
        return
    nearest = np.full(8 + ((k + 7) & ~7), EMPTY, np.int64)
    nearest[:8] = np.iinfo(np.int64).min
    value = np.empty(1, np.float32)
    bits = value.view(np.int32)
    for j in range(kept):
        value[0] = _distance(rows, waiting.place[i], np.int64(waiting.candidate[i, j]))
        insert(nearest, 8, k, key_of(bits[0], waiting.candidate[i, j]))
    waiting.count[i] = 0
    for j in range(k):
        if nearest[8 + j] == EMPTY:
            break
        bits[0] = key_bits(nearest[8 + j])
        waiting.candidate[i, j] = nearest[8 + j] & np.int64(0xFFFFFFFF)
        waiting.lower[i, j] = value[0]
        waiting.count[i] += 1
        # An exact distance is its own upper bound; the k of them take the place of coarser ones.
        waiting.upper[i, LANES + j] = min(value[0], limit)


@njit(cache=True, nogil=True, parallel=True)
def settle(k: int, rows: Any, waiting: Any, scores: Any, found: Any) -> None:
    """Measure what waits and write the k nearest to scores and found (R, k): squared distances, the caller's rows.

    Equal distances stand by row; missing ones are infinity and -1.
    """
    for i in prange(len(waiting.place)):
        nearest = np.full(8 + ((k + 7) & ~7), EMPTY, np.int64)
        nearest[:8] = np.iinfo(np.int64).min
        value = np.empty(1, np.float32)
        bits = value.view(np.int32)
        limit = waiting.upper[i, LANES + k - 1]
        for j in range(waiting.count[i]):
            if waiting.lower[i, j] <= limit:
                place = np.int64(waiting.candidate[i, j])
                value[0] = _distance(rows, waiting.place[i], place)
                insert(nearest, 8, k, key_of(bits[0], rows.row[place]))
        for rank in range(k):
            bits[0] = key_bits(nearest[8 + rank])
            scores[i, rank] = value[0]
            found[i, rank] = np.int32(nearest[8 + rank] & np.int64(0xFFFFFFFF))


@njit(cache=True, nogil=True)
def _distance(rows: Any, anchor: Any, place: Any) -> Any:
    dim = rows.points.shape[1]
    sums = simd.splat(np.float32(0))
    for axis in range(0, dim, LANES):
        gap = simd.subtract(simd.load(rows.points, place * dim + axis), simd.load(rows.queries, anchor * dim + axis))
        sums = simd.add(sums, simd.multiply(gap, gap))
    return simd.total(sums)


def warm_up() -> None:
    """Compile: both kinds of tile, and the end."""
    n, k = 32, 2
    points = np.zeros((n, 16), np.float32)
    padded = np.zeros(n + LANES, np.float32)
    rows = Rows(points, points, padded, padded, np.arange(n))
    waiting = waiting_list(np.arange(2), np.zeros(2, np.int64), np.full(2, 4), padded[:2], padded[:2], k)
    filter_tile(np.zeros((2, n), np.float32), False, n, 0, k, rows, waiting, True)
    filter_tile(np.zeros((2, n), np.int16), True, n, 0, k, rows, waiting, True)
    settle(k, rows, waiting, np.empty((2, k), np.float32), np.empty((2, k), np.int64))


def waiting_list(place: Any, low: Any, high: Any, square: Any, slack: Any, k: int) -> Waiting:
    """An empty list for anchors at `place` (R,)."""
    count = len(place)
    upper = np.full((count, LANES + ((k + LANES - 1) & -LANES)), np.inf, np.float32)
    upper[:, :LANES] = -np.inf
    room = max(256, 8 * k)
    candidate, lower = np.empty((count, room), np.int32), np.empty((count, room), np.float32)
    return Waiting(place, low, high, square, slack, upper, candidate, lower, np.zeros(count, np.int64))


__all__ = ["Rows", "Waiting", "filter_tile", "numba", "settle", "waiting_list", "warm_up"]
