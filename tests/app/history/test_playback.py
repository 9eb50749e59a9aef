from __future__ import annotations

from pathlib import Path

import pytest

from app.history import playback
from app.history.playback import Past
from hnm_core.errors import InputError
from hnm_core.recording import record, replay
from hnm_core.run.control import Control
from hnm_core.run.events import StepRecord
from tests.app import runs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two lanes, 35 steps, frames at 0, 10, 20, 30."""
    for _ in record(runs.source(seconds_a_round=0)(runs.config(steps=35), Control()), tmp_path / "run"):
        pass
    return tmp_path / "run"


@pytest.mark.parametrize(("step", "shown"), [(0, 0), (9, 0), (10, 10), (29, 20), (30, 30), (1000, 30)])
def test_that_the_frame_shown_is_the_newest_not_after_the_step(folder, step, shown):
    frames = Past.of(folder).frames_at(step)
    assert [(frame.lane, frame.step) for frame in frames] == [("one", shown), ("two", shown)]


@pytest.mark.parametrize(("step", "following"), [(0, 10), (9, 10), (10, 20), (29, 30), (30, None)])
def test_that_the_next_step_is_that_of_the_next_frame(folder, step, following):
    assert Past.of(folder).next_step(step) == following


def test_that_a_run_still_being_written_shows_new_frames_after_a_refresh(tmp_path):
    events = record(runs.source(seconds_a_round=0)(runs.config(steps=100), Control()), tmp_path / "run")
    for event in events:
        if isinstance(event, StepRecord) and event.step == 15:
            break
    past = Past.of(tmp_path / "run")
    assert past.last_step == 10
    for event in events:
        if isinstance(event, StepRecord) and event.step == 45:
            break
    past.recording.refresh()
    assert past.last_step == 40
    events.close()


def test_that_loading_gives_every_step_of_every_lane_as_replay_does(folder):
    _, history = playback.load(folder, lambda _done, _total: True)
    expected = [event for event in replay(folder) if isinstance(event, StepRecord) and event.lane == "two"]
    lane = history.lanes["two"]
    assert lane.steps.tolist() == [event.step for event in expected]
    assert lane.loss.tolist() == [event.loss for event in expected]
    assert history.ended is not None


def test_that_loading_can_be_called_off(tmp_path):
    for _ in record(runs.source(seconds_a_round=0)(runs.config(steps=1200), Control()), tmp_path / "run"):
        pass
    with pytest.raises(InputError, match="called off"):
        playback.load(tmp_path / "run", lambda _done, _total: False)
