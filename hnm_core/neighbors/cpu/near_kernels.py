"""Kernels of exact search that leaves out blocks of rows: sketches rule out, exact values decide.

A sketch u(x) of a few numbers is never farther from another than the rows are: |u(a) - u(x)| <= |a - x|. Rows that lie
near each other stand in blocks of 32 with a centre c and a radius r of their sketches, so that of

    |u(a) - c| - r  <=  |u(a) - u(x)|  <=  |a - x|

the first rules out a block, and the second a row, whose distance from the anchor must be more than that of the k best
so far. Both are read off products of sketches; with reach_a for that distance and all that is rounded on the way,

    a . x - |x|^2 / 2                          >=  (|a|^2 - reach_a^2) / 2    lets a row pass, and
    a . c - |c|^2 / 2 + r (reach_a + r / 2)    >=  (|a|^2 - reach_a^2) / 2    a block.

A row that passes is measured at once, and one as far as the last of the k best still passes, so the answer does not
depend on the order in which blocks are met.
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
_LOW = np.int64(0xFFFFFFFF)
"""The half of a key that holds the row."""

_SHARES = (np.float32(0), np.float32(1))
"""Shares of the radius by which blocks are let pass, one turn after the other."""


class Blocks(NamedTuple):
    """The rows of a bank in B blocks of 32, filled up to a multiple of 32 blocks."""

    points: Any
    """(N, D) float32, D filled up with zeros to a multiple of 16."""
    queries: Any
    """(N, D) float32, the rows as anchors."""
    row: Any
    """(N,) int64, the caller's row at each place."""
    inner: Any
    """Whether values are -2 times the inner product, not squared distances."""
    steps: Any
    """Numbers of a sketch."""
    sketches: Any
    """The sketches as `blocks.pack` has them."""
    bias: Any
    """(32 B,) float32, see above; -infinity in rows that fill up, and in those that nobody can find."""
    centers: Any
    """The centres, packed likewise."""
    term: Any
    """(B,) float32, see above; -infinity in blocks that fill up."""
    radius: Any
    """(B,) float32."""


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
    share: Any
    """float64, as the error of a measured distance, the share that rounding takes."""


