"""The numbers that a video shows: step, loss and quality of every lane at any step, and the table at its end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hnm_core.recording import Recording

QUALITY = "map_at_r"
LOSS_STEPS = 100
"""The loss that is shown is the mean of so many steps, as in the result table."""


@dataclass(frozen=True)
class Figures:
    """What stands above a cloud. NaN where nothing was measured yet."""

    step: int
    loss: float
    quality: float


class LaneFigures:
    """Figures of one lane by step."""

    def __init__(self, recording: Recording, lane: str) -> None:
        steps = recording.steps(lane)
        self._steps = steps["step"]
        loss = steps["loss"]
        finite = np.isfinite(loss)
        self._loss_sums = np.concatenate(([0.0], np.cumsum(np.where(finite, loss, 0.0))))
        self._loss_counts = np.concatenate(([0], np.cumsum(finite)))
        measured = np.isfinite(steps[QUALITY]) if QUALITY in (steps.dtype.names or ()) else np.zeros(len(steps), bool)
        self._quality_steps = self._steps[measured]
        self._quality = steps[QUALITY][measured] if measured.any() else np.zeros(0)

    def at(self, step: float) -> Figures:
        """The figures when `step` had been done."""
        stop = int(np.searchsorted(self._steps, step, side="right"))
        start = max(stop - LOSS_STEPS, 0)
        count = self._loss_counts[stop] - self._loss_counts[start]
        loss = float((self._loss_sums[stop] - self._loss_sums[start]) / count) if count else math.nan
        place = int(np.searchsorted(self._quality_steps, step, side="right")) - 1
        quality = float(self._quality[place]) if place >= 0 else math.nan
        return Figures(int(self._steps[stop - 1]) if stop else 0, loss, quality)
