"""A lane's history against sums done by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from hnm_core.run.events import TUPLE_COUNTS, Alarm, LaneForked, RunFailed, StepRecord, Weights
from hnm_core.run.history import RECENT_STEPS, Column, LaneHistory, RunHistory, StepColumns
from hnm_core.run.series import smoothed
from hnm_core.run.timing import Phase
from tests.run.lanes import record, started


def test_that_a_column_goes_on_after_the_rows_that_were_kept():
    column = Column(np.int64)
    column.extend(np.arange(100))
    kept = column.values[:40]
    column.cut(200)
    assert len(column) == 100
    column.cut(40)
    column.extend(np.arange(900, 1000))
    assert column.values.tolist() == [*range(40), *range(900, 1000)]
    assert kept.tolist() == [*range(40)]


def test_that_columns_hold_every_record_across_many_growths():
    lane = LaneHistory("knn")
    for step in range(1, 301):
        phases = {Phase.SEARCH: step / 4, Phase.STEP: 0.5}
        lane.add(record(step, step / 8, phase_ms=phases, tuples={"mined": step, "easy": 2}, mining=step > 3))
    steps = np.arange(1, 301)
    assert np.array_equal(lane.steps, steps)
    assert np.array_equal(lane.loss, steps / 8)
    assert lane.tuples.shape == (300, len(TUPLE_COUNTS))
    for name, counts in zip(TUPLE_COUNTS, lane.tuples.T, strict=True):
        assert np.array_equal(counts, {"mined": steps, "easy": 0 * steps + 2}.get(name, 0 * steps))
    assert np.array_equal(lane.mining, steps > 3)
    assert np.array_equal(lane.phase_ms[:, list(Phase).index(Phase.SEARCH)], steps / 4)
    assert np.allclose(lane.seconds, np.cumsum(steps / 4 + 0.5) / 1e3, rtol=1e-12, atol=0)


@pytest.mark.parametrize("at_once", [False, True])
def test_that_counts_take_four_bytes_until_one_needs_eight(at_once):
    lane, large = LaneHistory("knn"), (1 << 31) + 5
    counts = [1, 2**31 - 1, 3, large, 4, -(2**31) - 1]
    records = [record(step, tuples={"mined": count, "easy": step}) for step, count in enumerate(counts, start=1)]
    for step, told in enumerate(records, start=1):
        if at_once:
            lane.extend(columns_of(told))
        else:
            lane.add(told)
        assert lane.tuples.dtype == (np.int32 if step < 4 else np.int64)
        if step == 3:
            before = lane.tuples
    assert lane.tuples[:, TUPLE_COUNTS.index("mined")].tolist() == counts
    assert lane.tuples[:, TUPLE_COUNTS.index("easy")].tolist() == [1, 2, 3, 4, 5, 6]
    assert before[:, 0].tolist() == counts[:3]
    assert lane.tally().count("mined") == sum(counts)
    assert lane.tally().count("filled") == 0 and "filled" not in lane.tally().counts


def columns_of(told: StepRecord) -> StepColumns:
    return StepColumns(
        step=np.array([told.step]),
        loss=np.array([told.loss]),
        phase_ms=np.zeros((1, len(Phase)), np.float32),
        tuples=np.array([[told.tuples.get(name, 0) for name in TUPLE_COUNTS]]),
        counted=frozenset(told.tuples),
        mining=np.array([told.mining]),
        first_call=np.array([told.first_call]),
        metrics={},
    )


OF_MANY_STEPS = """
import resource
import numpy as np
from hnm_core.run.events import TUPLE_COUNTS
from hnm_core.run.history import LaneHistory, StepColumns
from hnm_core.run.timing import PHASES

lane, at_once, times = LaneHistory("knn"), 1000, 1000
phase_ms, tuples = np.zeros((at_once, len(PHASES)), np.float32), np.zeros((at_once, len(TUPLE_COUNTS)), np.int64)
phase_ms[:, 3] = tuples[:, 0] = 7
flags = np.ones(at_once, np.bool_)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
lane.reserve(500_000)
for place in range(times):
    steps = np.arange(1, at_once + 1) + place * at_once
    lane.extend(StepColumns(steps, steps / 7, phase_ms, tuples, frozenset(TUPLE_COUNTS), flags, ~flags, {}))
