"""New lanes that go on from where one of the window's lanes stands: the real engine, real clicks and keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QApplication, QLineEdit, QMenu, QWidget

from app.history.playback import Past
from app.history.words import title
from app.limits import MAX_PANES
from app.panels.fork_dialog import ForkDialog
from app.window.main_window import MainWindow
from hnm_core.recording import record
from hnm_core.run import changeable
from hnm_core.run.control import Control
from hnm_core.run.events import LaneForked, RunState, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.training.experiment import Experiment
from tests.app import runs
from tests.app.engine import config
from tests.app.panels.test_experiment_form import pick
from tests.app.window.test_live_changes import changes
from tests.app.window.test_main_window import press, steps, wait_for

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


def dialog_of(window: MainWindow) -> ForkDialog:
    (dialog,) = [child for child in window.findChildren(ForkDialog) if child.isVisible()]
    dialog.activateWindow()
    return dialog


def retype(qtbot, line: QLineEdit, text: str) -> None:
    line.setFocus()
    line.selectAll()
    qtbot.keyClicks(line, text)


def back_to(qtbot, window: QWidget) -> None:
    """Keys are this window's."""
    with qtbot.waitActive(window):
        window.activateWindow()


def fork(qtbot, window: MainWindow, lane: str, new_lane: str) -> None:
    window.forks.ask(lane)
    dialog = dialog_of(window)
    dialog.name.setText(new_lane)
    dialog.name.textEdited.emit(new_lane)
    qtbot.mouseClick(dialog.go, LEFT)
    qtbot.waitUntil(lambda: new_lane in window.stage.panes.lanes, timeout=5000)
    back_to(qtbot, window)


def test_that_the_key_asks_and_a_new_lane_with_another_miner_goes_on(training, qtbot):
    window, at = training, steps(training, "knn")
    press(qtbot, window, Qt.Key.Key_N)
    dialog = dialog_of(window)
    assert dialog.lane_box.currentText() == "random"
    pick(qtbot, dialog.lane_box, "knn")
    pick(qtbot, dialog.miner.box, "lsh")
    assert dialog.name.text() == "lsh"
    qtbot.mouseClick(dialog.go, LEFT)
    qtbot.waitUntil(lambda: "lsh" in window.stage.history.lanes, timeout=5000)
    assert changes(window)[0][:2] == ("lsh", "miner")
    assert window.stage.panes.lanes == ["random", "knn", "lsh"]
    pane = window.stage.panes._pane("lsh")
    qtbot.waitUntil(lambda: pane.fitted is not None, timeout=5000)
    assert pane.frame.step == at and pane.camera.azimuth == window.stage.panes._pane("knn").camera.azimuth
    assert pane.view._title_rgb == window.look.theme.lane(2)
    assert [card.name.text() for card in window.form.lanes.cards] == ["random", "knn", "lsh"]
    assert window.form.config().lanes[2].miner_options == {"pool": 5}, "the options that both miners have"
    apply = window.form.running_note.button  # there while the form and the run are of two minds
    qtbot.waitUntil(lambda: not apply.isVisible(), timeout=5000)
    back_to(qtbot, window)
    press(qtbot, window, Qt.Key.Key_Period)
    qtbot.waitUntil(lambda: steps(window, "lsh") == 1, timeout=5000)
    assert window.stage.history.lanes["lsh"].steps.tolist() == [at + 1]
    qtbot.waitUntil(lambda: list(window.stage.curves.loss_legend.chips) == ["random", "knn", "lsh"], timeout=5000)
    track = window.stage.timeline.track
    qtbot.waitUntil(lambda: any(kind == "fork" and "goes on from 'knn'" in text for _, text, kind in track.marks))


