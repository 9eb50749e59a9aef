"""How quickly a run trains, before and while something else takes the machine. No Qt."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

EVERY_S = 0.25
WINDOW_S = 6.0
"""So much of the time before counts."""
LEAST_S = 1.0
"""Of less nothing is told."""


@dataclass(frozen=True)
class _Sample:
    seconds: float
    step: int
    training: bool


class Pace:
    """Fed with where the run is; `begin` and `end` stand round what may cost it."""

    def __init__(self) -> None:
        self._before: deque[_Sample] = deque()
        self._during: list[_Sample] = []
        self._on = False

    def note(self, seconds: float, step: int, *, training: bool) -> None:
        """Where the run is at a time, and whether it trains."""
        kept = self._during if self._on else self._before
        if kept and seconds - kept[-1].seconds < EVERY_S and training == kept[-1].training:
            return
        kept.append(_Sample(seconds, step, training))
        while not self._on and seconds - self._before[0].seconds > WINDOW_S:
            self._before.popleft()

    def begin(self) -> None:
        """From now on it may cost."""
        self._on, self._during = True, []

    def end(self) -> str:
        """What it has cost, in a sentence; empty where nothing trained."""
        self._on = False
        during, before = list(self._during), list(self._before)
        self._before.clear()
        if not any(sample.training for sample in during):
            return ""
        now, then = _rate(during), _rate(before)
        if now is None:
            return "What it cost training is not known: the run did not train all along, or only for a moment."
        if then is None:
            return f"Training made {now:.1f} steps a second; its pace before is not known."
        return f"Training made {now:.1f} steps a second, {then:.1f} before: {100 * now / then:.0f} % of its pace."


def _rate(samples: list[_Sample]) -> float | None:
    """Steps a second; None where not all of it was training, or too little."""
    if not samples or not all(sample.training for sample in samples):
        return None
    seconds, steps = samples[-1].seconds - samples[0].seconds, samples[-1].step - samples[0].step
    return steps / seconds if seconds >= LEAST_S and steps > 0 else None
