"""Products of the leading principal coordinates, as upper bounds of whole products.

Of a row x about the mean, let x' be its coordinates in the directions in which rows spread most, and x_ the length of
what is left of it. Then a . x <= a' . x' + a_ x_ by Cauchy and Schwarz, a product of fewer terms, and where embeddings
spread little beyond those directions, next to no row that is not near passes it. Those that do are measured. Being no
more than bounds, the products are made of bytes, at twice the speed of float32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.launching import launching

if TYPE_CHECKING:
    from hnm_core.neighbors.cpu.leading_kernels import Packed

LEAST_ROWS = 8_192
"""Of fewer, finding directions takes longer than whole products."""
LEAST_ANCHORS = 2
"""Anchors for each cell, at least: all rows are multiplied with the centers of cells beforehand."""
LEAST_DIM = 96
"""Products of fewer terms are quick."""
MOST_K = 64
"""Longer lists let too much pass."""

_SPREAD = 8_192
"""Rows that directions are found from."""
_PROBE, _AMONG = 64, 2_048
"""Anchors that tell whether it pays, and the rows that they are multiplied with."""
_STEP = 16
"""Numbers of coordinates that are tried are multiples of it."""
_COLUMN, _TERM, _BYTE, _MEASURED, _COORDINATE = 0.25, 0.0095, 0.0045, 40.0, 0.1
"""Nanoseconds, about: of a product, of each of its terms in float32 and in bytes, of measuring a row, of each of its
coordinates."""
_SURE = 0.8
"""It pays where it would take this share of the time of whole products: it is guessed from few anchors."""
_ROUNDED = 0.03
"""About what bytes add to a bound, as a share of the lengths of both rows."""
_FEW = 2.0**-56
"""The least slack and size of a row other than 0: their product is more than all that underflow can take."""
_AT_ONCE = 1 << 20
"""Coordinates that are taken in float64 at once, and products that are made at once."""
_CELLS, _MOST_CELLS, _NEAREST = 8.0, 2_048, 4
"""Cells, times the root of the rows, at most, and how many of them are looked into for first limits."""


@dataclass(frozen=True, eq=False)
class Leading:
    """The directions."""

    center: Tensor
    """(D,) float64."""
    basis: Tensor
    """(D, W) float64, orthonormal."""

    def of(self, rows: Tensor) -> Tensor:
        """(N, W + 1) float32 of rows (N, >= D) float32: coordinates, and what is left, rounded up."""
        dim, width = self.basis.shape
        numbers = torch.empty(len(rows), width + 1)
        step = max(32, _AT_ONCE // dim)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            centered = rows[part, :dim].double() - self.center
            inside = centered @ self.basis
            left = (centered.square().sum(1) - inside.square().sum(1)).clamp_min_(0).sqrt_()
            numbers[part, :-1] = inside.float()
            # Of a row that lies within the directions, rounding alone may leave as much.
            numbers[part, -1] = (left + 2.0**-24 * centered.norm(dim=1)).float() * (1 + 2.0**-22)
        return numbers


def cells_of(rows: int) -> int:
    """Into how many cells so many rows come, about."""
    return min(int(_CELLS * math.sqrt(rows)), _MOST_CELLS)


def worth(points: Tensor, anchors: Tensor, center: Tensor, term: Tensor, k: int) -> Leading | None:
    """The directions that save a search for the k nearest a good part of its time, as some anchors tell; None where
    none would, or the processor has no products of bytes.

    Args:
        points: (N, >= D) float32.
        anchors: (A, >= D) float32.
        center: (D,) float64, the mean of the points.
        term: (N,) float64, what is added to the product of a point about the center for the order of rows.
        k: neighbours.
    """
    from hnm_core.neighbors.cpu import byte_products

    dim, count = len(center), len(points)
    if count < LEAST_ROWS or dim < LEAST_DIM or k > MOST_K or not byte_products.available():
        return None
    spread = points[:: -(-count // _SPREAD), :dim].double() - center
    basis = torch.linalg.eigh(spread.T @ spread).eigenvectors.flip(1)
    every = -(-count // _AMONG)
    among = (points[::every, :dim].double() - center) @ basis
    probe = (anchors[:: -(-len(anchors) // _PROBE), :dim].double() - center) @ basis
    products = torch.addmm(term[::every], probe, among.T)
    there = k / every  # so many of the k best are in the sample, if chance is even
    floor = products.topk(min(math.ceil(there + math.sqrt(there)), len(among)), 1).values[:, -1:]
    floor -= _ROUNDED * probe.norm(dim=1, keepdim=True) * among.norm(dim=1).mean()
    best, least = None, _SURE * (_COLUMN + _TERM * dim)
    for width in range(_STEP, dim, _STEP):
        bound = torch.addmm(term[::every], probe[:, :width], among[:, :width].T)
        bound += probe[:, width:].norm(dim=1)[:, None] * among[:, width:].norm(dim=1)
        measured = float((bound >= floor).double().mean())
        takes = _COLUMN + _BYTE * width + measured * (_MEASURED + _COORDINATE * dim)
        if takes < least:
            best, least = width, takes
    return None if best is None else Leading(center, basis[:, :best].contiguous())


class LeadingRows:
    """The rows of a bank in their leading coordinates.

    Attributes:
        width: W, how many there are.
        cells: where to look for rows that set an anchor's first limit.
    """

    def __init__(self, leading: Leading, rows: Tensor, rounding: float) -> None:
        """Take `rows` (N, >= D) float32; `rounding` is what a product loses in float32, as a share of both lengths."""
        self._leading, self._rounding = leading, rounding
        numbers = leading.of(rows)
        self.width = leading.basis.shape[1]
        self.cells = Cells(numbers)
        packed, lost = self._packed(numbers, np.arange(len(rows)), points=True)
        norm = numbers.double().norm(dim=1).numpy()
        self._share = max(2.0**-30, float((lost[: len(norm)] / np.maximum(norm, 1e-300)).max()))
        size = np.maximum(norm, lost[: len(norm)] / self._share) * (1 + 2.0**-20)
        packed.size[: len(norm)] = np.where(norm > 0, np.maximum(size, _FEW), 0)
        self._points = packed

    def points(self, bias: NDArray[np.float32]) -> Packed:
        """The rows, with what is added to the products of each."""
        known = self._points.known.copy()
        known[2] = bias
        return self._points._replace(known=known)

    def numbers(self, vectors: Tensor, which: Tensor) -> Tensor:
        """(R, W + 1) of some of vectors (A, >= D); -1 stands for any."""
        return self._leading.of(vectors[which.clamp_min(0)])

    def anchors(self, numbers: Tensor, which: NDArray[np.int64]) -> Packed:
        """Anchors (R,), of which those that are -1 fill up, as the kernels take them."""
        packed, lost = self._packed(numbers, np.where(which >= 0, np.arange(len(which)), -1), points=False)
        norm = numbers.double().norm(dim=1).numpy()
        slack = 1.01 * (lost + (norm + lost) * (self._share + self._rounding))
        packed.size[:] = np.where(norm > 0, np.maximum(slack, _FEW), 0)
        return packed

    def _packed(self, numbers: Tensor, which: NDArray[np.int64], *, points: bool) -> tuple[Packed, NDArray[np.float64]]:
        from hnm_core.neighbors.cpu import byte_products
        from hnm_core.neighbors.cpu.leading_kernels import Packed

        count = len(which) + -len(which) % byte_products.SIDE
        above = byte_products.MOST + 1
        packed, lost = byte_products.room(count, self.width), np.zeros(count)
        known, total = np.zeros((3, count), np.float32), np.zeros(count, np.float32)
        with launching():
            byte_products.pack(
                numbers.numpy(), which, self.width, above if points else 0, packed, known[0], total, lost
            )
        known[1, : len(numbers)] = numbers[:, -1].numpy()
        known[2] = -np.float32(above) * total
        return Packed(packed, known, np.zeros(count, np.float32)), lost


class Cells:
    """Rows by the nearest of some of them: where to look for a first few near an anchor, which set its first limit.

    Attributes:
        offsets: (C + 1,) int64, where the members of each cell begin.
        members: (N,) int64, places.
    """

    def __init__(self, numbers: Tensor) -> None:
        """`numbers` (N, W + 1) are of `Leading.of`."""
        every = -(-len(numbers) // cells_of(len(numbers)))
        self._centers = numbers[::every, :-1].contiguous()
        self._term = self._centers.square().sum(1) / -2
        own = self._nearest(numbers, 1)[:, 0]
        self.members = own.argsort(stable=True).numpy()
        self.offsets = np.concatenate(([0], own.bincount(minlength=len(self._centers)).cumsum(0).numpy()))

    def near(self, numbers: Tensor) -> NDArray[np.int64]:
        """(A, 4) the cells whose centers are nearest to anchors (A, W + 1), the nearest first."""
        near: NDArray[np.int64] = self._nearest(numbers, min(_NEAREST, len(self._centers))).numpy()
        return near

    def _nearest(self, numbers: Tensor, count: int) -> Tensor:
        found = torch.empty(len(numbers), count, dtype=torch.int64)
        step = max(32, _AT_ONCE // len(self._centers))
        for start in range(0, len(numbers), step):
            products = torch.addmm(self._term, numbers[start : start + step, :-1], self._centers.T)
            found[start : start + step] = products.topk(count, 1).indices
        return found