@njit(cache=True, nogil=True, parallel=True)
def search_blocks(batch: Any, k: Any, rows: Any, anchors: Any, scores: Any, found: Any, looked_at: Any) -> None:
    """Write the k best values and rows of each anchor to scores and found (R, k), by value, then row.

    Each thread takes `batch` times 32 anchors; looked_at (R / 32, 2) int64 becomes the blocks that were not ruled out
    for 32 anchors, and the rows that were measured.
    """
    groups = len(anchors.line) // BLOCK
    for task in prange((groups + batch - 1) // batch):
        closeness = np.empty((BLOCK, len(rows.term)), np.float32)
        for group in range(task * batch, min(task * batch + batch, groups)):
            _search_group(group, k, rows, anchors, closeness, scores, found, looked_at)


@njit(cache=True, nogil=True)
def _search_group(
    group: Any, k: Any, rows: Any, anchors: Any, closeness: Any, scores: Any, found: Any, looked_at: Any
) -> None:
    first, count = group * BLOCK, len(rows.term)
    memory = np.empty(BLOCK * BLOCK + ELEMENTS, np.float32)
    sums = (-memory.ctypes.data & 63) >> 2  # aligned with the lines of the cache
    stride = KEYS_BEFORE + (k + KEYS_BEFORE - 1) // KEYS_BEFORE * KEYS_BEFORE
    keys = np.full(BLOCK * stride, EMPTY)
    floors, reach = np.full(BLOCK, np.inf, np.float32), np.zeros(BLOCK, np.float32)
    for i in range(BLOCK):
        keys[i * stride : i * stride + KEYS_BEFORE] = np.iinfo(np.int64).min
        if anchors.line[first + i] >= 0:  # what fills up lets nothing pass
            floors[i] = -np.inf
    for chunk in range(0, count, BLOCK):
        blocks.multiply(
            anchors.sketches, group, rows.centers, chunk // BLOCK, rows.steps, rows.term, chunk, memory, sums
        )
        for i in range(BLOCK):
            for half in range(0, BLOCK, ELEMENTS):
                simd.store(closeness, i * count + chunk + half, simd.load(memory, sums + i * BLOCK + half))
    for i in range(BLOCK):
        own = (anchors.low[first + i] + BLOCK - 1) // BLOCK, anchors.high[first + i] // BLOCK
        if own[0] < own[1]:
            closeness[i, own[0] : own[1]] = -np.inf
    met, measured = 0, 0
    ahead = np.full(count // BLOCK, 0xFFFFFFFF, np.uint32)  # a bit for each block that was not met yet
    nearest = np.empty(BLOCK, np.int64)
    for i in range(BLOCK):
        nearest[i] = _largest(closeness, i * count, count)
    for i in range(BLOCK):
        # The nearest block first, and others where it holds too few: then every limit is near its end.
        block = nearest[i]
        while block >= 0 and anchors.line[first + i] >= 0:
            bit = np.uint32(1) << np.uint32(block % BLOCK)
            if ahead[block // BLOCK] & bit:
                measured += _visit(block, group, k, rows, anchors, memory, sums, floors, reach, keys, stride)
                ahead[block // BLOCK] ^= bit
                met += 1
            if floors[i] > -np.inf:
                break
            closeness[i, block] = -np.inf
            block = _largest(closeness, i * count, count)
    for share in _SHARES:  # the nearest blocks first, then all that reach so far
        for chunk in range(0, count, BLOCK):
            place = chunk // BLOCK
            if not ahead[place]:
                continue
            passing = _passing(chunk, share, rows.radius, closeness, floors, reach) & ahead[place]
            ahead[place] ^= passing
            while passing:
                block = chunk + simd.lowest(passing)
                passing &= passing - np.uint32(1)
                measured += _visit(block, group, k, rows, anchors, memory, sums, floors, reach, keys, stride)
                met += 1
    for i in range(min(BLOCK, len(scores) - first)):
        for rank in range(k):
            key = keys[i * stride + KEYS_BEFORE + rank]
            scores[first + i, rank] = simd.number(key_bits(key))
            found[first + i, rank] = np.int32(key & _LOW)
    looked_at[group, 0], looked_at[group, 1] = met, measured


@njit(cache=True, nogil=True)
def _passing(chunk: Any, share: Any, radius: Any, closeness: Any, floors: Any, reach: Any) -> Any:
    """Mask of those of 32 blocks that may hold a row near enough to an anchor, were their radius but a share of it."""
    count = closeness.shape[1]
    left, right = simd.load(radius, chunk), simd.load(radius, chunk + ELEMENTS)
    half = simd.splat(np.float32(0.5))
    left_half, right_half = simd.multiply(left, half), simd.multiply(right, half)
    passing = np.uint32(0)
    for i in range(BLOCK):
        floor, far, at = simd.splat(floors[i]), simd.splat(reach[i] * share), i * count + chunk
        spread = simd.multiply(left, simd.add(far, left_half))
        passing |= simd.less(floor, simd.add(simd.load(closeness, at), spread))
        spread = simd.multiply(right, simd.add(far, right_half))
        passing |= simd.less(floor, simd.add(simd.load(closeness, at + ELEMENTS), spread)) << np.uint32(ELEMENTS)
    return passing


@njit(cache=True, nogil=True)
def _largest(numbers: Any, start: Any, count: Any) -> Any:
    """The place of the largest of `count` numbers from `start` on, a multiple of 32; -1 where all are -infinity."""
    most = simd.splat(np.float32(-np.inf))
    for at in range(start, start + count, ELEMENTS):
        most = simd.maximum(most, simd.load(numbers, at))
    largest = simd.most(most)
    if largest == -np.inf:
        return -1
    below = simd.splat(np.nextafter(largest, np.float32(-np.inf)))
    for at in range(start, start + count, ELEMENTS):
        there = simd.less(below, simd.load(numbers, at))
        if there:
            return at - start + simd.lowest(there)
    return -1


@njit(cache=True, nogil=True)
def _visit(
    block: Any, group: Any, k: Any, rows: Any, anchors: Any, memory: Any, sums: Any, floors: Any, reach: Any, keys: Any,
    stride: Any,
) -> Any:  # fmt: skip
    """Measure what the sketches of a block let pass for 32 anchors; how many rows that were."""
    measured = 0
    place = block * BLOCK
    blocks.multiply(anchors.sketches, group, rows.sketches, block, rows.steps, rows.bias, place, memory, sums)
    for i in range(BLOCK):
        passing = simd.above(memory, sums + i * BLOCK, floors, i)
        if passing:
            anchor = group * BLOCK + i
            measured += _take(passing, place, anchor, i, k, rows, anchors, floors, reach, keys, i * stride)
    return measured


@njit(cache=True, nogil=True)
def _take(
    passing: Any, place: Any, anchor: Any, i: Any, k: Any, rows: Any, anchors: Any, floors: Any, reach: Any, keys: Any,
    start: Any,
) -> Any:  # fmt: skip
    """Measure the rows from `place` on whose bits are set, and keep the best of the anchor, the i-th of 32."""
    low, high, line = anchors.low[anchor], anchors.high[anchor], anchors.line[anchor]
    base, last, measured = start + KEYS_BEFORE, start + KEYS_BEFORE + k - 1, 0
    points, queries, dim = rows.points, rows.queries, rows.points.shape[1]
    before, ahead = keys[last], passing
    while ahead:  # rows lie anywhere in memory: ask for all before one is measured
        at = place + simd.lowest(ahead)
        ahead &= ahead - np.uint32(1)
        for axis in range(0, dim, ELEMENTS):
            simd.prefetch(points, at * dim + axis)
    while passing:
        at = place + simd.lowest(passing)
        passing &= passing - np.uint32(1)
        if low <= at < high:
            continue
        measured += 1
        value = measure(points, queries, rows.inner, at * dim, line * dim, dim)
        key = key_of(simd.bits(value + np.float32(0)), rows.row[at])  # a zero without a sign
        if key < keys[last]:
            insert(keys, base, k, key)
    if keys[last] != before and keys[last] != EMPTY:
        worst = np.float64(simd.number(key_bits(keys[last])))
        squared = max(worst + anchors.shift[anchor], 0.0)
        far = np.sqrt(squared) * (1.0 + anchors.share) + anchors.error[anchor]
        reach[i] = np.float32(far * (1.0 + 2.0**-20))
        floors[i] = _below((anchors.square[anchor] - far * far) / 2)
    return measured


@njit(cache=True, nogil=True)
def _below(number: Any) -> Any:
    """A float32 under it."""
    return np.float32(number - abs(number) * 2.0**-20 - 2.0**-100)


def warm_up() -> None:
    """Compile."""
    n, index = BLOCK, np.arange(BLOCK)
    zeros, wide = np.zeros(n, np.float32), np.zeros((n, ELEMENTS), np.float32)
    packed, exact = np.zeros(n * ELEMENTS, np.float32), np.zeros(n)
    rows = Blocks(wide, wide, index, False, ELEMENTS, packed, zeros, packed, zeros, zeros)
    anchors = Anchors(index, index, index + 1, packed, exact, exact, exact, 0.0)
    looked_at = np.empty((1, 2), np.int64)
    search_blocks(1, 2, rows, anchors, np.empty((n, 2), np.float32), np.empty((n, 2), np.int64), looked_at)
