"""Batches and tuples for the tests of losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hnm_core.distances import Distance

RAW = Distance("euclidean")
FOUR_LABELS = torch.tensor([0, 0, 1, 1])


def four_points() -> Tensor:
    """Unit vectors at 0, 40, 90 and 160 degrees."""
    angle = torch.tensor([0.0, 40.0, 90.0, 160.0], dtype=torch.float64) * math.pi / 180
    return torch.stack((angle.cos(), angle.sin()), dim=1)


def batch(seed: int = 0, n: int = 30, dim: int = 3, classes: int = 6) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=source, dtype=torch.float64), torch.arange(n) % classes


def value_and_gradient(call, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of a function of (B, D) embeddings."""
    leaf = x.clone().requires_grad_()
    value = call(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def as_tuple(positive, negative) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(anchor1, positive, anchor2, negative) of two lists of pairs."""
    return (*torch.tensor(positive).T, *torch.tensor(negative).T)
