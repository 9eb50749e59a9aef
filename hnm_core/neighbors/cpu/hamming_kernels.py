"""Kernels of the Hamming scan: pack bits, find the rows with the fewest differing bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu.hull_kernels import BLOCK, filled_up, hulls, limit_by_centers, limit_of, near_blocks

_PACKET = 16
"""Anchors that share a strip of codes while it is in the cache."""
_SAMPLE = 6
"""A sample to guess from holds so many times the root of all rows."""
_STRIP = 8_192
"""Words in a strip: 64 KiB."""
_TIGHT = 0.3
"""Blocks are tight where their rows differ from their centers in at most such a share of the bits, on average."""


@njit(cache=True, nogil=True, parallel=True)
def pack_bits(projected: Any, thresholds: Any) -> Any:
    """Codes (ceil(N / 16), W, 16) uint64 of projected (N, bits) float64: bit j is projected[:, j] > thresholds[j].

    Word w of row r stands at [r // 16, w, r % 16].
    """
    n, bits = projected.shape
    words = (bits + 63) // 64
    codes = np.zeros(((n + BLOCK - 1) // BLOCK, words, BLOCK), np.uint64)
    for row in prange(n):
        for word in range(words):
            packed = np.uint64(0)
            for bit in range(min(64, bits - word * 64)):
                above = projected[row, word * 64 + bit] > thresholds[word * 64 + bit]
                packed |= np.uint64(above) << np.uint64(bit)
            codes[row // BLOCK, word, row % BLOCK] = packed
    return codes


@njit(cache=True, nogil=True, parallel=True)
def nearest_codes(
    codes: Any, rows: int, bits: int, asked: Any, anchors: Any, low: Any, high: Any, wanted: int, found: Any
) -> None:  # fmt: skip
    """The `wanted` rows with the fewest differing bits for each anchor, into found (Q, wanted) int32, -1 where fewer.

    Anchor i has the code anchors[i] of `asked`, packed as `codes` are, or these themselves. Rows are sorted by class:
    it leaves out rows low[i] .. high[i] - 1, its class. Ties at the last place go to the first rows; the order of what
    was found is by row.
    """
    every = int(np.sqrt(rows)) // _SAMPLE
    sample = _every(codes, rows, every)
    centers, radius = hulls(codes, rows)
    tight = radius[: len(codes)].mean() < _TIGHT * bits
    for packet in prange((len(anchors) + _PACKET - 1) // _PACKET):
        start, end = packet * _PACKET, min((packet + 1) * _PACKET, len(anchors))
        _scan_packet(
            codes, centers, radius, tight, sample, every, rows, bits, asked, anchors[start:end], low[start:end],
            high[start:end], wanted, found[start:end],
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _every(codes: Any, rows: int, every: int) -> Any:
    """The codes of each `every`-th row, whole blocks of them; none where that would be more than one row in eight."""
    blocks = rows // every // BLOCK if every >= 8 else 0
    sample = np.empty((blocks, codes.shape[1], BLOCK), np.uint64)
    for place in range(blocks * BLOCK):
        row = place * every
        for word in range(codes.shape[1]):
            sample[place // BLOCK, word, place % BLOCK] = codes[row // BLOCK, word, row % BLOCK]
    return sample


@njit(cache=True, nogil=True)
def _guess(
    sample: Any, every: int, bits: int, code: Any, low: int, high: int, wanted: int, histogram: Any, differing: Any
) -> int:
    """Differing bits from which on a row is almost surely not wanted, by the order of a sample; bits + 1 without one.

    A few more places down the sample's order than the wanted rows take there on average.
    """
    there = wanted / every if every else 0.0
    rank = int(there + 3 * np.sqrt(there) + 3)
    histogram[:] = 0
    first, last = (low + every - 1) // max(1, every), (high + every - 1) // max(1, every)
    for block in range(sample.shape[0]):
        place = block * BLOCK
        if place < last and place + BLOCK > first:
            continue
        counts = simd.no_counts()
        for word in range(sample.shape[1]):
            counts = simd.add_differing_bits(counts, sample, (block * sample.shape[1] + word) * BLOCK, code[word])
        simd.store_counts(differing, 0, counts)
        for slot in range(BLOCK):
            histogram[differing[slot]] += 1
    return limit_of(histogram, rank)


@njit(cache=True, nogil=True)
def _scan_packet(
    codes: Any, centers: Any, radius: Any, tight: bool, sample: Any, every: int, rows: int, bits: int, asked: Any,
    anchors: Any, low: Any, high: Any, wanted: int, found: Any,
) -> None:  # fmt: skip
    blocks, words = codes.shape[0], codes.shape[1]
    count = len(anchors)
    room = 2 * wanted + BLOCK
    kept_row = np.empty((count, room), np.int32)
    kept_bits = np.empty((count, room), np.int32)
    kept = np.zeros(count, np.int64)
    limit = np.empty(count, np.int64)  # rows from this many differing bits on cannot enter any more
    histogram, differing = np.empty(bits + 1, np.int64), np.empty(BLOCK, np.int64)
    strip = max(1, _STRIP // (words * BLOCK))
    near = np.empty(blocks, np.int64)
    away = np.empty(filled_up(blocks), np.int16)
    done, guessed = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    code = np.empty((count, words), np.uint64)
    for i in range(count):
        for word in range(words):
            code[i, word] = asked[anchors[i] // BLOCK, word, anchors[i] % BLOCK]
        if tight:
            limit[i] = limit_by_centers(
                codes, centers, away, rows, bits, code[i], low[i], high[i], wanted, histogram, differing
            )
            done[i] = limit[i] <= bits
        if done[i]:
            looked_at = near_blocks(away, radius, limit[i], near)
            _scan(codes, near, looked_at, rows, code, low, high, wanted, i, kept_row, kept_bits, kept, limit,
                  histogram, differing)  # fmt: skip
        else:
            limit[i] = _guess(sample, every, bits, code[i], low[i], high[i], wanted, histogram, differing)
            guessed[i] = limit[i] <= bits
    for block in range(blocks):
        near[block] = block
    for first in range(0, 0 if done.all() else blocks, strip):
        last = min(first + strip, blocks)
        for i in range(count):
            if not done[i]:
                _scan(codes, near[first:], last - first, rows, code, low, high, wanted, i, kept_row, kept_bits, kept,
                      limit, histogram, differing)  # fmt: skip
    for i in range(count):
        if guessed[i] and kept[i] < wanted:  # too low
            kept[i], limit[i] = 0, bits + 1
            _scan(codes, near, blocks, rows, code, low, high, wanted, i, kept_row, kept_bits, kept, limit,
                  histogram, differing)  # fmt: skip
        if kept[i] > wanted:
            _compact(kept_row[i], kept_bits[i], kept[i], wanted, histogram)
            kept[i] = wanted
        for place in range(wanted):
            found[i, place] = kept_row[i, place] if place < kept[i] else -1


@njit(cache=True, nogil=True)
def _scan(
    codes: Any, near: Any, looked_at: int, rows: int, code: Any, low: Any, high: Any, wanted: int, i: int,
    kept_row: Any, kept_bits: Any, kept: Any, limit: Any, histogram: Any, differing: Any,
) -> None:  # fmt: skip
    """Keep what fits of the first so many blocks in `near` for anchor i of a packet."""
    words, room = codes.shape[1], kept_row.shape[1]
    own, under = code[i], limit[i]
    for which in range(looked_at):
        block = near[which]
        counts = simd.no_counts()
        for word in range(words):
            counts = simd.add_differing_bits(counts, codes, (block * words + word) * BLOCK, own[word])
        fits = simd.counts_below(counts, under)
        if fits == 0:
            continue
        place = block * BLOCK
        if place >= low[i] and place + BLOCK <= high[i]:
            continue
        if place + BLOCK > rows or (place < high[i] and place + BLOCK > low[i]):
            for slot in range(BLOCK):
                if place + slot >= rows or (low[i] <= place + slot < high[i]):
                    fits &= ~(np.uint32(1) << np.uint32(slot))
        simd.store_counts(differing, 0, counts)
        while fits:
            slot = simd.lowest(fits)
            fits &= fits - np.uint32(1)
            kept_row[i, kept[i]] = place + slot
            kept_bits[i, kept[i]] = differing[slot]
            kept[i] += 1
        if kept[i] > room - BLOCK:
            under = limit[i] = _compact(kept_row[i], kept_bits[i], kept[i], wanted, histogram)
            kept[i] = wanted


@njit(cache=True, nogil=True)
def _compact(rows: Any, bits: Any, count: int, wanted: int, histogram: Any) -> int:
    """Move the `wanted` entries with the fewest bits to the front, keeping their order; the largest of their bits."""
    histogram[:] = 0
    for place in range(count):
        histogram[bits[place]] += 1
    limit, below = 0, 0
    while below + histogram[limit] < wanted:
        below += histogram[limit]
        limit += 1
    at_limit, free = wanted - below, 0
    for place in range(count):
        if bits[place] > limit:
            continue
        if bits[place] == limit:
            if at_limit == 0:
                continue
            at_limit -= 1
        rows[free], bits[free] = rows[place], bits[place]
        free += 1
    return limit


@njit(cache=True, nogil=True, parallel=True)
def ranks(
    codes: Any, rows: int, bits: int, asked: Any, anchors: Any, low: Any, high: Any, targets: Any, before: Any
) -> None:  # fmt: skip
    """How many rows come before each target in the order of `nearest_codes`, into before (Q, k) int64.

    targets (Q, k) int32 are ascending rows of other classes than their anchor's; -1 is none, and comes after none.
    """
    for i in prange(len(anchors)):
        _rank(
            codes, rows, bits, asked, np.int64(anchors[i]), np.int64(low[i]), np.int64(high[i]), targets[i], before[i]
        )  # fmt: skip


@njit(cache=True, nogil=True)
def _rank(
    codes: Any, rows: int, bits: int, asked: Any, anchor: Any, low: Any, high: Any, targets: Any, before: Any
) -> None:  # fmt: skip
    blocks, words = codes.shape[0], codes.shape[1]
    histogram, differing = np.zeros(bits + 1, np.int64), np.empty(BLOCK, np.int64)
    code, bits_of = np.empty(words, np.uint64), np.zeros(len(targets), np.int64)
    for word in range(words):
        code[word] = asked[anchor // BLOCK, word, anchor % BLOCK]
    at = 0
    while at < len(targets) and targets[at] < 0:
        before[at] = 0
        at += 1
    for block in range(blocks):
        counts = simd.no_counts()
        for word in range(words):
            counts = simd.add_differing_bits(counts, codes, (block * words + word) * BLOCK, code[word])
        simd.store_counts(differing, 0, counts)
        for slot in range(min(BLOCK, rows - block * BLOCK)):
            row, here = block * BLOCK + slot, differing[slot]
            if low <= row < high:
                continue
            if at < len(targets) and targets[at] == row:
                before[at], bits_of[at] = histogram[here], here  # of as many bits those that are passed
                at += 1
            histogram[here] += 1
    for at in range(len(targets)):
        before[at] += histogram[: bits_of[at]].sum()


def warm_up() -> None:
    """Compile: each kernel once."""
    codes = pack_bits(np.arange(320, dtype=np.float64).reshape(40, 8), np.zeros(8))
    anchors = np.arange(2, dtype=np.int32)
    found = np.empty((2, 3), np.int32)
    nearest_codes(codes, 40, 8, codes, anchors, anchors * 0, anchors * 0 + 4, 3, found)
    ranks(codes, 40, 8, codes, anchors, anchors * 0, anchors * 0 + 4, found, np.empty((2, 3), np.int64))


__all__ = ["BLOCK", "nearest_codes", "numba", "pack_bits", "ranks", "warm_up"]
