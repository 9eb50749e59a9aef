"""Metrics as squared Euclidean distances, so that one search serves them all."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError

MAX_TREE_DIM = 8
"""Above it a tree of boxes prunes too little to beat the tiled products."""

_SAFE = 1e15
"""Coordinates within 1 / _SAFE .. _SAFE are left as they are: their squares fit float32."""


@dataclass(frozen=True)
class EuclideanForm:
    """Points and anchors whose squared Euclidean distances sort as the metric does.

    On the sphere 1 - s = d^2 / 2, but prepared rows are shorter than 1 where the embedding is short (a zero row stays
    zero). So for cosine, and inner products of unit vectors, a point gets one more coordinate, sqrt(1 - |x|^2), and an
    anchor gets 0 there: d^2 = |q|^2 + 1 - 2 s holds for every length.
    """

    of: Distance
    points: Tensor
    """(N, D) or, on the sphere, (N, D + 1) float32."""
    queries: Tensor
    """(A, D) or (A, D + 1), the anchors: the same rows, and `points` itself but on the sphere; or vectors."""
    scale: float
    """Power of two that the coordinates were multiplied with."""
    offset: Tensor | None
    """(A,) float32, on the sphere: (1 - |q|^2) / 2."""

    def with_vectors(self, vectors: Tensor) -> EuclideanForm:
        """The same points with vectors (A, D) for anchors.

        Raises:
            InputError: their squares do not fit float32 beside those of the points.
        """
        prepared = self.of.prepare_exactly(vectors)
        if self.offset is not None:
            _, queries, offset = _on_sphere(prepared)
            return replace(self, queries=queries, offset=offset)
        queries = prepared if self.scale == 1 else prepared * self.scale
        largest = float(queries.abs().max()) if queries.numel() else 0.0
        if largest > _SAFE:
            raise InputError(
                f"Vectors with coordinates up to {largest / self.scale:.3g} lie too far from this bank: the squares of "
                "their distances do not fit float32."
            )
        return replace(self, queries=queries)

    def distance(self, squared: Tensor, anchors: Tensor) -> Tensor:
        """Distances from (Q, k) squared distances of anchors (Q,), lines of `queries`; overwrites `squared`. Infinity
        stays."""
        if self.offset is not None:
            squared.mul_(0.5).add_(self.offset[anchors, None])
            return squared.sub_(1) if self.of.metric == "inner-product" else squared
        if self.of.metric == "euclidean":
            return squared.sqrt_().div_(self.scale) if self.scale != 1 else squared.sqrt_()
        return squared.div_(self.scale).div_(self.scale) if self.scale != 1 else squared


def has_form(distance: Distance) -> bool:
    """Whether the metric sorts as such distances do: any but the inner product of rows of any length."""
    return distance.metric != "inner-product" or distance.normalized


def euclidean_form(distance: Distance, embeddings: Tensor) -> EuclideanForm:
    """The form of embeddings (N, D) float32 under a metric that has one."""
    prepared = distance.prepare_exactly(embeddings)
    if distance.metric in ("cosine", "inner-product"):
        points, queries, offset = _on_sphere(prepared)
        return EuclideanForm(distance, points, queries, 1.0, offset)
    scale = _scale(prepared)
    points = prepared if scale == 1 else prepared * scale
    return EuclideanForm(distance, points, points, scale, None)


def with_vectors(
    form: EuclideanForm | None, distance: Distance, vectors: Tensor
) -> tuple[EuclideanForm | None, Tensor]:
    """A form with vectors (A, D) for anchors, None for the inner product as before, and the anchors as either has them.

    Raises:
        InputError: see `EuclideanForm.with_vectors`.
    """
    if form is None:
        return None, distance.prepare_exactly(vectors)
    form = form.with_vectors(vectors)
    return form, form.queries


def _on_sphere(prepared: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """On the sphere: rows as points and as anchors, (N, D + 1), and the anchors' offsets (N,)."""
    missing = (1 - prepared.double().square().sum(1, keepdim=True)).clamp_min_(0)
    points = torch.cat([prepared, missing.sqrt().float()], 1)
    queries = torch.cat([prepared, torch.zeros_like(points[:, :1])], 1)
    return points, queries, (missing[:, 0] / 2).float()


def _scale(points: Tensor) -> float:
    """1, or the power of two that keeps squared differences inside float32."""
    largest = float(points.abs().max())
    if largest == 0 or 1 / _SAFE <= largest <= _SAFE:
        return 1.0
    return 2.0 ** -max(-126, min(126, round(math.log2(largest))))
