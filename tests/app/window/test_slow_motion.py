"""A step phase by phase, in a real window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from app.picture import slow_motion
from app.picture.slow_motion import ACTS, EMBED, LOSS, NOT_TOLD, SEARCH, STEP
from app.window.run_controls import PHASE_BY_PHASE, SPEEDS
from hnm_core.run.candidates import Candidates
from hnm_core.run.control import Control
from hnm_core.run.events import Event, Frame, frozen
from hnm_core.spec.config import ExperimentConfig
from tests.app import runs

FOUND = Candidates(
    frozen(np.array([[100, 101], [100, 102], [104, 105], [104, 102]], np.int32)), frozen(np.array([1, 0, 0, 1], bool)),
    asked=9, most=2, scope="nearest",
)  # fmt: skip


def source(of: ExperimentConfig, control: Control) -> Iterator[Event]:
    """A run whose first lane tells what it searched, and whose second does not."""
    for event in runs.source()(of, control):
        yield replace(event, candidates=FOUND) if isinstance(event, Frame) and event.lane == "one" else event


def choose_speed(window, name: str) -> None:
    """With the keyboard, as one does who has no mouse."""
    box = window.controls.speed
    box.setFocus()
    place = next(place for place, (text, _) in enumerate(SPEEDS) if text == name)
    box.setCurrentIndex(place)
    box.activated.emit(place)


def test_that_a_recorded_step_is_told_phase_by_phase_in_the_clouds_and_in_the_bars(
    open_window, qtbot, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(slow_motion, "SECONDS", 1.5)
    window = open_window(source=source)
    asked: list[float | None] = []
    window.controls.rate_chosen.connect(asked.append)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: len(window.stage.panes.frames) == 2, timeout=5000)
    QTest.keyClick(window, Qt.Key.Key_Space)
    choose_speed(window, PHASE_BY_PHASE)
    assert asked == [SPEEDS[-1][1]] and SPEEDS[-1][1] < 1 / slow_motion.SECONDS
    qtbot.waitUntil(lambda: window.stage.panes.arrived, timeout=10_000)
    window.stage.timeline.scrubbed.emit(0)
    qtbot.waitUntil(lambda: {frame.step for frame in window.stage.panes.frames} == {0}, timeout=3000)
    qtbot.waitUntil(lambda: window.stage.panes.arrived, timeout=5000)
    window.stage.timeline.scrubbed.emit(10)
    told, silent, lit, lines = [], [], [], {}

    def watch() -> bool:
        one, two = window.stage.panes.views
        if one.notice and one.notice not in told:
            told.append(one.notice)
            lit.append(window.stage.timing.bars.lit)
            lines[one.notice] = [] if one.scene is None else one.scene.edges.tolist()
        if two.notice and two.notice not in silent:
            silent.append(two.notice)
        return window.stage.panes.arrived and bool(told)

    qtbot.waitUntil(watch, timeout=6000)
    found, chosen = "Search: 2 nearest of another class for 2 of 9 anchors", "Select: of these, 1 chosen each"
    assert told == [EMBED.words, found, chosen, LOSS.words, STEP.words]
    assert lines[found] == [[0, 1], [0, 2], [4, 5], [4, 2]] == lines[chosen][:4] and not lines[EMBED.words]
    assert silent == [NOT_TOLD if act is SEARCH else act.words for act in ACTS]
    captions = [view.caption.replace("\n", " · ") for view in window.stage.panes.views]
    assert "searched: 2 nearest of another class · for 2 of 9 anchors · 1 chosen each" in captions[0]
    assert "searched" not in captions[1]
    assert set(lit) - {frozenset()} <= {act.phases for act in ACTS} and len(set(lit)) >= 4
    qtbot.waitUntil(lambda: window.stage.timing.bars.lit == frozenset(), timeout=1000)
    assert window.stage.panes.views[0].notice == ""
    choose_speed(window, "full speed")
    assert asked[-1] is None
