"""Kernels that filter approximate products down to the exact best rows.

A search minimises a value that a product estimates. For anchor i and row j

    value_ij = base_i - 2 s_ij,   s_ij = a_i . x_j + bias_j,

is the squared distance, minus it, or -2 or 2 times the inner product, as `base`, `bias` and the sign of a say. What a
tile holds of s is off by at most slack_i size_j, so every s bounds the value from both sides. The k-th smallest upper
bound so far is an anchor's limit: a row whose lower bound does not lie under it cannot be among the k best. That takes
one comparison, s > least_i - slack_i size_j. What passes waits in a list; when the list is full a new limit is taken
from it, and once all tiles were seen what is left is measured exactly. So the answer is that of exact values, however
coarse the products.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu import blocks
from hnm_core.neighbors.cpu.keys import EMPTY, KEYS_BEFORE, insert, key_bits, key_of

ELEMENTS = simd.ELEMENTS
BLOCK = blocks.SIDE
"""Columns that are tested together."""
_LOW = np.int64(0xFFFFFFFF)
"""The half of a key that holds the row."""
_ROOM = 96
"""Rows that may wait for an anchor, at least; a longer list is thinned less often, but its limit comes down later."""
_AHEAD = 4
"""Rows that are fetched from memory while one is measured."""
_FEW = 64
"""Up to so many best are kept in order while the rest is measured; more are sorted at the end."""
_STEP = np.float32(2.0**-22)
"""Share by which limits are moved, more than rounding the comparison with them can cost."""


class Rows(NamedTuple):
    """The bank, sorted by class; N is filled up to a multiple of 32, D with zeros to a multiple of 16."""

    points: Any
    """(N, D) float32."""
    queries: Any
    """(A, D) float32, the anchors: all rows, or vectors that are no rows."""
    bias: Any
    """(N,) float32, as the products have it, rounded up; -infinity in rows that fill up."""
    size: Any
    """(N,) float32."""
    widest: Any
    """(N / 32,) float32, the largest size of each block of columns."""
    run: Any
    """(N,) int32, neighbouring places whose points are equal have the same number."""
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
    """What is known of each anchor of a tile; anchors of -1 fill up."""

    place: Any
    """(R,) int64, where the anchors stand among the rows, -1 for those that are no rows."""
    low: Any
    """(R,) int64, first place of the anchor's class."""
    high: Any
    """(R,) int64, place after its last."""
    anchor: Any
    """(R,) int64, their lines in `Rows.queries`."""
    base: Any
    """(R,) float32, rounded down."""
    slack: Any
    """(R,) float32."""
    least: Any
    """(R,) float32, see above."""
    limit: Any
    """(R,) float32, at least the k-th smallest value among what was seen."""
    candidate: Any
    """(R, M) int32, places that passed."""
    value: Any
    """(R, M) float32, their s."""
    count: Any
    """(R,) int64, how many wait."""
    own: Any
    """Whether rows of the anchor's own class are wanted, without itself, and not those of the others."""


