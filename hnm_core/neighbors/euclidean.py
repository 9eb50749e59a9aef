"""Metrics as squared Euclidean distances, so that one search serves them all."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.distances import Distance
from hnm_core.errors import InputError

MAX_TREE_DIM = 8
"""Above it a tree of boxes prunes too little to beat the tiled products."""

_AT_ONCE = 1 << 15
"""Coordinates that are squared in float64 at once: they stay in the cache, and are too few to wake threads for."""
_LINE = 16
"""Coordinates in a line of the cache."""
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
    scale: float
    """Power of two that the coordinates were multiplied with."""
    offset: Tensor | None
    """(A,) float32, on the sphere: (1 - |q|^2) / 2."""
    vectors: Tensor | None = None
    """(A, D) or (A, D + 1) the anchors, where these are no rows."""
    lines: Tensor | None = None
    """(N, D') the points filled up with zeros to whole lines, where they were made so: `points` is a part of it."""
    vector_lines: Tensor | None = None
    """(A, D') the vectors in such lines."""

    @cached_property
    def queries(self) -> Tensor:
        """(A, D) or (A, D + 1), the anchors: vectors, or the same rows, `points` itself but on the sphere.

        Made when first asked for: where all anchors are vectors, nobody needs the rows a second time.
        """
        if self.vectors is not None:
            return self.vectors
        if self.offset is None:
            return self.points
        queries = self.points.clone()
        queries[:, -1] = 0
        return queries

    @property
    def query_lines(self) -> Tensor:
        """(A, D') the anchors in whole lines, where the points are in such; else `queries`."""
        if self.vectors is not None:
            return self.vectors if self.vector_lines is None else self.vector_lines
        if self.lines is None:
            return self.queries
        lines = self.lines.clone()
        lines[:, self.points.shape[1] - 1] = 0
        return lines

    def with_vectors(self, vectors: Tensor) -> EuclideanForm:
        """The same points with vectors (A, D) for anchors.

        Raises:
            InputError: their squares do not fit float32 beside those of the points.
        """
        if self.lines is not None:
            lines, prepared = _in_lines(self.of, vectors)
            offset = (_missing(prepared)[:, 0] / 2).float()
            return replace(self, vectors=lines[:, : vectors.shape[1] + 1], vector_lines=lines, offset=offset)
        prepared = self.of.prepare_exactly(vectors)
        if self.offset is not None:
            queries = pad(prepared, (0, 1))
            return replace(self, vectors=queries, offset=(_missing(prepared)[:, 0] / 2).float())
        queries = prepared if self.scale == 1 else prepared * self.scale
        largest = float(queries.abs().max()) if queries.numel() else 0.0
        if largest > _SAFE:
            raise InputError(
                f"Vectors with coordinates up to {largest / self.scale:.3g} lie too far from this bank: the squares of "
                "their distances do not fit float32."
            )
        return replace(self, vectors=queries)

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


def euclidean_form(distance: Distance, embeddings: Tensor, *, in_lines: bool = False) -> EuclideanForm:
    """The form of embeddings (N, D) float32 under a metric that has one; on the sphere, with `in_lines`, in whole lines
    of the cache, so that kernels need no copy."""
    if in_lines and distance.metric in ("cosine", "inner-product"):
        lines, prepared = _in_lines(distance, embeddings)
        missing, width = _missing(prepared), embeddings.shape[1]
        lines[:, width] = missing[:, 0].sqrt()
        return EuclideanForm(distance, lines[:, : width + 1], 1.0, (missing[:, 0] / 2).float(), lines=lines)
    prepared = distance.prepare_exactly(embeddings)
    if distance.metric in ("cosine", "inner-product"):
        missing = _missing(prepared)
        points = torch.cat([prepared, missing.sqrt().float()], 1)
        return EuclideanForm(distance, points, 1.0, (missing[:, 0] / 2).float())
    scale = _scale(prepared)
    return EuclideanForm(distance, prepared if scale == 1 else prepared * scale, scale, None)


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


def _in_lines(distance: Distance, embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D') prepared rows, and zeros behind them, at least one; and the rows alone, a part of it."""
    count, width = embeddings.shape
    lines = embeddings.new_empty(count, width + 1 + -(width + 1) % _LINE)
    lines[:, width:] = 0
    return lines, distance.prepare_exactly(embeddings, out=lines[:, :width])


def _missing(prepared: Tensor) -> Tensor:
    """(N, 1) float64: what the squares of rows (N, D) lack to 1; in parts, or it would take twice what the rows do."""
    count, width = prepared.shape
    step = max(1, _AT_ONCE // width)
    missing = prepared.new_empty((count, 1), dtype=torch.float64)
    room = prepared.new_empty((min(step, count), width), dtype=torch.float64)
    for start in range(0, count, step):
        here = missing[start : start + step]
        squares = room[: len(here)].copy_(prepared[start : start + step]).square_()
        torch.sum(squares, 1, keepdim=True, out=here)
    return missing.neg_().add_(1).clamp_min_(0)


def _scale(points: Tensor) -> float:
    """1, or the power of two that keeps squared differences inside float32."""
    largest = float(points.abs().max())
    if largest == 0 or 1 / _SAFE <= largest <= _SAFE:
        return 1.0
    return 2.0 ** -max(-126, min(126, round(math.log2(largest))))
