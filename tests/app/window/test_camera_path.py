"""Key frames of the camera, taken in the window with one key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QApplication

from app.picture.camera_keys import FILE, read_keys
from app.window.main_window import MainWindow
from hnm_core.recording import copy_run, record
from tests.app.window.test_exporting import choose, click, decoded, number, ready, states
from tests.app.window.test_inspector import settle
from tests.app.window.test_main_window import press
from tests.video.conftest import growing_run

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
WAIT_MS = 30_000


@pytest.fixture
def shown(open_window: Callable[..., MainWindow], qtbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    monkeypatch.chdir(tmp_path)
    list(record(growing_run(), tmp_path / "run"))
    window = open_window()
    window.files.play(tmp_path / "run")
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=WAIT_MS)
    window.stage.timeline.set_playing(False)
    show_step(qtbot, window, 20)
    return window


def show_step(qtbot, window: MainWindow, step: int) -> None:
    window.stage._seek(step)
    qtbot.waitUntil(lambda: {frame.step for frame in window.stage.panes.frames} == {step}, timeout=WAIT_MS)
    settle(qtbot, window)


def steps(window: MainWindow) -> list[int]:
    return [step for step, _, kind in window.stage.timeline.track.marks if kind == "camera"]


def turn(qtbot, window: MainWindow) -> None:
    """With the keyboard, as on a cloud."""
    view = window.stage.panes.views[0]
    view.setFocus()
    before = view.camera
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.camera != before


def test_that_one_key_takes_the_camera_and_the_timeline_shows_it(shown, qtbot, tmp_path):
    press(qtbot, shown, Qt.Key.Key_C)
    show_step(qtbot, shown, 40)
    turn(qtbot, shown)
    press(qtbot, shown, Qt.Key.Key_C)
    keys = read_keys(tmp_path / "run")
    assert steps(shown) == [20, 40] == [key.step for key in keys]
    assert keys[0].azimuth != keys[1].azimuth == pytest.approx(shown.stage.panes.panes[0].camera.azimuth % 360)
    assert "2 key frames" in shown.statusBar().currentMessage()


@pytest.mark.thorough
def test_that_key_frames_are_undone_and_done_again_before_other_changes(shown, qtbot, tmp_path):
    press(qtbot, shown, Qt.Key.Key_C)
    show_step(qtbot, shown, 40)
    press(qtbot, shown, Qt.Key.Key_C)
    both = read_keys(tmp_path / "run")
    config = shown.form.config()
    press(qtbot, shown, Qt.Key.Key_Z, CTRL)
    assert steps(shown) == [20] and read_keys(tmp_path / "run") == both[:1]
    press(qtbot, shown, Qt.Key.Key_Z, CTRL | SHIFT)
    assert steps(shown) == [20, 40] and read_keys(tmp_path / "run") == both
    press(qtbot, shown, Qt.Key.Key_Z, CTRL)
    press(qtbot, shown, Qt.Key.Key_Z, CTRL)
    assert steps(shown) == [] and read_keys(tmp_path / "run") == [] and shown.form.config() == config
    press(qtbot, shown, Qt.Key.Key_Z, CTRL)
    assert shown.form.config() != config  # what was changed before them: the recording was opened


@pytest.mark.thorough
def test_that_the_nearest_key_frame_is_removed_and_that_can_be_undone(shown, qtbot, tmp_path):
    for step in (20, 40):
        show_step(qtbot, shown, step)
        press(qtbot, shown, Qt.Key.Key_C)
    press(qtbot, shown, Qt.Key.Key_C, SHIFT)
    assert steps(shown) == [20] == [key.step for key in read_keys(tmp_path / "run")]
    press(qtbot, shown, Qt.Key.Key_Z, CTRL)
    assert steps(shown) == [20, 40]


def test_that_without_a_cloud_the_window_says_what_to_do(open_window, qtbot):
    window = open_window()
    press(qtbot, window, Qt.Key.Key_C)
    assert "There is no cloud to look at yet" in window.banner.text


@pytest.mark.thorough
def test_that_key_frames_come_with_the_recording_and_are_told_from_another(shown, qtbot, tmp_path):
    press(qtbot, shown, Qt.Key.Key_C)
    copy_run(tmp_path / "run", tmp_path / "copy")
    (tmp_path / "run" / FILE).unlink()
    shown.files.play(tmp_path / "copy")
    qtbot.waitUntil(lambda: shown.stage.folder == tmp_path / "copy", timeout=WAIT_MS)
    assert steps(shown) == [20]
    press(qtbot, shown, Qt.Key.Key_R)
    assert steps(shown) == []
    shown.files.play(tmp_path / "run")
    qtbot.waitUntil(lambda: shown.stage.folder == tmp_path / "run", timeout=WAIT_MS)
    assert steps(shown) == []


def test_that_the_template_own_path_follows_the_key_frames_as_they_are_taken(shown, qtbot, tmp_path):
    press(qtbot, shown, Qt.Key.Key_M, CTRL)
    sheet = shown.exporting.sheet
    choose(qtbot, sheet.size_box, "Own")
    number(qtbot, sheet.width_box, "320")
    number(qtbot, sheet.height_box, "200")
    number(qtbot, sheet.seconds, "1.5")
    choose(qtbot, sheet.template, "own-path")
    number(qtbot, sheet.seconds, "1.5")
    qtbot.waitUntil(lambda: "holds no key frames" in sheet.problem.text(), timeout=WAIT_MS)
    shown.activateWindow()  # as a click on it does
    qtbot.waitUntil(lambda: QApplication.activeWindow() is shown, timeout=WAIT_MS)
    press(qtbot, shown, Qt.Key.Key_C)
    ready(qtbot, sheet)
    assert sheet.problem.text() == ""
    one = sheet.view.picture.image
    turn(qtbot, shown)
    press(qtbot, shown, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: sheet.view.picture.image != one, timeout=WAIT_MS)
    click(qtbot, sheet.render_button)
    qtbot.waitUntil(lambda: states(shown) == ["done"], timeout=WAIT_MS)
    assert decoded(tmp_path / "clouds-part.mp4") == (45, 320, 200, pytest.approx(1.5))
