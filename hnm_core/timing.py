"""Where a training step's time goes: a clock that the harness holds, one number per phase."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Phase(enum.StrEnum):
    """The parts of a step, in the order in which they run and are stacked."""

    EMBED = "embed"
    BUILD = "build"
    SEARCH = "search"
    SELECT = "select"
    TRANSFER = "transfer"
    FORWARD = "forward"
    LOSS = "loss"
    BACKWARD = "backward"
    STEP = "step"


MINING_PHASES = (Phase.EMBED, Phase.BUILD, Phase.SEARCH, Phase.SELECT, Phase.TRANSFER)
"""The phases that a mining method causes; the rest is training proper."""


class PhaseClock:
    """Milliseconds per phase since the last `take`. `sync` is called at phase borders (a GPU's synchronise)."""

    def __init__(self, sync: Callable[[], None] | None = None) -> None:
        self._sync = sync
        self._ms: dict[Phase, float] = {}

    @contextmanager
    def __call__(self, phase: Phase) -> Iterator[None]:
        start = self._now()
        try:
            yield
        finally:
            self._ms[phase] = self._ms.get(phase, 0.0) + (self._now() - start) * 1e3

    def add(self, phase: Phase, ms: float) -> None:
        """Count time that was measured elsewhere."""
        self._ms[phase] = self._ms.get(phase, 0.0) + ms

    def take(self) -> dict[Phase, float]:
        """The milliseconds so far, in phase order; the clock starts over."""
        ms, self._ms = self._ms, {}
        return {phase: ms[phase] for phase in Phase if phase in ms}

    def _now(self) -> float:
        if self._sync is not None:
            self._sync()
        return time.perf_counter()