assert lane.tally().count("mined") == 7 * at_once * times and lane.tally().count("easy") == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_that_what_nobody_counted_or_timed_takes_no_memory():
    told = subprocess.run([sys.executable, "-c", OF_MANY_STEPS], check=True, capture_output=True, text=True)
    a_step = 1024 * int(told.stdout) / 1e6
    assert a_step < 26 + 13 + 12, "what stands there, half of it twice when it moved, and the rows of a tally"


def test_that_a_column_handed_out_is_neither_changed_by_growth_nor_writable():
    lane = LaneHistory("knn")
    for step in range(1, 65):
        lane.add(record(step, float(step)))
    before = lane.loss
    for step in range(65, 200):
        lane.add(record(step, -1.0))
    assert np.array_equal(before, np.arange(1.0, 65.0))
    with pytest.raises(ValueError, match="read-only"):
        before[0] = 7


def test_that_metrics_hold_only_the_steps_that_measured_them():
    lane = LaneHistory("knn")
    for step in range(1, 11):
        lane.add(record(step, metrics={"map_at_r": step / 16} if step % 4 == 0 else {}))
    steps, values = lane.metrics["map_at_r"]
    assert np.array_equal(steps, [4, 8])
    assert np.array_equal(values, [0.25, 0.5])
    assert np.array_equal(lane.metric("map_at_r", 7)[0], [4])
    assert lane.latest("map_at_r", 8) == 0.5
    assert np.isnan(lane.latest("map_at_r", 3))
    assert len(lane.metric("mining_recall")[0]) == 0


def test_that_rows_up_to_a_step_count_that_step_and_pass_over_gaps():
    lane = LaneHistory("knn")
    for step in (1, 2, 5, 9):
        lane.add(record(step))
    assert [lane.rows(step) for step in (0, 1, 4, 5, 8, 9, 100, None)] == [0, 1, 2, 3, 3, 4, 4, 4]


def test_that_a_step_told_twice_counts_once():
    lane = LaneHistory("knn")
    for step in (1, 2, 2, 1, 3):
        lane.add(record(step, float(step), phase_ms={Phase.STEP: 1000.0}))
    assert np.array_equal(lane.loss, [1, 2, 3])
    assert np.array_equal(lane.seconds, [1, 2, 3])


def test_that_the_training_clock_is_found_for_any_step():
    lane = LaneHistory("knn")
    for step in (1, 2, 4):
        lane.add(record(step, phase_ms={Phase.FORWARD: 1500.0, Phase.STEP: 500.0}))
    assert np.array_equal(lane.seconds_at(np.array([0, 1, 2, 3, 4, 9])), [0, 2, 4, 4, 6, 6])


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.97])
def test_that_smoothing_bit_by_bit_equals_smoothing_at_once(factor):
    rng = np.random.default_rng(5)
    lane, loss = LaneHistory("knn"), rng.normal(size=3000)
    for step, value in enumerate(loss, start=1):
        lane.add(record(step, value))
        if step % 271 == 0:
            lane.smoothed_loss(factor)
    np.testing.assert_allclose(lane.smoothed_loss(factor), smoothed(loss, factor), rtol=1e-11, atol=1e-13)


def test_that_a_changed_smoothing_factor_is_not_answered_from_the_old_one():
    lane = LaneHistory("knn")
    for step, loss in enumerate([1.0, 0.0, 2.0], start=1):
        lane.add(record(step, loss))
    lane.smoothed_loss(0.9)
    assert np.array_equal(lane.smoothed_loss(0.0), [1, 0, 2])


def test_that_the_rate_is_steps_by_training_clock():
    lane = LaneHistory("knn")
    assert np.isnan(lane.rate())
    for step in range(1, 11):
        lane.add(record(step, phase_ms={Phase.STEP: 250.0 if step <= 5 else 125.0}))
    assert lane.rate(window=4) == 8.0
    assert lane.rate(window=4, upto_step=5) == 4.0


