"""How smoothly the window runs while it trains: paint events, painting time, stalls of the event loop."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PyQt6.QtCore import QObject, Qt, QTimer

from app.memory import peak_mb
from hnm_core.system.whole_files import write_whole

STALL_MS = 10
GRAIN_MS, DIGITS = 0.01, 3
"""Durations are counted to such a grain, and no finer than by so many digits: hours of them, however long single ones
are, take no more room than minutes."""
SETTLE_S = 2.0
"""Measuring begins so long after the first painted frame of a run."""


class Painted(Protocol):
    """What is counted of a view."""

    @property
    def paint_count(self) -> int: ...

    @property
    def last_paint_ms(self) -> float: ...


class Durations:
    """How often something took how long, to a grain."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        """By whole grains"""
        self.longest: float | None = None

    def add(self, ms: float) -> None:
        """One more."""
        self.counts[round(float(f"{ms:.{DIGITS}g}") / GRAIN_MS)] += 1
        self.longest = ms if self.longest is None else max(self.longest, ms)

    def percentiles(self, which: Sequence[int]) -> dict[str, float | None]:
        """`{"p50": ..}` in milliseconds; None when there are none."""
        grains = sorted(self.counts)
        times = np.repeat(np.array(grains, np.float64) * GRAIN_MS, [self.counts[grain] for grain in grains])
        return {
            f"p{percent}": round(float(np.percentile(times, percent)), 3) if len(times) else None for percent in which
        }


class FrameStats(QObject):
    """Counts while a run trains, from two seconds after its first painted frame; stands still while it does not.

    `tick` is called once per tick of the window: after `count_step` for the steps that came in, before the panes are
    given what to paint next.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._frames, self._stalls = Durations(), Durations()
        self._paints: list[int] = []
        self._steps: dict[str, int] = {}
        self._seconds = 0.0
        self._counts: list[int] = []
        self._first_paint: float | None = None
        self._since: float | None = None
        self._last_fire = 0.0
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(STALL_MS)
        self._timer.timeout.connect(self._on_stall_timer)

    def tick(self, views: Sequence[Painted], *, training: bool) -> None:
        """Look at the views' counters."""
        now = time.perf_counter()
        counts = [view.paint_count for view in views]
        if not training or not views or len(counts) != len(self._counts):
            self._pause(now)
            self._first_paint = None if not training else self._first_paint
            self._counts = counts
            return
        fresh = [count - before for count, before in zip(counts, self._counts, strict=True)]
        self._counts = counts
        if self._first_paint is None:
            self._first_paint = now if any(fresh) else None
        elif self._since is None:
            if now - self._first_paint >= SETTLE_S:
                self._since = self._last_fire = now
                self._paints = self._paints if len(self._paints) == len(views) else [0] * len(views)
                self._timer.start()
        else:
            self._seconds += now - self._since
            self._since = now
            self._paints = [total + more for total, more in zip(self._paints, fresh, strict=True)]
            if any(fresh):
                self._frames.add(sum(view.last_paint_ms for view, more in zip(views, fresh, strict=True) if more > 0))

    def count_step(self, lane: str) -> None:
        """A training step of `lane` came in since the last tick."""
        if self._since is not None:
            self._steps[lane] = self._steps.get(lane, 0) + 1

    def _pause(self, now: float) -> None:
        if self._since is not None:
            self._seconds += now - self._since
            self._since = None
            self._timer.stop()

    def _on_stall_timer(self) -> None:
        now = time.perf_counter()
        self._stalls.add(max(0.0, (now - self._last_fire) * 1e3 - STALL_MS))
        self._last_fire = now

    def close(self) -> None:
        """Stop measuring."""
        self._pause(time.perf_counter())

    def result(self, *, threads: int, points: int, window: tuple[int, int], training_mb: float) -> dict[str, Any]:
        """The figures, as `--stats` writes them; None where nothing was measured. The peak of memory includes the
        training process with its `training_mb`."""
        own_mb = peak_mb()
        seconds = self._seconds
        return {
            "fps": round(min(self._paints) / seconds, 2) if seconds > 0 and self._paints else None,
            "frame_ms": self._frames.percentiles((50, 95, 99)),
            "stall_ms": {
                **self._stalls.percentiles((50, 95, 99)),
                "max": round(self._stalls.longest, 3) if self._stalls.longest is not None else None,
            },
            "steps_per_s": {lane: round(count / seconds, 2) for lane, count in self._steps.items()} if seconds else {},
            "threads": threads,
            "peak_mb": round(own_mb + training_mb, 1) if own_mb is not None else None,
            "panes": len(self._counts),
            "points": points,
            "window": list(window),
        }


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write the figures as JSON. Raises `OSError`."""
    write_whole(path, json.dumps(result, indent=1) + "\n")
