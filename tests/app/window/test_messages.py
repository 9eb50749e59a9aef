"""How long what the window says stays, and how it is taken away."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import Qt

from hnm_core.run.events import RunState
from hnm_core.spec import config as configuration
from tests.app import runs
from tests.app.window.test_main_window import drop, press, train, wait_for


def test_that_escape_dismisses_the_message_and_the_focus_stays(open_window, qtbot, tmp_path):
    window = open_window()
    drop(window, tmp_path / "poem.txt")
    assert "poem.txt" in window.banner.text
    box = window.form.lanes.cards[0].name
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    assert window.banner.text == "" and box.hasFocus()


def test_that_escape_in_a_name_that_is_being_typed_takes_that_back_first(open_window, qtbot, tmp_path):
    window = open_window()
    drop(window, tmp_path / "poem.txt")
    box = window.form.lanes.cards[0].miner.box
    was = box.currentText()
    box.setFocus()
    qtbot.keyClicks(box, "ksdf")
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    assert box.search.text() == was and "poem.txt" in window.banner.text
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    assert window.banner.text == ""


def test_that_what_was_said_goes_with_the_next_run_or_another_file(open_window, qtbot, tmp_path):
    window = open_window()
    np.savez(tmp_path / "bad.npz", x=np.zeros((4, 2)))
    drop(window, tmp_path / "bad.npz")
    qtbot.waitUntil(lambda: "bad.npz" in window.banner.text, timeout=5000)
    train(qtbot, window, 5)
    assert window.banner.text == ""
    press(qtbot, window, Qt.Key.Key_R)
    wait_for(qtbot, window, RunState.IDLE)
    drop(window, tmp_path / "bad.npz")
    qtbot.waitUntil(lambda: "bad.npz" in window.banner.text, timeout=5000)
    (tmp_path / "good.toml").write_text(configuration.dump(runs.config("three")), encoding="utf-8")
    drop(window, tmp_path / "good.toml")
    assert window.banner.text == "" and window.stage.panes.lanes == ["three"]


def test_that_an_error_of_a_run_goes_with_the_next_run(open_window, qtbot):
    window = open_window(source=runs.source(fail_at=3))
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.FAILED)
    assert "seven is not a number" in window.banner.text
    press(qtbot, window, Qt.Key.Key_Space)
    assert window.banner.text == ""
    wait_for(qtbot, window, RunState.FAILED)


def test_that_what_a_user_did_wrong_is_said_below_where_an_error_keeps_the_banner(open_window, qtbot, tmp_path):
    window = open_window(source=runs.source(fail_at=3))
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.FAILED)
    drop(window, tmp_path / "poem.txt")
    assert "seven is not a number" in window.banner.text
    assert "poem.txt" in window.statusBar().currentMessage()


def test_that_opening_a_file_leaves_no_work_in_the_status_bar(open_window, qtbot, tmp_path):
    window = open_window()
    np.savez(tmp_path / "mine.npz", x=np.zeros((8, 3)), y=np.arange(8) % 2)
    drop(window, tmp_path / "mine.npz")
    qtbot.waitUntil(lambda: window.form.config().data.name == "file", timeout=5000)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=5000)
    assert window.job_line.isHidden() and not window.statusBar().currentMessage().startswith("Open mine.npz")


def test_that_end_goes_live_also_from_the_timeline(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    timeline = window.stage.timeline
    qtbot.waitUntil(lambda: timeline.track.last_step > 0, timeout=5000)
    timeline.track.setFocus()
    qtbot.keyClick(timeline.track, Qt.Key.Key_Home)
    assert not timeline.live_button.isChecked()
    qtbot.keyClick(timeline.track, Qt.Key.Key_End)
    assert timeline.live_button.isChecked() and window.stage._step is None
