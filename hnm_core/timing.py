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
    """Milliseconds per phase since the last `take`. Phases nest: the outer one stands still while an inner one runs."""

    def __init__(self, sync: Callable[[], None] | None = None) -> None:
        """`sync`, called at every phase border, waits for a device that works behind our back (a GPU)."""
        self._sync = sync
        self._ms: dict[Phase, float] = {}
        self._running: list[Phase] = []
        self._since = 0.0

    @contextmanager
    def __call__(self, phase: Phase) -> Iterator[None]:
        self._switch()
        self._running.append(phase)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def take(self) -> dict[Phase, float]:
        """The milliseconds so far, in phase order; the clock starts over."""
        ms, self._ms = self._ms, {}
        return {phase: ms[phase] for phase in Phase if phase in ms}

    def _switch(self) -> None:
        if self._sync is not None:
            self._sync()
        now = time.perf_counter()
        if self._running:
            phase = self._running[-1]
            self._ms[phase] = self._ms.get(phase, 0.0) + (now - self._since) * 1e3
        self._since = now
