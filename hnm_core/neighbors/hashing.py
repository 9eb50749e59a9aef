"""Hash families: a point to bits, near points to similar bits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.neighbors import theory

Family = Literal["sign", "affine"]

_thread_count_lock = threading.Lock()
_SAMPLE = 2_048
"""Rows from which the distribution of a projection is taken."""
_ITERATIONS = 3
"""Of the search for the directions of most spread."""
_ELEMENTS = 1 << 20
"""Projections in flight at once: 8 MiB of float64, which stay in the caches; sixteen times as many on a device."""


def directions(bits: int, dim: int, seed: int) -> Tensor:
    """(bits, dim) float64 unit directions, orthogonal to each other within each block of `dim`, uniform on the sphere.

    Orthonormalised on one thread, because the factorisation's last digits depend on the number of threads and a seed
    shall mean the same bits everywhere.
    """
    generator = torch.Generator().manual_seed(seed)
    blocks = -(-bits // dim)
    normal = torch.randn(blocks, dim, dim, generator=generator, dtype=torch.float64)
    with _one_thread():
        basis, triangle = torch.linalg.qr(normal)
    # A positive diagonal makes the factor unique, hence uniformly distributed.
    unique: Tensor = basis * triangle.diagonal(dim1=1, dim2=2).sign()[:, None, :]
    return unique.transpose(1, 2).reshape(blocks * dim, dim)[:bits].contiguous()


@contextmanager
def _one_thread() -> Iterator[None]:
    """For operations whose last digits depend on the number of threads.

    The number is torch's global setting and put back at once: work that another thread starts in that moment may run
    on one thread as well, with the same result.
    """
    with _thread_count_lock:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def family_for(family: Literal["auto", "sign", "affine"], distance: Distance) -> Family:
    """The family meant: `auto` is sign on unit vectors, affine otherwise."""
    if family != "auto":
        return family
    return "sign" if distance.normalized or distance.metric == "cosine" else "affine"


class Hash:
    """Bit j of x is whether its projection on direction j lies above threshold j.

    sign: thresholds 0, so the bits depend on the angle only. affine: thresholds are the projections of random points of
    the data, that is, drawn from its own quantiles, so the bits measure Euclidean distance. With `drawn` > 1 a cut
    is the median of so many projections: nearer to the middle, which make buckets more alike in size.
    """

    def __init__(self, family: Family, bits: int, dim: int, seed: int, *, drawn: int = 1) -> None:
        self.family = family
        self.bits = bits
        self._directions = directions(bits, dim, seed)
        self._seed = seed
        self._drawn = drawn

    def fit(self, points: Tensor, *, center: bool) -> None:
        """Learn the mean and the thresholds from points (N, D)."""
        # Projections are float64: then rounding, which depends on the shape of the work, turns no bit.
        exact = torch.float64
        self._matrix = self._directions.to(points.device, exact).T.contiguous()
        self._center = torch.zeros(points.shape[1], dtype=exact, device=points.device)
        if center:
            for part in points.split(self._rows_at_once(points.shape[1])):
                self._center += part.sum(0, dtype=exact) / len(points)
        self.thresholds = torch.zeros(self.bits, dtype=exact, device=points.device)
        if self.family == "affine":
            generator = torch.Generator().manual_seed(self._seed + 1 if self._seed < 2**63 - 1 else 0)
            drawn = torch.randint(len(points), (self._drawn, self.bits), generator=generator).to(points.device)
            cuts = ((points[drawn].to(exact) - self._center) * self._matrix.T).sum(2)
            self.thresholds = cuts.median(0).values

    def project(self, points: Tensor) -> Tensor:
        """(N, bits) float64 projections of points (N, D)."""
        return (points.to(torch.float64) - self._center) @ self._matrix

    def principal(self, points: Tensor, most: int) -> Tensor:
        """(N, at most `most`) float32 coordinates of what is hashed of points (N, D), in the directions of most spread.

        The directions are those of a sample, found by subspace iteration (Halko, Martinsson & Tropp 2011).
        """
        sample = self._hashed(points[:: -(-len(points) // _SAMPLE)])
        basis = self._directions[:most].to(points.device).T
        with _one_thread():
            for _ in range(_ITERATIONS if basis.shape[1] < points.shape[1] else 0):
                basis = torch.linalg.qr(sample.T @ (sample @ basis)).Q
        step = self._rows_at_once(points.shape[1])
        parts = [(self._hashed(points[at : at + step]) @ basis).float() for at in range(0, len(points), step)]
        return torch.cat(parts)

    def _hashed(self, points: Tensor) -> Tensor:
        """(N, D) float64: what the bits depend on."""
        centered = points.to(torch.float64) - self._center
        return torch.nn.functional.normalize(centered, dim=1) if self.family == "sign" else centered

    def bits_of(self, points: Tensor) -> Tensor:
        """(N, bits) bool."""
        return self.project(points) > self.thresholds

    def cuts(self, most: int) -> Tensor:
        """(P, D + 1) the first P <= `most` hyperplanes: their unit normals and offsets, normal @ x = offset."""
        normal = self._matrix.T[:most]
        return torch.cat((normal, (self.thresholds[:most] + normal @ self._center)[:, None]), 1)

    def differs(self, left: Tensor, right: Tensor, points: Tensor) -> Tensor:
        """(M,) float64 probability that a bit of left and right (M, D) differs, by theory; `points` is what was hashed.

        sign: angle / pi. affine: from the share of the data between their projections, averaged over the cuts in use.
        """
        if self.family == "sign":
            left, right = left.double() - self._center, right.double() - self._center
            # Of the half angle, so that rounding does not turn near rows into equal ones.
            left, right = (torch.nn.functional.normalize(side, dim=1) for side in (left, right))
            return theory.sign_differs(2 * torch.atan2((left - right).norm(dim=1), (left + right).norm(dim=1)))
        return self.bits_differ(left, right, points).mean(1)

    def bits_differ(self, left: Tensor, right: Tensor, points: Tensor) -> Tensor:
        """(M, bits) float64 probability that each bit of rows so many ranks apart differs (affine family)."""
        sample = points[torch.linspace(0, len(points) - 1, min(_SAMPLE, len(points)), dtype=torch.float64).long()]
        ordered = self.project(sample).T.contiguous().sort(1).values
        low, high = (torch.searchsorted(ordered, self.project(side).T.contiguous()) for side in (left, right))
        cut = torch.searchsorted(ordered, self.thresholds[:, None])[:, 0].float() / len(sample)
        return theory.quantile_differs((low - high).abs().T.float() / len(sample), cut)

    def chunk(self) -> int:
        """Rows to project at once, to bound memory."""
        return self._rows_at_once(self.bits)

    def _rows_at_once(self, numbers: int) -> int:
        elements = _ELEMENTS if self._matrix.device.type == "cpu" else 16 * _ELEMENTS
        return max(1, elements // numbers)
