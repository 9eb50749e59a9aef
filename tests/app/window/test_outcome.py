"""The end of a run, in a real window."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest

from tests.app import runs


def test_that_in_a_low_window_the_end_takes_one_line_and_tells_the_rest_when_asked(open_window, qtbot):
    window = open_window(config=runs.config(steps=40))
    window.resize(1280, 720)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=10_000)
    assert window.outcome.text.text() == "MAP@R at equal steps (40): one 0.250; no difference to two 0.250"
    assert "At equal time" in window.outcome.toolTip() and window.outcome.height() < 50
    window.resize(1280, 950)
    qtbot.waitUntil(lambda: "At equal time" in window.outcome.text.text(), timeout=3000)


def test_that_the_end_of_a_run_says_who_was_better_and_leads_on(open_window, qtbot):
    window = open_window(config=runs.config(steps=40))
    window.resize(1400, 950)
    assert window.outcome.isHidden()
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=10_000)
    assert window.outcome.title.text() == "The run is over"
    assert "MAP@R at equal steps (40): one 0.250; no difference to two 0.250" in window.outcome.text.text()
    assert "seeds may turn it round" in window.outcome.text.text()
    qtbot.mouseClick(window.outcome.seeds, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == "hnm-lab compare experiment.toml --seeds 5"
    assert "Save the configuration" in window.statusBar().currentMessage()
    qtbot.mouseClick(window.outcome.equal_time, Qt.MouseButton.LeftButton)
    assert window.actions_by_key["race"].isChecked()
    assert window.stage.curves.axis_box.currentData() == "seconds"
    QTest.keyClick(window, Qt.Key.Key_R)
    qtbot.waitUntil(window.outcome.isHidden, timeout=5000)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=10_000)