@njit(cache=True, nogil=True, parallel=True)
def filter_products(
    anchors: Any, points: Any, steps: Any, order: Any, chunk: Any, batch: Any, k: Any, rows: Any, waiting: Any
) -> None:
    """Multiply packed anchors with all packed points, see `blocks`, and filter the products at once.

    Each thread takes `batch` times 32 anchors, and chunks of `chunk` blocks of columns in the order given, so that
    both stay in its cache.
    """
    groups = len(waiting.anchor) // BLOCK
    for task in prange((groups + batch - 1) // batch):
        _filter_batch(
            task * batch, min(task * batch + batch, groups), anchors, points, steps, order, chunk, k, rows, waiting
        )


@njit(cache=True, nogil=True)
def _filter_batch(
    first: Any, last: Any, anchors: Any, points: Any, steps: Any, order: Any, chunk: Any, k: Any, rows: Any,
    waiting: Any,
) -> None:  # fmt: skip
    memory = np.empty(BLOCK * BLOCK + ELEMENTS, np.float32)
    sums = (-memory.ctypes.data & 63) >> 2  # aligned with the lines of the cache
    floors = np.empty(BLOCK, np.float32)
    low, high = np.empty(last - first, np.int64), np.empty(last - first, np.int64)
    for group in range(first, last):
        low[group - first], high[group - first] = span(group, waiting)
    bias, widest, least, slack, own = rows.bias, rows.widest, waiting.least, waiting.slack, waiting.own
    candidate, value, count = waiting.candidate, waiting.value, waiting.count
    full = candidate.shape[1] - BLOCK
    blocks.begin(anchors)
    for which in range(len(order)):
        start = order[which] * chunk
        end = min(start + chunk, len(widest))
        for group in range(first, last):
            line = group * BLOCK
            skip_from, skip_to = low[group - first], high[group - first]
            for block in range(start, end):
                inside = skip_from <= block < skip_to
                if inside != own:
                    continue
                blocks.multiply(anchors, group, points, block, steps, bias, block * BLOCK, memory, sums)
                wide = simd.splat(widest[block])
                for half in range(0, BLOCK, ELEMENTS):
                    taken = simd.multiply(simd.load(slack, line + half), wide)
                    simd.store(floors, half, simd.subtract(simd.load(least, line + half), taken))
                for i in range(BLOCK):
                    passing = simd.above(memory, sums + i * BLOCK, floors, i)
                    if passing:
                        _note(passing, line + i, memory, sums + i * BLOCK, block * BLOCK, candidate, value, count)
                        if count[line + i] > full:
                            thin(line + i, k, rows, waiting)
    blocks.end(anchors)


@njit(cache=True, nogil=True)
def _note(passing: Any, i: Any, sums: Any, offset: Any, place: Any, candidate: Any, value: Any, count: Any) -> None:
    """Put the columns whose bits are set, of a line of 32 sums from `place` on, on the list of anchor i."""
    where = count[i]
    while passing:
        slot = simd.lowest(passing)
        passing &= passing - np.uint32(1)
        candidate[i, where] = place + slot
        value[i, where] = sums[offset + slot]
        where += 1
    count[i] = where


@njit(cache=True, nogil=True)
def span(group: Any, waiting: Any) -> Any:
    """The blocks of columns that a group of anchors looks at if it wants its own class, or else skips."""
    start = group * BLOCK
    low, high = waiting.low[start], waiting.high[start]
    for i in range(start + 1, start + BLOCK):
        if waiting.anchor[i] >= 0:
            if waiting.own:
                low, high = min(low, waiting.low[i]), max(high, waiting.high[i])
            else:
                low, high = max(low, waiting.low[i]), min(high, waiting.high[i])
    if waiting.own:
        return low // BLOCK, (high + BLOCK - 1) // BLOCK
    return (low + BLOCK - 1) // BLOCK, high // BLOCK


@njit(cache=True, nogil=True)
def thin(i: Any, k: Any, rows: Any, waiting: Any) -> None:
    """Take a new limit from what waits, and drop what it rules out; where that frees little, measure."""
    candidate, value, limit = waiting.candidate[i], waiting.value[i], waiting.limit[i]
    size, bias, rounding, own = rows.size, rows.bias, rows.rounding, waiting.own
    base, slack = waiting.base[i], np.float32(2) * waiting.slack[i]
    self, low, high = waiting.place[i], waiting.low[i], waiting.high[i]
    lower, upper = np.empty(waiting.count[i] + ELEMENTS, np.float32), np.empty(waiting.count[i] + ELEMENTS, np.float32)
    kept = 0
    for j in range(waiting.count[i]):
        # Written first and counted later: which rows stay is hard to guess, so branches would be slow.
        place = np.int64(candidate[j])
        spread = slack * size[place]
        score = value[j]
        least = base - np.float32(2) * score - spread
        most = least + np.float32(2) * spread + rounding * (abs(base) + np.float32(2) * abs(bias[place]))
        lower[kept], upper[kept], candidate[kept], value[kept] = least, most, place, score
        same = (low <= place) & (place < high)
        kept += (least <= limit) & (same == own) & (place != self)
    if kept >= k:
        limit = min(limit, kth_or_above(upper, kept, k))
        count, kept = kept, 0
        for j in range(count):
            candidate[kept], value[kept] = candidate[j], value[j]
            kept += lower[j] <= limit
    waiting.count[i] = kept
    if kept >= k and kept > len(candidate) // 2:
        keys = _measured(i, k, rows, waiting)
        exact = _value_of(keys[k - 1])
        # Far enough up that a row of the same value still passes.
        limit = min(limit, exact + rows.rounding * abs(exact))
        for j in range(k):
            candidate[j] = rows.place[keys[j] & _LOW]
            value[j] = (base - _value_of(keys[j])) / np.float32(2)
        waiting.count[i] = k
    set_limit(i, limit, waiting)


@njit(cache=True, nogil=True)
def set_limit(i: Any, limit: Any, waiting: Any) -> None:
    """Let anchor i look for values up to `limit`."""
    base = waiting.base[i]
    waiting.limit[i] = limit
    waiting.least[i] = (base - limit) / np.float32(2) - _STEP * (abs(base) + abs(limit))


@njit(cache=True, nogil=True)
def kth_or_above(numbers: Any, count: Any, k: Any) -> Any:
    """The k-th smallest of `count` numbers, or a little more. Sixteen more places must follow."""
    numbers[count : count + ELEMENTS] = numbers[0]
    least = most = simd.load(numbers, 0)
    for j in range(ELEMENTS, count, ELEMENTS):
        least = simd.minimum(least, simd.load(numbers, j))
        most = simd.maximum(most, simd.load(numbers, j))
    low, high = simd.least(least), simd.most(most)
    numbers[count : count + ELEMENTS] = np.inf  # counts nowhere
    for _ in range(20):
        middle = low + (high - low) / np.float32(2)
        if not low < middle < high:
            break
        below = 0
        lanes = simd.splat(middle)
        for j in range(0, count, ELEMENTS):
            below += simd.count(simd.less(simd.load(numbers, j), lanes))
        if below < k:
            low = middle
        else:
            high = middle
            if below <= k + (k >> 3):
                break
    return high


@njit(cache=True, nogil=True, parallel=True)
def settle(k: Any, rows: Any, waiting: Any, scores: Any, found: Any, sure: Any) -> None:
    """Measure what waits and write the k best to scores and found (<= R, k): values, the caller's rows.

    Equal values stand by row; missing ones are infinity and -1. `sure` (<= R,) says where fewer than k lie within the
    limit, which can only be where it was guessed: what it has kept out may belong to the best.
    """
    for i in prange(len(scores)):
        # A function of its own: writes into a tuple's arrays right here would be taken for dead code.
        sure[i] = _settle_line(i, k, rows, waiting, scores, found)


@njit(cache=True, nogil=True)
def _settle_line(i: Any, k: Any, rows: Any, waiting: Any, scores: Any, found: Any) -> Any:
    thin(i, k, rows, waiting)
    keys = _measured(i, k, rows, waiting)
    there = min(k, len(keys))
    for rank in range(there):
        scores[i, rank] = _value_of(keys[rank])
        found[i, rank] = keys[rank] & _LOW
    scores[i, there:] = np.inf
    found[i, there:] = -1
    limit = waiting.limit[i]
    return limit == np.inf or (there == k and scores[i, k - 1] <= limit)


@njit(cache=True, nogil=True)
def _measured(i: Any, k: Any, rows: Any, waiting: Any) -> Any:
    """The sorted keys of exact value and row of the k best that wait, or of all where there are fewer."""
    dim = rows.points.shape[1]
    anchor, points, queries = waiting.anchor[i] * dim, rows.points, rows.queries
    count = waiting.count[i]
    listed = min(k, count)
    few = listed <= _FEW
    keys = np.full(KEYS_BEFORE + (listed + KEYS_BEFORE - 1) // KEYS_BEFORE * KEYS_BEFORE if few else count, EMPTY)
    if few:
        keys[:KEYS_BEFORE] = np.iinfo(np.int64).min
    last = KEYS_BEFORE + listed - 1
    run, exact = np.int32(-1), np.float32(0)
    lower = np.empty(count if few else 0, np.float32)
    for j in range(len(lower)):
        spread = np.float32(2) * waiting.slack[i] * rows.size[np.int64(waiting.candidate[i, j])]
        lower[j] = waiting.base[i] - np.float32(2) * waiting.value[i, j] - spread
    order = np.argsort(lower)
    for step in range(-_AHEAD, count):
        if step + _AHEAD < count:  # rows lie anywhere in memory: ask for one while others are measured
            j = order[step + _AHEAD] if few else step + _AHEAD
            ahead = np.int64(waiting.candidate[i, j]) * dim
            for axis in range(0, dim, ELEMENTS):
                simd.prefetch(rows.points, ahead + axis)
        if step < 0:
            continue
        j = order[step] if few else step
        if few and keys[last] != EMPTY:
            worst = _value_of(keys[last])
            if lower[j] > worst + rows.rounding * abs(worst):  # nor can those behind it be among the best
                break
        place = np.int64(waiting.candidate[i, j])
        if rows.run[place] != run:  # what equals the row before is as far: a collapsed cloud is measured once
            run = rows.run[place]
            exact = measure(points, queries, rows.inner, place * dim, anchor, dim)
            exact = exact * rows.sign + np.float32(0)  # a zero without a sign: keys would tell -0 from 0
        key = key_of(simd.bits(exact), rows.row[place])
        if not few:
            keys[step] = key
        elif key < keys[last]:
            insert(keys, KEYS_BEFORE, listed, key)
    if few:
        return keys[KEYS_BEFORE : KEYS_BEFORE + listed]
    keys.sort()
    return keys


@njit(cache=True, nogil=True)
def _value_of(key: Any) -> Any:
    return simd.number(key_bits(key))


@njit(cache=True, nogil=True)
def measure(points: Any, queries: Any, inner: Any, point: Any, query: Any, dim: Any) -> Any:
    """The exact value of the row that begins at `point` and the anchor at `query`, of `dim` coordinates: the squared
    distance, or -2 times the product if `inner`."""
    if inner:
        return np.float32(simd.dot(queries, query, points, point, dim)) * np.float32(-2)
    sums = simd.splat(np.float32(0))
    for axis in range(0, dim, ELEMENTS):
        gap = simd.subtract(simd.load(points, point + axis), simd.load(queries, query + axis))
        sums = simd.add(sums, simd.multiply(gap, gap))
    return simd.total(sums)


def warm_up() -> None:
    """Compile: both precisions of products, and the end."""
    n, k = 32, 2
    points = np.zeros((n, 16), np.float32)
    zeros, index = np.zeros(n, np.float32), np.arange(n)
    runs = index.astype(np.int32)
    rows = Rows(points, points, zeros, zeros, zeros[:1], runs, index, index, np.float32(0), False, np.float32(1))
    waiting = waiting_list(index, index, index + 1, index, zeros, zeros, k, n, own=False)
    for packed in blocks.examples():
        filter_products(packed, packed, 1, index[:1], 1, 1, k, rows, waiting)
    settle(k, rows, waiting, np.empty((2, k), np.float32), np.empty((2, k), np.int64), np.empty(2, np.bool_))


def waiting_list(
    place: Any, low: Any, high: Any, anchor: Any, base: Any, slack: Any, k: int, total: int, *, own: bool
) -> Waiting:
    """Empty lists for anchors (R,) over a bank of `total` rows; see `Waiting`."""
    count = len(anchor)
    room = min(max(_ROOM, 3 * k), total) + BLOCK
    candidate, value = np.empty((count, room), np.int32), np.empty((count, room), np.float32)
    limit = np.full(count, np.inf, np.float32)
    # Nothing passes a least of infinity, so what fills up waits for nothing.
    least = np.where(anchor >= 0, -limit, limit)
    waiting = np.zeros(count, np.int64)
    return Waiting(place, low, high, anchor, base, slack, least, limit, candidate, value, waiting, own)


__all__ = [
    "Rows",
    "Waiting",
    "filter_products",
    "measure",
    "numba",
    "set_limit",
    "settle",
    "span",
    "thin",
    "waiting_list",
    "warm_up",
]
