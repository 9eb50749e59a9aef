"""A few numbers for each row that are never farther apart than the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

SIZE = 16
"""Numbers of a sketch."""
WIDE = 32
"""Numbers of a sketch where matrix units multiply them."""

_SAMPLE = 1_024
"""Rows that the directions are found from."""
_ROUNDS = 2
_CONVERTED = 1 << 18
"""Coordinates that are taken in float64 at once."""


@dataclass(frozen=True)
class Directions:
    """Where rows spread most, from about their mean: by subspace iteration (Halko et al. 2011) on a sample.

    A sketch of a row x holds its coordinates p in all but one of them and, at the end, the length q of what is left of
    it. So |x - y|^2 >= |p_x - p_y|^2 + (q_x - q_y)^2.
    """

    size: int
    """Numbers of a sketch."""

    center: Tensor
    """(D,) float64."""
    basis: Tensor
    """(D, less than `size`) float64, orthonormal, that with the widest spread first."""
    left: float
    """The share of the squares in the sample that the directions leave."""

    @classmethod
    def of(cls, rows: Tensor, size: int = SIZE) -> Directions:
        """The directions of rows (N, D) float32, for sketches of so many numbers."""
        dim = rows.shape[1]
        sample = rows[:: -(-len(rows) // _SAMPLE)].double()
        center = sample.mean(0)  # any point would do
        sample -= center
        source = torch.Generator().manual_seed(0)
        basis = torch.randn(dim, min(dim, size - 1), generator=source, dtype=torch.float64)
        for _ in range(_ROUNDS):
            basis = torch.linalg.qr(sample.T @ (sample @ basis)).Q
        inside = sample @ basis
        basis = basis @ torch.linalg.eigh(inside.T @ inside).eigenvectors.flip(1)
        whole = float(sample.square().sum())
        return cls(size, center, basis, 1 - float((sample @ basis).square().sum()) / whole if whole else 0.0)

    @property
    def rounding(self) -> float:
        """How far rounding moves a sketch, at most, as a share of the row's length from the mean."""
        return 2.0**-22 + math.sqrt((len(self.center) + 64) * 2.0**-51)

    def sketches(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of rows (N, D): sketches (N, size) float32, lengths from the mean (N,) float64, and (N,) float64 numbers that
        equal rows share and hardly any others."""
        numbers = torch.zeros(len(rows), self.size)
        length, key = (torch.empty(len(rows), dtype=torch.float64) for _ in range(2))
        kept, dim = self.basis.shape[1], len(self.center)
        uneven = torch.arange(1, len(self.center) + 1, dtype=torch.float64).sqrt()
        for part in _parts(rows):
            centered = rows[part].double() - self.center
            inside = centered @ self.basis
            length[part] = torch.linalg.vector_norm(centered, dim=1)
            key[part] = centered @ uneven
            numbers[part, :kept] = inside.float()
            if kept < dim:
                left = length[part].square() - torch.linalg.vector_norm(inside, dim=1).square_()
                numbers[part, -1] = left.clamp_min_(0).sqrt_().float()
        return numbers, length, key


def _parts(rows: Tensor) -> Iterator[slice]:
    step = max(32, _CONVERTED // rows.shape[1])
    for start in range(0, len(rows), step):
        yield slice(start, start + step)
