"""How well binary codes retrieve. Few bits make many ties, so scores are expectations over all orders of the tied.

The tie-aware average precision is that of McSherry and Najork (ECIR 2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.errors import InputError

TILE_ENTRIES = 4_000_000
"""At most so many distances are held at once."""


@dataclass(frozen=True)
class HammingRetrieval:
    """Means over the queries (micro average) that have another item of their class; NaN where none has.

    Items at the same Hamming distance are tied; all but the best and worst case are expectations over their orders.
    """

    mean_average_precision: float
    """(1/R) sum of P(i) rel_i over the whole ranking"""
    map_best: float
    """the same where of the tied the relevant ones come first"""
    map_worst: float
    """the same where they come last"""
    map_at_r: float
    """(1/R) sum of P(i) rel_i for i <= R"""
    precision_at_1: float
    r_precision: float
    precision_within_radius: float
    """share of relevant ones among the items within `radius` bits; 0 for a query that has none there"""
    radius: int
    queries: int
    skipped: int
    """items without another one of their class"""


def codes_of(embeddings: Tensor) -> Tensor:
    """(N, D) bool: True where a coordinate is 0 or more."""
    return embeddings >= 0


def hamming_retrieval(codes: Tensor, labels: Tensor, *, radius: int = 2) -> HammingRetrieval:
    """Leave-one-out retrieval inside one set of codes, by Hamming distance.

    Args:
        codes: (N, bits) bool, or numbers of which those of 0 or more are set bits.
        labels: (N,) integers.
        radius: bits, for `precision_within_radius`.

    Raises:
        InputError: shapes do not match, NaN, or a negative radius.
    """
    if codes.ndim != 2 or labels.shape != codes.shape[:1] or labels.is_floating_point():
        raise InputError(
            f"Need (N, bits) codes and (N,) integer labels, not {tuple(codes.shape)}, {tuple(labels.shape)}."
        )
    if radius < 0:
        raise InputError(f"radius = {radius} is not allowed: 0 or more bits.")
    if codes.is_floating_point() and bool(codes.isnan().any()):
        raise InputError("Codes hold NaN; bits need numbers with a sign.")
    n, bits = codes.shape
    signs = (codes if codes.dtype == torch.bool else codes_of(codes)).float() * 2 - 1
    _, own = torch.unique(labels, return_inverse=True)
    parts, relevant_parts = [], []
    tile = max(1, TILE_ENTRIES // max(1, n))
    for start in range(0, n, tile):
        rows = torch.arange(start, min(start + tile, n), device=codes.device)
        distances = ((bits - signs[rows] @ signs.T) / 2).long()  # whole numbers, exact in float32 below 2**24 bits
        distances.scatter_(1, rows[:, None], bits + 1)  # the query itself, beyond all others
        same = own[rows, None] == own[None, :]
        sizes, hits = (
            torch.zeros((len(rows), bits + 2), dtype=torch.float64, device=codes.device).scatter_add_(
                1, distances, weight.double()
            )[:, : bits + 1]
            for weight in (torch.ones_like(same), same)
        )
        inside_sizes, inside_hits = sizes[:, : radius + 1].sum(1), hits[:, : radius + 1].sum(1)
        parts.append(torch.cat([tied_scores(sizes, hits), (inside_hits / inside_sizes.clamp(min=1))[None]]))
        relevant_parts.append(hits.sum(1) > 0)
    usable = torch.cat(relevant_parts) if parts else torch.zeros(0, dtype=torch.bool)
    queries = int(usable.sum())
    values = torch.cat(parts, 1)[:, usable].mean(1).tolist() if queries else [torch.nan] * 7
    expected, best, worst, map_at_r, p1, r_precision, within = values
    return HammingRetrieval(expected, best, worst, map_at_r, p1, r_precision, within, radius, queries, n - queries)


def tied_scores(sizes: Tensor, hits: Tensor) -> Tensor:
    """Scores of rankings that are known up to ties.

    Args:
        sizes: (Q, T) items of each group of tied ones, nearest group first; groups may be empty.
        hits: (Q, T) relevant ones among them.

    Returns:
        (6, Q) float64: average precision expected, best and worst; MAP@R, precision@1 and R-precision expected. All
        are divided by R, the relevant ones in all groups; a query without any scores 0.
    """
    size, hit = sizes.double(), hits.double()
    before, hits_before = size.cumsum(1) - size, hit.cumsum(1) - hit
    r = hit.sum(1, keepdim=True)
    harmonic = _harmonic(int(size.sum(1).max()) if size.numel() else 0, size.device)

    def between(low: Tensor, high: Tensor) -> Tensor:
        """1 / (low + 1) + ... + 1 / high."""
        return harmonic[high.long()] - harmonic[low.long()]

    def expected(length: Tensor) -> Tensor:
        """Expected sum of P(i) rel_i over the first `length` places of each group."""
        inverse = between(before, before + length)
        pair = (hit - 1).clamp(min=0) / (size - 1).clamp(min=1)
        share = hit / size.clamp(min=1)
        return share * ((hits_before + 1) * inverse + pair * (length - (before + 1) * inverse))

    last = size - hit
    best = hit + (hits_before - before) * between(before, before + hit)
    worst = hit + (hits_before - before - last) * between(before + last, before + size)
    in_r = (r - before).clamp(min=0).minimum(size)
    first = (size > 0) & (before == 0)
    share = hit / size.clamp(min=1)
    sums = [expected(size), best, worst, expected(in_r), share * first * r, share * in_r]
    return torch.stack([(values.sum(1) / r.clamp(min=1)[:, 0]) for values in sums])


def _harmonic(n: int, device: torch.device) -> Tensor:
    """(n + 1,) 0, 1, 1 + 1/2, ... in float64."""
    inverse = 1 / torch.arange(1, n + 1, dtype=torch.float64, device=device)
    return torch.cat([inverse.new_zeros(1), inverse.cumsum(0)])
