"""Where a training step's time goes: a clock that the harness holds, one number per phase."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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
    OTHER = "other"
    """What a step does beside: draws its batch, counts its tuples."""
    BACKGROUND = "background"
    """A bank that another thread embedded and built meanwhile, told by the step that puts it to use."""


MINING_PHASES = (Phase.EMBED, Phase.BUILD, Phase.SEARCH, Phase.SELECT, Phase.TRANSFER, Phase.BACKGROUND)
"""The phases that a mining method causes; the rest is training proper."""

STEP_PHASES = tuple(phase for phase in Phase if phase is not Phase.BACKGROUND)
"""The phases that make up a step, by the clock on the wall."""

PHASES = tuple(Phase)
"""The columns of a table of phases."""
MINING_COLUMNS = [PHASES.index(phase) for phase in MINING_PHASES]
STEP_COLUMNS = [PHASES.index(phase) for phase in STEP_PHASES]


def _milliseconds(start: float, end: float) -> float:
    return (end - start) * 1e3


class PhaseClock:
    """Milliseconds per phase since the last `take`. Phases nest: the outer one stands still while an inner one runs.

    Phase borders are marked as they pass, and what lies between two marks is read off in `take`: of a device that works
    behind our back (a GPU) nobody waits for an answer at every border.
    """

    def __init__(self, mark: Callable[[], Any], between: Callable[[Any, Any], float]) -> None:
        """`between` gives the milliseconds from one mark to a later one."""
        self._mark, self._between = mark, between
        self._spans: list[tuple[Phase, Any, Any]] = []
        self._running: list[tuple[Phase, Any]] = []
        self._elsewhere: dict[Phase, float] = {}

    @contextmanager
    def __call__(self, phase: Phase) -> Iterator[None]:
        now = self._mark()
        self._close(now)
        self._running.append((phase, now))
        try:
            yield
        finally:
            now = self._mark()
            self._close(now)
            self._running.pop()
            if self._running:
                self._running[-1] = (self._running[-1][0], now)

    def add(self, phase: Phase, ms: float) -> None:
        """Count milliseconds that another clock has measured."""
        self._elsewhere[phase] = self._elsewhere.get(phase, 0.0) + ms

    def take(self) -> dict[Phase, float]:
        """The milliseconds so far, in phase order; the clock starts over."""
        ms, self._elsewhere = self._elsewhere, {}
        for phase, start, end in self._spans:
            ms[phase] = ms.get(phase, 0.0) + self._between(start, end)
        self._spans.clear()
        return {phase: ms[phase] for phase in Phase if phase in ms}

    def _close(self, now: Any) -> None:
        if self._running:
            phase, since = self._running[-1]
            self._spans.append((phase, since, now))


def wall_clock() -> PhaseClock:
    """A clock for work that is done when the call returns."""
    return PhaseClock(time.perf_counter, _milliseconds)
