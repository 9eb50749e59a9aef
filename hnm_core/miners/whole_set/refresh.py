"""When the whole set is embedded anew for the miners. `hnm_core.training.lane_bank` does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hnm_core.miners.base import MiningContext
from hnm_core.spec.config import LaneConfig


@dataclass(frozen=True)
class Snapshot:
    """When the weights were taken that the newest bank, there or on its way, was embedded with."""

    step: int
    epoch: int


class RefreshPolicy(Protocol):
    """Says when the next bank is due. Asked once a step, before mining, and only where embeddings matter."""

    def due(self, newest: Snapshot, context: MiningContext, drift: Callable[[], float]) -> bool:
        """Whether the weights of this step shall be embedded.

        Args:
            newest: the newest bank's moment.
            context: of the step.
            drift: measures how far the network has moved since the bank in use, see
                `hnm_core.miners.whole_set.drift`; 1 means stale. Costs an embedding of the probe.
        """


@dataclass(frozen=True)
class EverySteps:
    """Every so many steps."""

    steps: int

    def due(self, newest: Snapshot, context: MiningContext, drift: Callable[[], float]) -> bool:
        """See `RefreshPolicy`."""
        return context.step - newest.step >= self.steps


@dataclass(frozen=True)
class EveryEpoch:
    """At the first step of each epoch."""

    def due(self, newest: Snapshot, context: MiningContext, drift: Callable[[], float]) -> bool:
        """See `RefreshPolicy`."""
        return context.epoch > newest.epoch


@dataclass(frozen=True)
class WhenDrifted:
    """As soon as a look at the probe, every so many steps, finds the drift at the threshold."""

    look_every: int
    threshold: float

    def due(self, newest: Snapshot, context: MiningContext, drift: Callable[[], float]) -> bool:
        """See `RefreshPolicy`."""
        age = context.step - newest.step
        return age > 0 and age % self.look_every == 0 and drift() >= self.threshold


def policy_of(lane: LaneConfig) -> RefreshPolicy:
    """The policy that a lane's fields describe."""
    match lane.refresh:
        case "epoch":
            return EveryEpoch()
        case "drift":
            return WhenDrifted(lane.refresh_every, lane.drift_threshold)
        case "steps" | "background":
            return EverySteps(lane.refresh_every)
