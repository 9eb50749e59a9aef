"""Kernels of the miners inside a batch, for CPUs: distances in few dimensions, and the scan of the negatives of
positive pairs, whose torch form is in `in_batch_scan`.

A negative n qualifies for pair t = (a, p) where low < first[a, n] + second[p, n] - base[t] <= high. NaN in `first`
never qualifies. Sums are formed in the order they are written, so both forms agree to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

from numba import njit  # isort: skip


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
def distances_of_products(products: Any, left: Any, right: Any, root: Any) -> None:
    """products (L, R) become left (L,) + right (R,) - 2 products, no less than 0, or the roots of that."""
    zero = products.dtype.type(0)
    for i in range(products.shape[0]):
        row, square = products[i], left[i]
        for j in range(len(row)):
            squared = (square + right[j]) - (row[j] + row[j])
            row[j] = squared if squared > zero else zero
        if root:
            for j in range(len(row)):
                row[j] = np.sqrt(row[j])


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
def count_one(first: Any, base: Any, low: Any, high: Any, anchor: Any, counts: Any) -> None:
    """counts[t] of the rule without `second`."""
    for pair in range(len(anchor)):
        row, subtract, count = first[anchor[pair]], base[pair], 0
        for n in range(len(row)):
            value = row[n] - subtract
            count += (low < value) & (value <= high)
        counts[pair] = count


@njit(cache=True, nogil=True)
def count_two(first: Any, second: Any, base: Any, low: Any, high: Any, anchor: Any, positive: Any, counts: Any) -> None:
    """counts[t] of the whole rule."""
    for pair in range(len(anchor)):
        row, other, subtract, count = first[anchor[pair]], second[positive[pair]], base[pair], 0
        for n in range(len(row)):
            value = row[n] + other[n] - subtract
            count += (low < value) & (value <= high)
        counts[pair] = count


@njit(cache=True, nogil=True)
def list_one(
    first: Any, base: Any, low: Any, high: Any, anchor: Any, positive: Any, ends: Any, begin: Any, end: Any, found: Any
) -> None:
    """Fill found (3, sum of counts) int64 for pairs begin .. end - 1: anchor, positive, negative.

    `ends` (M,) are the sums of the counts up to each pair.
    """
    _repeat(found[0], anchor, ends, begin, end)
    _repeat(found[1], positive, ends, begin, end)
    kept = np.empty(first.shape[1] + 1, np.int32)
    for pair in range(begin, end):
        start = ends[pair - 1] if pair else 0
        if ends[pair] == start:
            continue
        row, subtract, count = first[anchor[pair]], base[pair], 0
        for n in range(len(row)):
            value = row[n] - subtract
            kept[count] = n  # overwritten by the next one unless this one qualifies
            count += (low < value) & (value <= high)
        for place in range(count):
            found[2, start + place] = kept[place]


@njit(cache=True, nogil=True)
def list_two(
    first: Any, second: Any, base: Any, low: Any, high: Any, anchor: Any, positive: Any, ends: Any, begin: Any,
    end: Any, found: Any,
) -> None:  # fmt: skip
    """As `list_one`, for the whole rule."""
    _repeat(found[0], anchor, ends, begin, end)
    _repeat(found[1], positive, ends, begin, end)
    kept = np.empty(first.shape[1] + 1, np.int32)
    for pair in range(begin, end):
        start = ends[pair - 1] if pair else 0
        if ends[pair] == start:
            continue
        row, other, subtract, count = first[anchor[pair]], second[positive[pair]], base[pair], 0
        for n in range(len(row)):
            value = row[n] + other[n] - subtract
            kept[count] = n
            count += (low < value) & (value <= high)
        for place in range(count):
            found[2, start + place] = kept[place]


@njit(cache=True, nogil=True)
def _repeat(line: Any, values: Any, ends: Any, begin: Any, end: Any) -> None:
    """One of the three vectors after the other, so that a page is written while it is in the cache."""
    for pair in range(begin, end):
        line[(ends[pair - 1] if pair else 0) : ends[pair]] = values[pair]


def warm_up() -> None:
    """Compile for both precisions."""
    for kind in (np.float32, np.float64):
        first, base = np.zeros((2, 2), kind), np.zeros(1, kind)
        low, high = kind(-1), kind(1)
        squared_distances(first, first, first.copy())
        anchor, positive = np.zeros(1, np.int64), np.ones(1, np.int64)
        counts, found = np.zeros(1, np.int64), np.zeros((3, 2), np.int64)
        count_one(first, base, low, high, anchor, counts)
        list_one(first, base, low, high, anchor, positive, counts, 0, 1, found)
        count_two(first, first, base, low, high, anchor, positive, counts)
        list_two(first, first, base, low, high, anchor, positive, counts, 0, 1, found)
        distances_of_products(first.copy(), first[0], first[0], True)
        masked(first, anchor, anchor, first.copy())
        positive_pairs(anchor, anchor, True)
