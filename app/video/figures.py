"""The numbers that a video shows above each cloud: step, loss and quality of a lane at any step."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hnm_core.run.history import LaneHistory

QUALITY = "map_at_r"


@dataclass(frozen=True)
class Figures:
    """What stands above a cloud. NaN where nothing was measured yet."""

    step: int
    loss: float
    """See `LaneHistory.mean_loss`."""
    quality: float


def figures_at(lane: LaneHistory, moment: float) -> Figures:
    """The figures at a moment between steps: when all steps up to it had been done."""
    step = math.floor(moment)
    count = lane.rows(step)
    return Figures(int(lane.steps[count - 1]) if count else 0, lane.mean_loss(step), lane.latest(QUALITY, step))
