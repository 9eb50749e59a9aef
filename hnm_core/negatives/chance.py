"""Chance that belongs to an anchor: what is drawn for it is the same whoever else is drawn for, and in what order."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hnm_core.seeding import derived_seed

_AT_A_TIME = 4
"""Numbers that the generator makes in one step."""


def fractions(seed: int, purpose: str, first: int, count: int, width: int) -> Tensor:
    """(count, width) float64 in [0, 1), evenly drawn: of the anchors `first` .. `first + count - 1`.

    A generator that counts (Philox, Salmon 2011) starts at any anchor at once.
    """
    steps = -(-width // _AT_A_TIME)
    source = np.random.Philox(key=derived_seed(seed, purpose))
    source.advance(first * steps)
    drawn = np.random.Generator(source).random((count, steps * _AT_A_TIME))
    return torch.from_numpy(np.ascontiguousarray(drawn[:, :width]))
