"""Kernels that filter each float32 product for both of its rows, where every row of a bank is an anchor.

That halves the products. A row is then met as an anchor and as a point, so two threads must never hold the same row:
the rows are cut into spans, and each thread takes two spans that no other has, see `rounds`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu import blocks
from hnm_core.neighbors.cpu.filter_kernels import BLOCK, Rows, span, thin, waiting_list

ELEMENTS = simd.ELEMENTS
_CHUNK = 4
"""Blocks of points that are multiplied with each block of anchors, one after the other."""


def rounds(count: int) -> Iterator[NDArray[np.int64]]:
    """All pairs of 0 .. count - 1 as (P, 2) arrays in each of which a number stands in one pair; first with itself.

    The circle method of tournaments.
    """
    each = np.arange(count)
    yield np.stack([each, each], 1)
    seats = count + count % 2 - 1
    for turn in range(seats):
        step = np.arange(1, (seats + 1) // 2)
        one, other = (turn + step) % seats, (turn - step) % seats
        one, other = np.append(one, turn), np.append(other, seats)
        pairs = np.stack([np.minimum(one, other), np.maximum(one, other)], 1)
        yield pairs[pairs[:, 1] < count]


@njit(cache=True, nogil=True, parallel=True)
def filter_pairs(pairs: Any, width: Any, packed: Any, dim: Any, k: Any, rows: Any, waiting: Any) -> None:
    """Multiply the spans of each pair (P, 2), the smaller first, and filter the products for the rows of both.

    A span is `width` blocks of 32 rows, `packed` in float32. `waiting` lists all rows in order.
    """
    for task in prange(len(pairs)):
        _filter_spans(pairs[task, 0] * width, pairs[task, 1] * width, width, packed, dim, k, rows, waiting)


@njit(cache=True, nogil=True)
def _filter_spans(one: Any, other: Any, width: Any, packed: Any, dim: Any, k: Any, rows: Any, waiting: Any) -> None:
    memory = np.empty(BLOCK * BLOCK + ELEMENTS, np.float32)
    sums = (-memory.ctypes.data & 63) >> 2  # aligned with the lines of the cache
    zeros, floors = np.zeros(BLOCK, np.float32), np.empty(2 * BLOCK, np.float32)
    candidate, value, count = waiting.candidate, waiting.value, waiting.count
    masks = np.empty(2 * BLOCK, np.uint32)
    last, end = min(one + width, len(rows.widest)), min(other + width, len(rows.widest))
    skip = np.empty((width, 2), np.int64)
    for group in range(one, last):
        skip[group - one, 0], skip[group - one, 1] = span(group, waiting)
    for start in range(other, end, _CHUNK):
        for group in range(one, last):
            for block in range(max(start, group), min(start + _CHUNK, end)):
                if skip[group - one, 0] <= block < skip[group - one, 1]:
                    continue
                blocks.multiply(packed, group, packed, block, dim, zeros, 0, memory, sums)
                _set_floors(group, block, floors, rows, waiting)
                if _compare(group, block, memory, sums, floors, rows.bias, masks):
                    _note(group * BLOCK, block * BLOCK, memory, sums, masks, rows.bias, candidate, value, count)
                    _thin_block(group * BLOCK, k, rows, waiting)
                    _thin_block(block * BLOCK, k, rows, waiting)


@njit(cache=True, nogil=True)
def _set_floors(group: Any, block: Any, floors: Any, rows: Any, waiting: Any) -> None:
    """What sums must exceed: 32 for the group, 32 for the block; a block met with itself is not filtered twice."""
    least, slack = waiting.least, waiting.slack
    wide, other = simd.splat(rows.widest[block]), simd.splat(rows.widest[group])
    for half in range(0, BLOCK, ELEMENTS):
        at = group * BLOCK + half
        simd.store(floors, half, simd.subtract(simd.load(least, at), simd.multiply(simd.load(slack, at), wide)))
        at = block * BLOCK + half
        floor = simd.subtract(simd.load(least, at), simd.multiply(simd.load(slack, at), other))
        simd.store(floors, BLOCK + half, floor)
    if group == block:
        floors[BLOCK:] = np.inf


@njit(cache=True, nogil=True)
def _compare(group: Any, block: Any, memory: Any, sums: Any, floors: Any, bias: Any, masks: Any) -> Any:
    """Masks of the points that pass for each anchor, then of those that it passes for; whether there is any.

    Nothing but vectors here: with the rare rest in the same loop they would not stay in registers.
    """
    left, right = simd.load(bias, block * BLOCK), simd.load(bias, block * BLOCK + ELEMENTS)
    left_floor, right_floor = simd.load(floors, BLOCK), simd.load(floors, BLOCK + ELEMENTS)
    found = np.uint32(0)
    for i in range(BLOCK):
        floor, own = simd.splat(floors[i]), simd.splat(bias[group * BLOCK + i])
        one, other = simd.load(memory, sums + i * BLOCK), simd.load(memory, sums + i * BLOCK + ELEMENTS)
        passing = simd.less(floor, simd.add(one, left))
        passing |= simd.less(floor, simd.add(other, right)) << np.uint32(ELEMENTS)
        back = simd.less(left_floor, simd.add(one, own))
        back |= simd.less(right_floor, simd.add(other, own)) << np.uint32(ELEMENTS)
        masks[i], masks[BLOCK + i] = passing, back
        found |= passing | back
    return found


@njit(cache=True, nogil=True)
def _note(
    line: Any, place: Any, memory: Any, sums: Any, masks: Any, bias: Any, candidate: Any, value: Any, count: Any
) -> None:
    """Put what passes on the lists of the 32 anchors from `line` on and of the 32 points from `place` on."""
    for i in range(BLOCK):
        passing, back = masks[i], masks[BLOCK + i]
        while passing:
            slot = simd.lowest(passing)
            passing &= passing - np.uint32(1)
            where = count[line + i]
            candidate[line + i, where] = place + slot
            value[line + i, where] = memory[sums + i * BLOCK + slot] + bias[place + slot]
            count[line + i] = where + 1
        while back:
            slot = simd.lowest(back)
            back &= back - np.uint32(1)
            where = count[place + slot]
            candidate[place + slot, where] = line + i
            value[place + slot, where] = memory[sums + i * BLOCK + slot] + bias[line + i]
            count[place + slot] = where + 1


@njit(cache=True, nogil=True)
def _thin_block(line: Any, k: Any, rows: Any, waiting: Any) -> None:
    """Thin those of 32 lists from `line` on that have no room for one more block."""
    full = waiting.candidate.shape[1] - BLOCK
    for i in range(line, line + BLOCK):
        if waiting.count[i] > full:
            thin(i, k, rows, waiting)


def warm_up() -> None:
    """Compile."""
    n, k = BLOCK, 2
    points = np.zeros((n, 16), np.float32)
    zeros, index = np.zeros(n, np.float32), np.arange(n)
    runs = index.astype(np.int32)
    rows = Rows(points, points, zeros, zeros, zeros[:1], runs, index, index, np.float32(0), False, np.float32(1))
    waiting = waiting_list(index, index, index + 1, index, zeros, zeros, k, n, own=False)
    filter_pairs(np.zeros((1, 2), np.int64), 1, np.zeros(n, np.float32), 1, k, rows, waiting)
