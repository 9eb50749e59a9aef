"""Requests to a running experiment, obeyed between steps: pause, go on, keep to a rate, do so many steps, stop."""

from __future__ import annotations

import threading
import time


class Control:
    """Thread-safe; one side asks, the experiment reads between steps."""

    def __init__(self, *, paused: bool = False, rate: float | None = None) -> None:
        self._changed = threading.Condition()
        self._paused = paused
        self._rate = rate
        self._next_round = 0.0
        self._rounds_left = 0
        self._stopped = False
        self.loading = ""
        """What the experiment reads or fetches before its first event, in words; set by the experiment."""

    def pause(self) -> None:
        """Stand still before the next step."""
        with self._changed:
            self._paused, self._rounds_left = True, 0
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def step(self, rounds: int = 1) -> None:
        """Pause after `rounds` more steps of every lane."""
        with self._changed:
            self._paused = True
            self._rounds_left += rounds
            self._changed.notify_all()

    def set_rate(self, rounds_per_s: float | None) -> None:
        """Do at most so many steps of every lane a second while going on; None for as many as can be done."""
        with self._changed:
            self._rate, self._next_round = rounds_per_s, 0.0
            self._changed.notify_all()

    def stop(self) -> None:
        """End the run before the next step. Cannot be taken back."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for; long work inside a step reads this to cancel itself."""
        return self._stopped

    @property
    def paused(self) -> bool:
        """Whether the run stands still or will before the next round."""
        return self._paused and self._rounds_left == 0

    def next_round(self) -> bool:
        """Wait while paused or ahead of the rate; True when a round of steps may run, False when the run shall stop."""
        with self._changed:
            while not self._stopped:
                if self._paused and self._rounds_left > 0:
                    self._rounds_left -= 1
                    return True
                if not self._paused and (wait := self._next_round - time.monotonic()) <= 0:
                    self._count_round()
                    return True
                self._changed.wait(None if self._paused else wait)
            return False

    def _count_round(self) -> None:
        """Time that a slow round took too long is not made up for by faster ones."""
        if self._rate is not None:
            self._next_round = max(self._next_round + 1 / self._rate, time.monotonic())
