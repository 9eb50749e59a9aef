"""Kernels that filter approximate products down to the exact best rows.

A search minimises a value that a product estimates. For anchor i and row j

    value_ij = base_i - 2 s_ij,   s_ij = a_i . x_j + bias_j,

is the squared distance, minus it, or -2 or 2 times the inner product, as `base`, `bias` and the sign of a say. What a
tile holds of s is off by at most slack_i size_j, so every s bounds the value from both sides. The k-th smallest upper
bound so far is an anchor's limit: a row whose lower bound does not lie under it cannot be among the k best. That test is
one comparison, s > least_i - slack_i size_j. What passes waits in a list and is measured exactly once all tiles were
seen (or when the list is full). So the answer is that of exact values, however coarse the products.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core.neighbors import amx, simd
from hnm_core.neighbors.keys import EMPTY, insert, key_bits, key_of

LANES = simd.LANES
BLOCK = 32
"""Columns that are tested together."""
_ALL = np.uint64(0xFFFFFFFF)
_STEP = np.float32(2.0**-22)
"""Share by which limits are moved, more than rounding the comparison with them can cost."""


class Rows(NamedTuple):
    """The bank, sorted by class; N is filled up to a multiple of 32, D with zeros to a multiple of 16."""

    points: Any
    """(N, D) float32."""
    queries: Any
    """(N, D) float32, the rows as anchors."""
    bias: Any
    """(N,) float32, as the products have it, rounded up; -infinity in rows that fill up."""
    size: Any
    """(N,) float32."""
    widest: Any
    """(N / 32,) float32, the largest size of each block of columns."""
    row: Any
    """(N,) int64, the caller's row at each place."""
    place: Any
    """(N,) int64, the place of each of the caller's rows."""
    rounding: Any
    """float32, what rounding can add to a value, as a share of |base| + 2 |bias|."""
    inner: Any
    """Whether values are inner products, not squared distances."""
    sign: Any
    """float32, 1 for the smallest distance or -2 times the product, -1 for the opposite."""


class Waiting(NamedTuple):
    """What is known of each anchor of a tile; places of -1 fill up."""

    place: Any
    """(R,) int64, the anchors."""
    low: Any
    """(R,) int64, first place of the anchor's class."""
    high: Any
    """(R,) int64, place after its last."""
    base: Any
    """(R,) float32, rounded down."""
    slack: Any
    """(R,) float32."""
    least: Any
    """(R,) float32, see above."""
    upper: Any
    """(R, 16 + K) float32, the k smallest upper bounds from column 16 on; K is k rounded up to sixteens."""
    candidate: Any
    """(R, M) int32, places that passed."""
    lower: Any
    """(R, M) float32, their lower bounds."""
    count: Any
    """(R,) int64, how many wait."""
    own: Any
    """Whether rows of the anchor's own class are wanted, without itself, and not those of the others."""


