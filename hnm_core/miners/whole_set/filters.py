"""Which candidates may become negatives: rank window, distance bounds, and margins to the positive.

Everything is in distances, smaller is nearer. A similarity s is the distance 1 - s (cosine) or -s (inner product), so
s_n <= s_p - m is d_n >= d_p + m, and s_n <= s_p - m |s_p| is d_n >= d_p + m |s_p|: with |s_p| instead of the usual
(1 - m) s_p no negative that is harder than the positive slips through where s_p < 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.whole_set.options import ChoiceOptions, Guard

FILTERS = ("rank_window", "min_distance", "max_distance", "absolute_margin", "relative_margin")
"""Names of the filters, in the order in which they are applied."""


@dataclass(frozen=True)
class Filters:
    """The filters of one miner, in its distance. None is off."""

    distance: Distance
    rank_min: int = 0
    min_distance: float | None = None
    max_distance: float | None = None
    absolute_margin: float | None = None
    relative_margin: float | None = None
    guard: Guard = "paired"

    @property
    def measure(self) -> bool:
        """Whether distances have to be known."""
        bounds = (self.min_distance, self.max_distance)
        return self.know_positive or any(bound is not None for bound in bounds)

    @property
    def know_positive(self) -> bool:
        """Whether the distance of the positive matters."""
        return self.absolute_margin is not None or self.relative_margin is not None

    def apply(
        self, there: Tensor, distance: Tensor | None, to_positive: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What passes all filters, and how many candidates each one removed of those that the ones before it left.

        Args:
            there: (Q, K) bool, which candidates exist, nearest first.
            distance: (Q, K) of the candidates; None where `measure` is False.
            to_positive: (Q,) distance of the guarding positive; None where `know_positive` is False.

        Returns:
            (Q, K) bool, and a 0-dimensional integer tensor for each filter that is on.
        """
        passed, lost = self.each(there, distance, to_positive)
        return passed, {name: gone.sum() for name, gone in lost.items()}

    def each(
        self, there: Tensor, distance: Tensor | None, to_positive: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `apply`, with (Q, K) bool for each filter that is on: which candidates it removed."""
        passed, lost = there, {}
        for name, allowed in self._rules(there, distance, to_positive):
            lost[name] = passed & ~allowed
            passed = passed & allowed
        return passed, lost

    def _rules(self, there: Tensor, distance: Tensor | None, to_positive: Tensor | None) -> list[tuple[str, Tensor]]:
        rules = []
        if self.rank_min:
            rank = torch.arange(there.shape[1], device=there.device)
            rules.append(("rank_window", (rank >= self.rank_min).expand_as(there)))
        if distance is None:
            return rules
        if self.min_distance is not None:
            rules.append(("min_distance", distance >= self.min_distance))
        if self.max_distance is not None:
            rules.append(("max_distance", distance <= self.max_distance))
        if to_positive is None:
            return rules
        if self.absolute_margin is not None:
            rules.append(("absolute_margin", distance >= (to_positive + self.absolute_margin)[:, None]))
        if self.relative_margin is not None:
            size = (1 - to_positive if self.distance.metric == "cosine" else to_positive).abs()
            rules.append(("relative_margin", distance >= (to_positive + self.relative_margin * size)[:, None]))
        return rules


def filters_of(options: ChoiceOptions, distance: Distance) -> Filters:
    """The filters that `options` ask for. Raises `InputError` for bounds on a similarity that the lane has not."""
    low, high = options.min_distance, options.max_distance
    for name, score in (("max_score", options.max_score), ("min_score", options.min_score)):
        if score is None:
            continue
        if distance.metric not in ("cosine", "inner-product"):
            raise InputError(
                f"{name} = {score} bounds a similarity, but the distance is {distance.metric}; "
                f"bound it by {'min' if name == 'max_score' else 'max'}_distance."
            )
        bound = 1 - score if distance.metric == "cosine" else -score
        low, high = (bound, high) if name == "max_score" else (low, bound)
    return Filters(
        distance, options.rank_min, low, high, options.absolute_margin, options.relative_margin, options.guard
    )
