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
from hnm_core.evaluation.mining_quality import compare, judge
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.evaluation.spread import class_spread
from hnm_core.losses.base import Classifies, Loss
from hnm_core.miners.whole_set.measuring import distances_to
from hnm_core.neighbors.base import NeighborSearch, PredictsRecall
from hnm_core.neighbors.found import Neighbors
from hnm_core.relevance import JudgedQuery, query_of_rows
from hnm_core.run.events import Misses
from hnm_core.seeding import generator
from hnm_core.training.lane_mining import HandedOut
from hnm_core.training.missing import Measured, Probed, figures_of, misses_of
from hnm_core.training.setup import Shared

PROBE = 512
"""Anchors on which the mining recall is measured."""


class LaneMetrics:
    """Measures one lane every `eval_every` steps."""

    def __init__(self, shared: Shared, distance: Distance, embed: Callable[[Tensor], Tensor]) -> None:
        self._shared, self._distance, self._embed = shared, distance, embed
        probe_row = torch.randperm(shared.trained, generator=generator(shared.config.seed, "probe"))
        self.probe_row = probe_row[:PROBE].to(shared.device)
        """(P,) rows of the training set on which mining is measured."""
        self.first_spread = _mean_distance(self._evaluated())
        """Root mean square distance of two evaluated items before the first step."""
        self._known = bool(torch.isin(shared.y[shared.evaluated_row], shared.train_y).all())
        """Whether every class that is measured is one that is trained on."""

    def due(self, step: int) -> bool:
        """Whether `step` is measured."""
        return step % self._shared.config.eval_every == 0

    def measure(self, lane: str, step: int, loss: Loss, search: NeighborSearch | None, k: int) -> Measured:
        """The metrics of a lane now; `search` is its approximate search, None where it has none."""
        embeddings = self._evaluated()
        if not bool(torch.isfinite(embeddings).all()):
            return Measured({})
        shared = self._shared
        found = retrieval(embeddings, shared.evaluated_labels, self._distance, queries=shared.query_place)
        measured = {
            "precision_at_1": found.precision_at_1,
            "map_at_r": found.map_at_r,
            "mean_distance": _mean_distance(embeddings),
        }
        if shared.several is None:  # a vote, a spread and a classifier are of classes
            labels = shared.evaluated_label
            measured |= {"knn_accuracy": found.knn_accuracy, **self._of_classes(embeddings, labels)}
            measured |= self._accuracy(loss, embeddings, labels)
        if search is None:
            return Measured(measured)
        quality, misses = self._mining_quality(lane, step, search, k)
        return Measured(measured | quality, misses)

    def measure_used(self, used: HandedOut, step: int) -> dict[str, float]:
        """Quality of negatives that were handed out for anchors of the probe, by the weights as they are; `step` is the
        one that is about to change them. Empty where there are none, or embeddings are not finite."""
        shared = self._shared
        if used.bank is not None and used.bank.step == step:
            now = used.bank
        else:
            embeddings = self._embed(shared.train_x)
            if not bool(torch.isfinite(embeddings).all()):
                return {}
            now = Bank(embeddings, shared.train_labels)
        if not len(used.anchor):
            return {}
        anchors, line = used.anchor.unique(return_inverse=True)
        exact = neighbors.create("exact", distance=self._distance)
        exact.build(now)
        nearest = exact.nearest_negatives(anchors, min(used.reach, len(now)))
        query = query_of_rows(now, used.anchor)
        distance = distances_to(query, used.negative[:, None], self._distance)[:, 0]
        quality = judge(used.negative, distance, Neighbors(nearest.distance[line], nearest.row[line]))
        return {"used_recall": quality.recall, "used_regret": quality.regret, "used_of": float(used.reach)}

    def _evaluated(self) -> Tensor:
        return self._embed(self._shared.x[self._shared.evaluated_row])

    def _of_classes(self, embeddings: Tensor, labels: Tensor) -> dict[str, float]:
        spread = class_spread(embeddings, labels, self._distance)
        named = {
            "within_class_distance": spread.within,
            "between_class_distance": spread.between,
            "class_distance_ratio": spread.ratio,
        }
        return {name: value for name, value in named.items() if math.isfinite(value)}

    def _accuracy(self, loss: Loss, embeddings: Tensor, labels: Tensor) -> dict[str, float]:
        """Of the classifier that is trained with the embedding; empty where there is none, or where classes are
        measured that it never saw."""
        predicted = loss.predict(embeddings) if self._known and isinstance(loss, Classifies) else None
        return {} if predicted is None else {"accuracy": float((predicted == labels).double().mean())}

    def _mining_quality(self, lane: str, step: int, search: NeighborSearch, k: int) -> tuple[dict[str, float], Misses]:
        """The nearest negatives against the exact ones on the fixed probe. A copy of the search is asked, so that
        measuring never changes what the lane mines next."""
        bank = Bank(self._embed(self._shared.train_x), self._shared.train_labels)
        exact, mine = neighbors.create("exact", distance=self._distance), copy.deepcopy(search)
        exact.build(bank)
        mine.build(bank)
        found, true = (asked.nearest_negatives(self.probe_row, k) for asked in (mine, exact))
        ids = self._shared.ids
        query = query_of_rows(bank, self.probe_row)
        asked_with = query.unrestricted() if isinstance(query, JudgedQuery) else query
        misses = misses_of(lane, step, mine, Probed(asked_with, found, true, ids[self.probe_row], ids))
        predicted = _predicted(mine, k)
        expected = {"predicted_recall": predicted} if math.isfinite(predicted) else {}
        return figures_of(compare(found, true)) | expected, misses


def _predicted(search: NeighborSearch, k: int) -> float:
    """The recall that a search expects; NaN where it expects none."""
    expected = search.predicted_recall(k) if isinstance(search, PredictsRecall) else None
    return math.nan if expected is None else expected


def _mean_distance(embeddings: Tensor) -> float:
    """Root mean square distance of two random items, from the variance."""
    return float((2 * embeddings.double().var(0, unbiased=False).sum()).sqrt())
