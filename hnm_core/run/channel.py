"""The only door between the training thread and a window: a bounded mailbox that is polled, never a signal per step."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from hnm_core.run.events import Event, Frame, StepRecord

MAX_RECORDS = 100_000


@dataclass(frozen=True)
class Drained:
    """What came in since the last `drain`."""

    events: tuple[Event, ...] = ()
    """Step records and lifecycle events, oldest first."""
    frames: tuple[Frame, ...] = ()
    """The newest frame of each lane that produced one."""
    dropped_records: int = 0
    """Step records lost so far because nobody drained the channel in time."""


class Channel:
    """Step records are kept up to a counted bound, lifecycle events always, of frames only the newest per lane."""

    def __init__(self, max_records: int = MAX_RECORDS) -> None:
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()
        self._records = 0
        self._frames: dict[str, Frame] = {}
        self._max_records = max_records
        self._dropped = 0
        self._dropped_before = 0

    def put(self, event: Event) -> None:
        """Hand an event over. Never blocks for long, never fails."""
        with self._lock:
            self._put(event)

    def put_all(self, drained: Drained) -> None:
        """Hand over what was drained from another channel, which was lost there counts here as well."""
        with self._lock:
            for event in drained.events:
                self._put(event)
            for frame in drained.frames:
                self._put(frame)
            self._dropped_before = drained.dropped_records

    def drain(self) -> Drained:
        """Take everything that came in."""
        with self._lock:
            events, self._events, self._records = tuple(self._events), deque(), 0
            frames, self._frames = tuple(self._frames.values()), {}
            return Drained(events, frames, self._dropped + self._dropped_before)

    def _put(self, event: Event) -> None:
        if isinstance(event, Frame):
            self._frames[event.lane] = event
            return
        if isinstance(event, StepRecord):
            if self._records >= self._max_records:
                self._dropped += 1
                return
            self._records += 1
        self._events.append(event)
