"""Scores of whole rankings: every query against all other items (leave one out)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.expectation import expected, expected_reciprocal
from hnm_core.evaluation.nearest import Ties, checked, nearest_first
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.evaluation.sought import sought_of
from hnm_core.isolation import isolated
from hnm_core.several_labels import SeveralLabels


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
    recall_at_k: float
    """hits among the first k, over R; not the share of queries with any hit there, which goes by the same name"""
    knn_accuracy: float
    """share of all queries whose k nearest others vote for their class; ties by summed distance, then by label"""
    k: int
    queries: int


@isolated
def ranking(
    embeddings: Tensor,
    labels: Tensor | SeveralLabels,
    distance: Distance | None = None,
    *,
    k: int = 5,
    queries: Tensor | None = None,
) -> Ranking:
    """Rank all others of each query by distance. Items at the same distance have no order: scores are the mean over all
    orders of them, that over hits the mean sum over the mean hits.

    Args:
        embeddings: (N, D), finite.
        labels: (N,) integers, or several an item, as there.
        distance: what near means; None is Euclidean.
        k: depth of map_at_k, map_over_hits_at_k and recall_at_k, and neighbours that vote.
        queries: (Q,) rows; None are all.

    Raises:
        InputError: as `hnm_core.evaluation.retrieval.retrieval`.
    """
    found = retrieval(embeddings, labels, distance, k=k, queries=queries)
    if not found.queries:
        nan = torch.nan
        return Ranking(nan, nan, nan, nan, nan, nan, nan, nan, found.knn_accuracy, k, 0)
    query = checked(embeddings, labels, queries)
    sought = sought_of(labels, query.device)
    sums = torch.zeros(6, dtype=torch.float64)
    query = query[sought.partners(query) > 0]
    for ranked in nearest_first(embeddings, distance or Distance(), query, len(labels) - 1):
        hit = sought.hits(ranked.query, ranked.row)
        sums += scores(hit, k, ranked.ties).sum(0).cpu()
    r_precision, average, at_k, over_hits, reciprocal, recall = (sums / found.queries).tolist()
    return Ranking(
        found.precision_at_1,
        r_precision,
        found.map_at_r,
        average,
        at_k,
        over_hits,
        reciprocal,
        recall,
        found.knn_accuracy,
        k,
        found.queries,
    )


def scores(hit: Tensor, k: int, ties: Ties | None = None) -> Tensor:
    """(Q, 6) float64 of (Q, n) relevance in ranked order, at least one hit a row: R-precision, average precision over
    R, the same cut at k, the same cut at k over the hits there, reciprocal rank of the first hit, hits
    among the first k over R."""
    if hit.ndim != 2 or not bool(hit.any(1).all()):
        raise InputError("Each ranking needs at least one relevant item.")
    place = torch.arange(1, hit.shape[1] + 1, device=hit.device)
    relevant = hit.sum(1)
    share, earned = expected(hit, ties)
    hits_at_k, earned_at_k = share[:, :k].sum(1), earned[:, :k].sum(1)
    return torch.stack(
        (
            (share * (place <= relevant[:, None])).sum(1) / relevant,
            earned.sum(1) / relevant,
            earned_at_k / relevant,
            earned_at_k / hits_at_k.masked_fill(hits_at_k == 0, 1),
            expected_reciprocal(hit, ties),
            hits_at_k / relevant,
        ),
        dim=1,
    )
