"""Margins moved in the histograms of a window whose lanes train: the real engine on a thread, real mouse and keys."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QPoint, Qt

from app.history.markers import markers
from app.window.main_window import MainWindow
from hnm_core.recording import open_recording
from hnm_core.run.events import RunState
from tests.app import engine
from tests.app.engine import config
from tests.app.panels.test_experiment_form import type_into
from tests.app.window.test_live_changes import changes
from tests.app.window.test_main_window import press, steps, wait_for

LEFT = Qt.MouseButton.LeftButton
CONTROL = Qt.KeyboardModifier.ControlModifier
BOTH = CONTROL | Qt.KeyboardModifier.ShiftModifier
OPTION = "loss_options.margin"


@pytest.fixture
def training(training, qtbot) -> MainWindow:
    """The window, with the histograms in sight."""
    window = training
    window.resize(1600, 900)
    window.docks._hardness.raise_()
    press(qtbot, window, Qt.Key.Key_Period)
    qtbot.waitUntil(lambda: steps(window, "knn") == 4, timeout=5000)
    plot = window.stage.hardness.plot
    qtbot.waitUntil(lambda: len(plot.cells) == 2 and all(cell.shown.hardness for cell in plot.cells), timeout=5000)
    qtbot.waitUntil(lambda: plot.handle("knn").isVisible() and not plot.handle("knn").fixed, timeout=5000)
    return window


def form_margin(window: MainWindow) -> float:
    return window.form.committed.lane("knn").loss_part.options.margins["margin"]


def drag(qtbot, window: MainWindow, pixels: int) -> float:
    """Take the line of `knn` so far to the right. Returns where it was left."""
    handle = window.stage.hardness.plot.handle("knn")
    start = handle.rect().center()
    qtbot.mousePress(handle, LEFT, pos=start)
    at = handle.mapToParent(start)
    for part in (pixels // 2, pixels):
        qtbot.mouseMove(handle, handle.mapFromParent(at + QPoint(part, 0)))
    value = handle.value
    qtbot.mouseRelease(handle, LEFT)
    return value


def test_that_a_dragged_margin_is_taken_up_marked_recorded_and_in_the_form_and_undo_takes_it_back(training, qtbot):
    window = training
    assert form_margin(window) == 0.05
    at = steps(window, "knn")
    margin = drag(qtbot, window, 40)
    assert margin > 0.05
    qtbot.waitUntil(lambda: len(changes(window)) == 1, timeout=5000)
    assert changes(window) == [("knn", OPTION, "0.05", str(margin))]
    assert form_margin(window) == margin
    assert not window.form.running_note.button.isVisible(), "the form says what the run does"
    last = markers(window.stage.history)[-1]
    assert (last.lane, last.step, last.kind) == ("knn", at + 1, "option")
    assert last.text == f"margin 0.05 → {margin:g}"
    assert open_recording(window.stage.folder).lane_configs["knn"].lanes[0].loss_options["margin"] == margin
    handle = window.stage.hardness.plot.handle("knn")
    assert handle.value == margin
    assert window.stage.hardness.plot.handle("random").value == 0.05

    press(qtbot, window, Qt.Key.Key_Period)
    hardness = window.stage.hardness.plot
    qtbot.waitUntil(lambda: hardness.cells[1].shown.hardness.margin == margin, timeout=5000)

    press(qtbot, window, Qt.Key.Key_Z, CONTROL)
    assert form_margin(window) == 0.05
    qtbot.waitUntil(lambda: len(changes(window)) == 2, timeout=5000)
    assert changes(window)[-1] == ("knn", OPTION, str(margin), "0.05")
    qtbot.waitUntil(lambda: handle.value == 0.05, timeout=5000)
    assert not window.form.running_note.button.isVisible()

    press(qtbot, window, Qt.Key.Key_Z, BOTH)
    qtbot.waitUntil(lambda: len(changes(window)) == 3, timeout=5000)
    assert changes(window)[-1] == ("knn", OPTION, "0.05", str(margin))


def test_that_the_keyboard_moves_a_margin_and_the_would_be_bands_are_those_of_the_bins(training, qtbot):
    window = training
    plot = window.stage.hardness.plot
    handle = plot.handle("knn")
    handle.setFocus()
    qtbot.keyClick(handle, Qt.Key.Key_Right)
    margin = handle.value
    qtbot.wait(300)
    assert changes(window) == [] and handle.moving and handle.value == margin, "frames do not take it away"
    qtbot.keyClick(handle, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(changes(window)) == 1, timeout=5000)
    assert changes(window) == [("knn", OPTION, "0.05", str(margin))]


def test_that_escape_changes_nothing(training, qtbot):
    handle = training.stage.hardness.plot.handle("knn")
    handle.setFocus()
    qtbot.keyClick(handle, Qt.Key.Key_Right)
    qtbot.keyClick(handle, Qt.Key.Key_Escape)
    qtbot.wait(200)
    assert changes(training) == [] and handle.value == 0.05 == form_margin(training)


def test_that_undo_of_something_else_leaves_the_margin(training, qtbot):
    window = training
    margin = drag(qtbot, window, 40)
    qtbot.waitUntil(lambda: len(changes(window)) == 1, timeout=5000)
    window.form.training.open()
    type_into(qtbot, window.form.optimizer.line("lr"), "0.01")
    press(qtbot, window, Qt.Key.Key_Z, CONTROL)
    qtbot.wait(200)
    assert len(changes(window)) == 1 and form_margin(window) == margin


def test_that_a_form_that_is_no_experiment_is_told_and_the_line_goes_back(training, qtbot):
    window = training
    window.form.training.open()
    type_into(qtbot, window.form.optimizer.line("lr"), "many")
    drag(qtbot, window, 40)
    assert "learning rate" in window.banner.text
    assert window.stage.hardness.plot.handle("knn").value == 0.05
    qtbot.wait(200)
    assert changes(window) == []


def test_that_histograms_follow_the_timeline_and_lines_are_fixed_in_the_past_and_after_the_end(training, qtbot):
    window = training
    plot = window.stage.hardness.plot
    drag(qtbot, window, 40)
    qtbot.waitUntil(lambda: len(changes(window)) == 1, timeout=5000)
    for _ in range(3):
        press(qtbot, window, Qt.Key.Key_Period)
        qtbot.wait(50)
    qtbot.waitUntil(lambda: steps(window, "knn") == 7, timeout=5000)
    window.stage.timeline.track.setFocus()
    qtbot.keyClick(window.stage.timeline.track, Qt.Key.Key_Home)
    qtbot.keyClick(window.stage.timeline.track, Qt.Key.Key_Right)
    handle = plot.handle("knn")
    qtbot.waitUntil(lambda: handle.fixed and plot.cells[1].shown.steps == 1, timeout=5000)
    assert handle.value == 0.05
    assert "press End" in handle.toolTip()
    press(qtbot, window, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: not handle.fixed and handle.value > 0.05, timeout=5000)
    press(qtbot, window, Qt.Key.Key_R)
    wait_for(qtbot, window, RunState.IDLE)
    qtbot.waitUntil(lambda: "appears here" in plot.message, timeout=5000)


def test_that_lanes_without_triplets_or_a_margin_say_so_beside_those_that_have_both(open_window, qtbot):
    lanes = [
        {"name": "triplets", "miner": "knn"},
        {"name": "no margin", "miner": "random", "loss": "contrastive"},
        {"name": "pairs", "miner": "pair-margin", "loss": "contrastive"},
    ]
    window = open_window(config=config(lanes=lanes), source=engine.source)
    window.resize(1600, 900)
    for done in (1, 2):
        window.actions_by_key["step"].trigger()
        qtbot.waitUntil(lambda done=done: steps(window, "pairs") == done, timeout=30_000)
    plot = window.stage.hardness.plot
    qtbot.waitUntil(lambda: len(plot.cells) == 3 and plot.cells[0].shown.hardness is not None, timeout=5000)
    assert "pairs, not triplets" in plot.cells[2].shown.message
    assert not plot.handle("pairs").isVisible()
    assert "'contrastive' has no margin over triplets" in plot.cells[1].shown.fixed
    assert not plot.handle("no margin").isVisible()
    assert plot.handle("triplets").isVisible()
