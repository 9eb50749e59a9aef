"""Kernels that measure chosen rows exactly and keep the best."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu.keys import EMPTY, KEYS_BEFORE, insert, key_bits, key_of

_AHEAD = 4
"""Rows that are fetched from memory while one is measured."""


@njit(cache=True, nogil=True, parallel=True)
def rescore(
    points: Any, queries: Any, anchors: Any, found: Any, product: bool, row_of_place: Any, scores: Any, rows: Any
) -> None:  # fmt: skip
    """The k best of the places found (Q, c), -1 behind the last, by squared distance, or by -q x with `product`.

    points (N, D) and queries (A, D) are float32 with D a multiple of 16, filled up with zeros; anchors (Q,) are lines
    of queries. scores (Q, k) float32 and rows (Q, k) int64 become ascending by score, then row; inf and -1 where there
    are fewer.
    """
    for i in prange(len(anchors)):
        # A function of its own: writes into arrays that are given in turn would be taken for dead code.
        _rescore_line(points, queries, np.int64(anchors[i]), found[i], product, row_of_place, scores[i], rows[i])


@njit(cache=True, nogil=True)
def _rescore_line(
    points: Any, queries: Any, anchor: Any, found: Any, product: bool, row_of_place: Any, scores: Any, rows: Any
) -> None:  # fmt: skip
    k, dim, scale = len(scores), points.shape[1], np.float32(0.5 if product else 1)
    keys = np.full(KEYS_BEFORE + (k + KEYS_BEFORE - 1) // KEYS_BEFORE * KEYS_BEFORE, EMPTY, np.int64)
    keys[:KEYS_BEFORE] = np.iinfo(np.int64).min
    last = KEYS_BEFORE + k - 1
    for j in range(len(found)):
        place = np.int64(found[j])
        if place < 0:
            break
        if j + _AHEAD < len(found):  # rows lie anywhere in memory: ask for one while others are measured
            ahead = max(np.int64(found[j + _AHEAD]), 0) * dim
            for axis in range(0, dim, simd.ELEMENTS):
                simd.prefetch(points, ahead + axis)
        score = measure(points, place, queries, anchor, product) * scale + np.float32(0)  # keys would tell -0 from 0
        key = key_of(simd.bits(score), row_of_place[place])
        if key < keys[last]:
            insert(keys, KEYS_BEFORE, k, key)
    for rank in range(k):
        key = keys[KEYS_BEFORE + rank]
        scores[rank] = simd.number(key_bits(key))
        rows[rank] = np.int32(key & np.int64(0xFFFFFFFF))


@njit(cache=True, nogil=True)
def measure(points: Any, row: Any, queries: Any, anchor: Any, product: bool) -> Any:
    """Squared distance of points[row] and queries[anchor], or -2 q x; the sum always runs in the same order."""
    dim = points.shape[1]
    sums = simd.splat(np.float32(0))
    for axis in range(0, dim, simd.ELEMENTS):
        left, right = simd.load(points, row * dim + axis), simd.load(queries, anchor * dim + axis)
        if product:
            sums = simd.subtract(sums, simd.multiply(left, right))
        else:
            gap = simd.subtract(left, right)
            sums = simd.add(sums, simd.multiply(gap, gap))
    total = simd.total(sums)
    return np.float32(2) * total if product else total


def warm_up() -> None:
    """Compile."""
    points, found = np.zeros((40, 16), np.float32), np.zeros((2, 3), np.int32)
    scores, rows = np.empty((2, 1), np.float32), np.empty((2, 1), np.int64)
    rescore(points, points, np.arange(2), found, False, np.arange(40), scores, rows)


__all__ = ["measure", "numba", "rescore", "warm_up"]
