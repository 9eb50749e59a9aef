"""Memory for long lists of tuples, used again from one step to the next."""

from __future__ import annotations

import weakref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WORTH = 1 << 17
"""Numbers from which on it is worth the while."""
MOST_BYTES = 256 << 20
"""What is kept at most."""


class Buffer:
    """Hands out memory, and the same again once nobody holds what it was handed out as, or any part of it.

    A batch of 512 has some 40 MB of triplets in every step. Whoever asks the system for so much gets it page by page,
    each cleared, which takes longer than writing the triplets.
    """

    def __init__(self) -> None:
        self._kept: NDArray[np.int64] | None = None
        self._handed_out: weakref.ref[NDArray[np.int64]] | None = None

    def __reduce__(self) -> tuple[type[Buffer], tuple[()]]:
        """A copy has memory of its own."""
        return Buffer, ()

    def take(self, rows: int, columns: int) -> Tensor:
        """(rows, columns) int64 of any content, on the CPU."""
        count = rows * columns
        if count < WORTH:
            return torch.empty((rows, columns), dtype=torch.int64)
        kept, self._kept = self._kept, None  # whoever asks meanwhile gets memory of his own
        in_use = self._handed_out is not None and self._handed_out() is not None
        if kept is None or in_use or kept.size < count:
            # numpy asks for huge pages, torch does not. An eighth more, as the next batch will have more or fewer.
            kept = np.empty(count + count // 8, np.int64)
        part = kept[:count].reshape(rows, columns)
        if kept.nbytes <= MOST_BYTES:
            self._kept, self._handed_out = kept, weakref.ref(part)
        return torch.from_numpy(part)
