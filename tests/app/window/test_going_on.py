"""Runs that go on from a checkpoint, in a real window."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from app.training.process import TrainingProcess
from app.training.run import experiment
from hnm_core.recording import checkpoints, open_recording, record, replay
from hnm_core.run.control import Control
from hnm_core.run.events import RunFinished, RunState, StepRecord
from hnm_core.spec.config import ExperimentConfig
from tests.app import engine, runs
from tests.app.window.test_main_window import drop
from tests.app.window.test_opening import cards
from tests.training.test_experiment import numbers

LEFT = Qt.MouseButton.LeftButton
LANES = ("random", "knn")


def recorded(folder: Path, of: ExperimentConfig, *, forked_at: int = 0) -> Path:
    """A run of the engine with its checkpoint of the end."""
    control = Control()
    for event in record(experiment(of, control), folder):
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("knn", forked_at):
            control.fork("knn", "new", {"miner": "lsh"})
    return folder


def broken_off(folder: Path) -> Path:
    """As a kill leaves it."""
    events = folder / "events.jsonl"
    told = events.read_bytes().splitlines(True)
    ends = next(place for place, line in enumerate(told) if b'"Weights"' in line or b"RunFinished" in line)
    events.write_bytes(b"".join(told[:ends]))
    for path in folder.glob("*/weights.npz"):
        path.unlink()
    return folder


def stopped(folder: Path, of: ExperimentConfig, at: int) -> Path:
    """A run that was stopped after a step, and then broken off."""
    control = Control()
    for event in record(experiment(of, control), folder):
        if isinstance(event, StepRecord) and event.step == at:
            control.stop()
    return broken_off(folder)


def opened(open_window, qtbot, folder: Path):
    window = open_window(config=runs.config(), source=experiment)
    window.resize(1400, 950)
    drop(window, folder)
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    return window


def ended(window, qtbot) -> None:
    qtbot.waitUntil(lambda: window.bridge.state is RunState.FINISHED, timeout=30_000)


def test_that_a_run_that_was_broken_off_offers_to_go_on_and_does(open_window, qtbot, tmp_path):
    of = engine.config(steps=20, frame_every=5, eval_every=10)
    folder = stopped(tmp_path / "old", of, 7)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    window = opened(open_window, qtbot, folder)
    offer = window.banner.offer
    assert offer.isVisible() and offer.text() == "Go on from step 7"
    assert window.banner.text == "This run was broken off at step 7. It can be trained on as if it never was."
    QTest.keyClick(window, Qt.Key.Key_N)
    assert "This is a recording, and a new lane goes on from one that trains" in window.banner.text
    assert offer.isVisible() and offer.text() == "Go on from step 7", "the way to a fork begins so"
    qtbot.mouseClick(offer, LEFT)
    assert window.banner.text == "" and window.bridge.active
    ended(window, qtbot)
    assert not window.stage.replaying and window.stage.history.last_step == 20
    new = window.stage.folder
    assert new is not None and new != folder
    again, whole = list(replay(new)), list(replay(recorded(tmp_path / "whole", of)))
    for lane in LANES:
        assert numbers(again, lane) == numbers(whole, lane)
        assert window.stage.history.lanes[lane].loss.tolist() == [row[1] for row in numbers(whole, lane)]
    assert isinstance(open_recording(new).finished, RunFinished)
    assert files == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert window.outcome.isVisible()


def test_that_a_finished_recording_goes_on_by_a_key_to_twice_its_steps_or_to_those_of_the_form(
    open_window, qtbot, tmp_path
):
    folder = recorded(tmp_path / "old", engine.config(steps=8, eval_every=4))
    window = opened(open_window, qtbot, folder)
    assert window.banner.text == "", "nothing is offered of a run that came to its end"
    QTest.keyClick(window, Qt.Key.Key_G)
    ended(window, qtbot)
    assert window.stage.history.last_step == 16
    line = window.form.run.line("steps")
    window.form.training.open()
    line.setFocus()
    line.selectAll()
    qtbot.keyClicks(line, "19")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    window.actions_by_key["go_on"].trigger()
    ended(window, qtbot)
    assert window.stage.history.last_step == 19
    assert checkpoints.newest_step(window.stage.folder) == 19


@pytest.mark.thorough
def test_that_a_run_of_the_window_goes_on_by_the_button_where_its_end_is_told(open_window, qtbot):
    window = open_window(config=engine.config(steps=6, eval_every=3), source=experiment)
    window.resize(1400, 950)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=20_000)
    ended(window, qtbot)
    first = window.stage.folder
    qtbot.mouseClick(window.outcome.go_on, LEFT)
    qtbot.waitUntil(lambda: window.stage.history.last_step == 12 and window.outcome.isVisible(), timeout=20_000)
    assert window.stage.folder != first
    assert window.form.config() == engine.config(steps=6, eval_every=3)


@pytest.mark.thorough
def test_that_a_lane_that_was_forked_off_goes_on_and_has_one_card(open_window, qtbot, tmp_path):
    folder = recorded(tmp_path / "old", engine.config(steps=8, eval_every=4), forked_at=4)
    window = opened(open_window, qtbot, folder)
    assert cards(window) == ["random", "knn", "new"]
    window.actions_by_key["go_on"].trigger()
    ended(window, qtbot)
    assert cards(window) == window.stage.panes.lanes == ["random", "knn", "new"]
    assert {name: int(lane.steps[-1]) for name, lane in window.stage.history.lanes.items()} == dict.fromkeys(
        ("random", "knn", "new"), 16
    )


def test_that_what_cannot_go_on_says_why(open_window, qtbot, tmp_path):
    window = open_window(config=engine.config(), source=experiment)
    window.actions_by_key["go_on"].trigger()
    assert "There is no recorded run to go on with" in window.banner.text
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.RUNNING, timeout=10_000)
    window.actions_by_key["go_on"].trigger()
    assert window.banner.text.startswith("A run is on already")


@pytest.mark.thorough
@pytest.mark.parametrize("checkpoint_every", [0, 60])
def test_that_nothing_is_offered_without_a_checkpoint_or_for_a_run_that_still_goes_on(
    open_window, qtbot, tmp_path, checkpoint_every
):
    of = engine.config(steps=6, checkpoint_every=checkpoint_every)
    if checkpoint_every:
        events = record(experiment(of, Control()), tmp_path / "run")
        for event in events:
            if isinstance(event, StepRecord) and event.step == 3:
                break
        (tmp_path / "run" / "checkpoints").mkdir()
    else:
        folder = broken_off(recorded(tmp_path / "run", of))
        assert not (folder / "checkpoints").exists()
    window = opened(open_window, qtbot, tmp_path / "run")
    assert window.banner.text == "" and not window.banner.offer.isVisible()
    if not checkpoint_every:
        window.actions_by_key["go_on"].trigger()
        assert window.banner.text == "'run' holds no checkpoint, so its run cannot go on."
    else:
        events.close()


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing is killed so here")
def test_that_a_run_whose_process_died_offers_to_go_on_where_that_is_told(open_window, qtbot, tmp_path):
    training = TrainingProcess()
    try:
        of = engine.config(steps=100_000, checkpoint_every=0.01)
        window = open_window(config=of, training=training)
        QTest.keyClick(window, Qt.Key.Key_Space)

        def saved() -> bool:
            return window.stage.folder is not None and (checkpoints.newest_step(window.stage.folder) or 0) > 5

        qtbot.waitUntil(saved, timeout=60_000)
        os.kill(training.pid, signal.SIGKILL)
        qtbot.waitUntil(lambda: window.bridge.state is RunState.FAILED, timeout=20_000)
        step, died = checkpoints.newest_step(window.stage.folder), window.stage.folder
        assert "SIGKILL" in window.banner.text and window.banner.offer.text() == f"Go on from step {step:,}"
        qtbot.mouseClick(window.banner.offer, LEFT)
        qtbot.waitUntil(lambda: window.stage.history.last_step > step, timeout=60_000)
        assert window.bridge.state is RunState.RUNNING and window.stage.folder != died
        assert window.banner.text == ""
    finally:
        training.close()
