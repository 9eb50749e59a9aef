"""A network for a test that interrupts it."""

from __future__ import annotations

import time

import torch
from torch import nn


class Slow(nn.Module):
    """The mean of each colour, after a while."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        return x.mean((2, 3))
