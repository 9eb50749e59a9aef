"""Reads `events.jsonl`: all that happens in a run beside its steps and frames."""

from __future__ import annotations

import json
from pathlib import Path

from hnm_core.recording.checksums import is_sealed
from hnm_core.recording.files import Lines
from hnm_core.recording.header import RunFile, events_path
from hnm_core.recording.layout import CHECKSUM, EVENTS_FILE
from hnm_core.run.event_json import Told, from_json
from hnm_core.run.events import Event, RunFailed, RunFinished, Weights


class EventLines:
    """What they tell, as far as they are right."""

    def __init__(self, folder: Path, run_file: RunFile) -> None:
        self._run_file = run_file
        self._lines = Lines(events_path(folder))
        self.numbers: list[int] = []
        """The place of each line in the run."""
        self.events: list[tuple[int, Event]] = []
        """Option changes, ended warm-ups, forks and alarms, each with its place in the run."""
        self.trained: set[str] = set()
        """Lanes whose weights were written."""
        self.finished: RunFinished | RunFailed | None = None

    @property
    def torn_bytes(self) -> int:
        """Bytes that follow what is right."""
        return self._lines.rest

    @property
    def loss(self) -> str:
        """What is damaged, in a sentence; empty where nothing is."""
        path = self._lines.path
        if path.is_file() and not self._lines.damaged:
            return ""
        step = max((getattr(event, "step", 0) for _, event in self.events), default=0)
        state = "damaged" if path.is_file() else "missing"
        return f"The run lost changes, alarms and its end after step {step:,}: {path.name} is {state}."

    def refresh(self) -> None:
        """Take in the lines that have come since."""
        for number, event in self._lines.more(self._parse):
            self.numbers.append(number)
            if isinstance(event, RunFinished | RunFailed):
                self.finished = event
            elif event is not None:
                self.events.append((number, event))

    def _parse(self, line: bytes, place: int) -> tuple[int, Told | None]:
        """One line: its place in the run and the event, see `from_json`."""
        if self._run_file.has_checksums and not is_sealed(line, self._run_file.salt, EVENTS_FILE, place):
            raise ValueError("its checksum is another")
        values = json.loads(line)
        if not isinstance(values, dict) or type(number := values.pop("event", None)) is not int:
            raise ValueError("an event needs a number")
        if number < max(self.numbers[-1:], default=0):
            raise ValueError("events must be in order")
        values.pop(CHECKSUM, None)
        if values.get("type") == Weights.__name__:
            self.trained.add(str(values.get("lane")))
        return number, from_json(values)
