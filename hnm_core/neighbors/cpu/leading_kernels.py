"""Kernels that filter by products of leading coordinates, which are upper bounds: see `hnm_core.neighbors.leading`.

In the terms of `filter_kernels`, a tile holds sums that are no less than s. So a row whose sum does not come up to an
anchor's limit cannot be among its k best; what passes is measured at once, and its exact value decides. There are no
lower bounds that could bring a limit down, so it begins near its end: with the k-th best of rows that stand in the
cells nearest to the anchor.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu import byte_products as in_bytes
from hnm_core.neighbors.cpu.filter_kernels import Rows, measure, set_limit, thin, waiting_list

ELEMENTS = simd.ELEMENTS
BLOCK = in_bytes.SIDE
_SEEDS = 64
"""Rows that set a first limit, about."""
_STEP = np.float32(2.0**-22)
"""More than rounding can take from a value that is halved."""


class Packed(NamedTuple):
    """Leading coordinates of rows, filled up to whole blocks."""

    packed: Any
    """See `byte_products`."""
    known: Any
    """(3, N) float32: step and left of each row, and the shift of an anchor or the bias of a point."""
    size: Any
    """(N,) float32, with which slack of the other side is multiplied, or that slack."""


@njit(cache=True, nogil=True, parallel=True)
def seed_limits(near: Any, offsets: Any, members: Any, k: Any, rows: Any, waiting: Any) -> None:
    """Set limits of anchors by rows in the cells `near` (R, C) to them, the nearest first; see
    `hnm_core.neighbors.leading.Cells`. Where these hold fewer than k, nothing is set."""
    for i in prange(len(near)):
        # A function of its own: writes into a tuple's arrays right here would be taken for dead code.
        _seed_line(i, near, offsets, members, k, rows, waiting)


@njit(cache=True, nogil=True)
def _seed_line(i: Any, near: Any, offsets: Any, members: Any, k: Any, rows: Any, waiting: Any) -> None:
    if waiting.anchor[i] < 0:
        return
    dim, points, queries, bias = rows.points.shape[1], rows.points, rows.queries, rows.bias
    low, high, anchor = waiting.low[i], waiting.high[i], waiting.anchor[i] * dim
    best = np.full(k, np.inf, np.float32)
    seen, most = 0, max(_SEEDS, 2 * k)
    for cell in near[i]:
        for slot in range(offsets[cell], min(offsets[cell + 1], offsets[cell] + most)):
            at = members[slot]
            if low <= at < high or bias[at] == -np.inf:
                continue
            exact = measure(points, queries, rows.inner, at * dim, anchor, dim)
            seen += 1
            if exact < best[k - 1]:
                rank = k - 1
                while rank > 0 and best[rank - 1] > exact:
                    best[rank] = best[rank - 1]
                    rank -= 1
                best[rank] = exact
        if seen >= most // 2 and best[k - 1] < np.inf:
            break
    if best[k - 1] < np.inf:  # so far up that a row of the same value still passes
        set_limit(i, best[k - 1] + rows.rounding * abs(best[k - 1]), waiting)


@njit(cache=True, nogil=True, parallel=True)
def filter_leading(
    anchors: Any, points: Any, width: Any, order: Any, chunk: Any, batch: Any, k: Any, rows: Any, waiting: Any
) -> None:
    """Filter all points for all anchors; as `filter_kernels.filter_products`, for the nearest and for anchors that are
    no rows.

    Args:
        anchors: `Packed`.
        points: `Packed`.
        width: coordinates, a multiple of 8.
        order: (C,) int64, chunks of blocks of columns, in the order in which they are multiplied.
        chunk: blocks of columns in a chunk.
        batch: blocks of anchors that one thread takes.
        k: neighbours.
        rows: the bank.
        waiting: of the anchors.
    """
    groups = len(waiting.anchor) // BLOCK
    for task in prange((groups + batch - 1) // batch):
        _filter_batch(
            task * batch, min(task * batch + batch, groups), anchors, points, width, order, chunk, k, rows, waiting
        )


@njit(cache=True, nogil=True)
def _filter_batch(
    first: Any, last: Any, anchors: Any, points: Any, width: Any, order: Any, chunk: Any, k: Any, rows: Any,
    waiting: Any,
) -> None:  # fmt: skip
    memory = np.empty(BLOCK * BLOCK + ELEMENTS, np.float32)
    sums = (-memory.ctypes.data & 63) >> 2  # aligned with the lines of the cache
    floors = np.empty(BLOCK, np.float32)
    blocks, full = len(points.size) // BLOCK, waiting.candidate.shape[1] - BLOCK
    counts = np.array((len(anchors.size), len(points.size)))
    for which in range(len(order)):
        start = order[which] * chunk
        for group in range(first, last):
            line = group * BLOCK
            for block in range(start, min(start + chunk, blocks)):
                place = block * BLOCK
                _multiply(line, place, anchors, points, width, counts, memory, sums)
                widest = np.float32(0)
                for j in range(place, place + BLOCK):
                    widest = max(widest, points.size[j])
                for i in range(BLOCK):
                    floors[i] = waiting.least[line + i] - anchors.size[line + i] * widest
                for i in range(BLOCK):
                    passing = simd.above(memory, sums + i * BLOCK, floors, i)
                    if passing:
                        _note(passing, line + i, place, rows, waiting)
                        if waiting.count[line + i] > full:
                            thin(line + i, k, rows, waiting)
                            floors[i] = waiting.least[line + i] - anchors.size[line + i] * widest


@njit(cache=True, nogil=True)
def _multiply(
    line: Any, place: Any, anchors: Any, points: Any, width: Any, counts: Any, memory: Any, sums: Any
) -> None:
    """Write the sums of 32 anchors and 32 points from memory[sums] on."""
    four, pairs = 4, width // in_bytes.COORDINATES
    for i in range(0, BLOCK, in_bytes.ANCHORS):
        for j in range(0, BLOCK, in_bytes.POINTS):
            in_bytes.multiply(
                anchors.packed, line * width + i * four, points.packed, place * width + j * four, pairs,
                anchors.known, line + i, points.known, place + j, counts, memory, sums + i * BLOCK + j,
            )  # fmt: skip


@njit(cache=True, nogil=True)
def _note(passing: Any, i: Any, place: Any, rows: Any, waiting: Any) -> None:
    """Measure the columns whose bits are set, from `place` on, and put those within the limit on the list of anchor
    i."""
    dim, points, queries = rows.points.shape[1], rows.points, rows.queries
    low, high, anchor = waiting.low[i], waiting.high[i], waiting.anchor[i] * dim
    base, limit, where = waiting.base[i], waiting.limit[i], waiting.count[i]
    ahead = passing
    while ahead:  # rows lie anywhere in memory: ask for all before one is measured
        at = (place + simd.lowest(ahead)) * dim
        ahead &= ahead - np.uint32(1)
        for axis in range(0, dim, ELEMENTS):
            simd.prefetch(points, at + axis)
    while passing:
        at = place + simd.lowest(passing)
        passing &= passing - np.uint32(1)
        if low <= at < high:
            continue
        exact = measure(points, queries, rows.inner, at * dim, anchor, dim)
        if exact <= limit:
            waiting.candidate[i, where] = at
            # A little up: what is rounded here shall not put the row's lower bound above its value.
            waiting.value[i, where] = (base - exact) / np.float32(2) + _STEP * (abs(base) + abs(exact))
            where += 1
    waiting.count[i] = where


def warm_up() -> None:
    """Compile."""
    n, k = BLOCK, 2
    points, index = np.zeros((n, 16), np.float32), np.arange(n)
    zeros, runs = np.zeros(n, np.float32), index.astype(np.int32)
    rows = Rows(points, points, zeros, zeros, zeros[:1], runs, index, index, np.float32(0), False, np.float32(1))
    waiting = waiting_list(index, index * 0, index * 0, index, zeros, zeros, k, n, own=False)
    seed_limits(np.zeros((n, 1), np.int64), np.array((0, n)), index, k, rows, waiting)
    if in_bytes.available():
        packed = Packed(in_bytes.room(n, in_bytes.COORDINATES), np.zeros((3, n), np.float32), zeros)
        filter_leading(packed, packed, in_bytes.COORDINATES, index[:1], 1, 1, k, rows, waiting)
