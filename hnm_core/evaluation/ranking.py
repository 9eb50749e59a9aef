"""Scores of whole rankings: R-precision, mean average precision with its several divisors, reciprocal rank.

Musgrave et al. 2020 (arXiv 2003.08505) for R-precision and MAP@R; the divisors are those of methods in use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.retrieval import TILE_ENTRIES, ranked, same_class_counts


@dataclass(frozen=True)
class RankingScores:
    """Means over the queries (micro average) that have anything relevant; NaN where none has.

    R is the number of relevant references of a query, rel_i says whether the i-th of its ranking is relevant, P(i) is
    the share of relevant ones among the first i.
    """

    precision_at_1: float
    """rel_1"""
    r_precision: float
    """relevant ones among the first R, divided by R"""
    map_at_r: float
    """(1/R) sum of P(i) rel_i for i <= R"""
    mean_average_precision: float
    """(1/R) sum of P(i) rel_i over the whole ranking"""
    map_at_k: float
    """(1/R) sum of P(i) rel_i for i <= k: divided by R also where k < R"""
    map_over_hits_at_k: float
    """sum of P(i) rel_i for i <= k, divided by the relevant ones among the first k; 0 where there are none.
    It flatters: what was not found costs nothing."""
    mrr_at_k: float
    """1 / rank of the first relevant one, 0 where there is none among the first k"""
    k: int
    """the cut of the three above"""
    queries: int
    skipped: int
    """queries without anything relevant"""


def rank_scores(
    embeddings: Tensor, labels: Tensor, distance: Distance | None = None, *, k: int | None = None
) -> RankingScores:
    """Leave-one-out: every item ranks all others by distance, equal distances by row.

    Args:
        embeddings: (N, D), finite.
        labels: (N,) integers.
        distance: what near means; None is Euclidean.
        k: cut of the scores that have one; None ranks all.

    Raises:
        InputError: shapes do not match, k < 1, or non-finite embeddings.
    """
    own, partners = same_class_counts(embeddings, labels)
    n = len(own)
    if k is not None and k < 1:
        raise InputError(f"k = {k} is not allowed: at least 1.")
    if n < 2:
        return mean_scores(torch.zeros((0, 1), dtype=torch.bool), torch.zeros(0, dtype=torch.int64), k, skipped=n)
    distance = distance or Distance()
    prepared = distance.prepare(embeddings.detach().float())
    parts, weights = [], []
    tile = max(1, TILE_ENTRIES // n)
    for start in range(0, n, tile):
        rows = torch.arange(start, min(start + tile, n), device=prepared.device)
        _, places = ranked(distance.prepared_pairwise(prepared[rows], prepared), rows, n - 1)
        parts.append(scores_of(own[places] == own[rows, None], partners[rows], k))
        weights.append(partners[rows] > 0)
    return _mean(torch.cat(parts, 1), torch.cat(weights), k or n - 1)


def mean_scores(relevant: Tensor, total: Tensor, k: int | None = None, *, skipped: int = 0) -> RankingScores:
    """The scores of rankings that are at hand.

    Args:
        relevant: (Q, L) bool, nearest first; a ranking may be cut off.
        total: (Q,) R, which counts also what lies below the cut. 0 leaves the query out.
        k: as in `rank_scores`; None is L.
        skipped: queries without anything relevant that are not among these.
    """
    found = _mean(scores_of(relevant, total, k), total > 0, k or relevant.shape[1])
    return replace(found, skipped=found.skipped + skipped)


def scores_of(relevant: Tensor, total: Tensor, k: int | None = None) -> Tensor:
    """(7, Q) float64 scores of each query, in the order of the fields of `RankingScores`.

    Arguments as in `mean_scores`; a query without anything relevant scores 0 throughout.
    """
    place = torch.arange(1, relevant.shape[1] + 1, device=relevant.device)
    hits = relevant.cumsum(1)
    gain = (hits / place.double()) * relevant
    r = total[:, None]
    divisor = total.clamp(min=1).double()
    in_r, in_k = place <= r, place <= (k if k is not None else relevant.shape[1])
    hits_in_k = (relevant & in_k).sum(1)
    first = torch.where(relevant & in_k, place, torch.iinfo(torch.int64).max).min(1).values
    return torch.stack(
        [
            relevant[:, 0].double(),
            (relevant & in_r).sum(1) / divisor,
            (gain * in_r).sum(1) / divisor,
            gain.sum(1) / divisor,
            (gain * in_k).sum(1) / divisor,
            (gain * in_k).sum(1) / hits_in_k.clamp(min=1),
            torch.where(hits_in_k > 0, 1 / first.double(), 0.0),
        ]
    )


def _mean(scores: Tensor, usable: Tensor, k: int) -> RankingScores:
    queries = int(usable.sum())
    values = [float(value) for value in scores[:, usable].mean(1)] if queries else [torch.nan] * len(scores)
    p1, r_precision, map_at_r, full, at_k, over_hits, mrr = values
    return RankingScores(p1, r_precision, map_at_r, full, at_k, over_hits, mrr, k, queries, len(usable) - queries)