def test_that_a_fork_without_a_change_stays_equal_and_undo_takes_only_its_card_out(training, qtbot):
    window = training
    fork(qtbot, window, "knn", "twin")
    press(qtbot, window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert [card.name.text() for card in window.form.lanes.cards] == ["random", "knn"]
    for done in (1, 2):
        press(qtbot, window, Qt.Key.Key_Period)
        qtbot.waitUntil(lambda done=done: steps(window, "twin") == done, timeout=5000)
    lanes = window.stage.history.lanes
    assert lanes["twin"].loss.tolist() == lanes["knn"].loss[-2:].tolist()
    assert "twin" in window.stage.panes.lanes


def test_that_a_right_click_offers_to_go_on_and_a_right_drag_still_pans(training, qtbot):
    window = training
    view = window.stage.panes.view("knn")
    before = view.camera
    qtbot.mousePress(view, RIGHT, pos=QPoint(100, 200))
    qtbot.mouseMove(view, QPoint(140, 230))
    qtbot.mouseRelease(view, RIGHT, pos=QPoint(140, 230))
    assert QApplication.activePopupWidget() is None
    assert view.camera.azimuth == before.azimuth
    qtbot.mouseClick(view, RIGHT, pos=QPoint(100, 200))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    action = menu.actions()[0]
    assert action.text() == "Continue from 'knn' as a new lane ..."
    menu.close()
    action.trigger()
    assert dialog_of(window).lane_box.currentText() == "knn"
    dialog_of(window).reject()


def test_that_the_dialog_says_what_is_wrong_before_anything_happens(training, qtbot):
    window = training
    window.forks.ask("knn")
    dialog = dialog_of(window)
    back_to(qtbot, dialog)
    assert dialog.name.text() == "knn-2" and dialog.changes() == {}
    for text, words in (("random", "already"), ("", "begins with a letter"), ("/x", "begins with a letter")):
        retype(qtbot, dialog.name, text or " ")
        assert words in dialog.problem.text() and not dialog.go.isEnabled()
    retype(qtbot, dialog.name, "mine")
    assert dialog.go.isEnabled()
    pick(qtbot, dialog.miner.box, "lsh")
    assert dialog.name.text() == "mine", "a name that was typed stays"
    dialog.miner.set_value("angular")
    dialog.miner.committed.emit()
    assert "normalised" in dialog.problem.text() and not dialog.go.isEnabled()
    dialog.reject()
    assert window.stage.panes.lanes == ["random", "knn"]


@pytest.mark.thorough
def test_that_the_run_stands_still_while_the_dialog_is_open_and_goes_on_after_it(training, qtbot):
    window = training
    window.bridge.resume()
    before = steps(window, "knn")
    qtbot.waitUntil(lambda: steps(window, "knn") > before, timeout=5000)
    window.forks.ask("knn")
    assert window.bridge.state is RunState.PAUSED
    dialog_of(window).reject()
    assert window.bridge.state is RunState.RUNNING
    fork(qtbot, window, "knn", "twin")
    assert window.bridge.state is RunState.RUNNING
    window.bridge.pause()
    window.forks.ask("knn")
    dialog_of(window).reject()
    assert window.bridge.state is RunState.PAUSED, "as it was found"


@pytest.mark.thorough
def test_that_a_run_that_ended_under_the_dialog_is_told(training, qtbot):
    window = training
    window.forks.ask("knn")
    dialog = dialog_of(window)
    window.bridge.stop()
    wait_for(qtbot, window, RunState.FINISHED)
    qtbot.mouseClick(dialog.go, LEFT)
    assert "The run has ended, so nothing can go on from 'knn'." in window.banner.text
    assert window.stage.panes.lanes == ["random", "knn"]


def test_that_without_a_run_and_with_a_full_window_the_reason_is_said(training, qtbot):
    window = training
    for place in range(MAX_PANES - 2):
        fork(qtbot, window, "random", f"more {place}")
    assert len(window.stage.panes.views) == MAX_PANES
    press(qtbot, window, Qt.Key.Key_N)
    assert f"at most {MAX_PANES} lanes" in window.banner.text
    press(qtbot, window, Qt.Key.Key_R)
    wait_for(qtbot, window, RunState.IDLE)
    window.banner.dismiss()
    press(qtbot, window, Qt.Key.Key_N)
    assert "none does" in window.banner.text
    assert not [child for child in window.findChildren(ForkDialog) if child.isVisible()]


def test_that_after_the_end_a_new_lane_is_refused_with_the_way_to_one(training, qtbot):
    window = training
    window.bridge.stop()
    wait_for(qtbot, window, RunState.FINISHED)
    press(qtbot, window, Qt.Key.Key_N)
    assert "The run is over without a checkpoint" in window.banner.text and "train again" in window.banner.text
    assert not [child for child in window.findChildren(ForkDialog) if child.isVisible()]


@pytest.mark.thorough
def test_that_the_timeline_goes_back_to_before_the_fork_and_forth_again(training, qtbot):
    window = training
    fork(qtbot, window, "knn", "twin")
    pane = window.stage.panes._pane("twin")
    qtbot.waitUntil(lambda: pane.fitted is not None, timeout=5000)
    window.stage.timeline._dragged(0)
    qtbot.waitUntil(lambda: pane.frame is None, timeout=5000)
    assert pane.view.message.startswith("Begins at step")
    assert window.stage.panes._pane("knn").frame is not None
    press(qtbot, window, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: pane.frame is not None and pane.view.message == "", timeout=5000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recording of 30 steps, a frame every 10; at step 12 a lane was forked off with another miner."""
    control = Control()
    of = config(steps=30, frame_every=10, eval_every=10)
    for event in record(Experiment(of).run(control), tmp_path / "run"):
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("knn", 12):
            control.fork("knn", "new", {"miner": "lsh"})
    return tmp_path / "run"


@pytest.mark.thorough
def test_that_a_recording_with_a_fork_is_shown_from_where_each_lane_begins(open_window, qtbot, folder):
    window = open_window()
    window.files.play(folder)
    panes = window.stage.panes
    qtbot.waitUntil(lambda: panes.lanes == ["random", "knn", "new"], timeout=10_000)
    window.stage.timeline.set_playing(False)
    window.stage._seek(5)
    qtbot.waitUntil(lambda: panes._pane("new").view.message == "Begins at step 12", timeout=5000)
    window.stage._seek(25)
    qtbot.waitUntil(lambda: panes._pane("new").frame is not None and panes._pane("new").frame.step == 20, timeout=5000)
    past = Past.of(folder)
    assert [frame.lane for frame in past.frames_at(11)] == ["random", "knn"]
    assert [(frame.lane, frame.step) for frame in past.frames_at(12)][-1] == ("new", 12)


def test_that_a_forked_lane_has_the_time_of_its_parent_behind_it():
    history = RunHistory()
    history.add(runs.started(config()))
    for step in range(1, 11):
        history.add(runs.record("knn", step))
    history.add(LaneForked("new", 6, "knn"))
    history.add(runs.record("new", 7))
    knn, new = history.lanes["knn"], history.lanes["new"]
    assert new.seconds.tolist() == [pytest.approx(float(knn.seconds[6]))]
    assert new.seconds_at(np.array([6])).tolist() == [float(knn.seconds[5])]
    assert list(history.lanes) == ["random", "knn", "new"] and title(history, "new") == "new"
    assert changeable.settings(history.lane_configs()["new"]) == changeable.settings(history.lane_configs()["knn"])
