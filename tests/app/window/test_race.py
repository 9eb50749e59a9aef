"""Lanes side by side at equal time: live, scrubbed, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from app.history.race import steps_at_equal_time
from hnm_core.run.control import Control
from hnm_core.run.events import Event, StepRecord
from hnm_core.run.timing import Phase
from hnm_core.spec.config import ExperimentConfig
from tests.app import runs


def with_a_slow_lane(config: ExperimentConfig, control: Control) -> Iterator[Event]:
    """Lane "two" spends three times as long on a step as lane "one"."""
    for event in runs.source()(config, control):
        if isinstance(event, StepRecord):
            event = replace(event, phase_ms={Phase.SEARCH: 6.0 if event.lane == "two" else 2.0})
        yield event


@pytest.fixture
def window(open_window: Callable, qtbot):
    shown = open_window(source=with_a_slow_lane)
    QTest.keyClick(shown, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: shown.stage.history.last_step >= 60, timeout=10_000)
    return shown


def frame_steps(window) -> dict[str, int]:
    return {frame.lane: frame.step for frame in window.stage.panes.frames}


def test_that_a_slow_lane_falls_behind_and_catches_up_again_at_equal_steps(window, qtbot):
    QTest.keyClick(window, Qt.Key.Key_X)
    assert window.stage.curves.axis_box.currentData() == "seconds"
    qtbot.waitUntil(lambda: 0 < frame_steps(window)["two"] <= frame_steps(window)["one"] // 2, timeout=5000)
    said = [view.accessibleDescription for view in window.stage.panes.views]
    qtbot.waitUntil(lambda: all(" s · step " in text() for text in said), timeout=5000)  # the one that is ahead, too
    before = frame_steps(window)
    qtbot.waitUntil(lambda: frame_steps(window)["two"] >= before["two"] + 20, timeout=10_000)
    now = frame_steps(window)
    assert now["one"] > before["one"] and now["two"] <= now["one"] / 2
    QTest.keyClick(window, Qt.Key.Key_X)
    assert window.stage.curves.axis_box.currentData() == "step"
    qtbot.waitUntil(lambda: frame_steps(window)["two"] >= frame_steps(window)["one"] - 10, timeout=5000)


@pytest.mark.thorough
def test_that_the_timeline_goes_by_the_steps_of_the_quickest_lane(window, qtbot):
    QTest.keyClick(window, Qt.Key.Key_Space)
    QTest.keyClick(window, Qt.Key.Key_X)
    window.stage.timeline.scrubbed.emit(55)
    assert steps_at_equal_time(window.stage.history, 55) == {"one": 55, "two": 18}
    qtbot.waitUntil(lambda: frame_steps(window) == {"one": 50, "two": 10}, timeout=5000)
    qtbot.waitUntil(lambda: "0.11 s · step 18" in window.stage.panes.view("two").accessibleDescription(), timeout=5000)
    window.stage.timeline.live_requested.emit()
    qtbot.waitUntil(lambda: frame_steps(window)["one"] >= 60 and frame_steps(window)["two"] >= 20, timeout=5000)
