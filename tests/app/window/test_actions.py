"""Rows of the actions table that no other test here goes through, from the key or the menu to what comes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QDesktopServices
from PyQt6.QtWidgets import QFileDialog, QMessageBox

from app import style
from app.picture.theme import DARK, LIGHT
from app.window.actions import ACTIONS
from app.window.settings import Settings
from hnm_core.recording import open_recording, record
from hnm_core.run.control import Control
from hnm_core.run.events import RunState
from hnm_core.spec import config as configuration
from tests.app import runs

SHIFT, CTRL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier


def trained(qtbot, open_window):
    window = open_window(config=runs.config(steps=20))
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.FINISHED, timeout=5000)
    qtbot.waitUntil(lambda: all(pane.fitted is not None for pane in window.stage.panes.panes), timeout=5000)
    return window


def answer(qtbot, window, path: Path) -> None:
    """What the open dialog asks for; keys go to the window again."""
    dialog = window.findChildren(QFileDialog)[-1]
    dialog.fileSelected.emit(str(path))
    with qtbot.waitActive(window):
        dialog.reject()
        window.activateWindow()


def from_menu(window, menu: str, text: str) -> None:
    bar = window.menuBar()
    action = next(action for action in bar.actions() if action.text() == f"&{menu}")
    next(one for one in action.menu().actions() if one.text() == text).trigger()


def test_that_no_two_actions_have_one_key_or_one_name() -> None:
    keys = [spec.shortcut for spec in ACTIONS if spec.shortcut]
    assert len(set(keys)) == len(keys)
    assert len({spec.key for spec in ACTIONS}) == len({spec.text for spec in ACTIONS}) == len(ACTIONS)


def test_that_keys_open_a_recording_data_and_a_configuration(open_window, qtbot, tmp_path) -> None:
    window = open_window()
    folder, table, toml = tmp_path / "run", tmp_path / "own.npz", tmp_path / "own.toml"
    for _event in record(runs.source()(runs.config("one", steps=12), Control()), folder):
        pass
    np.savez(table, x=np.eye(60, 4, dtype=np.float32), y=np.arange(60) % 3)
    toml.write_text(configuration.dump(runs.config("from a file")))
    qtbot.keyClick(window, Qt.Key.Key_O, CTRL)
    answer(qtbot, window, folder)
    qtbot.waitUntil(lambda: window.stage.replaying and window.stage.panes.lanes == ["one"], timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_O, CTRL | SHIFT)
    answer(qtbot, window, toml)
    assert window.stage.panes.lanes == ["from a file"] and not window.stage.replaying
    qtbot.keyClick(window, Qt.Key.Key_D, CTRL)
    answer(qtbot, window, table)
    qtbot.waitUntil(lambda: str(table) in window.session.config.data.options.values(), timeout=5000)


def test_that_a_key_writes_the_report_of_a_run(open_window, qtbot, tmp_path) -> None:
    window = trained(qtbot, open_window)
    qtbot.keyClick(window, Qt.Key.Key_R, CTRL)
    answer(qtbot, window, tmp_path / "page.html")
    qtbot.waitUntil((tmp_path / "page.html").exists, timeout=10_000)
    assert "Hand-made" in (tmp_path / "page.html").read_text()
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=5000)


def test_that_a_key_quits_and_the_recording_is_complete(open_window, qtbot, tmp_path) -> None:
    window = open_window()
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.stage.history.last_step > 5, timeout=5000)
    with qtbot.waitSignal(window.closed, timeout=10_000):
        qtbot.keyClick(window, Qt.Key.Key_Q, CTRL)
    assert not window.isVisible() and open_recording(tmp_path / "1").finished.stopped


def test_that_keys_zoom_to_a_point_let_it_go_and_look_at_all_clouds_from_one_distance(open_window, qtbot) -> None:
    window = trained(qtbot, open_window)
    panes, choice = window.stage.panes, window.stage.choice
    qtbot.keyClick(window, Qt.Key.Key_R, SHIFT)  # nothing glides
    qtbot.waitUntil(lambda: panes.at_rest, timeout=5000)
    whole = panes.panes[0].camera.distance
    choice.pick(103)
    qtbot.keyClick(window, Qt.Key.Key_Z)
    assert panes.panes[0].camera.distance < 0.7 * whole
    qtbot.keyClick(window, Qt.Key.Key_Q, SHIFT)
    assert choice.item_id == -1
    wide = panes.panes[1].drawn.positions * 3
    panes.show_frame(type(panes.panes[1].drawn)("two", 21, wide, panes.panes[1].drawn.triplets, 2))
    qtbot.keyClick(window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: panes.at_rest, timeout=5000)
    near, far = (pane.camera.distance for pane in panes.panes)
    assert far > 1.5 * near
    qtbot.keyClick(window, Qt.Key.Key_L, SHIFT)
    qtbot.waitUntil(lambda: panes.panes[0].camera.distance == pytest.approx(far, rel=0.02), timeout=5000)


def test_that_menus_follow_the_look_of_the_desktop_show_the_reports_and_say_what_this_is(
    open_window, qtbot, tmp_path, monkeypatch
) -> None:
    settings = Settings(tmp_path / "window.ini")
    window = open_window(settings=settings)
    other = LIGHT if window.look.theme is DARK else DARK
    qtbot.keyClick(window, Qt.Key.Key_T)
    assert window.look.theme is other
    monkeypatch.setattr(style, "system_theme", lambda: "dark" if other is LIGHT else "light")
    from_menu(window, "View", "Follow the system's look")
    assert window.look.theme is not other and not settings.text("theme")
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()))
    from_menu(window, "Help", "Open the reports folder")
    assert Path(opened[0]).is_dir() and opened[0].endswith("reports")
    from_menu(window, "Help", "About HNM Lab")
    box = window.findChild(QMessageBox)
    qtbot.waitUntil(box.isVisible, timeout=2000)
    assert "Hard negative mining made visible" in box.text()
    box.reject()
