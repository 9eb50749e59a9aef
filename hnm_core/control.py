"""Requests to a running experiment, obeyed between steps: pause, go on, do so many steps, stop."""

from __future__ import annotations

import threading


class Control:
    """Thread-safe; one side asks, the experiment reads between steps."""

    def __init__(self, *, paused: bool = False) -> None:
        self._changed = threading.Condition()
        self._paused = paused
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
        """Wait while paused; True when a round of steps may run, False when the run shall stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or not self._paused or self._rounds_left > 0)
            if self._stopped:
                return False
            if self._paused:
                self._rounds_left -= 1
            return True
