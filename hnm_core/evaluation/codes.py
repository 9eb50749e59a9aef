"""Retrieval by binary codes. Few bits tie most items, and any order inside a tie is as good as another, so scores are
expectations over all of them (McSherry, Najork 2008), with the luckiest and the unluckiest order beside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.errors import InputError, described
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
def code_retrieval(codes: Tensor, labels: Tensor, *, radius: int = 2) -> CodeRetrieval:
    """Every item queries all others by Hamming distance.

    Args:
        codes: (N, b) bool, or numbers whose signs are the bits (0 counts as positive).
        labels: (N,) integers.
        radius: of the Hamming ball of `precision_in_radius`.

    Raises:
        InputError: shapes do not match, labels are no integers, or codes hold NaN.
    """
    if not isinstance(codes, Tensor) or codes.ndim != 2:
        raise InputError(f"Codes must be a tensor of shape (N, b), not {described(codes)}.")
    check_labels(labels, len(codes))
    broken = int(codes.isnan().any(1).sum())
    if broken:
        raise InputError(f"{broken} of {len(codes)} codes hold NaN, which is no bit.")
    n, bits = codes.shape
    sign = (codes if codes.dtype == torch.bool else codes >= 0).float() * 2 - 1
    _, own, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    usable = torch.nonzero(counts[own] > 1)[:, 0] if n else torch.zeros(0, dtype=torch.int64)
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
    n = ordered.shape[1]
    ordered = ordered.contiguous()
    place = torch.arange(1, n + 1, device=ordered.device, dtype=torch.float64).expand(ordered.shape)
    start = torch.searchsorted(ordered, ordered, side="left")
    end = torch.searchsorted(ordered, ordered, side="right")
    hits_so_far = torch.nn.functional.pad(hit.cumsum(1), (1, 0)).double()
    before = hits_so_far.gather(1, start)  # R_0, hits before the group of each place
    in_group = hits_so_far.gather(1, end) - before  # r_t
    size = (end - start).double()  # n_t
    inside = place - start  # i, from 1
    relevant = hit.sum(1).double()
    share = in_group / size
    others = (inside - 1) * (in_group - 1) / (size - 1).clamp(min=1)
    expected = share * (before + 1 + others) / place
    lucky = (inside <= in_group) * (before + inside) / place
    late = inside - (size - in_group)
    unlucky = (late > 0) * (before + late) / place
    first_r = place <= relevant[:, None]
    near = ordered <= radius
    near_count = near.sum(1).double()
    return torch.stack(
        (
            expected.sum(1) / relevant,
            lucky.sum(1) / relevant,
            unlucky.sum(1) / relevant,
            (expected * first_r).sum(1) / relevant,
            share[:, 0],
            (share * first_r).sum(1) / relevant,
            (hit & near).sum(1) / near_count.clamp(min=1),
        ),
        dim=1,
    )
