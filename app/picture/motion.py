"""A cloud on its way from one frame to the next, on the display's clock: few frames a second still move smoothly."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.scene import Scene
from app.picture.thinning import same_sample

SHORTEST_S = 0.05
LONGEST_S = 0.5
"""A cloud whose next frame is awaited for longer stands still in between."""


@dataclass(frozen=True, eq=False)
class Motion:
    """From where points and their colours were to `goal`, in so many `seconds`; mined guests are at their goal at
    once."""

    goal: Scene
    positions: NDArray[np.float32]
    """(S, 3) of the sample where it was"""
    colors: NDArray[np.float32]
    """(S, 3)"""
    seconds: float

    def at(self, gone: float) -> Scene:
        """The scene after `gone` seconds; the goal itself when it is over."""
        share = np.float32(min(max(gone / self.seconds, 0.0), 1.0))
        if share >= 1:
            return self.goal
        goal, sample = self.goal, self.goal.sample
        positions, colors = goal.positions.copy(), goal.colors.copy()
        positions[:sample] = self.positions + (goal.positions[:sample] - self.positions) * share
        colors[:sample] = self.colors + (goal.colors[:sample] - self.colors) * share
        return replace(goal, positions=positions, colors=colors)


def motion(shown: Scene | None, goal: Scene, seconds: float) -> Motion | None:
    """The way from what is shown to `goal`, whose frame came `seconds` after the one before; None where there is none:
    other points are to be shown, or nothing was. A point that is not finite on one side is at its goal at once."""
    if shown is None or not same_sample(shown, goal):
        return None
    sample = goal.sample
    before, after = shown.positions[:sample], goal.positions[:sample]
    start = before
    if not np.isfinite(before + after).all():
        fine: NDArray[np.bool_] = np.isfinite(before + after).all(1)
        start = np.where(fine[:, None], before, after)
    return Motion(goal, start, shown.colors[:sample].astype(np.float32), min(max(seconds, SHORTEST_S), LONGEST_S))
