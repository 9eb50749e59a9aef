from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest

from app.stage import stats
from app.stage.stats import FrameStats


@dataclass
class View:
    paint_count: int = 0
    last_paint_ms: float = 0.0


@pytest.fixture
def clock(monkeypatch):
    """Time that moves only when told."""
    now = [100.0]
    monkeypatch.setattr(stats.time, "perf_counter", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def result(measured: FrameStats) -> dict:
    return measured.result(threads=1, points=7, window=(1500, 900), training_mb=100.0)


def test_that_frames_are_paint_events_of_the_slowest_pane_from_two_seconds_after_the_first(qtbot, clock):
    measured, views = FrameStats(), [View(), View()]
    for tick in range(1 + 8 * 30):  # eight seconds; the second pane paints every other tick
        views[0].paint_count += 1
        views[1].paint_count += tick % 2
        views[0].last_paint_ms, views[1].last_paint_ms = 3.0, 4.0
        measured.tick(views, training=True)
        clock(1 / 30)
    figures = result(measured)
    measured.close()
    assert figures["fps"] == pytest.approx(15, abs=0.2)
    assert figures["frame_ms"]["p95"] == 7.0  # both panes in one tick
    assert figures["panes"] == 2


def test_that_nothing_is_counted_while_training_stands_still(qtbot, clock):
    measured, views = FrameStats(), [View()]
    for _ in range(300):
        views[0].paint_count += 1
        measured.tick(views, training=False)
        clock(1 / 30)
    figures = result(measured)
    assert figures["fps"] is None
    assert figures["stall_ms"] == {"p50": None, "p95": None, "p99": None, "max": None}


def test_that_steps_a_second_are_counted_over_the_same_time(qtbot, clock):
    measured, views = FrameStats(), [View()]
    for _ in range(1 + 4 * 30):
        views[0].paint_count += 1
        measured.tick(views, training=True)
        for _ in range(5):
            measured.count_step("knn")
        clock(1 / 30)
    rate = result(measured)["steps_per_s"]["knn"]
    measured.close()
    assert rate == pytest.approx(150, rel=0.05)


def test_that_a_blocked_event_loop_shows_as_a_stall_as_long_as_the_block(qtbot):
    measured, views = FrameStats(), [View()]
    measured.tick(views, training=True)
    views[0].paint_count = 1
    measured.tick(views, training=True)
    measured._first_paint -= stats.SETTLE_S
    measured.tick(views, training=True)
    qtbot.wait(100)
    time.sleep(0.08)
    qtbot.wait(100)
    figures = result(measured)
    measured.close()
    assert 60 <= figures["stall_ms"]["max"] <= 130
    assert figures["stall_ms"]["p50"] < 10


def test_that_percentiles_are_those_of_numpy_to_a_grain_and_the_longest_is_exact():
    values = np.random.default_rng(3).exponential(size=501).tolist()
    durations = stats.Durations()
    assert durations.percentiles((50,)) == {"p50": None} and durations.longest is None
    for value in values:
        durations.add(value)
    for name, told in durations.percentiles((50, 95, 99)).items():
        assert told == pytest.approx(np.percentile(values, int(name[1:])), abs=stats.GRAIN_MS / 2 + 1e-3)
    assert durations.longest == max(values)


def test_that_hours_of_frames_take_no_more_room_than_minutes():
    durations = stats.Durations()
    for place in range(100_000):
        durations.add(place % 500 / 10)
    assert len(durations.counts) == 500 and sum(durations.counts.values()) == 100_000


def test_that_durations_of_any_length_are_counted_to_three_digits_in_little_room():
    values = np.random.default_rng(4).uniform(0, 900, size=50_000)
    durations = stats.Durations()
    for value in values.tolist():
        durations.add(value)
    assert len(durations.counts) < 3000
    for name, told in durations.percentiles((50, 99)).items():
        assert told == pytest.approx(np.percentile(values, int(name[1:])), rel=0.005)
