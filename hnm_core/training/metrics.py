"""What a lane is measured by while it trains, outside the clock: retrieval, spread, and mining recall."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.evaluation.mining_quality import probe
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.neighbors.base import NeighborSearch
from hnm_core.seeding import generator
from hnm_core.training.setup import Shared

PROBE = 512
"""Anchors on which the mining recall is measured."""


class LaneMetrics:
    """Measures one lane every `eval_every` steps and after its last."""

    def __init__(self, shared: Shared, distance: Distance, embed: Callable[[Tensor], Tensor]) -> None:
        self._shared, self._distance, self._embed = shared, distance, embed
        self._probe_row = torch.randperm(shared.trained, generator=generator(shared.config.seed, "probe"))
        self._probe_row = self._probe_row[:PROBE].to(shared.device)
        self.first_spread = _mean_distance(self._evaluated())
        """Root mean square distance of two evaluated items before the first step."""

    def due(self, step: int) -> bool:
        """Whether `step` is measured."""
        config = self._shared.config
        return step % config.eval_every == 0 or step == config.steps

    def measure(self, search: NeighborSearch | None, k: int) -> dict[str, float]:
        """The metrics now, by name; `search` is the lane's approximate search, None where it has none."""
        embeddings = self._evaluated()
        if not bool(torch.isfinite(embeddings).all()):
            return {}
        found = retrieval(embeddings, self._shared.y[self._shared.evaluated_row], self._distance)
        measured = {
            "precision_at_1": found.precision_at_1,
            "map_at_r": found.map_at_r,
            "knn_accuracy": found.knn_accuracy,
            "mean_distance": _mean_distance(embeddings),
        }
        if search is not None:
            measured |= self._mining_quality(search, k)
        return measured

    def _evaluated(self) -> Tensor:
        return self._embed(self._shared.x[self._shared.evaluated_row])

    def _mining_quality(self, search: NeighborSearch, k: int) -> dict[str, float]:
        """The nearest negatives against the exact ones on the fixed probe. A copy of the search is asked, so that
        measuring never changes what the lane mines next."""
        bank = Bank(self._embed(self._shared.train_x), self._shared.train_y)
        exact, mine = neighbors.create("exact", distance=self._distance), copy.deepcopy(search)
        exact.build(bank)
        mine.build(bank)
        found = probe(mine, exact, self._probe_row, k)
        quality = {
            "mining_recall": found.recall,
            "distance_ratio": found.distance_ratio,
            "hardness_regret": found.hardness_regret,
            "no_candidate": found.without_candidate,
        }
        return {name: value for name, value in quality.items() if math.isfinite(value)}


def _mean_distance(embeddings: Tensor) -> float:
    """Root mean square distance of two random items, from the variance."""
    return float((2 * embeddings.double().var(0, unbiased=False).sum()).sqrt())
