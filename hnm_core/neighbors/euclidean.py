"""Metrics as squared Euclidean distances, so that one search serves them all."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.distances import Distance, Metric

MAX_TREE_DIM = 8
"""Above it a tree of boxes prunes too little to beat the tiled products."""

_SAFE = 1e15
"""Coordinates within 1 / _SAFE .. _SAFE are left as they are: their squares fit float32."""


@dataclass(frozen=True)
class EuclideanForm:
    """Points and anchors whose squared Euclidean distances sort as the metric does.

    On the sphere 1 - s = d^2 / 2, but prepared rows are shorter than 1 where the embedding is short (a zero row stays
    zero). So for cosine a point gets one more coordinate, sqrt(1 - |x|^2), and an anchor gets 0 there:
    d^2 = |q|^2 + 1 - 2 s holds for every length.
    """

    metric: Metric
    points: Tensor
    """(N, D) or, for cosine, (N, D + 1) float32."""
    queries: Tensor
    """The same rows as anchors; `points` itself unless the metric is cosine."""
    scale: float
    """Power of two that the coordinates were multiplied with."""
    offset: Tensor | None
    """(N,) float32, for cosine: (1 - |q|^2) / 2."""

    def distance(self, squared: Tensor, anchors: Tensor) -> Tensor:
        """Distances from (Q, k) squared distances of anchors (Q,); overwrites `squared`. Infinity stays."""
        if self.offset is not None:
            return squared.mul_(0.5).add_(self.offset[anchors, None])
        if self.metric == "euclidean":
            return squared.sqrt_().div_(self.scale) if self.scale != 1 else squared.sqrt_()
        return squared.div_(self.scale).div_(self.scale) if self.scale != 1 else squared


def euclidean_form(distance: Distance, embeddings: Tensor) -> EuclideanForm:
    """The form of embeddings (N, D) float32 under any metric but the inner product."""
    prepared = distance.prepare(embeddings)
    if distance.metric == "cosine":
        missing = (1 - prepared.double().square().sum(1, keepdim=True)).clamp_min_(0)
        points = torch.cat([prepared, missing.sqrt().float()], 1)
        queries = torch.cat([prepared, torch.zeros_like(points[:, :1])], 1)
        return EuclideanForm(distance.metric, points, queries, 1.0, (missing[:, 0] / 2).float())
    scale = _scale(prepared)
    points = prepared if scale == 1 else prepared * scale
    return EuclideanForm(distance.metric, points, points, scale, None)


def _scale(points: Tensor) -> float:
    """1, or the power of two that keeps squared differences inside float32."""
    largest = float(points.abs().max())
    if largest == 0 or 1 / _SAFE <= largest <= _SAFE:
        return 1.0
    return 2.0 ** -max(-126, min(126, round(math.log2(largest))))
