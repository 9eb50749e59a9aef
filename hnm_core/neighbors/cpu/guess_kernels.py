"""Kernels that guess from a sample where an anchor's k-th best value will lie, so that few rows pass the first tiles.

Without a guess, a filter that has seen n rows passes the k best of n, and so many rows early on. A sample that holds
every m-th row of each class puts about k/m of the k best among its own best; a row further down its order is almost
surely worse than the k-th best of all. The guess only has to be right mostly: whoever filters with it checks at the
end that k rows lie within it, and searches again without it for the few anchors where they do not.

The order is read off the largest products in each of several strided shares of the sample, which costs one comparison
for sixteen products: the r-th largest of L such maxima is at most the r-th largest product, and little less.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu import blocks
from hnm_core.neighbors.cpu.filter_kernels import BLOCK, kth_or_above, waiting_list

ELEMENTS = simd.ELEMENTS
_TINY = np.float32(2.0**-120)


class Sample(NamedTuple):
    """Every m-th row of a bank sorted by class, filled up to a multiple of 32."""

    packed: Any
    """The rows as points, see `blocks.put`."""
    bias: Any
    """(S,) float32, as in `filtering.Rows`; -infinity in rows that fill up."""
    every: Any
    """m."""


@njit(cache=True, nogil=True, parallel=True)
def guess_limits(anchors: Any, steps: Any, rank: Any, shares: Any, sample: Any, rounding: Any, waiting: Any) -> None:
    """Set `limit` and `least` of packed anchors by the sample's `rank`-th best row of other classes."""
    for group in prange(len(waiting.anchor) // BLOCK):
        _guess_group(group, anchors, steps, rank, shares, sample, rounding, waiting)


@njit(cache=True, nogil=True)
def _guess_group(
    group: Any, anchors: Any, steps: Any, rank: Any, shares: Any, sample: Any, rounding: Any, waiting: Any
) -> None:
    memory = np.empty(BLOCK * BLOCK + ELEMENTS, np.float32)
    sums = (-memory.ctypes.data & 63) >> 2  # aligned with the lines of the cache
    width = shares * BLOCK
    best = np.full(BLOCK * width, -np.inf, np.float32)
    skip_from, skip_to = _own_blocks(group, sample.every, waiting)
    points, bias = sample.packed, sample.bias
    blocks.begin(anchors)
    for block in range(len(bias) // BLOCK):
        if skip_from <= block < skip_to:
            continue
        blocks.multiply(anchors, group, points, block, steps, bias, block * BLOCK, memory, sums)
        share = block % shares * BLOCK
        for i in range(BLOCK):
            for half in range(0, BLOCK, ELEMENTS):
                at = i * width + share + half
                seen = simd.load(memory, sums + i * BLOCK + half)
                simd.store(best, at, simd.maximum(simd.load(best, at), seen))
    blocks.end(anchors)
    for i in range(BLOCK):
        _set(group * BLOCK + i, best, i * width, width, rank, rounding, waiting)


@njit(cache=True, nogil=True)
def _own_blocks(group: Any, every: Any, waiting: Any) -> Any:
    """The blocks of the sample with rows of any class between the first and the last of a group of anchors."""
    start = group * BLOCK
    low, high = waiting.low[start], waiting.high[start]
    for i in range(start + 1, start + BLOCK):
        if waiting.anchor[i] >= 0:
            low, high = min(low, waiting.low[i]), max(high, waiting.high[i])
    first, last = (low + every - 1) // every, (high + every - 1) // every
    return first // BLOCK, (last + BLOCK - 1) // BLOCK


@njit(cache=True, nogil=True)
def _set(i: Any, best: Any, start: Any, width: Any, rank: Any, rounding: Any, waiting: Any) -> None:
    """Guess for anchor i: the `rank`-th largest of `width` numbers; no guess where one of them is missing."""
    if waiting.anchor[i] < 0:
        return
    numbers = np.empty(width + ELEMENTS, np.float32)
    for j in range(width):
        numbers[j] = -best[start + j]
    product = -kth_or_above(numbers, width, rank)
    if product > -np.inf:
        # A little up: where all rows are equally far, rounding would else put the limit under half of them, or under
        # all where there is nothing to round.
        up = rounding * (abs(waiting.base[i]) + np.float32(2) * abs(product)) + _TINY
        waiting.limit[i] = waiting.base[i] - np.float32(2) * product + up
        waiting.least[i] = product - up / np.float32(2)


def warm_up() -> None:
    """Compile."""
    index = np.arange(BLOCK)
    zeros = np.zeros(BLOCK, np.float32)
    waiting = waiting_list(index, index, index + 1, index, zeros, zeros, 2, BLOCK, own=False)
    for packed in blocks.examples():
        guess_limits(packed, 1, 2, 1, Sample(packed, zeros, 1), zeros[0], waiting)
