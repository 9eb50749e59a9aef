"""Kernels of exact search that leaves out blocks of rows: sketches rule out, exact values decide.

A sketch u(x) of a few numbers is never farther from another than the rows are: |u(a) - u(x)| <= |a - x|. Rows that lie
near each other stand in blocks of 32, anchors in groups of 32. Boxes hold the first numbers of each block's sketches
and of each group's; no two sketches are nearer than their boxes, which rules out a block for a group. Of a block that
is left, sketches rule out rows. Both have to be farther from the anchor than the last of the k best so far: with
reach_a for that distance and all that is rounded on the way,

    a . x - |x|^2 / 2  >=  (|a|^2 - reach_a^2) / 2

lets a row pass, which is read off products of sketches. A row that passes is measured at once, and one as far as the
last of the k best still passes, so the answer does not depend on the order in which blocks are met. But the work does:
so the sums of the blocks nearest to a group tell first which rows are about the k nearest, and these are measured
before all others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu import blocks
from hnm_core.neighbors.cpu.filter_kernels import measure
from hnm_core.neighbors.cpu.keys import EMPTY, KEYS_BEFORE, insert, key_bits, key_of

ELEMENTS = simd.ELEMENTS
BLOCK = blocks.SIDE
_MOST = np.finfo(np.float32).max
_LOW = np.int64(0xFFFFFFFF)
"""The half of a key that holds the row."""

_FIRST = 16
"""Blocks, the nearest of a group, that tell beforehand about how far its anchors will have to look."""
_LANES = 64
"""Of so many sums the largest are kept."""
_HALVINGS = 16
"""Steps in which the k-th largest of them is closed in on."""
_ROUNDED = np.float32(1 + 2.0**-18)
"""More than the square of a distance of boxes can be too large by."""


_options: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}
borrows: Any = njit(**_options)
"""`njit` of a function that makes no arrays: it need not count those it is given, which takes as long as measuring a
row (`_nrt` is numba's word for that)."""


class Blocks(NamedTuple):
    """The rows of a bank in B blocks of 32, filled up to a multiple of 16 blocks."""

    points: Any
    """(N, D) float32, D filled up with zeros to a multiple of 16."""
    queries: Any
    """(N, D) float32, the rows as anchors."""
    row: Any
    """(N,) int64, the caller's row at each place."""
    inner: Any
    """Whether values are -2 times the inner product, not squared distances."""
    steps: Any
    """Steps in which the numbers of sketches are multiplied, see `blocks.steps`."""
    sketches: Any
    """The sketches as `blocks.put` has them."""
    bias: Any
    """(32 B,) float32, -|x|^2 / 2; -infinity in rows that fill up, and in those that nobody can find."""
    lowest: Any
    """(A, B) float32, the smallest of the first A numbers of a block's sketches."""
    highest: Any
    """(A, B) float32, the largest."""


class Rounded(NamedTuple):
    """What is known of R sketches as they are multiplied."""

    square: Any
    """(R,) float64, |u|^2."""
    lost: Any
    """(R,) float64, how far rounding moved it."""
    lowest: Any
    """(A, B) float32, the smallest of the first A numbers of each 32; infinity behind the last."""
    highest: Any
    """(A, B) float32, the largest; infinity likewise."""


class Anchors(NamedTuple):
    """R anchors, filled up to a multiple of 32 by such as have no line."""

    line: Any
    """(R,) int64, their lines in `Blocks.queries`; -1 fills up."""
    low: Any
    """(R,) int64, the first place that may not come back."""
    high: Any
    """(R,) int64, the place behind the last."""
    sketches: Any
    """Packed, see `Blocks`."""
    square: Any
    """(R,) float64, the square of a sketch, less what its products can be rounded by."""
    shift: Any
    """(R,) float64, what makes of a value a squared distance, or more."""
    error: Any
    """(R,) float64, what rounding takes from distances of sketches."""
    lowest: Any
    """(A, R / 32) float32, as in `Blocks`, of groups of 32 anchors."""
    highest: Any
    """(A, R / 32) float32."""
    share: Any
    """float64, as the error of a measured distance, the share that rounding takes."""


@njit(cache=True, nogil=True, parallel=True)
def round_sketches(numbers: Any, which: Any, as_points: Any, packed: Any, rounded: Any) -> None:
    """Round sketches to what `packed` holds, and pack them as `blocks` has anchors or points.

    Args:
        numbers: (N, S) float32.
        which: (R,) int64, the rows of `numbers` to take.
        as_points: whether to pack points, not anchors.
        packed: see `blocks.room`.
        rounded: room for what is known of them.
    """
    for group in prange((len(which) + BLOCK - 1) // BLOCK):
        _round_group(group, numbers, which, as_points, packed, rounded)


@njit(cache=True, nogil=True)
def _round_group(group: Any, numbers: Any, which: Any, as_points: Any, packed: Any, rounded: Any) -> None:
    dim = numbers.shape[1]
    line, lowest, highest = np.zeros(dim, packed.dtype), rounded.lowest, rounded.highest
    axes = len(lowest)
    lowest[:, group], highest[:, group] = np.inf, -np.inf
    for i in range(min(BLOCK, len(which) - group * BLOCK)):
        place = group * BLOCK + i
        square = lost = np.float64(0)
        for axis in range(dim):
            value = numbers[which[place], axis]
            line[axis], kept = blocks.rounded(line, value, np.float32(1))
            gone = np.float64(value) - np.float64(kept)
            square += np.float64(kept) * np.float64(kept)
            lost += gone * gone
            if axis < axes:
                lowest[axis, group] = min(lowest[axis, group], kept)
                highest[axis, group] = max(highest[axis, group], kept)
        rounded.square[place], rounded.lost[place] = square, np.sqrt(lost)
        blocks.put(line, dim, group, i, as_points, packed)


@njit(cache=True, nogil=True, parallel=True)
def search_blocks(batch: Any, k: Any, rows: Any, anchors: Any, scores: Any, found: Any, looked_at: Any) -> None:
    """Write the k best values and rows of each anchor to scores and found (R, k), by value, then row.

    Each thread takes `batch` times 32 anchors; looked_at (R / 32, 2) int64 becomes the blocks that were not ruled out
    for 32 anchors, and the rows that were measured.
    """
    groups = len(anchors.line) // BLOCK
    for task in prange((groups + batch - 1) // batch):
        first = task * batch
        _search_groups(first, min(first + batch, groups), k, rows, anchors, scores, found, looked_at)


@njit(cache=True, nogil=True)
def _search_groups(
    first: Any, last: Any, k: Any, rows: Any, anchors: Any, scores: Any, found: Any, looked_at: Any
) -> None:
    count = rows.lowest.shape[1]
    memory = np.empty(BLOCK * BLOCK + ELEMENTS, np.float32)
    sums = (-memory.ctypes.data & 63) >> 2  # aligned with the lines of the cache
    away, middle = np.empty(count, np.float32), np.empty(count, np.float32)
    stride = KEYS_BEFORE + (k + KEYS_BEFORE - 1) // KEYS_BEFORE * KEYS_BEFORE
    keys = np.empty(BLOCK * stride, np.int64)
    floors, reach = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    tops, never = np.empty(BLOCK, np.float32), np.full(BLOCK, np.inf, np.float32)
    lanes, near = np.empty(BLOCK * _LANES, np.float32), np.empty(_FIRST, np.int64)
    # Arrays are handed on one by one: whoever takes one out of a tuple counts it, see `borrows`.
    points, queries, row, inner = rows.points, rows.queries, rows.row, rows.inner
    asked, packed, bias, steps = anchors.sketches, rows.sketches, rows.bias, rows.steps
    line, low, high, share = anchors.line, anchors.low, anchors.high, anchors.share
    square, shift, error = anchors.square, anchors.shift, anchors.error
    most = min(_FIRST, max(1, count // _FIRST))
    blocks.begin(packed)
    for group in range(first, last):
        start = group * BLOCK
        keys[:] = EMPTY
        for i in range(BLOCK):
            keys[i * stride : i * stride + KEYS_BEFORE] = np.iinfo(np.int64).min
            floors[i] = -np.inf if line[start + i] >= 0 else np.inf  # what fills up lets nothing pass
        reach[:] = 0
        _measure_boxes(group, rows, anchors, away, middle)
        _leave_out_own(start, line, low, high, away, middle)
        met = 0
        while met < most:
            block = _nearest(middle)
            if block < 0:
                break
            near[met], middle[block], away[block] = block, np.inf, np.inf
            met += 1
        lanes[:] = -np.inf
        for at in range(met):
            place = near[at] * BLOCK
            blocks.multiply(asked, group, packed, near[at], steps, bias, place, memory, sums)
            _keep_largest(start, place, low, high, memory, sums, lanes, at % 2 * BLOCK)
        for i in range(BLOCK):
            tops[i] = _top(lanes, i * _LANES, k) if line[start + i] >= 0 else np.inf
        measured = 0
        # Of these blocks first what is among the nearest by its sketch, then what else can be near enough.
        for at in range(met):
            measured += _visit(
                near[at], group, k, asked, packed, steps, bias, points, queries, inner, row, line, low, high, square,
                shift, error, share, tops, never, memory, sums, floors, reach, keys, stride,
            )  # fmt: skip
        for at in range(met):
            measured += _visit(
                near[at], group, k, asked, packed, steps, bias, points, queries, inner, row, line, low, high, square,
                shift, error, share, floors, tops, memory, sums, floors, reach, keys, stride,
            )  # fmt: skip
        ahead = 0
        while True:
            if simd.least(simd.minimum(simd.load(floors, 0), simd.load(floors, ELEMENTS))) == -np.inf:
                block = _nearest(middle)
                if block < 0:
                    break
            else:
                limit, passing = _limit(reach), np.uint32(0)
                while ahead < count:
                    passing = simd.less(simd.load(away, ahead), limit)
                    if passing:
                        break
                    ahead += ELEMENTS
                if not passing:
                    break
                block = ahead + simd.lowest(passing)
            middle[block] = away[block] = np.inf
            met += 1
            measured += _visit(
                block, group, k, asked, packed, steps, bias, points, queries, inner, row, line, low, high, square,
                shift, error, share, floors, never, memory, sums, floors, reach, keys, stride,
            )  # fmt: skip
        looked_at[group, 0], looked_at[group, 1] = met, measured
        for i in range(min(BLOCK, len(scores) - start)):
            for rank in range(k):
                key = keys[i * stride + KEYS_BEFORE + rank]
                scores[start + i, rank] = simd.number(key_bits(key))
                found[start + i, rank] = np.int32(key & _LOW)
    blocks.end(packed)


@borrows
def _keep_largest(
    first: Any, place: Any, low: Any, high: Any, memory: Any, sums: Any, lanes: Any, lane: Any
) -> None:  # fmt: skip
    """Let each of 32 lanes of 32 anchors keep the larger of what it has and of the sum of a row that may be found."""
    for i in range(BLOCK):
        here, anchor = sums + i * BLOCK, first + i
        for at in range(max(low[anchor], place), min(high[anchor], place + BLOCK)):
            memory[here + at - place] = -np.inf
        for half in range(0, BLOCK, ELEMENTS):
            at = i * _LANES + lane + half
            simd.store(lanes, at, simd.maximum(simd.load(lanes, at), simd.load(memory, here + half)))


@borrows
def _top(lanes: Any, start: Any, k: Any) -> Any:
    """A number that k lanes at least are above, about the largest; -infinity where fewer hold any."""
    below, above = np.float32(np.inf), np.float32(-np.inf)
    for at in range(start, start + _LANES):
        if lanes[at] > -np.inf:
            below, above = min(below, lanes[at]), max(above, lanes[at])
    below = _below(below)
    if _count(lanes, start, below) < k:
        return np.float32(-np.inf)
    for _ in range(_HALVINGS):
        between = np.float32(below + (above - below) * np.float32(0.5))
        if _count(lanes, start, between) >= k:
            below = between
        else:
            above = between
    return below


@borrows
def _count(lanes: Any, start: Any, floor: Any) -> Any:
    count, limit = 0, simd.splat(np.float32(floor))
    for at in range(start, start + _LANES, ELEMENTS):
        count += simd.count(simd.less(limit, simd.load(lanes, at)))
    return count


@borrows
def _visit(
    block: Any, group: Any, k: Any, asked: Any, packed: Any, steps: Any, bias: Any, points: Any, queries: Any,
    inner: Any, row: Any, line: Any, low: Any, high: Any, square: Any, shift: Any, error: Any, share: Any, over: Any,
    under: Any, memory: Any, sums: Any, floors: Any, reach: Any, keys: Any, stride: Any,
) -> Any:  # fmt: skip
    """Measure the rows of a block whose sums are over `over`, and not over `under`; how many that were."""
    measured, place = 0, block * BLOCK
    blocks.multiply(asked, group, packed, block, steps, bias, place, memory, sums)
    for i in range(BLOCK):
        passing = simd.above(memory, sums + i * BLOCK, over, i)
        if passing:
            passing &= ~simd.above(memory, sums + i * BLOCK, under, i)
            measured += _take(
                passing, place, group * BLOCK + i, i, k, points, queries, inner, row, line, low, high, square, shift,
                error, share, floors, reach, keys, i * stride,
            )  # fmt: skip
    return measured


@njit(cache=True, nogil=True)
def _limit(reach: Any) -> Any:
    """A vector of what squares must be less than, for blocks within this share of the widest reach to be met."""
    far = simd.most(simd.maximum(simd.load(reach, 0), simd.load(reach, ELEMENTS)))
    return simd.splat(far * far * _ROUNDED + np.float32(2.0**-100))


@njit(cache=True, nogil=True)
def _measure_boxes(group: Any, rows: Any, anchors: Any, away: Any, middle: Any) -> None:
    """Write to `away` (B,) the squared distance of each block's box from that of a group, and to `middle` four times
    that of their middles. Infinite is what holds no rows, and nothing else."""
    low, high, count = rows.lowest, rows.highest, rows.lowest.shape[1]
    nothing, most = simd.splat(np.float32(0)), simd.splat(_MOST)
    for start in range(0, count, ELEMENTS):
        total = between = nothing
        for axis in range(len(low)):
            here, there = simd.splat(anchors.lowest[axis, group]), simd.splat(anchors.highest[axis, group])
            before = simd.subtract(here, simd.load(high, axis * count + start))
            behind = simd.subtract(simd.load(low, axis * count + start), there)
            gap = simd.maximum(simd.maximum(before, behind), nothing)
            total = simd.add(total, simd.multiply(gap, gap))
            apart = simd.subtract(before, behind)
            between = simd.add(between, simd.multiply(apart, apart))
        simd.store(away, start, simd.minimum(total, most))
        simd.store(middle, start, simd.minimum(between, most))
    for block in range((len(rows.row) + BLOCK - 1) // BLOCK, count):  # what fills up
        away[block] = middle[block] = np.inf


@njit(cache=True, nogil=True)
def _leave_out_own(first: Any, line: Any, low: Any, high: Any, away: Any, middle: Any) -> None:
    """Blocks that hold nothing but what none of 32 anchors may find are infinitely far."""
    start, end = np.int64(0), np.iinfo(np.int64).max
    for anchor in range(first, first + BLOCK):
        if line[anchor] >= 0:
            start, end = max(start, low[anchor]), min(end, high[anchor])
    for block in range((start + BLOCK - 1) // BLOCK, min(end // BLOCK, len(away))):
        away[block] = middle[block] = np.inf


@borrows
def _nearest(away: Any) -> Any:
    """The place of the smallest number; -1 where all are infinite."""
    least = simd.splat(np.float32(np.inf))
    for at in range(0, len(away), ELEMENTS):
        least = simd.minimum(least, simd.load(away, at))
    smallest = simd.least(least)
    if smallest == np.inf:
        return -1
    above = simd.splat(np.nextafter(smallest, np.float32(np.inf)))
    for at in range(0, len(away), ELEMENTS):
        there = simd.less(simd.load(away, at), above)
        if there:
            return at + simd.lowest(there)
    return -1


@borrows
def _take(
    passing: Any, place: Any, anchor: Any, i: Any, k: Any, points: Any, queries: Any, inner: Any, row: Any, line: Any,
    low: Any, high: Any, square: Any, shift: Any, error: Any, share: Any, floors: Any, reach: Any, keys: Any,
    start: Any,
) -> Any:  # fmt: skip
    """Measure the rows from `place` on whose bits are set, and keep the best of the anchor, the i-th of 32. Returns how
    many rows that were."""
    own_from, own_to, dim = low[anchor], high[anchor], points.shape[1]
    base, last, measured = start + KEYS_BEFORE, start + KEYS_BEFORE + k - 1, 0
    before, ahead = keys[last], passing
    while ahead:  # rows lie anywhere in memory: ask for all before one is measured
        at = place + simd.lowest(ahead)
        ahead &= ahead - np.uint32(1)
        for axis in range(0, dim, ELEMENTS):
            simd.prefetch(points, at * dim + axis)
    while passing:
        at = place + simd.lowest(passing)
        passing &= passing - np.uint32(1)
        if own_from <= at < own_to:
            continue
        measured += 1
        value = measure(points, queries, inner, at * dim, line[anchor] * dim, dim)
        key = key_of(simd.bits(value + np.float32(0)), row[at])  # a zero without a sign
        if key < keys[last]:
            insert(keys, base, k, key)
    if keys[last] != before and keys[last] != EMPTY:
        worst = np.float64(simd.number(key_bits(keys[last])))
        squared = max(worst + shift[anchor], 0.0)
        far = np.sqrt(squared) * (1.0 + share) + error[anchor]
        reach[i] = np.float32(far * (1.0 + 2.0**-20))
        floors[i] = _below((square[anchor] - far * far) / 2)
    return measured


@njit(cache=True, nogil=True)
def _below(number: Any) -> Any:
    """A float32 under it."""
    return np.float32(number - abs(number) * 2.0**-20 - 2.0**-100)


def warm_up() -> None:
    """Compile."""
    n, index = BLOCK, np.arange(BLOCK)
    zeros, wide = np.zeros(n, np.float32), np.zeros((n, ELEMENTS), np.float32)
    exact, looked_at = np.zeros(n), np.empty((1, 2), np.int64)
    boxes, box = np.full((1, ELEMENTS), np.inf, np.float32), np.zeros((1, 1), np.float32)
    boxes[0, 0] = 0  # one block
    for packed in blocks.examples():  # of one number
        round_sketches(zeros.reshape(n, 1), index, True, packed, Rounded(exact, exact, box, box))
        rows = Blocks(wide, wide, index, False, 1, packed, zeros, boxes, boxes)
        anchors = Anchors(index, index, index + 1, packed, exact, exact, exact, box, box, 0.0)
        search_blocks(1, 2, rows, anchors, np.empty((n, 2), np.float32), np.empty((n, 2), np.int64), looked_at)
