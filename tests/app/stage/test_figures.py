"""The figures beside the clouds, while a run goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QStatusBar

from app.panels.figures import Figures
from app.picture.theme import DARK
from app.stage.stage import Stage
from hnm_core.run.channel import Drained
from tests.app.runs import config, record, started

TICKS, TICK_MS = 60, 20


@pytest.fixture
def stage(qtbot) -> Iterator[Stage]:
    bar = QStatusBar()
    made = Stage(DARK, Figures(bar))
    for widget in (bar, made.panes, made.timeline, made.charts, made.timing, made.hardness, made.misses, made.pairs):
        qtbot.addWidget(widget)
    yield made
    made.close()


def test_that_figures_of_a_run_that_was_cleared_do_not_come_after_it(stage):
    run = config()
    stage.clear(run, "")
    steps = tuple(record(lane.name, 7) for lane in run.lanes)
    stage.take(Drained((started(run), *steps)), training=True, training_mb=0.0)
    while not stage._chips:
        stage.advance(TICK_MS / 1000, orbiting=False)
        QTest.qWait(TICK_MS)
    stage.clear(run, "")
    for _ in range(20):
        stage.advance(TICK_MS / 1000, orbiting=False)
        QTest.qWait(TICK_MS)
    assert not any("step 7" in view.accessibleDescription() for view in stage.panes.views)


def test_that_lanes_side_by_side_tell_the_same_step_however_many_come_in_meanwhile(stage, monkeypatch):
    shown: list[tuple[str, str]] = []
    monkeypatch.setattr(
        stage.panes, "set_chip", lambda lane, text, *_: shown.append((lane, text.split(" · ")[0])), raising=True
    )
    run = config()
    names = [lane.name for lane in run.lanes]
    stage.clear(run, "")
    stage.take(Drained((started(run),)), training=True, training_mb=0.0)
    for tick in range(TICKS):
        steps = tuple(record(lane, step) for step in (2 * tick + 1, 2 * tick + 2) for lane in names)
        stage.take(Drained(steps), training=True, training_mb=0.0)
        stage.advance(TICK_MS / 1000, orbiting=False)
        QTest.qWait(TICK_MS)
    rounds = [shown[first : first + len(names)] for first in range(0, len(shown), len(names))]
    assert len(rounds) > 1
    for told in rounds:
        assert [lane for lane, _ in told] == names
        assert len({step for _, step in told}) == 1
    assert rounds[-1][0][1] != rounds[0][0][1]
