"""How many words a second the processor can compare."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnm_core import (
    kernels,  # noqa: F401  (chooses numba's threading layer before numba is loaded)
    simd,
)

from numba import njit, prange  # isort: skip


@njit(cache=True, nogil=True, parallel=True)
def differing_bits(codes: Any, rounds: int, threads: int, sums: Any) -> None:
    """Bits of codes (M,) uint64 that differ from a word, `rounds` times in each thread, into sums (T * 16,)."""
    for thread in prange(threads):
        counts = simd.no_counts()
        for turn in range(rounds):
            for place in range(0, len(codes), simd.ELEMENTS):
                counts = simd.add_differing_bits(counts, codes, place, np.uint64(turn))
        simd.store_counts(sums, thread * simd.ELEMENTS, counts)
