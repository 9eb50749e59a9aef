"""Scores of whole rankings: every item queries all others (leave one out)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.retrieval import TILE_ENTRIES, ranked_others, retrieval
from hnm_core.isolation import isolated


@dataclass(frozen=True)
class Ranking:
    """Means over the queries that have another item of their class; R is how many it has. NaN where no query has."""

    precision_at_1: float
    r_precision: float
    """hits among the first R, over R"""
    map_at_r: float
    """(1/R) sum of P(i) rel_i over i <= R"""
    mean_average_precision: float
    """(1/R) sum of P(i) rel_i over the whole ranking"""
    map_at_k: float
    """(1/R) sum of P(i) rel_i over i <= k; the divisor stays R, as in pytorch-metric-learning"""
    map_over_hits_at_k: float
    """sum of P(i) rel_i over i <= k, over the hits among them; flatters, as it forgets what was not found"""
    mean_reciprocal_rank: float
    """1 / rank of the first hit"""
    knn_accuracy: float
    """share of all items whose k nearest others vote for their class; ties by summed distance, then by label"""
    k: int
    queries: int


@isolated
def ranking(embeddings: Tensor, labels: Tensor, distance: Distance | None = None, *, k: int = 5) -> Ranking:
    """Rank all others of each item by distance, equal distances by row.

    Args:
        embeddings: (N, D), finite.
        labels: (N,) integers.
        distance: what near means; None is Euclidean.
        k: depth of map_at_k and map_over_hits_at_k, and neighbours that vote.

    Raises:
        InputError: as `hnm_core.evaluation.retrieval.retrieval`.
    """
    found = retrieval(embeddings, labels, distance, k=k)
    n = len(labels)
    if not found.queries:
        nan = torch.nan
        return Ranking(nan, nan, nan, nan, nan, nan, nan, found.knn_accuracy, k, 0)
    distance = distance or Distance()
    prepared = distance.prepare_exactly(embeddings.detach().float())
    _, own, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = torch.zeros(5, dtype=torch.float64)
    for start in range(0, n, tile := max(1, TILE_ENTRIES // n)):
        row = torch.arange(start, min(start + tile, n), device=prepared.device)
        row = row[counts[own[row]] > 1]
        if len(row):
            _, ranked = ranked_others(distance.prepared_pairwise(prepared[row], prepared), row, n - 1)
            hit = own[ranked] == own[row, None]
            sums += scores(hit, k).double().sum(0).cpu()
    r_precision, average, at_k, over_hits, reciprocal = (sums / found.queries).tolist()
    return Ranking(
        found.precision_at_1,
        r_precision,
        found.map_at_r,
        average,
        at_k,
        over_hits,
        reciprocal,
        found.knn_accuracy,
        k,
        found.queries,
    )


def scores(hit: Tensor, k: int) -> Tensor:
    """(Q, 5) of (Q, n) relevance in ranked order, at least one hit a row: R-precision, average precision over R, the
    same cut at k, the same cut at k over the hits there, reciprocal rank of the first hit."""
    if hit.ndim != 2 or not bool(hit.any(1).all()):
        raise InputError("Each ranking needs at least one relevant item.")
    place = torch.arange(1, hit.shape[1] + 1, device=hit.device)
    relevant = hit.sum(1)
    earned = hit * (hit.cumsum(1) / place.double())
    hits_at_k = hit[:, :k].sum(1)
    return torch.stack(
        (
            (hit & (place <= relevant[:, None])).sum(1).float() / relevant,
            earned.sum(1) / relevant,
            earned[:, :k].sum(1) / relevant,
            earned[:, :k].sum(1) / hits_at_k.clamp(min=1),
            1 / (hit.int().argmax(1) + 1).double(),
        ),
        dim=1,
    )
