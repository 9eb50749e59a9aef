"""What became of a recording that was damaged: is what can still be read a beginning of what was told, and is the rest
named as lost? Counts of that, for the table of docs/reliability.md."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hnm_core.errors import InputError
from hnm_core.recording import Recording, open_recording, replay
from hnm_core.recording.export import positions_table, steps_table
from hnm_core.run.events import Alarm, Event, Frame, RunStarted, StepRecord, Weights, layer_metric
from hnm_core.run.item_texts import item_text
from tests.recording import made_up

TRIES = int(os.environ.get("HNM_FAULTS", "1"))
"""Times as many tries as the suite makes; 10 for the numbers in docs/reliability.md."""

Streams = dict[tuple[str, str], list[Event]]


@dataclass
class Counts:
    """A row of the table."""

    fault: str
    tries: int = 0
    opened: int = 0
    lost: int = 0
    """Told in words what is lost, or that the folder cannot be read."""
    wrong: int = 0
    """Gave another value than was recorded, or less without a word."""

    def take(self, outcome: str) -> None:
        """`outcome` of `judged`."""
        self.tries += 1
        self.opened += outcome != "refused"
        self.lost += outcome in ("refused", "lost")
        self.wrong += outcome == "wrong"

    def report(self) -> None:
        """Print the row; `pytest -s` shows it."""
        print(f"| {self.fault} | {self.tries} | {self.opened} | {self.lost} | {self.wrong} |")  # noqa: T201


def truth(steps: int = 10, points: int = 12) -> list[Event]:
    """A run with everything that a recording holds."""
    first, *events, last = made_up.run(steps=steps, points=points)
    assert isinstance(first, RunStarted)
    first = replace(first, texts={int(item): item_text(f"id {item}", "how it begins") for item in first.ids})
    rng = np.random.default_rng(5)
    nets = [Weights(lane, steps, {"0.weight": rng.normal(size=(4, 3))}, 3) for lane in made_up.LANES]
    return [first, *events, *nets, last]


def streams(events: Sequence[Event]) -> Streams:
    """The events of each file of each lane, in order; what recording itself told is left out."""
    found: Streams = {}
    for event in events:
        match event:
            case StepRecord() | Frame() | Weights():
                found.setdefault((type(event).__name__, event.lane), []).append(event)
            case RunStarted():
                found.setdefault(("RunStarted", ""), []).append(event)
            case Alarm() if event.code in ("recording-stopped", "recording-resumed", "weights-missing"):
                pass
            case _:
                found.setdefault(("told", ""), []).append(event)
    return found


def same(again: Event, event: Event, losses: Sequence[str]) -> bool:
    """Whether a replayed event is the one that was recorded; metrics of layers, and texts of items, may be lost where
    that was told."""
    if isinstance(event, RunStarted) and any("ids and texts" in loss for loss in losses):
        event = replace(event, texts={})
    if isinstance(event, Weights):
        assert isinstance(again, Weights)
        equal = again.arrays.keys() == event.arrays.keys() and again.step == event.step
        return equal and all(np.array_equal(again.arrays[name], event.arrays[name]) for name in event.arrays)
    if isinstance(event, StepRecord) and isinstance(again, StepRecord) and any("layers" in loss for loss in losses):
        known = {name for name in event.metrics if not layer_metric(name) or name in again.metrics}
        event = replace(event, metrics={name: event.metrics[name] for name in known})
    try:
        made_up.assert_same_event(again, event)
    except AssertionError:
        return False
    return True


def judged(folder: Path, events: Sequence[Event]) -> str:
    """One of whole; lost, and said so, or a beginning of a run that was broken off; refused; and wrong. Anything but an
    `InputError` comes through: no damage may end in a traceback."""
    try:
        recording = open_recording(folder)
        again = streams(list(replay(folder)))
    except InputError as error:
        assert str(error).endswith((".", ")"))
        return "refused"
    recording.check()
    whole = True
    for key, stream in streams(events).items():
        known = again.get(key, [])
        if len(known) > len(stream) or not all(map(same, known, stream, [recording.losses] * len(known))):
            return "wrong"
        whole &= len(known) == len(stream)
    if again.keys() - streams(events).keys() or not exports_right(recording, events):
        return "wrong"
    if not whole and not recording.losses and recording.finished is not None:
        return "wrong"  # something is missing, and nobody says so
    return "whole" if whole and not recording.losses else "lost"


def exports_right(recording: Recording, events: Sequence[Event]) -> bool:
    """Whether the tables that are exported hold what was recorded."""
    told = streams(events)
    for lane in recording.lanes:
        table = steps_table(recording, lane)
        steps = told.get(("StepRecord", lane), [])[: len(table["step"])]
        losses = [event.loss for event in steps if isinstance(event, StepRecord)]
        if table["loss"].tolist() != losses:
            return False
        count = len(recording.frame_steps(lane))
        if count:
            frame = told[("Frame", lane)][count - 1]
            assert isinstance(frame, Frame)
            positions = positions_table(recording, lane)
            for name, column in frame.columns.items():
                if not np.array_equal(positions[name], column, equal_nan=True):
                    return False
    return True


def files_of(folder: Path) -> list[Path]:
    """All that hold something of the recording."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
