"""A run beside another one: the lanes of both in one window, or a sentence that says why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PyQt6.QtWidgets import QFileDialog

from app.window.main_window import MainWindow
from hnm_core.recording import list_runs, record
from hnm_core.run.events import RunStarted
from tests.video.conftest import STEPS, growing_run

WAIT_MS = 20_000


@pytest.fixture
def shown(open_window: Callable[..., MainWindow], qtbot, tmp_path: Path) -> MainWindow:
    list(record(growing_run(), tmp_path / "first"))
    window = open_window()
    window.files.play(tmp_path / "first")
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=WAIT_MS)
    return window


def compare(window: MainWindow, other: Path, qtbot) -> None:
    """By the menu, as a user does."""
    window.actions_by_key["compare"].trigger()
    dialog = next(box for box in window.findChildren(QFileDialog) if box.isVisible())
    dialog.fileSelected.emit(str(other))
    dialog.close()
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)


def test_that_the_lanes_of_both_are_shown_with_their_curves_at_one_step_and_at_equal_time(shown, qtbot, tmp_path):
    list(record(growing_run(("knn", "lsh"), leap=2.0), tmp_path / "second"))
    compare(shown, tmp_path / "second", qtbot)
    lanes = ("random", "knn", "B knn", "B lsh")
    assert tuple(shown.stage.panes.lanes) == lanes == tuple(shown.stage.history.lanes)
    assert "are of the same data and differ in their lanes alone" in shown.session.config.about
    shown.stage.timeline.set_playing(False)
    shown.stage.go_live()
    qtbot.waitUntil(lambda: [frame.step for frame in shown.stage.panes.frames] == [STEPS] * 4, timeout=WAIT_MS)
    spread = {frame.lane: float(frame.positions.std()) for frame in shown.stage.panes.frames}
    assert spread["B knn"] == pytest.approx(2 * spread["knn"])
    shown.stage.choice.pick(10)
    inspector = shown.stage.inspecting.view
    qtbot.waitUntil(lambda: inspector.summary.rowCount() == 4, timeout=WAIT_MS)
    assert [inspector.summary.item(row, 0).text() for row in range(4)] == list(lanes)
    shown.actions_by_key["race"].setChecked(True)
    qtbot.waitUntil(lambda: len({frame.step for frame in shown.stage.panes.frames}) > 1, timeout=WAIT_MS)
    assert shown.stage.panes.frames[1].step < STEPS, "knn took longer than random"


def test_that_other_data_are_refused_and_what_was_shown_stays_and_no_folder_is_left(shown, qtbot, tmp_path):
    def other():
        for event in growing_run():
            yield replace(event, class_names=("x", "y", "z")) if isinstance(event, RunStarted) else event

    list(record(other(), tmp_path / "second"))
    compare(shown, tmp_path / "second", qtbot)
    assert "cannot stand side by side" in shown.messages.banner.text
    assert tuple(shown.stage.panes.lanes) == ("random", "knn") and list_runs() == []


@pytest.mark.thorough
def test_that_more_lanes_than_there_are_panes_are_refused(shown, qtbot, tmp_path):
    list(record(growing_run(tuple("abcde")), tmp_path / "second"))
    compare(shown, tmp_path / "second", qtbot)
    assert "at most 6 lanes, and together these have 7" in shown.messages.banner.text
    assert list_runs() == []


def test_that_without_a_run_there_is_nothing_to_compare(open_window):
    window = open_window()
    window.actions_by_key["compare"].trigger()
    assert window.findChild(QFileDialog) is None
    assert "There is no run yet" in window.messages.banner.text
