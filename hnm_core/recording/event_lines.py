"""Reads `events.jsonl`: all that happens in a run beside its steps and frames."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hnm_core.errors import InputError
from hnm_core.recording.checksums import is_sealed
from hnm_core.recording.files import Lines
from hnm_core.recording.header import RunFile, events_path
from hnm_core.recording.layout import CHECKSUM, EVENTS_FILE
from hnm_core.run.event_json import Told, from_json
from hnm_core.run.events import Event, Misses, RunFailed, RunFinished, Weights
from hnm_core.system.paths import why
from hnm_core.system.regular_files import open_regular


class _Line(NamedTuple):
    """Where a line lies."""

    number: int
    """Its place in the run."""
    place: int
    """Among the lines."""
    start: int
    size: int
    """In bytes, without its end."""


class EventLines:
    """What they tell, as far as they are right. What searches missed is the most of it by far, so that is not held, but
    read again when it is asked for."""

    def __init__(self, folder: Path, run_file: RunFile) -> None:
        self._run_file = run_file
        self._lines = Lines(events_path(folder))
        self.numbers: list[int] = []
        """The place of each line in the run."""
        self.events: list[tuple[int, Event]] = []
        """Option changes, ended warm-ups, forks and alarms, each with its place in the run."""
        self.missed: dict[str, dict[int, _Line]] = {}
        """By lane and step, where it stands what a search missed."""
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
        steps = [getattr(event, "step", 0) for _, event in self.events]
        step = max([*steps, *(step for missed in self.missed.values() for step in missed)], default=0)
        state = "damaged" if path.is_file() else "missing"
        return f"The run lost changes, alarms and its end after step {step:,}: {path.name} is {state}."

    def refresh(self) -> None:
        """Take in the lines that have come since."""
        for line, event in self._lines.more(self._parse):
            number = line.number
            self.numbers.append(number)
            if isinstance(event, RunFinished | RunFailed):
                self.finished = event
            elif isinstance(event, Misses):
                self.missed.setdefault(event.lane, {})[event.step] = line
            elif event is not None:
                self.events.append((number, event))

    def misses(self, lane: str, step: int) -> Misses:
        """What a search missed. Raises `InputError` where nothing tells it, or no longer."""
        line = self.missed.get(lane, {}).get(step)
        if line is None:
            raise InputError(f"'{self._lines.path}' does not tell what lane '{lane}' missed at step {step:,}.")
        return self._read_again(line)

    @property
    def numbered(self) -> Iterator[tuple[int, Event]]:
        """`events` and what searches missed, each with its place in the run. Raises `InputError` as `misses`."""
        missed = sorted(line for of_lane in self.missed.values() for line in of_lane.values())
        told = ((line.number, self._read_again(line)) for line in missed)
        return heapq.merge(self.events, told, key=lambda numbered: numbered[0])

    def _read_again(self, line: _Line) -> Misses:
        path = self._lines.path
        try:
            with open_regular(path) as file:
                file.seek(line.start)
                _, event = self._parsed(file.read(line.size), line.place)
        except OSError as error:
            raise InputError(f"'{path}' cannot be read: {why(error)}.") from error
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, Misses):
            raise InputError(f"'{path}' is damaged: it has changed since it was read.")
        return event

    def _parse(self, line: bytes, place: int) -> tuple[_Line, Told | None]:
        number, event = self._parsed(line, place)
        if number < max(self.numbers[-1:], default=0):
            raise ValueError("events must be in order")
        return _Line(number, place, self._lines.read, len(line)), event

    def _parsed(self, line: bytes, place: int) -> tuple[int, Told | None]:
        """One line: its place in the run and the event, see `from_json`."""
        if self._run_file.has_checksums and not is_sealed(line, self._run_file.salt, EVENTS_FILE, place):
            raise ValueError("its checksum is another")
        values = json.loads(line)
        if not isinstance(values, dict) or type(number := values.pop("event", None)) is not int:
            raise ValueError("an event needs a number")
        values.pop(CHECKSUM, None)
        if values.get("type") == Weights.__name__:
            self.trained.add(str(values.get("lane")))
        return number, from_json(values)
