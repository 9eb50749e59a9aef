"""Kernels of bucketed hashing: keys of rows, and the search of the buckets that an anchor's neighbours likely share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu.keys import EMPTY, insert, key_bits, key_of
from hnm_core.neighbors.cpu.rescore_kernels import measure

_AHEAD = 8
"""Candidates between asking for their memory and measuring them."""


class Tables(NamedTuple):
    """L tables over N rows that are sorted by class; the buckets of a table stand one after the other, by key."""

    rows: Any
    """(L, N) int32, rows by (key, row), so that inside a bucket a class is one range."""
    key: Any
    """(L, N) int32, the key of each row."""
    bucket_key: Any
    """(T,) int32, the keys in use, table after table."""
    bucket_start: Any
    """(T,) int32, where in its line of `rows` a bucket begins; the next bucket, or N, ends it."""
    table_start: Any
    """(L + 1,) int64, buckets of table t: table_start[t] .. table_start[t + 1] - 1."""
    directory: Any
    """(L, 2^p + 1) int32, number of buckets of a table whose key starts with less than these p bits."""
    bits: int
    """r, bits of a key."""
    shift: int
    """r - p."""


@njit(cache=True, nogil=True, parallel=True)
def bucket_keys(projected: Any, thresholds: Any, bits: Any, first: Any, key: Any) -> None:
    """Keys (L, N) int32 of rows first ..: bit j of table t is projected[row, t bits + j] > thresholds[t bits + j]."""
    for row in prange(projected.shape[0]):
        for table in range(key.shape[0]):
            value = 0
            for bit in range(bits):
                if projected[row, table * bits + bit] > thresholds[table * bits + bit]:
                    value |= 1 << bit
            key[table, first + row] = value


@njit(cache=True, nogil=True, parallel=True)
def collect(
    tables: Any,
    margin: Any,
    keys: Any,
    anchors: Any,
    chance: Any,
    low: Any,
    high: Any,
    probes: Any,
    cap: Any,
    seed: Any,
    points: Any,
    queries: Any,
    product: Any,
    workers: Any,
    scores: Any,
    found: Any,
    counts: Any,
) -> None:
    """The k best rows in the buckets of each anchor, into scores and found (Q, k); infinity and -1 where fewer.

    Args:
        margin: (Q, L r) float32, how far each projection is from its threshold.
        keys: (L, A) int32, the keys of all rows, or of vectors, in each table.
        anchors: (Q,) int64, lines of `keys` and `queries`.
        chance: (Q,) int64, what decides which rows a capped bucket gives.
        low, high: (Q,) int64, the range of rows of their class.
        probes, cap, seed: further buckets to a table, rows to a bucket, what a capped bucket is drawn with.
        points, queries, product: what `measure` takes.
        workers: parts of the anchors that may run at once.
        counts: (Q, 2) int64, receives the candidates measured and the buckets that were capped.
    """
    total = len(anchors)
    for worker in prange(workers):
        _collect_part(
            tables,
            margin,
            keys,
            anchors,
            chance,
            low,
            high,
            probes,
            cap,
            seed,
            points,
            queries,
            product,
            total * worker // workers,
            total * (worker + 1) // workers,
            scores,
            found,
            counts,
        )


@njit(cache=True, nogil=True)
def _collect_part(
    tables: Any,
    margin: Any,
    keys: Any,
    anchors: Any,
    chance: Any,
    low: Any,
    high: Any,
    probes: Any,
    cap: Any,
    seed: Any,
    points: Any,
    queries: Any,
    product: Any,
    first: Any,
    last: Any,
    scores: Any,
    found: Any,
    counts: Any,
) -> None:
    count, bits = tables.key.shape[0], tables.bits
    seen = np.full(points.shape[0], -1, np.int32)
    masks = np.zeros(probes + 1, np.int64)
    room = min(points.shape[0], count * (probes + 1) * cap)
    candidates = np.empty(room, np.int32)
    for i in range(first, last):
        anchor, kept, capped = np.int64(anchors[i]), 0, 0
        for table in range(count):
            used = probe_masks(margin[i, table * bits : (table + 1) * bits], masks)
            for probe in range(used):
                key = np.int64(keys[table, anchor]) ^ masks[probe]
                start, end = _bucket(tables, table, key)
                # A bucket is sorted by row and rows by class, so the anchor's class is a range to step over.
                own = start + np.searchsorted(tables.rows[table, start:end], low[i])
                after = start + np.searchsorted(tables.rows[table, start:end], high[i])
                others = (own - start) + (end - after)
                wanted, offset = others, 0
                if others > cap:
                    wanted, capped = cap, capped + 1
                    offset = _mixed(seed, chance[i], table, probe) % others
                for j in range(wanted):
                    place = start + (offset + j * others // wanted) % others
                    row = tables.rows[table, place if place < own else place + after - own]
                    if seen[row] != i:
                        seen[row] = i
                        candidates[kept] = row
                        kept += 1
        counts[i, 0], counts[i, 1] = kept, capped
        _best(candidates, kept, anchor, points, queries, product, scores[i], found[i])


@njit(cache=True, nogil=True)
def _bucket(tables: Any, table: Any, key: Any) -> Any:
    """Start and end of a bucket in its line of rows; both 0 where it is empty."""
    first = tables.table_start[table]
    place = first + tables.directory[table, key >> tables.shift]
    end = first + tables.directory[table, (key >> tables.shift) + 1]
    while place < end:
        middle = (place + end) // 2
        if tables.bucket_key[middle] < key:
            place = middle + 1
        else:
            end = middle
    if place == tables.table_start[table + 1] or tables.bucket_key[place] != key:
        return 0, 0
    if place + 1 == tables.table_start[table + 1]:
        return np.int64(tables.bucket_start[place]), tables.rows.shape[1]
    return np.int64(tables.bucket_start[place]), np.int64(tables.bucket_start[place + 1])


@njit(cache=True, nogil=True)
def _best(
    candidates: Any, count: Any, anchor: Any, points: Any, queries: Any, product: Any, scores: Any, found: Any
) -> None:
    k, dim = len(scores), points.shape[1]
    best = np.full(8 + ((k + 7) & ~7), EMPTY, np.int64)
    best[:8] = np.iinfo(np.int64).min
    value = np.empty(1, np.float32)
    bits = value.view(np.int32)
    for j in range(count):
        ahead = np.int64(candidates[min(j + _AHEAD, count - 1)])
        for axis in range(0, dim, simd.ELEMENTS):
            simd.prefetch(points, ahead * dim + axis)
        row = np.int64(candidates[j])
        value[0] = measure(points, row, queries, anchor, product)
        key = key_of(bits[0], row)
        if key < best[8 + k - 1]:
            insert(best, 8, k, key)
    for rank in range(k):
        bits[0] = key_bits(best[8 + rank])
        scores[rank] = value[0]
        found[rank] = np.int32(best[8 + rank] & np.int64(0xFFFFFFFF))


@njit(cache=True, nogil=True)
def probe_masks(margin: Any, masks: Any) -> int:
    """The bits to flip, as masks (P,) in order of rising total margin, 0 first; how many there are, at most 2^r.

    Each set of flips comes from one before it, by moving its widest flip to the next bit or by adding the next bit
    (Lv et al., Multi-Probe LSH, VLDB 2007), so a heap of at most P + 1 sets gives them in order.
    """
    bits, wanted = len(margin), len(masks)
    masks[0] = 0
    if wanted == 1:
        return 1
    order = np.argsort(margin, kind="mergesort")
    total = np.empty(2 * wanted + 2, np.float64)
    flips = np.empty(2 * wanted + 2, np.int64)
    widest = np.empty(2 * wanted + 2, np.int64)
    total[0], flips[0], widest[0] = margin[order[0]], np.int64(1) << order[0], 0
    size, count = 1, 1
    while count < wanted and size > 0:
        least = 0
        for entry in range(1, size):
            if total[entry] < total[least]:
                least = entry
        cost, mask, last = total[least], flips[least], widest[least]
        size -= 1
        total[least], flips[least], widest[least] = total[size], flips[size], widest[size]
        masks[count] = mask
        count += 1
        if last + 1 < bits:
            following = np.int64(1) << order[last + 1]
            step = np.float64(margin[order[last + 1]])
            total[size], flips[size], widest[size] = cost + step, mask | following, last + 1
            moved = mask ^ (np.int64(1) << order[last])
            total[size + 1], flips[size + 1] = cost + step - margin[order[last]], moved | following
            widest[size + 1] = last + 1
            size += 2
    return count


@njit(cache=True, nogil=True)
def _mixed(seed: Any, anchor: Any, table: Any, probe: Any) -> Any:
    """A number below 2^31 that looks random, from the finaliser of SplitMix64."""
    value = np.uint64(seed) + np.uint64(anchor) * np.uint64(0x9E3779B97F4A7C15)
    value += np.uint64(table) * np.uint64(0xD1B54A32D192ED03) + np.uint64(probe) * np.uint64(0x8CB92BA72F3D8DD7)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64((value ^ (value >> np.uint64(31))) >> np.uint64(33))


def warm_up() -> None:
    """Compile: each kernel once."""
    key = np.zeros((1, 4), np.int32)
    bucket_keys(np.zeros((4, 2)), np.zeros(2), 2, 0, key)
    rows, one = np.arange(4, dtype=np.int32)[None], np.zeros(1, np.int32)
    tables = Tables(rows, key, one, one, np.array([0, 1]), np.array([[0, 1, 1]], np.int32), 2, 1)
    points = np.zeros((4, simd.ELEMENTS), np.float32)
    anchors, counts = np.zeros(1, np.int64), np.zeros((1, 2), np.int64)
    scores, found = np.empty((1, 2), np.float32), np.empty((1, 2), np.int64)
    margin = np.ones((1, 2), np.float32)
    collect(
        tables, margin, key, anchors, anchors, anchors, anchors + 1, 1, 3, 0, points, points, False, 1, scores, found,
        counts,
    )  # fmt: skip
    probe_masks(margin[0, 0:2], np.zeros(2, np.int64))


__all__ = ["Tables", "bucket_keys", "collect", "numba", "probe_masks", "warm_up"]
