"""Score and row as one integer: ascending lists of the best, kept inside kernels.

A list of k keys stands at `base` in an int64 array, filled up to a multiple of eight; the eight places before it hold
the lowest integer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from hnm_core import simd

EMPTY = np.int64(0x7F800000) << np.int64(32) | np.int64(0xFFFFFFFF)
"""Key of a missing neighbour: score infinity, row -1."""
KEYS_BEFORE = 8
"""Places before a list, and what its length is a multiple of."""


@njit(cache=True, nogil=True)
def key_of(score_bits: Any, row: Any) -> Any:
    """The key of a float32 score, given as its bits (int32), and a row: sorts by score, then row.

    A float's bits sort as integers; negative ones fall, so all but their sign is flipped.
    """
    bits = np.int64(score_bits)
    if bits < 0:
        bits ^= np.int64(0x7FFFFFFF)
    return (bits << np.int64(32)) | np.int64(row)


@njit(cache=True, nogil=True)
def key_bits(key: Any) -> Any:
    """The score's bits, int32, back from a key; the row is its low half."""
    bits = key >> np.int64(32)
    if bits < 0:
        bits ^= np.int64(0x7FFFFFFF)
    return np.int32(bits)


@njit(cache=True, nogil=True)
def insert(keys: Any, base: Any, k: Any, key: Any) -> None:
    """Insert into the list of k keys at `base`, dropping its last."""
    offset = base + ((k - 1) & ~7)
    while True:
        simd.push_key(keys, offset, key)
        if offset == base or keys[offset - 1] <= key:
            return
        offset -= 8
