"""How good the negatives of an approximate search are, against the exact ones, on the same anchors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.neighbors.base import NeighborSearch
from hnm_core.neighbors.found import Neighbors

TOLERANCE = 1e-4
"""A found row counts as a neighbour up to this relative excess over the k-th exact distance: proof against ties."""


@dataclass(frozen=True)
class MiningQuality:
    """Means over the probed anchors that have a negative at all; NaN where there is none."""

    recall: float
    """found rows with d <= d_k,exact (1 + TOLERANCE), as a share of the exact rows"""
    distance_ratio: float
    """mean of d_found / d_exact rank by rank, at least 1; ranks with d_exact = 0 or nothing found are left out"""
    hardness_regret: float
    """mean of d_found - d_exact of the nearest negative, at least 0; anchors with nothing found are left out"""
    without_candidate: float
    """share of the anchors for which nothing was found although there is a negative"""
    anchors: int
    """anchors that have a negative"""


@dataclass(frozen=True)
class UsedQuality:
    """Means over negatives that were handed out; NaN where there are none."""

    recall: float
    """share of them that are among the k nearest, by rank or by distance: d <= d_k,exact (1 + TOLERANCE)"""
    regret: float
    """mean of their distance less that of the nearest, at least 0"""


def judge(row: Tensor, distance: Tensor, exact: Neighbors) -> UsedQuality:
    """Quality of (M,) negatives at such distances from their anchors, against the (M, k) exact nearest of these."""
    if not len(row):
        return UsedQuality(torch.nan, torch.nan)
    d_used, d_exact, there = distance.double(), exact.distance.double(), exact.row >= 0
    kth = d_exact.masked_fill(~there, -torch.inf).max(1).values
    hit = (d_used <= kth + TOLERANCE * kth.abs()) | (exact.row == row[:, None]).any(1)
    return UsedQuality(
        recall=float(hit.double().mean()),
        regret=float((d_used - d_exact[:, 0]).clamp_min(0).mean()),
    )


def probe(search: NeighborSearch, exact: NeighborSearch, anchors: Tensor, k: int) -> MiningQuality:
    """Ask both searches, built on the same bank, for the k nearest negatives of the (Q,) anchor rows and compare."""
    return compare(search.nearest_negatives(anchors, k), exact.nearest_negatives(anchors, k))


def compare(found: Neighbors, exact: Neighbors) -> MiningQuality:
    """Quality of (Q, k) found neighbours against the (Q, k) exact ones of the same anchors."""
    usable = exact.row[:, 0] >= 0
    d_found, d_exact = found.distance[usable].double(), exact.distance[usable].double()
    there, wanted = found.row[usable] >= 0, exact.row[usable] >= 0
    if not len(d_exact):
        return MiningQuality(torch.nan, torch.nan, torch.nan, torch.nan, 0)
    kth = d_exact.masked_fill(~wanted, -torch.inf).max(1, keepdim=True).values
    hits = (there & (d_found <= kth + TOLERANCE * kth.abs())).sum(1).minimum(wanted.sum(1))
    both = there & wanted & (d_exact > 0)
    nearest = there[:, 0]
    return MiningQuality(
        recall=float(hits.sum().float() / wanted.sum()),
        distance_ratio=float((d_found[both] / d_exact[both]).mean()),
        hardness_regret=float((d_found[nearest, 0] - d_exact[nearest, 0]).mean().clamp_min(0)),
        without_candidate=float((~there.any(1)).double().mean()),
        anchors=len(d_exact),
    )


def worst_misses(found: Neighbors, exact: Neighbors) -> Tensor:
    """(M,) int64, of which of Q anchors the nearest negative was not found: neither itself nor another one as near.

    Those for which nothing was found come first, then by how much farther the nearest found is, the farthest first.
    """
    d_found, d_exact = found.distance[:, 0].double(), exact.distance[:, 0].double()
    near = d_found <= d_exact + TOLERANCE * d_exact.abs()
    returned = (found.row == exact.row[:, :1]).any(1)
    missed = ((exact.row[:, 0] >= 0) & ~near & ~returned).nonzero()[:, 0]
    excess = (d_found - d_exact)[missed]
    return missed[excess.sort(descending=True, stable=True).indices]