@njit(cache=True, nogil=True, parallel=True)
def filter_bfloat16(
    anchors: Any, points: Any, steps: Any, layout: Any, order: Any, chunk: Any, batch: Any, k: Any, rows: Any,
    waiting: Any,
) -> None:  # fmt: skip
    """Multiply packed anchors with all packed points on the matrix units and filter the products at once.

    Each thread takes `batch` times 32 anchors, and chunks of `chunk` blocks of columns in the order given, so that
    both stay in its cache.
    """
    groups = len(waiting.place) // BLOCK
    for task in prange((groups + batch - 1) // batch):
        _filter_batch(
            task * batch, min(task * batch + batch, groups), anchors, points, steps, layout, order, chunk, k, rows,
            waiting,
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _filter_batch(
    first: Any, last: Any, anchors: Any, points: Any, steps: Any, layout: Any, order: Any, chunk: Any, k: Any,
    rows: Any, waiting: Any,
) -> None:  # fmt: skip
    memory = np.empty(amx.STEP + LANES, np.float32)
    sums = (-memory.ctypes.data & 63) >> 2  # aligned with the lines of the cache
    low, high = np.empty(last - first, np.int64), np.empty(last - first, np.int64)
    for group in range(first, last):
        low[group - first], high[group - first] = _span(group, waiting)
    amx.configure(layout)
    for which in range(len(order)):
        start = order[which] * chunk
        end = min(start + chunk, len(rows.widest))
        for group in range(first, last):
            skip_from, skip_to = low[group - first], high[group - first]
            for block in range(start, end):
                inside = skip_from <= block < skip_to
                if inside != waiting.own:
                    continue
                amx.start(rows.bias, block * BLOCK)
                for step in range(steps):
                    amx.multiply(anchors, (group * steps + step) * amx.STEP, points, (block * steps + step) * amx.STEP)
                amx.finish(memory, sums)
                for line in range(BLOCK):
                    _filter_line(group * BLOCK + line, memory, sums + line * BLOCK, block, 1, k, rows, waiting)
    amx.release()


@njit(cache=True, nogil=True)
def _span(group: Any, waiting: Any) -> Any:
    """The blocks of columns that a group of anchors looks at if it wants its own class, or else skips."""
    start = group * BLOCK
    low, high = waiting.low[start], waiting.high[start]
    for i in range(start + 1, start + BLOCK):
        if waiting.place[i] >= 0:
            if waiting.own:
                low, high = min(low, waiting.low[i]), max(high, waiting.high[i])
            else:
                low, high = max(low, waiting.low[i]), min(high, waiting.high[i])
    if waiting.own:
        return low // BLOCK, (high + BLOCK - 1) // BLOCK
    return (low + BLOCK - 1) // BLOCK, high // BLOCK


@njit(cache=True, nogil=True, parallel=True)
def filter_tile(sums: Any, width: Any, block: Any, k: Any, rows: Any, waiting: Any) -> None:
    """Filter a tile of products (R * width,) float32, width a multiple of 32; its columns start with those of `block`."""
    for i in prange(len(sums) // width):
        _filter_line(i, sums, i * width, block, width // BLOCK, k, rows, waiting)


@njit(cache=True, nogil=True)
def _filter_line(i: Any, sums: Any, offset: Any, first: Any, blocks: Any, k: Any, rows: Any, waiting: Any) -> None:
    for block in range(first, first + blocks):
        least = simd.splat(waiting.least[i] - waiting.slack[i] * rows.widest[block])
        passing = simd.less(least, simd.load(sums, offset))
        passing |= simd.less(least, simd.load(sums, offset + LANES)) << np.uint32(LANES)
        if passing:
            _admit(i, passing, sums, offset, block * BLOCK, k, rows, waiting)
        offset += BLOCK


@njit(cache=True, nogil=True)
def _admit(i: Any, passing: Any, sums: Any, offset: Any, start: Any, k: Any, rows: Any, waiting: Any) -> None:
    """Put the columns whose bits are set in `passing` on the list of anchor i where they belong there."""
    passing &= _allowed(i, start, waiting)
    base, slack = waiting.base[i], waiting.slack[i]
    upper = waiting.upper[i]
    limit = upper[LANES + k - 1]
    while passing:
        slot = simd.lowest(passing)
        passing &= passing - np.uint32(1)
        place = start + slot
        spread = np.float32(2) * slack * rows.size[place]
        lower = base - np.float32(2) * sums[offset + slot] - spread
        if lower >= limit:
            continue
        if waiting.count[i] == waiting.candidate.shape[1]:
            _thin(i, k, rows, waiting)
            limit = upper[LANES + k - 1]
        waiting.candidate[i, waiting.count[i]] = place
        waiting.lower[i, waiting.count[i]] = lower
        waiting.count[i] += 1
        most = lower + np.float32(2) * spread
        most += rows.rounding * (abs(base) + np.float32(2) * abs(rows.bias[place]))
        if most < limit:
            at = LANES + ((k - 1) & ~(LANES - 1))
            while True:
                simd.push_float(upper, at, most)
                if at == LANES or upper[at - 1] <= most:
                    break
                at -= LANES
            limit = upper[LANES + k - 1]
    waiting.least[i] = (base - limit) / np.float32(2) - _STEP * (abs(base) + abs(limit))


@njit(cache=True, nogil=True)
def _allowed(i: Any, start: Any, waiting: Any) -> Any:
    """The columns of the block at `start` that the anchor's class allows, as bits."""
    low = np.uint64(min(max(waiting.low[i] - start, 0), BLOCK))
    high = np.uint64(min(max(waiting.high[i] - start, 0), BLOCK))
    same = (np.uint64(1) << high) - (np.uint64(1) << low)
    if not waiting.own:
        return np.uint32(same ^ _ALL)
    self = waiting.place[i] - start
    if 0 <= self < BLOCK:
        same &= ~(np.uint64(1) << np.uint64(self))
    return np.uint32(same)


@njit(cache=True, nogil=True)
def _thin(i: Any, k: Any, rows: Any, waiting: Any) -> None:
    """Make room: drop what the limit has overtaken; where that frees little, measure and keep the k best."""
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
    best, value = _measured(i, k, rows, waiting)
    bits = value.view(np.int32)
    waiting.count[i] = 0
    for j in range(k):
        if best[8 + j] == EMPTY:
            break
        bits[0] = key_bits(best[8 + j])
        waiting.candidate[i, j] = rows.place[best[8 + j] & np.int64(0xFFFFFFFF)]
        waiting.lower[i, j] = value[0]
        waiting.count[i] += 1
        # Exact values take the place of coarser bounds, far enough up that a row of the same value still passes.
        above = value[0] + rows.rounding * abs(value[0])
        waiting.upper[i, LANES + j] = min(above, limit)


@njit(cache=True, nogil=True, parallel=True)
def settle(k: Any, rows: Any, waiting: Any, scores: Any, found: Any) -> None:
    """Measure what waits and write the k best to scores and found (<= R, k): values, the caller's rows.

    Equal values stand by row; missing ones are infinity and -1.
    """
    for i in prange(len(scores)):
        # A function of its own: writes into a tuple's arrays right here would be taken for dead code.
        _settle_line(i, k, rows, waiting, scores, found)


@njit(cache=True, nogil=True)
def _settle_line(i: Any, k: Any, rows: Any, waiting: Any, scores: Any, found: Any) -> None:
    best, value = _measured(i, k, rows, waiting)
    bits = value.view(np.int32)
    for rank in range(k):
        bits[0] = key_bits(best[8 + rank])
        scores[i, rank] = value[0]
        found[i, rank] = np.int32(best[8 + rank] & np.int64(0xFFFFFFFF))


@njit(cache=True, nogil=True)
def _measured(i: Any, k: Any, rows: Any, waiting: Any) -> Any:
    """The keys of the k best of what waits and may still be among them; and one float32 to look into keys with."""
    best = np.full(8 + ((k + 7) & ~7), EMPTY, np.int64)
    best[:8] = np.iinfo(np.int64).min
    value = np.empty(1, np.float32)
    bits = value.view(np.int32)
    limit = waiting.upper[i, LANES + k - 1]
    dim = rows.points.shape[1]
    anchor = waiting.place[i] * dim
    for j in range(waiting.count[i]):
        if waiting.lower[i, j] <= limit:
            place = np.int64(waiting.candidate[i, j])
            if rows.inner:
                product = simd.dot(rows.queries, anchor, rows.points, place * dim, dim)
                value[0] = np.float32(product) * np.float32(-2)
            else:
                value[0] = _squared_distance(rows, anchor, place * dim)
            value[0] = value[0] * rows.sign + np.float32(0)  # a zero without a sign: keys would tell -0 from 0
            insert(best, 8, k, key_of(bits[0], rows.row[place]))
    return best, value


@njit(cache=True, nogil=True)
def _squared_distance(rows: Any, anchor: Any, point: Any) -> Any:
    sums = simd.splat(np.float32(0))
    for axis in range(0, rows.points.shape[1], LANES):
        gap = simd.subtract(simd.load(rows.points, point + axis), simd.load(rows.queries, anchor + axis))
        sums = simd.add(sums, simd.multiply(gap, gap))
    return simd.total(sums)


def warm_up() -> None:
    """Compile: both ways to multiply, and the end."""
    n, k = 32, 2
    points = np.zeros((n, 16), np.float32)
    zeros, index = np.zeros(n, np.float32), np.arange(n)
    rows = Rows(points, points, zeros, zeros, zeros[:1], index, index, np.float32(0), False, np.float32(1))
    waiting = waiting_list(index, index, index + 1, zeros, zeros, k, own=False)
    filter_tile(np.zeros(n * n, np.float32), n, 0, k, rows, waiting)
    if amx.available():
        packed = np.zeros(amx.STEP, np.int16)
        filter_bfloat16(packed, packed, 1, amx.layout(), index[:1], 1, 1, k, rows, waiting)
    settle(k, rows, waiting, np.empty((2, k), np.float32), np.empty((2, k), np.int64))


def waiting_list(place: Any, low: Any, high: Any, base: Any, slack: Any, k: int, *, own: bool) -> Waiting:
    """An empty list for anchors at `place` (R,)."""
    count = len(place)
    upper = np.full((count, LANES + ((k + LANES - 1) & -LANES)), np.inf, np.float32)
    upper[:, :LANES] = -np.inf
    room = max(256, 8 * k)
    candidate, lower = np.empty((count, room), np.int32), np.empty((count, room), np.float32)
    # Nothing passes a least of infinity, so what fills up waits for nothing.
    least = np.where(place >= 0, -np.inf, np.inf).astype(np.float32)
    return Waiting(place, low, high, base, slack, least, upper, candidate, lower, np.zeros(count, np.int64), own)


__all__ = ["Rows", "Waiting", "filter_bfloat16", "filter_tile", "numba", "settle", "waiting_list", "warm_up"]
