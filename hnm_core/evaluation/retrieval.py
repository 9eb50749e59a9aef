"""How well items retrieve their own class: precision@1, MAP@R, kNN accuracy (Musgrave et al., arXiv 2003.08505)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from hnm_core.distances import Distance, check_range
from hnm_core.errors import InputError, described
from hnm_core.isolation import isolated
from hnm_core.labels import check_labels

TILE_ENTRIES = 4_000_000
"""At most so many distances are held at once."""


@dataclass(frozen=True)
class Retrieval:
    """Means over the queries that have at least one other item of their class; NaN when no query has."""

    precision_at_1: float
    """share of queries whose nearest other item is of their class"""
    map_at_r: float
    """mean over queries of (1/R) sum of P(i) rel_i for i <= R, R = other items of the class"""
    knn_accuracy: float
    """share of all items whose k nearest others vote for their class: uniform vote, ties by smaller summed distance,
    then by smaller label"""
    queries: int
    """items with a partner"""
    skipped: int
    """items without one"""


@isolated
def retrieval(embeddings: Tensor, labels: Tensor, distance: Distance | None = None, *, k: int = 5) -> Retrieval:
    """Leave-one-out retrieval inside one set: every item queries all others.

    Args:
        embeddings: (N, D), finite.
        labels: (N,) integers.
        distance: what near means; None is Euclidean. Equal distances are ranked by row.
        k: neighbours that vote.

    Raises:
        InputError: shapes do not match, labels are no integers, k is no whole number of at least 1, or embeddings are
            not finite or so long that distances leave float32.
    """
    if not isinstance(embeddings, Tensor) or embeddings.ndim != 2:
        raise InputError(f"Embeddings must be a tensor of shape (N, D), not {described(embeddings)}.")
    check_labels(labels, len(embeddings))
    if not isinstance(k, Integral) or k < 1:
        raise InputError(f"k = {k} is not allowed: it must be a whole number of at least 1.")
    if not bool(torch.isfinite(embeddings).all()):
        raise InputError("Embeddings hold NaN or infinity; retrieval needs finite numbers.")
    n = len(labels)
    distance, rows = distance or Distance(), embeddings.float()
    check_range(distance, rows, squares=True)
    prepared = distance.prepare_exactly(rows)
    _, own, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    partners = counts[own] - 1
    usable = partners > 0
    if n < 2 or not bool(usable.any()):
        return Retrieval(torch.nan, torch.nan, torch.nan, 0, n)
    depth = min(n - 1, max(int(partners.max()), k))
    first = average = votes = 0.0
    tile = max(1, TILE_ENTRIES // n)
    for start in range(0, n, tile):
        rows = torch.arange(start, min(start + tile, n), device=prepared.device)
        values, ranked = ranked_others(distance.prepared_pairwise(prepared[rows], prepared), rows, depth)
        hit = own[ranked] == own[rows, None]
        ok, r = usable[rows], partners[rows]
        first += float((hit[:, 0] & ok).sum())
        place = torch.arange(1, depth + 1, device=prepared.device)
        precision = hit.cumsum(1).float() / place
        inside = hit & (place <= r[:, None])
        average += float(((precision * inside).sum(1) / r.clamp(min=1))[ok].double().sum())
        votes += float((_vote(own[ranked[:, :k]], values[:, :k], len(counts)) == own[rows]).sum())
    queries = int(usable.sum())
    return Retrieval(first / queries, average / queries, votes / n, queries, n - queries)


def ranked_others(distances: Tensor, rows: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    """(values, rows) of the `depth` nearest others of each row, equal distances by row."""
    n = distances.shape[1]
    bits = (distances + 0.0).contiguous().view(torch.int32).long()  # + 0.0 turns -0.0 into 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)  # floats compare as integers once negatives are flipped
    keys = (ordered << 32) | torch.arange(n, device=distances.device)
    keys.scatter_(1, rows[:, None], torch.iinfo(torch.int64).max)
    best = keys.topk(depth, dim=1, largest=False, sorted=True).values
    ranked = best & 0xFFFFFFFF
    return distances.gather(1, ranked), ranked


def _vote(neighbor_class: Tensor, values: Tensor, n_classes: int) -> Tensor:
    """(Q,) class with most votes; ties by smaller summed distance, then by smaller class."""
    same = neighbor_class[:, :, None] == neighbor_class[:, None, :]
    count = same.sum(2)
    summed = (same * values[:, None, :]).sum(2)
    best_count = count == count.max(1, keepdim=True).values
    summed = summed.masked_fill(~best_count, torch.inf)
    nearest = best_count & (summed <= summed.min(1, keepdim=True).values)
    return neighbor_class.masked_fill(~nearest, n_classes).min(1).values
