"""A step phase by phase, in a real window."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from app.picture import slow_motion
from app.picture.slow_motion import ACTS
from app.window.run_controls import PHASE_BY_PHASE, SPEEDS


def choose_speed(window, name: str) -> None:
    """With the keyboard, as one does who has no mouse."""
    box = window.controls.speed
    box.setFocus()
    place = next(place for place, (text, _) in enumerate(SPEEDS) if text == name)
    box.setCurrentIndex(place)
    box.activated.emit(place)


def test_that_a_step_is_told_phase_by_phase_in_the_clouds_and_in_the_bars(
    open_window, qtbot, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(slow_motion, "SECONDS", 1.5)
    window = open_window()
    asked: list[float | None] = []
    window.controls.rate_chosen.connect(asked.append)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: len(window.stage.panes.frames) == 2, timeout=5000)
    QTest.keyClick(window, Qt.Key.Key_Space)
    choose_speed(window, PHASE_BY_PHASE)
    assert asked == [SPEEDS[-1][1]] and SPEEDS[-1][1] < 1 / slow_motion.SECONDS
    qtbot.waitUntil(lambda: window.stage.panes.arrived, timeout=3000)
    window.stage.timeline.scrubbed.emit(0)
    qtbot.waitUntil(lambda: {frame.step for frame in window.stage.panes.frames} == {0}, timeout=3000)
    qtbot.waitUntil(lambda: window.stage.panes.arrived, timeout=5000)
    window.stage.timeline.scrubbed.emit(10)
    told, lit = [], []

    def watch() -> bool:
        now = window.stage.panes.views[0].notice
        if now and now not in told:
            told.append(now)
            lit.append(window.stage.timing.bars.lit)
        return window.stage.panes.arrived and bool(told)

    qtbot.waitUntil(watch, timeout=6000)
    assert told == [act.words for act in ACTS]
    assert set(lit) - {frozenset()} <= {act.phases for act in ACTS} and len(set(lit)) >= 4
    qtbot.waitUntil(lambda: window.stage.timing.bars.lit == frozenset(), timeout=1000)
    assert window.stage.panes.views[0].notice == ""
    choose_speed(window, "full speed")
    assert asked[-1] is None
