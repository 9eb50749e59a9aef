"""How far a network has moved since the whole set was last embedded, on a fixed probe."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.isolation import isolated
from hnm_core.neighbors.hashing import Hash
from hnm_core.neighbors.selection import smallest

PROBE = 512
"""Items that are watched."""

HASH_BITS = 256
LIST_LENGTH = 10

FLIPS_LIMIT, MOVE_LIMIT, LOST_LIMIT = 0.05, 0.1, 0.3
"""What each measure may reach before the embeddings count as stale."""


class Drift(NamedTuple):
    """Three views of the same movement, each 0 where nothing has moved."""

    flips: float
    """share of the bits of a centred sign hash that changed; delta / pi where every vector turned by delta"""
    move: float
    """mean distance moved over the mean distance of two items now; inf where they now lie on one spot"""
    lost: float
    """share of the nearest negatives inside the probe that are others now"""

    @property
    def of_limit(self) -> float:
        """The largest of the three as a share of its limit: from 1 on the embeddings are stale."""
        return max(self.flips / FLIPS_LIMIT, self.move / MOVE_LIMIT, self.lost / LOST_LIMIT)


@isolated
def drift(then: Tensor, now: Tensor, labels: Tensor, distance: Distance) -> Drift:
    """Compare (P, D) embeddings of the probe then and now, with their (P,) labels."""
    before, after = distance.prepare_exactly(then.float()), distance.prepare_exactly(now.float())
    bits = Hash("sign", HASH_BITS, then.shape[1], seed=0)
    bits.fit(before, center=True)
    was = bits.bits_of(before)
    bits.fit(after, center=True)
    flips = float((was != bits.bits_of(after)).double().mean())
    moved = float((after - before).double().norm(dim=1).mean())
    apart = _mean_distance(after)
    move = moved / apart if apart > 0 else (torch.inf if moved > 0 else 0.0)
    return Drift(flips, move, _lost(before, after, labels, distance))


def _mean_distance(points: Tensor) -> float:
    """Mean Euclidean distance of two different items; 0 for a single one."""
    if len(points) < 2:
        return 0.0
    distances = Distance().pairwise(points.double(), points.double())
    return float(distances.sum() / (len(points) * (len(points) - 1)))


def _lost(before: Tensor, after: Tensor, labels: Tensor, distance: Distance) -> float:
    same = labels[:, None] == labels[None, :]
    was, now = (_nearest(points, same, distance) for points in (before, after))
    listed = int(was.sum())
    return 1 - int((was & now).sum()) / listed if listed else 0.0


def _nearest(points: Tensor, same: Tensor, distance: Distance) -> Tensor:
    """(P, P) bool, which items are among the nearest negatives of each."""
    table = distance.prepared_pairwise(points, points).masked_fill(same, torch.inf)
    best, column = smallest(table, min(LIST_LENGTH, len(points)))
    return torch.zeros_like(same).scatter_(1, column, best.isfinite())
