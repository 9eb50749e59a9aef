"""What an approximate search missed of the true nearest negatives of a probe, as it is told of a run."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.evaluation.mining_quality import MiningQuality, worst_misses
from hnm_core.neighbors.base import ExplainsMisses, Hashing, NeighborSearch
from hnm_core.neighbors.found import Neighbors
from hnm_core.relevance import Query
from hnm_core.run.events import MAX_MISSES, MAX_PLANES, Misses, frozen
from hnm_core.run.misses import Buckets, occupied


class Measured(NamedTuple):
    """What was measured of a lane at a step."""

    metrics: dict[str, float]
    """By name, see `hnm_core.run.events.METRICS`; empty where the embeddings are not finite."""
    misses: Misses | None = None
    """What its approximate search missed, where it has one."""


class Probed(NamedTuple):
    """What a search and an exact one beside it returned for P anchors."""

    query: Query
    """The anchors as the search was asked about them."""
    found: Neighbors
    """(P, k) what the search returned"""
    true: Neighbors
    """(P, k) what there is"""
    anchor_id: Tensor
    """(P,) int64, the anchors as the run calls them"""
    row_id: Tensor
    """(N,) int64, likewise the rows of the bank"""


def figures_of(quality: MiningQuality) -> dict[str, float]:
    """By name, see `hnm_core.run.events.METRICS`; what is no finite number is left out."""
    named = {
        "mining_recall": quality.recall,
        "distance_ratio": quality.distance_ratio,
        "hardness_regret": quality.hardness_regret,
        "no_candidate": quality.without_candidate,
    }
    return {name: value for name, value in named.items() if math.isfinite(value)}


def misses_of(lane: str, step: int, search: NeighborSearch, probed: Probed) -> Misses:
    """What `search` missed of the true nearest negatives, and why if it can tell."""
    query, found, true, anchor_id, row_id = probed
    missed = worst_misses(found, true)
    told = missed[:MAX_MISSES]
    nearest, instead = true.row[told, 0], found.row[told, 0]
    there = instead >= 0
    reason = search.why_missed(query.at(told), nearest) if isinstance(search, ExplainsMisses) and len(told) else None
    return Misses(
        lane,
        step,
        probed=int((true.row[:, 0] >= 0).sum()),
        total=len(missed),
        anchors=_array(anchor_id[told]),
        nearest=_array(row_id[nearest]),
        nearest_distance=_array(true.distance[told, 0].double()),
        found=_array(row_id[instead.clamp_min(0)].masked_fill(~there, -1)),
        found_distance=_array(found.distance[told, 0].double().masked_fill(~there, torch.nan)),
        reason=reason,
        buckets=_buckets(search),
    )


def _buckets(search: NeighborSearch) -> Buckets | None:
    """How the last search's buckets are filled; None where it does not hash."""
    if not isinstance(search, Hashing) or not search.hashes or search.compared is None or not len(search.compared):
        return None
    sizes = search.bucket_of_row(0).bincount().cpu().numpy()
    sizes, compared = sizes[sizes > 0], search.compared.double()
    cuts = search.cuts(MAX_PLANES)
    return Buckets(
        used=len(sizes),
        largest=int(sizes.max()),
        histogram=frozen(occupied(sizes)),
        compared_mean=float(compared.mean()),
        compared_p95=float(compared.quantile(0.95)),
        planes=_array(cuts.flatten() if cuts.shape[1] == 4 else cuts.new_zeros(0)),
    )


def _array(values: Tensor) -> NDArray[Any]:
    return frozen(values.cpu().numpy())
