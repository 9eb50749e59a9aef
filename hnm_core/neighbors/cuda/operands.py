"""What is multiplied to choose candidates, float32 or bfloat16 parts for matrix units, and how far it may be off."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.neighbors.cuda.launches import WIDE

_PARTS_ROUNDING = 3.1 * 2.0**-16
"""bfloat16 rounds to 2^-8. So a number in two of them is off by 2^-16 of itself at most, a product by twice that, and
the product of the two lower parts, 2^-16 again, is left out."""
_MATMUL_ROUNDING = {"highest": 0.0, "high": 2.0**-10, "medium": 2.0**-8}
"""What `torch.set_float32_matmul_precision` lets a product of two float32 lose by rounding them first."""


@dataclass(frozen=True)
class Operands:
    """The two sides of the products q x of all anchors and rows."""

    queries: Tensor
    """(A, K), K a multiple of 8."""
    points: Tensor
    """(N', K): N' is N made a multiple of 8 by rows of zeros."""
    dim: int

    @property
    def in_parts(self) -> bool:
        """Whether coordinates are kept in two bfloat16 parts each, else in float32."""
        return self.points.dtype == torch.bfloat16

    @property
    def rounding(self) -> float:
        """No product is off by more than this share of |q| |x|, in whatever order its terms are added.

        Matrix units cut off what lies below the last bit of a sum, where others round, and they add three terms for
        each coordinate; they get four times the room.
        """
        if self.in_parts:
            return _PARTS_ROUNDING + (3 * self.dim + 8) * 2.0**-22
        return (self.dim + 8) * 2.0**-24 + _MATMUL_ROUNDING[torch.get_float32_matmul_precision()]

    def asked(self, queries: Tensor) -> Operands:
        """The same points with other anchors (A, D) float32."""
        return replace(self, queries=_left(pad(queries, (0, -self.dim % WIDE)), in_parts=self.in_parts))

    def multiply(self, queries: Tensor, start: int, end: int, memory: Tensor) -> Tensor:
        """(R, end - start) float32 products of chosen `queries` (R, K) with so many points, in the given memory."""
        tile = memory[: len(queries) * (end - start)].view(len(queries), end - start)
        right = self.points[start:end].T
        if not self.in_parts:
            torch.mm(queries, right, out=tile)
        elif tile.is_cuda:
            torch.mm(queries, right, torch.float32, out=tile)
        else:  # torch multiplies so on CUDA devices only; the same sums
            torch.mm(queries.float(), right.float(), out=tile)
        return tile


def operands(queries: Tensor, points: Tensor, *, in_parts: bool) -> Operands:
    """Of float32 `queries` (A, D) and `points` (N, D).

    In parts x = h + l, and one product of three parts in a row, [h h l] with [h l h], makes up all but l l. It takes a
    third of what float32 takes from units that multiply bfloat16 ten times as fast.
    """
    dim = points.shape[1]
    right = pad(points, (0, -dim % WIDE, 0, -len(points) % WIDE))
    left = right[: len(points)] if queries is points else pad(queries, (0, -dim % WIDE))
    if not in_parts:
        return Operands(left, right, dim)
    high, low = _parts(right)
    return Operands(_left(left, in_parts=True), torch.cat([high, low, high], 1), dim)


def multiplies_parts(device: torch.device) -> bool:
    """Whether a device has matrix units for bfloat16 that this torch lets give float32."""
    return (
        device.type == "cuda"
        and torch.cuda.get_device_capability(device) >= (8, 0)
        and "dtype_out" in torch.ops.aten.mm.overloads()
    )


def _left(queries: Tensor, *, in_parts: bool) -> Tensor:
    if not in_parts:
        return queries
    high, low = _parts(queries)
    return torch.cat([high, high, low], 1)


def _parts(numbers: Tensor) -> tuple[Tensor, Tensor]:
    high = numbers.bfloat16()
    return high, (numbers - high.float()).bfloat16()
