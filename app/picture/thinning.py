"""How many of the points are drawn where painting takes too long, and which. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.ranking import stratified_rank
from app.picture.scene import Scene


def thinned(scene: Scene, rank: NDArray[np.float64], share: float) -> Scene:
    """The scene with only `share` of its context points drawn, by `context_rank(scene)`.

    Mined and selected points are never left out. Places stay what they are.
    """
    if share >= 1:
        return scene
    kept = scene.mined.copy()
    kept[: scene.sample] |= rank < share
    return replace(scene, radii=np.where(kept, scene.radii, np.float32(0)))


def context_rank(scene: Scene) -> NDArray[np.float64]:
    """(S,) rank of the points that every scene of the run has, the same in all of them; guests have none."""
    return stratified_rank(scene.ids[: scene.sample], scene.strata[: scene.sample])


def same_sample(one: Scene, other: Scene) -> bool:
    """Whether two scenes have the same points but for their guests, and so the same `context_rank`."""
    return one.ids is other.ids or np.array_equal(one.ids[: one.sample], other.ids[: other.sample])


@dataclass(frozen=True)
class DetailLevel:
    """How many context points are drawn, from how long painting takes. A value: `after` gives the next one."""

    share: float = 1.0
    slow: int = 0
    """Slow paints in a row"""
    fast: int = 0
    """Fast paints in a row"""

    def after(self, ms: float, budget_ms: float = 25.0, least: float = 1 / 256) -> DetailLevel:
        """After one more paint: half the points after 10 paints above the budget in a row, twice as many after 60
        below a quarter of it. The gap keeps it from swinging, for twice the points take at most twice the time.
        No less than the share `least` is drawn: where points are few it is not they that take the time.
        """
        slow = self.slow + 1 if ms > budget_ms else 0
        fast = self.fast + 1 if ms < budget_ms / 4 else 0
        if slow >= 10:
            return DetailLevel(max(self.share / 2, min(least, self.share)))
        if fast >= 60:
            return DetailLevel(min(self.share * 2, 1.0))
        return DetailLevel(self.share, slow, fast)
