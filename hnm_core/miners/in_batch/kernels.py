"""Kernels of the miners inside a batch, for CPUs: distances in few dimensions, and the scan of the negatives of
positive pairs, whose torch form is in `scan`.

A negative n qualifies for pair t = (a, p) where low < first[a, n] + second[p, n] - base[t] <= high. NaN in `first`
never qualifies. Sums are formed in the order they are written, so both forms agree to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

from numba import njit  # isort: skip

from hnm_core.miners.in_batch import vectors

ELEMENTS = vectors.ELEMENTS
SET_BITS = vectors.set_bits()
STRETCH = 64
"""Distances of an anchor that are looked at together for any that have to be formed anew."""


@njit(cache=True, nogil=True)
def squared_distances(left: Any, right: Any, squared: Any) -> None:
    """squared (L, R) of left (L, D) and right (D, R), from differences, added up in the order of the coordinates."""
    for i in range(left.shape[0]):
        row = squared[i]
        row[:] = 0
        for axis in range(left.shape[1]):
            at, others = left[i, axis], right[axis]
            for j in range(len(row)):
                difference = at - others[j]
                row[j] += difference * difference


@njit(cache=True, nogil=True)
def distances_of_products(
    products: Any, left: Any, right: Any, left_squares: Any, right_squares: Any, share: Any, root: Any, distances: Any
) -> None:
    """distances (L, R) of rows left (L, D) and right (R, D) from their products (L, R), which are overwritten, and
    squares (L,) and (R,): left + right - 2 products, or the roots of that. Where that is less than `share` of the
    squares, it is formed anew from differences."""
    for i in range(products.shape[0]):
        row, square, line = products[i], left_squares[i], distances[i]
        for start in range(0, len(row), STRETCH):
            part, squares = row[start : start + STRETCH], right_squares[start : start + STRETCH]
            near = np.int64(0)  # counted without a branch, which vector registers do; seldom is there one
            for j in range(len(part)):
                both = square + squares[j]
                squared = both - (part[j] + part[j])
                part[j] = squared
                near += np.int64(squared < share * both)
            for j in range(len(part) if near else 0):
                if part[j] < share * (square + squares[j]):
                    total = 0.0
                    for axis in range(left.shape[1]):
                        difference = left[i, axis] - right[start + j, axis]
                        total += difference * difference
                    part[j] = total
        if root:
            for j in range(len(row)):
                line[j] = np.sqrt(row[j])
        else:
            for j in range(len(row)):
                line[j] = row[j]


@njit(cache=True, nogil=True)
def positive_pairs(labels: Any, ref_labels: Any, same_set: Any) -> Any:
    """Rows (2, M) int64 of equal labels (L,) and (R,), by the first, then the second; without i, i in the same set."""
    total = 0
    for i in range(len(labels)):
        label = labels[i]
        for j in range(len(ref_labels)):
            total += ref_labels[j] == label
    pairs = np.empty((2, total - same_set * len(labels)), np.int64)
    filled = 0
    for i in range(len(labels)):
        label = labels[i]
        for j in range(len(ref_labels)):
            if ref_labels[j] == label and not (same_set and i == j):
                pairs[0, filled], pairs[1, filled] = i, j
                filled += 1
    return pairs


@njit(cache=True, nogil=True)
def masked(distances: Any, labels: Any, ref_labels: Any, negatives: Any) -> None:
    """negatives (L, R) become the distances (L, R), NaN where the labels (L,) and (R,) are equal."""
    nan = distances.dtype.type(np.nan)
    for i in range(distances.shape[0]):
        row, line, label = distances[i], negatives[i], labels[i]
        for j in range(len(row)):
            line[j] = nan if ref_labels[j] == label else row[j]


@njit(cache=True, nogil=True)
def _qualifies(first: Any, second: Any, base: Any, low: Any, high: Any, row: Any, other: Any, n: Any) -> Any:
    """The rule for one negative of the pair whose anchor is `row` and whose positive is `other`."""
    value = first[row, n]
    if second is not None:
        value += second[other, n]
    value -= base
    return (low < value) & (value <= high)


@njit(cache=True, nogil=True)
def count(first: Any, second: Any, base: Any, low: Any, high: Any, anchor: Any, positive: Any, counts: Any) -> None:
    """counts[t] of the rule; `second` may be None, for 0. The arrays must be C-contiguous."""
    width = first.shape[1]
    whole = width - width % ELEMENTS
    for pair in range(len(anchor)):
        row, other, subtract, found = anchor[pair], positive[pair], base[pair], 0
        for n in range(0, whole, ELEMENTS):
            mask = vectors.qualifying(first, row * width + n, second, other * width + n, subtract, low, high)
            found += vectors.how_many(mask)
        for n in range(whole, width):
            found += _qualifies(first, second, subtract, low, high, row, other, n)
        counts[pair] = found


@njit(cache=True, nogil=True)
def list_all(
    first: Any, second: Any, base: Any, low: Any, high: Any, anchor: Any, positive: Any, ends: Any, begin: Any,
    end: Any, found: Any, streaming: Any,
) -> None:  # fmt: skip
    """Fill found (3, sum of counts) int64 for pairs begin .. end - 1: anchor, positive, negative.

    `ends` (M,) are the sums of the counts up to each pair; `streaming` writes whole lines past the caches, which takes
    less than half the time where the list is too long for them. The other arguments are those of `count`.
    """
    _repeat(found[0], anchor, ends, begin, end, streaming)
    _repeat(found[1], positive, ends, begin, end, streaming)
    line, width = found[2], first.shape[1]
    whole = width - width % ELEMENTS
    kept = np.empty(width + ELEMENTS, np.int64)
    for pair in range(begin, end):
        row, other, subtract = anchor[pair], positive[pair], base[pair]
        start, kept_here = ends[pair - 1] if pair else 0, 0
        if ends[pair] == start:
            continue
        for n in range(0, whole, ELEMENTS):
            mask = vectors.qualifying(first, row * width + n, second, other * width + n, subtract, low, high)
            vectors.write_columns(kept, kept_here, n, SET_BITS, mask)
            kept_here += vectors.how_many(mask)
        for n in range(whole, width):
            kept[kept_here] = n  # overwritten by the next one unless this one qualifies
            kept_here += _qualifies(first, second, subtract, low, high, row, other, n)
        middle, tail = _whole_lines(line, start, ends[pair], streaming)
        line[start:middle] = kept[: middle - start]
        for place in range(middle, tail, ELEMENTS):
            vectors.stream(line, place, kept, place - start)
        line[tail : ends[pair]] = kept[tail - start : kept_here]
    vectors.streamed()


@njit(cache=True, nogil=True)
def _repeat(line: Any, values: Any, ends: Any, begin: Any, end: Any, streaming: Any) -> None:
    """One of the three vectors after the other, so that a page is written while it is in the cache."""
    for pair in range(begin, end):
        start, value = ends[pair - 1] if pair else 0, values[pair]
        middle, tail = _whole_lines(line, start, ends[pair], streaming)
        line[start:middle] = value
        for place in range(middle, tail, ELEMENTS):
            vectors.stream_value(line, place, value)
        line[tail : ends[pair]] = value


@njit(cache=True, nogil=True)
def _whole_lines(line: Any, start: Any, end: Any, streaming: Any) -> Any:
    """Where in line[start:end] the first whole line of the cache begins and the last one ends; `end` to skip them."""
    if not streaming:
        return end, end
    before = -(line.ctypes.data // 8 + start) % ELEMENTS
    middle = min(start + before, end)
    return middle, end - (end - middle) % ELEMENTS


def warm_up() -> None:
    """Compile for both precisions."""
    for kind in (np.float32, np.float64):
        first, base = np.zeros((2, 2), kind), np.zeros(1, kind)
        low, high = kind(-1), kind(1)
        squared_distances(first, first, first.copy())
        anchor, positive = np.zeros(1, np.int64), np.ones(1, np.int64)
        counts, found = np.zeros(1, np.int64), np.zeros((3, 2), np.int64)
        for second in (None, first):
            count(first, second, base, low, high, anchor, positive, counts)
            list_all(first, second, base, low, high, anchor, positive, counts, 0, 1, found, True)
        wide = np.zeros((2, 2))
        distances_of_products(wide.copy(), wide, wide, wide[0], wide[0], 0.5, True, first.copy())
        labels = np.zeros(2, np.int64)
        masked(first, labels, labels, first.copy())
        positive_pairs(anchor, anchor, True)
