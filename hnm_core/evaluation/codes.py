"""Retrieval by binary codes. Few bits tie most items, and any order inside a tie is as good as another, so scores are
expectations over all of them (McSherry, Najork 2008), with the luckiest and the unluckiest order beside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.errors import InputError, described
from hnm_core.evaluation.expectation import expected, groups
from hnm_core.evaluation.nearest import Ties, checked
from hnm_core.isolation import isolated
from hnm_core.labels import check_labels

TILE_ENTRIES = 1_000_000
"""At most so many distances are held at once."""


@dataclass(frozen=True)
class CodeRetrieval:
    """Means over the queries that have another item of their class; NaN where no query has."""

    mean_average_precision: float
    """expected over the orders inside ties"""
    best_order: float
    worst_order: float
    map_at_r: float
    precision_at_1: float
    r_precision: float
    precision_in_radius: float
    """share of relevant ones among the items within `radius` bits; 0 where there is none"""
    radius: int
    bits: int
    queries: int


@isolated
def code_retrieval(codes: Tensor, labels: Tensor, *, radius: int = 2, queries: Tensor | None = None) -> CodeRetrieval:
    """Every query is compared with all other items by Hamming distance.

    Args:
        codes: (N, b) bool, or numbers whose signs are the bits (0 counts as positive).
        labels: (N,) integers.
        radius: of the Hamming ball of `precision_in_radius`.
        queries: (Q,) rows; None are all.

    Raises:
        InputError: shapes or types do not match, or codes that hold NaN, which has no sign.
    """
    if not isinstance(codes, Tensor) or codes.ndim != 2:
        raise InputError(f"Codes must be a tensor of shape (N, b), not {described(codes)}.")
    check_labels(labels, len(codes), "Labels")
    if bool(torch.isnan(codes).any()):
        raise InputError("Codes hold NaN, which has no sign; every bit needs one.")
    n, bits = codes.shape
    positive = codes if codes.dtype == torch.bool else codes >= 0
    query = checked(positive, labels, queries)
    sign = positive.double() * 2 - 1  # autocast leaves float64 alone
    _, own, counts = torch.unique(labels.to(sign.device), return_inverse=True, return_counts=True)
    usable = query[counts[own[query]] > 1]
    if not len(usable):
        nan = torch.nan
        return CodeRetrieval(nan, nan, nan, nan, nan, nan, nan, radius, bits, 0)
    sums = torch.zeros(7, dtype=torch.float64)
    for row in usable.split(max(1, TILE_ENTRIES // n)):
        apart = ((bits - sign[row] @ sign.T) / 2).round().long()
        apart.scatter_(1, row[:, None], bits + 1)  # the query itself goes last, and is cut off
        ordered, ranked = apart.sort(1)
        hit = own[ranked[:, :-1]] == own[row, None]
        sums += tie_scores(ordered[:, :-1], hit, radius).sum(0).cpu()
    average, best, worst, at_r, first, r_precision, near = (sums / len(usable)).tolist()
    return CodeRetrieval(average, best, worst, at_r, first, r_precision, near, radius, bits, len(usable))


def tie_scores(ordered: Tensor, hit: Tensor, radius: int) -> Tensor:
    """(Q, 7) float64 scores, in the order of `CodeRetrieval`, of rankings with ties.

    Args:
        ordered: (Q, n) int64 distances, ascending.
        hit: (Q, n) bool relevance, at least one a row; the order inside equal distances does not matter.
    """
    ordered = ordered.contiguous()
    place = torch.arange(1, ordered.shape[1] + 1, device=ordered.device, dtype=torch.float64).expand(ordered.shape)
    ties = Ties(torch.searchsorted(ordered, ordered, side="left"), torch.searchsorted(ordered, ordered, side="right"))
    share, earned = expected(hit, ties)
    before, in_group, size = groups(hit, ties)
    inside = place - ties.start  # i, from 1
    relevant = hit.sum(1).double()
    lucky = (inside <= in_group) * (before + inside) / place
    late = inside - (size - in_group)
    unlucky = (late > 0) * (before + late) / place
    first_r = place <= relevant[:, None]
    near = ordered <= radius
    near_count = near.sum(1).double()
    return torch.stack(
        (
            earned.sum(1) / relevant,
            lucky.sum(1) / relevant,
            unlucky.sum(1) / relevant,
            (earned * first_r).sum(1) / relevant,
            share[:, 0],
            (share * first_r).sum(1) / relevant,
            (hit & near).sum(1) / near_count.clamp(min=1),
        ),
        dim=1,
    )
