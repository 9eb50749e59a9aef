"""What searches missed is read from a recording when it is asked for: nothing of it is held twice, or at all."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record, replay
from hnm_core.run.event_json import to_json
from hnm_core.run.events import Event, Misses, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.run.kept_misses import HELD
from tests.recording import made_up

STEPS = HELD + 20


def misses(lane: str, step: int) -> Misses:
    ids = np.arange(5, dtype=np.int64) + step
    return Misses(lane, step, 40, 5, ids, ids + 1, ids / 7, ids + 2, ids / 3)


def run() -> Iterator[Event]:
    for event in made_up.run(steps=STEPS):
        yield event
        if isinstance(event, StepRecord) and event.lane == "knn":
            yield misses(event.lane, event.step)


def held() -> int:
    gc.collect()
    return sum(type(each) is Misses for each in gc.get_objects())


def test_that_a_recording_and_its_history_hold_no_misses_and_tell_all(tmp_path: Path) -> None:
    told = [to_json(event, whole=True) for event in record(run(), tmp_path) if isinstance(event, Misses)]
    before = held()
    recording = open_recording(tmp_path)
    history = recording.history()
    assert held() == before and list(recording.missed_steps("knn")) == list(range(1, STEPS + 1))
    lane = history.lane("knn")
    assert [to_json(lane.misses[step], whole=True) for step in lane.misses] == told
    assert held() <= before + 1
    again = lane.misses_at(7)
    assert again is not None and again.step == 7 and lane.misses_at(7) is again
    assert lane.misses_at(0) is None and history.lane("random").misses_at() is None
    with pytest.raises(KeyError):
        lane.misses[0]
    assert [to_json(event, whole=True) for event in replay(tmp_path) if isinstance(event, Misses)] == told


def test_that_a_history_of_what_is_recorded_holds_the_newest_misses_alone(tmp_path: Path) -> None:
    before, recording = held(), None

    def read(lane: str, step: int) -> Misses:
        assert recording is not None
        recording.refresh()
        return recording.misses(lane, step)

    history = RunHistory(read_misses=read)
    for event in record(run(), tmp_path):
        history.add(event)
        recording = recording or open_recording(tmp_path)
    del event
    lane = history.lane("knn")
    assert held() == before + HELD and len(lane.misses) == STEPS
    for step in (1, STEPS - HELD, STEPS):
        told = lane.misses_at(step)
        assert told is not None
        assert to_json(told, whole=True) == to_json(misses("knn", step), whole=True)


def test_that_a_history_without_a_recording_holds_all_misses() -> None:
    history = RunHistory()
    for event in run():
        history.add(event)
    assert [history.lane("knn").misses[step].step for step in range(1, STEPS + 1)] == list(range(1, STEPS + 1))


def test_that_misses_which_have_changed_since_are_told_to_be_damaged(tmp_path: Path) -> None:
    list(record(run(), tmp_path))
    recording = open_recording(tmp_path)
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        path.read_bytes().replace(b'"probed": 40', b'"probed": 41').replace(b'"probed":40', b'"probed":41')
    )
    with pytest.raises(InputError, match=r"events\.jsonl' is damaged: it has changed since it was read"):
        recording.misses("knn", 3)
    with pytest.raises(InputError, match="does not tell what lane 'knn' missed at step 0"):
        recording.misses("knn", 0)
