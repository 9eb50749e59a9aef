from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.window.bridge import RunBridge
from hnm_core.errors import InputError
from hnm_core.recording import open_recording
from hnm_core.run.channel import Drained
from hnm_core.run.control import Control
from hnm_core.run.events import Event, RunFailed, RunFinished, RunStarted, RunState, StepRecord
from hnm_core.spec.config import ExperimentConfig
from tests.app import runs
from tests.app.threads import TrainingThread

LONG = 1_000_000


class Watcher:
    """Everything a bridge said."""

    def __init__(self, bridge: RunBridge) -> None:
        self.events: list[Event] = []
        self.frames = []
        self.states: list[RunState] = []
        self.threads: set[int] = set()
        bridge.ticked.connect(self._on_tick)
        bridge.state_changed.connect(self.states.append)

    def _on_tick(self, drained: Drained) -> None:
        self.events += drained.events
        self.frames += drained.frames
        self.threads.add(threading.get_ident())

    def steps(self, lane: str) -> list[int]:
        return [event.step for event in self.events if isinstance(event, StepRecord) and event.lane == lane]


@pytest.fixture
def make(qtbot):
    made: list[RunBridge] = []

    def build(source) -> tuple[RunBridge, Watcher]:
        bridge = RunBridge(TrainingThread(source))
        made.append(bridge)
        return bridge, Watcher(bridge)

    yield build
    for bridge in made:
        bridge.stop()
        qtbot.waitUntil(lambda bridge=bridge: not bridge.active, timeout=5000)
        bridge.close()


def test_that_a_run_comes_through_whole_and_in_order(make, qtbot):
    bridge, watcher = make(runs.source(seconds_a_round=0))
    bridge.start(runs.config(steps=300), None)
    qtbot.waitUntil(lambda: bridge.state is RunState.FINISHED, timeout=5000)
    assert isinstance(watcher.events[0], RunStarted)
    assert isinstance(watcher.events[-1], RunFinished)
    assert watcher.steps("one") == watcher.steps("two") == list(range(1, 301))
    assert watcher.states == [RunState.STARTING, RunState.RUNNING, RunState.FINISHED]
    assert watcher.frames[-1].step == 300
    assert watcher.threads == {threading.get_ident()}


def test_that_pause_holds_and_resume_goes_on_where_it_stood(make, qtbot):
    bridge, watcher = make(runs.source())
    bridge.start(runs.config(steps=LONG), None)
    qtbot.waitUntil(lambda: len(watcher.steps("one")) > 20, timeout=5000)
    bridge.pause()
    qtbot.wait(120)
    held = watcher.steps("one")[-1]
    qtbot.wait(150)
    assert watcher.steps("one")[-1] == held
    assert bridge.state is RunState.PAUSED
    bridge.resume()
    qtbot.waitUntil(lambda: watcher.steps("one")[-1] > held + 10, timeout=5000)
    assert watcher.steps("one") == list(range(1, watcher.steps("one")[-1] + 1))


def test_that_each_step_asked_for_is_one_step_of_every_lane(make, qtbot):
    bridge, watcher = make(runs.source())
    bridge.start(runs.config(steps=LONG), None, paused=True)
    qtbot.waitUntil(lambda: bridge.state is RunState.PAUSED, timeout=5000)
    for _ in range(3):
        bridge.step()
    qtbot.waitUntil(lambda: len(watcher.steps("two")) >= 3, timeout=5000)
    qtbot.wait(150)
    assert watcher.steps("one") == watcher.steps("two") == [1, 2, 3]
    assert bridge.state is RunState.PAUSED


@pytest.mark.thorough
def test_that_a_rate_holds_the_run_to_it_and_none_lets_it_go(make, qtbot):
    bridge, watcher = make(runs.source(seconds_a_round=0))
    bridge.set_rate(20.0)
    bridge.start(runs.config(steps=LONG), None)
    qtbot.waitUntil(lambda: bridge.state is RunState.RUNNING, timeout=5000)
    start, before = time.monotonic(), len(watcher.steps("one"))
    qtbot.wait(1500)
    rate = (len(watcher.steps("one")) - before) / (time.monotonic() - start)
    assert 12 <= rate <= 24
    bridge.set_rate(None)
    qtbot.waitUntil(lambda: len(watcher.steps("one")) > 2000, timeout=5000)


def test_that_stopping_ends_a_run_that_is_paused(make, qtbot):
    bridge, watcher = make(runs.source())
    bridge.start(runs.config(steps=LONG), None, paused=True)
    qtbot.waitUntil(lambda: bridge.state is RunState.PAUSED, timeout=5000)
    bridge.stop()
    assert bridge.state is RunState.STOPPING
    qtbot.waitUntil(lambda: bridge.state is RunState.FINISHED, timeout=5000)
    assert isinstance(watcher.events[-1], RunFinished)
    assert watcher.events[-1].stopped


def test_that_an_exception_in_training_arrives_as_text_and_a_new_run_can_start(make, qtbot):
    bridge, watcher = make(runs.source(fail_at=5))
    bridge.start(runs.config(steps=LONG), None)
    qtbot.waitUntil(lambda: bridge.state is RunState.FAILED, timeout=5000)
    failure = watcher.events[-1]
    assert isinstance(failure, RunFailed)
    assert failure.message == "ArithmeticError: seven is not a number"
    assert "tests/app/runs.py" in failure.traceback.replace("\\", "/")
    bridge.start(runs.config(steps=3), None)
    qtbot.waitUntil(lambda: bridge.state is RunState.FINISHED, timeout=5000)


def test_that_wrong_input_found_in_the_thread_carries_its_sentence_and_no_traceback(make, qtbot):
    def source(_config: ExperimentConfig, _control: Control) -> Iterator[Event]:
        raise InputError("The file 'x.npz' has no array 'y'.")
        yield

    bridge, watcher = make(source)
    bridge.start(runs.config(), None)
    qtbot.waitUntil(lambda: bridge.state is RunState.FAILED, timeout=5000)
    assert watcher.events == [watcher.events[0]]
    assert watcher.events[0].message == "The file 'x.npz' has no array 'y'."
    assert watcher.events[0].traceback == ""


def test_that_a_run_that_ends_without_saying_how_counts_as_failed(make, qtbot):
    def source(of: ExperimentConfig, _control: Control) -> Iterator[Event]:
        yield runs.started(of)

    bridge, watcher = make(source)
    bridge.start(runs.config(), None)
    qtbot.waitUntil(lambda: bridge.state is RunState.FAILED, timeout=5000)
    assert isinstance(watcher.events[-1], RunFailed)


def test_that_a_second_run_is_refused_while_the_first_is_on(make, qtbot):
    bridge, _ = make(runs.source())
    bridge.start(runs.config(steps=LONG), None)
    with pytest.raises(RuntimeError):
        bridge.start(runs.config(), None)


def test_that_the_recording_holds_every_step_however_the_run_was_stopped(make, qtbot, tmp_path: Path):
    bridge, watcher = make(runs.source(seconds_a_round=0))
    bridge.start(runs.config(steps=LONG), tmp_path / "run")
    qtbot.waitUntil(lambda: len(watcher.steps("one")) > 50, timeout=5000)
    bridge.stop()
    qtbot.waitUntil(lambda: not bridge.active, timeout=5000)
    recording = open_recording(tmp_path / "run")
    assert isinstance(recording.finished, RunFinished)
    assert recording.steps("one")["step"].tolist() == watcher.steps("one")
    assert recording.frame_steps("one")[0] == 0
