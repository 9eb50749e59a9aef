"""Kernels that tell which blocks of sixteen codes are too far from an anchor's code to be looked at.

As |a - x| >= |a - c| - |c - x| holds for differing bits too, a block whose center c is far enough away holds no row x
that is near. Where classes are tight, which is what training makes them, few blocks are left. Codes are packed as
`hamming.pack_bits` does it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

from numba import njit  # isort: skip

from hnm_core import simd

BLOCK = simd.ELEMENTS
GROUP = 2 * BLOCK
"""Blocks that are compared with a limit at once."""
_FAR = 1 << 14
"""More bits than codes have, and with as many added still an int16."""


@njit(cache=True, nogil=True)
def hulls(codes: Any, rows: int) -> Any:
    """The center of each block (the bits that most rows have), packed like `codes`; the most bits a row differs by."""
    blocks, words = codes.shape[0], codes.shape[1]
    centers = np.zeros(((blocks + BLOCK - 1) // BLOCK, words, BLOCK), np.uint64)
    radius = np.zeros(filled_up(blocks), np.int16)
    differing = np.empty(BLOCK, np.int64)
    for block in range(blocks):
        counts = simd.no_counts()
        for word in range(words):
            # The majority of each bit: the rows are added up in five planes of binary digits, 64 columns at a time.
            ones = twos = fours = eights = sixteens = np.uint64(0)
            for slot in range(BLOCK):
                carry = codes[block, word, slot]
                ones, carry = ones ^ carry, ones & carry
                twos, carry = twos ^ carry, twos & carry
                fours, carry = fours ^ carry, fours & carry
                eights, carry = eights ^ carry, eights & carry
                sixteens |= carry
            center = eights | sixteens
            centers[block // BLOCK, word, block % BLOCK] = center
            counts = simd.add_differing_bits(counts, codes, (block * words + word) * BLOCK, center)
        simd.store_counts(differing, 0, counts)
        radius[block] = differing[: min(BLOCK, rows - block * BLOCK)].max()
    return centers, radius


@njit(cache=True, nogil=True)
def filled_up(blocks: int) -> int:
    """The length of arrays with a number for each block."""
    return (blocks + GROUP - 1) // GROUP * GROUP


@njit(cache=True, nogil=True)
def limit_by_centers(
    codes: Any, centers: Any, away: Any, rows: int, bits: int, code: Any, low: int, high: int, wanted: int,
    histogram: Any, differing: Any,
) -> int:  # fmt: skip
    """Differing bits from which on a row is not wanted, by the rows of the blocks whose centers are nearest.

    bits + 1 where there are fewer rows of other classes than wanted. `away` becomes the differing bits of the centers,
    filled up to whole groups; blocks of the anchor's class alone, rows low .. high - 1, are farther than any.
    """
    blocks, words = codes.shape[0], codes.shape[1]
    own_from, own_to = (low + BLOCK - 1) // BLOCK, high // BLOCK
    for start in range(0, blocks, BLOCK):
        if own_from <= start and start + BLOCK <= own_to:
            continue
        counts = simd.no_counts()
        for word in range(words):
            counts = simd.add_differing_bits(counts, centers, (start // BLOCK * words + word) * BLOCK, code[word])
        simd.store_shorts(away, start, counts)
    away[own_from:own_to] = _FAR
    away[blocks:] = _FAR
    enough, limit = 2 * wanted // BLOCK + 2, bits + 1
    while limit > bits:
        reach = _about_kth(away, enough, bits) if enough < blocks else bits
        histogram[:] = 0
        for start in range(0, blocks, GROUP):
            inside = simd.shorts_below(away, start, reach + 1)
            while inside:
                block = start + simd.lowest(inside)
                inside &= inside - np.uint32(1)
                counts = simd.no_counts()
                for word in range(words):
                    counts = simd.add_differing_bits(counts, codes, (block * words + word) * BLOCK, code[word])
                simd.store_counts(differing, 0, counts)
                for slot in range(BLOCK):
                    row = block * BLOCK + slot
                    if row < rows and not low <= row < high:
                        histogram[differing[slot]] += 1
        limit = limit_of(histogram, wanted)
        if reach >= bits:
            break
        enough *= 4
    return limit


@njit(cache=True, nogil=True)
def limit_of(histogram: Any, wanted: int) -> int:
    """Differing bits from which on a row is not among the `wanted` first; one more than there are where all are."""
    below = 0
    for limit in range(len(histogram)):
        below += histogram[limit]
        if below >= wanted:
            return limit + 1
    return len(histogram)


@njit(cache=True, nogil=True)
def _about_kth(numbers: Any, k: int, most: int) -> int:
    """About the k-th smallest of some numbers from 0 to `most`, judged by a quarter of them where they are many."""
    step = 4 * GROUP if k >= 16 and len(numbers) >= 32 * GROUP else GROUP
    low, high = -1, most
    while high - low > 1:
        middle, below = (low + high) // 2, 0
        for start in range(0, len(numbers), step):
            below += simd.count(simd.shorts_below(numbers, start, middle + 1))
        if below * step < k * GROUP:
            low = middle
        else:
            high = middle
    return high


@njit(cache=True, nogil=True)
def near_blocks(away: Any, radius: Any, limit: int, near: Any) -> int:
    """Put the blocks into `near` that may hold a row under the limit; how many they are. See `limit_by_centers`."""
    count = 0
    for start in range(0, len(away), GROUP):
        inside = simd.shorts_within(away, start, radius, limit)
        while inside:
            near[count] = start + simd.lowest(inside)
            inside &= inside - np.uint32(1)
            count += 1
    return count
