"""What happens while the disk refuses a recording: what must not be missing is kept, the rest counted, and told."""

from __future__ import annotations

import errno
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hnm_core.recording import disk
from hnm_core.run.events import Event, Frame, Misses, StepRecord
from hnm_core.words import counted, size

RETRY_S = 1.0
"""How often it is tried whether there is room again."""
SPARE_BYTES = 1 << 20
"""So much room must be left beside what is needed, or the next steps would not fit again."""

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Of an `OSError` that says so."""


class Gap:
    """The events that a recording goes without since the disk refused `needed` bytes."""

    def __init__(self, needed: int) -> None:
        self._needed = needed
        self._next_try = time.monotonic() + RETRY_S
        self._kept: deque[Event] = deque()
        self._clouds: dict[str, Frame] = {}
        self._missing = Counter(step=0, cloud=0)

    def add(self, event: Event) -> None:
        """Another event that is not written."""
        match event:
            case StepRecord():
                self._missing["step"] += 1
            case Frame():
                self._missing["cloud"] += event.lane in self._clouds
                self._clouds[event.lane] = event
            case Misses():
                self._missing["miss report"] += 1
            case _:
                self._kept.append(event)

    def may_end(self, folder: Path) -> bool:
        """Whether it is time to try again, and there seems to be room."""
        now = time.monotonic()
        if now < self._next_try:
            return False
        self._next_try = now + RETRY_S
        try:
            return disk.free_bytes(folder) >= 2 * self._needed + SPARE_BYTES
        except OSError:
            return False

    def kept(self) -> Iterator[Event]:
        """What is to be written as soon as there is room: all but steps and clouds, and the last cloud of each lane. An
        event is let go when the next one is asked for."""
        while self._kept:
            yield self._kept[0]
            self._kept.popleft()
        while self._clouds:
            lane = next(iter(self._clouds))
            yield self._clouds[lane]
            del self._clouds[lane]

    def told(self, folder: Path) -> str:
        """What is missing, in a sentence."""
        missing = " and ".join(counted(count, name) for name, count in self._missing.items() if count)
        return f"Recording into '{folder}' goes on. It lacks {missing or 'nothing'} of what came in between."


def why(folder: Path, error: OSError, what: str = "", needed: int = 0) -> str:
    """Why recording stopped, or `what`, which needs so many bytes, could not be written, in words of people."""
    subject = f"{what} could not be written into '{folder}'" if what else f"Recording into '{folder}' stopped"
    needed = needed or getattr(error, "needed", 0)
    if error.errno in FULL:
        room = ""
        with suppress(OSError):
            room = f", {size(disk.free_bytes(folder))} are free there"
        asked = f" ({size(needed)} were needed{room})" if needed else ""
        return f"{subject}: the disk is full{asked}. It goes on when there is room; the run does not wait."
    if error.errno == errno.EFBIG:
        return f"{subject}: a file would become larger than is allowed here. The run goes on without it."
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"{subject}: the folder was removed or renamed. The run goes on without it."
    return f"{subject}: {error.strerror or error}. The run goes on without it."
