"""The run's history against sums done by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from app.history.history import Chip, LaneHistory, RunHistory, changes_in_words, chip_details, chip_text
from app.history.series import decimate, smoothed
from hnm_core.evaluation.chance import chance_levels
from hnm_core.run.events import (
    TUPLE_COUNTS,
    Alarm,
    Frame,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRecord,
    Weights,
)
from hnm_core.run.timing import Phase
from hnm_core.spec.config import ExperimentConfig, LaneConfig


def record(step: int, loss: float = 1.0, lane: str = "knn", **more: object) -> StepRecord:
    return StepRecord(lane, step, loss, **more)  # type: ignore[arg-type]


def started(*lanes: str, labels: list[int] | None = None, held_out: list[int] = (), total: int = 0) -> RunStarted:
    y = np.array(labels or [0, 0, 1, 1], np.int64)
    config = ExperimentConfig(lanes=tuple(LaneConfig(name=lane) for lane in lanes))
    mask = np.isin(np.arange(len(y)), held_out)
    return RunStarted(config, y, np.arange(len(y)), mask, tuple("abcdefgh"[: y.max() + 1]), items_total=total)


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


def test_that_smoothing_equals_the_debiased_average_computed_one_by_one():
    values = np.random.default_rng(3).normal(size=500)
    for factor in (0.0, 0.3, 0.9, 0.99):
        average, expected = 0.0, []
        for place, value in enumerate(values, start=1):
            average = factor * average + (1 - factor) * value
            expected.append(average / (1 - factor**place))
        np.testing.assert_allclose(smoothed(values, factor), expected, rtol=1e-12, atol=1e-13)


def test_that_a_constant_series_stays_that_constant_when_smoothed():
    np.testing.assert_allclose(smoothed(np.full(5000, 0.7), 0.95), 0.7, rtol=1e-14)


def test_that_smoothing_passes_over_values_that_are_not_finite():
    result = smoothed(np.array([np.nan, 4.0, np.inf, np.nan, 1.0]), 0.5)
    # weights of 4 and 1 at the end: 0.5^3 and 1
    np.testing.assert_allclose(result, [np.nan, 4, 4, 4, (4 / 8 + 1) / (1 / 8 + 1)], rtol=1e-15)


def test_that_a_smoothing_factor_of_one_is_impossible():
    with pytest.raises(ValueError, match="factor = 1"):
        smoothed(np.ones(3), 1)


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


def test_that_decimation_keeps_the_lowest_and_highest_of_every_pixel():
    x = np.arange(1000.0)
    y = np.random.default_rng(0).normal(size=1000)
    thin_x, thin_y = decimate(x, y, 10)
    assert len(thin_x) <= 20
    # bins are cut on (x[-1] - x[0]) / 10 = 99.9, so compare bin by bin with that cut
    bins = np.floor(x / 99.9).clip(max=9)
    expected = sorted(
        {int(np.flatnonzero(bins == b)[pick(y[bins == b])]) for b in range(10) for pick in (np.argmin, np.argmax)}
    )
    assert np.array_equal(thin_x, x[expected])
    assert np.array_equal(thin_y, y[expected])


def test_that_decimation_bins_by_x_and_not_by_place():
    x = np.concatenate((np.linspace(0, 1, 990), np.linspace(2, 10, 10)))
    y = np.zeros(1000)
    y[995] = 5.0
    thin_x, thin_y = decimate(x, y, 10)
    assert thin_y.max() == 5.0
    assert (thin_x <= 1).sum() <= 4
    assert len(thin_x) <= 20


def test_that_decimation_shows_a_gap_only_where_nothing_is_finite():
    x = np.arange(400.0)
    y = np.where(x % 7 == 0, np.nan, x)
    y[200:240] = np.nan
    thin_x, thin_y = decimate(x, y, 40)
    gap = ~np.isfinite(thin_y)
    assert gap.any()
    assert thin_x[gap].min() >= 199
    assert thin_x[gap].max() < 241


def test_that_a_short_series_is_not_thinned():
    x, y = np.arange(20.0), np.arange(20.0) ** 2
    assert np.array_equal(decimate(x, y, 10)[1], y)


def test_that_phase_times_are_those_of_the_steps_in_which_the_phase_ran():
    lane = LaneHistory("knn")
    for step in range(1, 101):
        embed = {Phase.EMBED: float(step)} if step % 10 == 0 else {}
        lane.add(record(step, phase_ms={**embed, Phase.SEARCH: 2.0 + step % 2}))
    summary = lane.phase_summary(window=100)
    phases = list(Phase)
    embed, search, step_phase = phases.index(Phase.EMBED), phases.index(Phase.SEARCH), phases.index(Phase.STEP)
    tens = np.arange(10.0, 101.0, 10.0)
    assert summary.median[embed] == np.median(tens)
    assert summary.p95[embed] == pytest.approx(np.percentile(tens, 95), rel=1e-12)
    assert summary.share[embed] == 0.1
    assert summary.per_step[embed] == pytest.approx(5.5)
    assert summary.median[search] == 2.5
    assert summary.median[step_phase] == summary.share[step_phase] == 0
    assert summary.total == pytest.approx(8.0)
    whole = np.array([(step if step % 10 == 0 else 0) + 2 + step % 2 for step in range(1, 101)])
    assert summary.total_p95 == pytest.approx(np.percentile(whole, 95), rel=1e-12)


def test_that_first_calls_and_warm_up_steps_stay_out_of_the_times():
    lane = LaneHistory("knn")
    search = list(Phase).index(Phase.SEARCH)
    for step in range(1, 6):
        lane.add(record(step, phase_ms={Phase.SEARCH: 64.0}, mining=False))
    lane.add(record(6, phase_ms={Phase.SEARCH: 1024.0}, first_call=True))
    for step in range(7, 10):
        lane.add(record(step, phase_ms={Phase.SEARCH: 4.0}))
    assert lane.phase_summary().median[search] == 4.0
    assert lane.phase_summary().steps == 3
    assert lane.phase_summary(upto_step=5).median[search] == 64.0
    assert lane.phase_summary(window=2).steps == 2


def test_that_times_of_no_steps_are_zero_and_warn_of_nothing():
    summary = LaneHistory("knn").phase_summary()
    assert summary.steps == 0
    assert summary.total == 0
    assert not summary.p95.any()


def test_that_the_rate_is_steps_by_training_clock():
    lane = LaneHistory("knn")
    assert np.isnan(lane.rate())
    for step in range(1, 11):
        lane.add(record(step, phase_ms={Phase.STEP: 250.0 if step <= 5 else 125.0}))
    assert lane.rate(window=4) == 8.0
    assert lane.rate(window=4, upto_step=5) == 4.0


def test_that_the_chip_tells_the_state_at_the_step_asked_for():
    lane = LaneHistory("knn")
    for step in range(1, 41):
        tuples = {"mined": 8, "hard": 2, "semi_hard": 2, "easy": 4} if step <= 20 else {"mined": 8, "hard": 8}
        metrics = {"map_at_r": 0.25, "precision_at_1": 0.5, "mining_recall": 0.75} if step == 10 else {}
        lane.add(
            record(step, float(step), tuples=tuples, metrics=metrics, phase_ms={Phase.SEARCH: 1.0, Phase.LOSS: 3.0})
        )
    assert lane.chip(20) == Chip(20, 10.5, 0.25, 0.25, 0.5, 1.0, 1.0, 0.25, 0.5, 0.75, False)
    late = lane.chip()
    assert (late.step, late.loss, late.hard, late.easy) == (40, 30.5, 1.0, 0.0)
    assert np.isnan(lane.chip(9).map_at_r)
    assert lane.chip(0) is None


def test_that_the_chip_text_leaves_out_what_was_not_measured():
    chip = Chip(1200, 0.1234, 0.25, 0.25, 0.5, 1.5, 2.0, float("nan"), 0.5, float("nan"), False)
    assert chip_text(chip) == (
        "step 1,200 · loss 0.123 · P@1 0.500\nhard 25%, semi 25%, easy 50% · mining 1.50 ms (p95 2.00)"
    )
    assert chip_text(None) == "no step yet"


def test_that_a_chip_tells_no_time_before_a_step_was_timed():
    lane = LaneHistory("knn")
    lane.add(record(1, 0.5, phase_ms={Phase.SEARCH: 1024.0}, first_call=True))
    assert chip_text(lane.chip()) == "step 1 · loss 0.500"
    lane.add(record(2, 0.5, phase_ms={Phase.SEARCH: 2.0}))
    assert "mining 2.00 ms" in chip_text(lane.chip())


def test_that_what_several_lanes_have_taken_up_is_told_once():
    changes = [
        OptionChanged(lane, 5, option, value, before, asked=True)
        for lane in ("knn", "lsh")
        for option, before, value in (("sampler.batch", "64", "32"), ("optimizer.lr", "0.1", "0.2"))
    ]
    assert changes_in_words(changes) == "knn, lsh: batch 64 → 32; knn, lsh: learning rate 0.1 → 0.2, from step 5 on"
    new = [
        OptionChanged("knn", 1200, "miner", "lsh", "knn", asked=True),
        OptionChanged("knn", 1200, "miner_options.pool", "5", asked=True),
    ]
    assert changes_in_words(new) == "knn: miner knn → lsh; knn: pool = 5, from step 1,200 on"


def test_that_a_run_keeps_its_lanes_in_order_and_its_markers_in_words():
    history = RunHistory()
    history.add(started("random", "knn"))
    history.add(record(1, lane="knn"))
    history.add(record(1, lane="random"))
    history.add(record(2, lane="random"))
    history.add(OptionChanged("knn", 2, "miner", "warm-up over, knn mines"))
    history.add(OptionChanged("knn", 3, "lr", "0.001"))
    history.add(Alarm("random", 4, "collapse", "All points have moved to one spot."))
    history.add(Alarm("random", 5, "non-finite", "The loss became nan.", fatal=True))
    frame = Frame("knn", 1, np.zeros((4, 3), np.float32), np.zeros((0, 3), np.int32), 0)
    history.add(frame)
    history.add(RunFinished({"knn": 1, "random": 2}, 0.5))
    assert list(history.lanes) == ["random", "knn"]
    assert history.last_step == 2
    assert [(m.lane, m.step, m.text, m.kind) for m in history.markers] == [
        ("knn", 2, "warm-up over, knn mines", "warm-up"),
        ("knn", 3, "lr = 0.001", "option"),
        ("random", 4, "All points have moved to one spot.", "alarm"),
        ("random", 5, "The loss became nan.", "fatal"),
    ]
    assert [m.step for m in history.markers_upto(3)] == [2, 3]
    assert isinstance(history.ended, RunFinished)


def test_that_a_new_start_forgets_the_run_before():
    history = RunHistory()
    history.add(started("knn"))
    history.add(record(1))
    history.add(Alarm("knn", 1, "collapse", "All points have moved to one spot."))
    history.add(RunFailed("no such file"))
    history.add(started("lsh"))
    assert list(history.lanes) == ["lsh"]
    assert history.last_step == 0
    assert history.markers == []
    assert history.ended is None


def test_that_chance_levels_equal_the_table_of_the_formula():
    # 2,000 balanced points, leave-one-out
    for classes, precision, map_at_r in (
        (2, 0.500, 0.2515),
        (5, 0.200, 0.0424),
        (10, 0.100, 0.0125),
        (100, 0.0095, 0.0018),
    ):
        chance = chance_levels(np.arange(2000) % classes)
        assert chance["precision_at_1"] == pytest.approx(precision, abs=6e-4)
        assert chance["map_at_r"] == pytest.approx(map_at_r, abs=6e-5)
    assert chance_levels(np.array([0, 0, 0, 1]))["knn_accuracy"] == 0.75


def test_that_chance_equals_the_mean_over_every_ranking_of_a_small_set():
    labels = np.array([0, 0, 0, 1, 1])
    map_at_r, precision = [], []
    for query in range(5):
        others = [item for item in range(5) if item != query]
        relevant = sum(labels[item] == labels[query] for item in others)
        for order in itertools.permutations(others):
            rel = np.array([labels[item] == labels[query] for item in order], float)
            precision_at = np.cumsum(rel) / np.arange(1, 5)
            map_at_r.append((precision_at * rel)[:relevant].sum() / relevant)
            precision.append(rel[0])
    chance = chance_levels(labels)
    assert chance["map_at_r"] == pytest.approx(np.mean(map_at_r), rel=1e-12)
    assert chance["precision_at_1"] == pytest.approx(np.mean(precision), rel=1e-12)


def test_that_chance_is_of_the_held_out_items_and_unknown_when_not_all_are_shown():
    labels = [0, 1, 2, 0, 0, 1]
    history = RunHistory()
    history.add(started("knn", labels=labels, held_out=[0, 3, 5]))
    assert history.chance == chance_levels(np.array([0, 0, 1]))
    history.add(started("knn", labels=labels))
    assert history.chance == chance_levels(np.array(labels))
    history.add(started("knn", labels=labels, held_out=[0, 3, 5], total=600))
    assert history.chance == {}


def test_that_items_without_a_partner_have_no_chance_level():
    assert chance_levels(np.array([0, 1, 2])) == {}


def test_that_a_chip_tells_false_negatives_only_where_the_truth_is_known():
    lane = LaneHistory("knn")
    lane.add(StepRecord("knn", 1, 0.5, tuples={"mined": 10, "hard": 10}))
    assert "false" not in chip_text(lane.chip())
    lane.add(StepRecord("knn", 2, 0.5, tuples={"mined": 30, "hard": 30, "false_negative": 6}))
    assert "false 15.0%" in chip_text(lane.chip())


def test_that_the_details_of_a_chip_are_what_the_lane_has_measured():
    lane = LaneHistory("lsh")
    assert chip_details(lane.chip()) == ""
    lane.add(
        StepRecord(
            "lsh",
            1,
            0.5,
            tuples={"mined": 10, "filled": 2, "filtered": 0, "missing": 3},
            metrics={"bank_age": 1200.0, "drift": 0.25, "no_candidate": 0.031},
        )
    )
    assert chip_details(lane.chip()).splitlines() == [
        "anchors without a negative: 3.0 a step",
        "random in place of mined: 2.0 a step",
        "anchors without a candidate 3.1%",
        "bank 1,200 steps old",
        "drift 0.250 of what makes a bank stale",
    ]


def test_that_the_chip_of_an_audit_speaks_of_no_loss_and_no_retrieval():
    lane = LaneHistory("knn")
    lane.add(StepRecord("knn", 1, 0.5, tuples={"mined": 4, "hard": 4}, metrics={"map_at_r": 0.4, "mining_recall": 0.9}))
    text = chip_text(lane.chip(), audit=True)
    assert "loss" not in text
    assert "MAP@R" not in text
    assert "hard 100%" in text
    assert "recall 0.900" in text


def test_that_alarms_are_hints_warnings_or_fatal():
    history = RunHistory()
    for alarm in (
        Alarm("knn", 0, "C25", "may collapse"),
        Alarm("knn", 5, "all-easy", "nothing to learn"),
        Alarm("knn", 9, "non-finite", "it broke", fatal=True),
    ):
        history.add(alarm)
    assert [(marker.kind, marker.code) for marker in history.markers] == [
        ("alarm", "C25"),
        ("hint", "all-easy"),
        ("fatal", "non-finite"),
    ]


def test_that_weights_at_the_end_of_a_run_change_nothing_that_is_shown():
    history = RunHistory()
    history.add(record(1))
    history.add(Weights("knn", 1, {"weight": np.ones(3)}, 4))
    assert history.last_step == 1
    assert history.markers == []