def test_that_a_new_start_forgets_the_run_before():
    history = RunHistory()
    history.add(started("knn"))
    history.add(record(1))
    history.add(Alarm("knn", 1, "collapse", "All points have moved to one spot."))
    history.add(RunFailed("no such file"))
    history.add(started("lsh"))
    assert list(history.lanes) == ["lsh"]
    assert history.last_step == 0
    assert history.told == []
    assert history.ended is None


def test_that_weights_at_the_end_of_a_run_change_nothing_that_is_shown():
    history = RunHistory()
    history.add(record(1))
    history.add(Weights("knn", 1, {"weight": np.ones(3)}, 4))
    assert history.last_step == 1
    assert history.told == []


def test_that_the_loss_shown_is_the_mean_of_the_last_hundred_finite_ones_at_any_step():
    losses = np.random.default_rng(1).normal(size=700)
    losses[np.random.default_rng(2).random(700) < 0.3] = math.nan
    losses[150:500] = math.inf
    losses[0] = 1.5
    lane = LaneHistory("knn")
    for step, loss in enumerate(losses, start=1):
        lane.add(record(step, loss))
    assert RECENT_STEPS == 100
    for step in (1, 3, 99, 100, 149, 400, 499, 520, 700, None):
        finite = losses[:step][np.isfinite(losses[:step])]
        assert lane.mean_loss(step) == pytest.approx(float(np.mean(finite[-100:])), rel=1e-14)
    assert math.isnan(LaneHistory("knn").mean_loss())


def test_that_tuples_are_added_up_after_the_warm_up_and_since_the_last_turn():
    lane = LaneHistory("knn")
    for step in range(1, 31):
        lane.add(record(step, tuples={"mined": step, "hard": 1, "easy": 3}, mining=step > 10))
    assert lane.tally().counts == {"mined": sum(range(11, 31)), "hard": 20, "easy": 60}
    assert (lane.tally(9).steps, lane.tally(9).count("mined")) == (0, 0)
    assert math.isnan(lane.tally(9).share("hard"))
    assert (lane.tally().share("hard"), lane.tally().share("semi_hard")) == (0.25, 0.0)
    lane.turns.append(21)
    assert lane.tally().count("mined") == sum(range(21, 31))
    assert lane.tally(20).count("mined") == sum(range(11, 21))
    assert math.isnan(lane.tally().false_share) and math.isnan(lane.tally().per_step("missing"))


def test_that_recent_tuples_are_those_of_the_last_hundred_steps_like_the_last_one():
    lane = LaneHistory("knn")
    for step in range(1, 301):
        lane.add(record(step, tuples={"mined": step, "false_negative": 1}, mining=step > 30))
    assert lane.recent_tally().count("mined") == sum(range(201, 301))
    assert lane.recent_tally(60).count("mined") == sum(range(31, 61))
    assert lane.recent_tally(20).count("mined") == sum(range(1, 21)), "while it warms up, what that takes"
    assert lane.recent_tally(20).false_share == 20 / sum(range(1, 21))
    assert lane.recent_tally(0).steps == 0


def test_that_a_lane_that_was_forked_off_has_the_time_of_its_parent_behind_it():
    history = RunHistory()
    history.add(started("knn"))
    history.add(LaneForked("new", 2, "knn"))  # told before the parent's steps, as of a recording
    for step in (1, 2, 3):
        history.add(record(step, phase_ms={Phase.STEP: 1000.0 * step}))
    history.add(record(3, lane="new", phase_ms={Phase.STEP: 500.0}))
    assert history.lanes["new"].seconds.tolist() == [3.5]
    assert history.lanes["new"].seconds_at(np.array([1, 2, 3])).tolist() == [3.0, 3.0, 3.5]


def test_that_a_lane_runs_until_its_last_step_its_end_or_that_of_the_run():
    history = RunHistory()
    history.add(started("a", "b", "c"))
    history.add(record(history.started.config.steps, lane="a"))
    history.add(Alarm("b", 3, "collapse", "words"))
    assert history.running == ["b", "c"]
    history.add(Alarm("c", 4, "stopped", "words", "fatal"))
    assert history.running == ["b"]
    history.add(RunFailed("words"))
    assert history.running == []
