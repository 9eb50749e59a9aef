"""Margins moved in the histograms of a window whose lanes train: the real engine on a thread, real mouse and keys."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt

from app.history.markers import markers
from app.history.playback import load
from app.window.main_window import MainWindow
from hnm_core.recording import open_recording
from hnm_core.run.events import RunState
from hnm_core.run.hardness import Hardness
from tests.app import engine
from tests.app.engine import config
from tests.app.panels.test_experiment_form import type_into
from tests.app.window.test_live_changes import changes
from tests.app.window.test_main_window import press, steps, wait_for
from tests.app.windows import make_window

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


@pytest.mark.thorough
def test_that_escape_changes_nothing(training, qtbot):
    handle = training.stage.hardness.plot.handle("knn")
    handle.setFocus()
    qtbot.keyClick(handle, Qt.Key.Key_Right)
    qtbot.keyClick(handle, Qt.Key.Key_Escape)
    qtbot.wait(200)
    assert changes(training) == [] and handle.value == 0.05 == form_margin(training)


@pytest.mark.thorough
def test_that_undo_of_something_else_leaves_the_margin(training, qtbot):
    window = training
    margin = drag(qtbot, window, 40)
    qtbot.waitUntil(lambda: len(changes(window)) == 1, timeout=5000)
    window.form.training.open()
    type_into(qtbot, window.form.optimizer.line("lr"), "0.01")
    press(qtbot, window, Qt.Key.Key_Z, CONTROL)
    qtbot.wait(200)
    assert len(changes(window)) == 1 and form_margin(window) == margin


@pytest.mark.thorough
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


@pytest.mark.parametrize(("width", "beside"), [(1000, False), (1280, False), (1700, True)])
def test_that_the_charts_stand_side_by_side_where_there_is_room_and_histograms_are_the_front_tab_elsewhere(
    qtbot, tmp_path, raster_kernels, width, beside
):
    window = make_window(tmp_path)
    window.resize(width, 700)
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    qtbot.wait(50)
    stage = window.stage
    assert window.width() == width
    assert stage.hardness.isVisible()
    assert not stage.hardness.visibleRegion().isEmpty()
    assert stage.timing.visibleRegion().isEmpty() is not beside
    if beside:
        places = [view.mapTo(window, QPoint()).x() for view in (stage.charts, stage.hardness, stage.timing)]
        assert places == sorted(set(places))
    with qtbot.waitSignal(window.closed, timeout=10_000):
        window.close()
    window.jobs.close()


@pytest.mark.thorough
def test_that_a_recording_shows_the_histograms_of_each_moment_and_its_margins_stay(training, qtbot):
    window = training
    drag(qtbot, window, 40)
    qtbot.waitUntil(lambda: len(changes(window)) == 1, timeout=5000)
    press(qtbot, window, Qt.Key.Key_Period)
    qtbot.waitUntil(lambda: steps(window, "knn") == 5, timeout=5000)
    folder = window.stage.folder
    press(qtbot, window, Qt.Key.Key_R)
    wait_for(qtbot, window, RunState.IDLE)
    past, history = load(folder, lambda *_: True)
    window.session.show_past(past, history)
    window.stage.timeline.set_playing(False)
    plot, track = window.stage.hardness.plot, window.stage.timeline.track
    recorded = {step: past.frames_at(step)[1].hardness for step in (1, 5)}
    assert recorded[1].margin == 0.05 < recorded[5].margin
    for key, step in ((Qt.Key.Key_End, 5), (Qt.Key.Key_Home, 0)):
        track.setFocus()
        qtbot.keyClick(track, key)
        if not step:
            qtbot.keyClick(track, Qt.Key.Key_Right)
            step = 1

        def told(step: int = step) -> bool:
            cell = plot.cells[1] if len(plot.cells) == 2 else None
            hardness = cell.shown.hardness if cell is not None and "recording" in cell.handle.toolTip() else None
            return hardness is not None and same(hardness, recorded[step])

        qtbot.waitUntil(told, timeout=5000)
        assert plot.handle("knn").value == recorded[step].margin


def same(one: Hardness, other: Hardness) -> bool:
    return (one.margin, one.total, one.width) == (other.margin, other.total, other.width) and np.array_equal(
        one.bins, other.bins
    )


@pytest.mark.thorough
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
    qtbot.waitUntil(lambda: "pairs, not triplets" in plot.cells[2].shown.message, timeout=5000)
    assert not plot.handle("pairs").isVisible()
    assert "'contrastive' has no margin over triplets" in plot.cells[1].shown.fixed
    assert not plot.handle("no margin").isVisible()
    assert plot.handle("triplets").isVisible()
