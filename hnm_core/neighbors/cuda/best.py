"""What kernels return: the k smallest keys of each anchor, a score and a row in 64 bits. See best.cuh."""

from __future__ import annotations

import torch
from torch import Tensor

LANES = 32

NO_KEY = 2**63 - 1
"""Behind every other key."""

_SLACK = 32
"""Room beyond k at least, so that short lists are not cut back all the time."""


def capacity(k: int) -> int:
    """Length of a list that keeps k: a multiple of 32 with room for one more of each lane."""
    return -(-(k + max(k, _SLACK)) // LANES) * LANES


def smallest(keys: Tensor, k: int) -> Tensor:
    """(Q, k) keys, ascending, of lists (Q, S, capacity), each of which holds k of its own in front."""
    return keys[:, :, :k].reshape(len(keys), -1).sort(1).values[:, :k]


def float_scores(keys: Tensor) -> Tensor:
    """The float32 scores of keys, inf where there is none."""
    high = (keys >> 32).to(torch.int32)
    bits = torch.where(high >= 0, high, high ^ 0x7FFFFFFF)
    return bits.view(torch.float32).masked_fill(keys == NO_KEY, torch.inf)


def rows(keys: Tensor) -> Tensor:
    """The int64 rows (or places) of keys, -1 where there is none."""
    return (keys & 0xFFFFFFFF).masked_fill(keys == NO_KEY, -1)
