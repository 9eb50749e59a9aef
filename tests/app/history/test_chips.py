from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.history.chips import Chip, brief_chip_text, chip, chip_details, chip_text
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import SearchUsed, StepRecord
from hnm_core.run.history import LaneHistory
from hnm_core.run.timing import Phase
from tests.app.fake_runs import run_history
from tests.run.lanes import record


def test_that_the_chip_tells_the_state_at_the_step_asked_for():
    lane = LaneHistory("knn")
    for step in range(1, 301):
        tuples = {"mined": 8, "hard": 2, "semi_hard": 2, "easy": 4} if step <= 200 else {"mined": 8, "hard": 8}
        metrics = {"map_at_r": 0.25, "precision_at_1": 0.5, "mining_recall": 0.75} if step == 10 else {}
        lane.add(
            record(step, float(step), tuples=tuples, metrics=metrics, phase_ms={Phase.SEARCH: 1.0, Phase.LOSS: 3.0})
        )
    assert chip(lane, 20) == Chip(20, 10.5, 0.25, 0.25, 0.5, 1.0, 1.0, 0.25, 0.5, 0.75, False)
    assert (chip(lane, 200).loss, chip(lane, 200).easy) == (150.5, 0.5), "the mean of 101..200"
    late = chip(lane)
    assert (late.step, late.loss, late.hard, late.easy) == (300, 250.5, 1.0, 0.0)
    assert np.isnan(chip(lane, 9).map_at_r)
    assert chip(lane, 0) is None


def test_that_the_chip_speaks_of_the_tuples_of_the_miner_at_work():
    lane = LaneHistory("knn")
    for step in range(1, 11):
        lane.add(record(step, tuples={"mined": 4, "easy": 4, "missing": 1}, mining=False))
    assert (chip(lane).easy, chip(lane).missing, chip(lane).warming_up) == (1.0, 1.0, True)
    for step in range(11, 21):
        lane.add(record(step, tuples={"mined": 4, "hard": 4, "missing": 0}))
    assert (chip(lane).hard, chip(lane).missing, chip(lane).warming_up) == (1.0, 0.0, False)
    lane.turns.append(21)
    lane.add(record(21, tuples={"mined": 4, "semi_hard": 4}))
    assert (chip(lane).semi_hard, chip(lane, 20).hard, chip(lane, 10).easy) == (1.0, 1.0, 1.0)


def test_that_the_chip_text_leaves_out_what_was_not_measured():
    seen = Chip(1200, 0.1234, 0.25, 0.25, 0.5, 1.5, 2.0, float("nan"), 0.5, float("nan"), False)
    assert chip_text(seen) == (
        "step 1,200 · loss 0.123 · P@1 0.500\nhard 25%, semi-hard 25%, easy 50% · mining 1.50 ms a step, p95 2.00"
    )
    assert chip_text(None) == brief_chip_text(None) == "no step yet"
    assert "easy: of the last 100 steps" in chip_details(seen)
    assert brief_chip_text(seen) == "hard 25%"
    assert brief_chip_text(replace(seen, map_at_r=0.5)) == "MAP@R 0.500 · hard 25%"
    assert brief_chip_text(replace(seen, map_at_r=0.5), audit=True) == "hard 25%", "it never changes"
    assert brief_chip_text(replace(seen, hard=float("nan"))) == "step 1,200 · loss 0.123 · P@1 0.500"


def test_that_the_chip_of_a_lane_over_documents_speaks_of_mrr_and_not_of_precision():
    lane = LaneHistory("knn")
    lane.add(record(1, 0.5, metrics={"mrr_at_10": 0.25, "precision_at_1": 0.125}))
    assert "MRR@10 0.250" in chip_text(chip(lane))
    assert "P@1" not in chip_text(chip(lane))
    assert brief_chip_text(chip(lane)) == "MRR@10 0.250"


def test_that_a_chip_tells_no_time_before_a_step_was_timed():
    lane = LaneHistory("knn")
    lane.add(record(1, 0.5, phase_ms={Phase.SEARCH: 1024.0}, first_call=True))
    assert chip_text(chip(lane)) == "step 1 · loss 0.500"
    lane.add(record(2, 0.5, phase_ms={Phase.SEARCH: 2.0}))
    assert "mining 2.00 ms" in chip_text(chip(lane))


def test_that_the_chip_tells_the_cost_of_rare_refreshes_and_the_quantile_of_the_same():
    lane = LaneHistory("knn")
    for step in range(1, 101):
        times = {Phase.SEARCH: 2.0, **({Phase.EMBED: 1000.0} if step % 50 == 0 else {})}
        lane.add(record(step, 0.5, phase_ms=times))
    assert (chip(lane).mining_ms, chip(lane).mining_ms_p95) == (22.0, 22.0)
    assert chip_text(chip(lane)).endswith("mining 22.00 ms a step, p95 22.00")
    assert chip_details(chip(lane)).splitlines()[:2] == [
        "mining: 22.00 ms a step, banks and indexes spread over the steps that they serve",
        "so spread, 95 of 100 steps mine for 22.00 ms or less",
    ]


def test_that_a_chip_tells_false_negatives_only_where_the_truth_is_known():
    lane = LaneHistory("knn")
    lane.add(StepRecord("knn", 1, 0.5, tuples={"mined": 10, "hard": 10}))
    assert "false" not in chip_text(chip(lane))
    lane.add(StepRecord("knn", 2, 0.5, tuples={"mined": 30, "hard": 30, "false_negative": 6}))
    assert "false negatives 15.0%" in chip_text(chip(lane))


def test_that_the_chip_tells_what_became_of_the_negatives_used_and_how_the_lane_searches():
    lane = LaneHistory("lsh")
    lane.searches.append(SearchUsed("lsh", 1, "miner", "by a scan"))
    metrics = {
        "mining_recall": 0.75,
        "predicted_recall": 0.5,
        "used_recall": 0.125,
        "used_of": 3.0,
        "used_regret": 0.25,
    }
    lane.add(StepRecord("lsh", 1, 0.5, metrics=metrics))
    assert chip_text(chip(lane)).endswith("search recall 0.750 · still nearest 12%")
    assert chip_details(chip(lane)).splitlines() == [
        "still nearest: of the negatives handed out 12.5% were among the 3 nearest that there were, by the weights of "
        "their step (recall of used negatives)",
        "search recall: in a bank of the moment the search finds 75.0% of the nearest negatives",
        "recall that the search expects 0.500",
        "negatives used are farther than the nearest by 0.250",
        "search: by a scan",
    ]


def test_that_the_details_of_a_chip_are_what_the_lane_has_measured():
    lane = LaneHistory("lsh")
    assert chip_details(chip(lane)) == ""
    lane.add(
        StepRecord(
            "lsh",
            1,
            0.5,
            tuples={"mined": 10, "filled": 2, "filtered": 0, "missing": 3},
            metrics={"bank_age": 1200.0, "drift": 0.25, "no_candidate": 0.031},
        )
    )
    assert chip_details(chip(lane)).splitlines() == [
        "anchors without a negative: 3.0 a step",
        "random in place of mined: 2.0 a step",
        "anchors without a candidate 3.1%",
        "bank 1,200 steps old",
        "drift 0.250 of what makes a bank stale",
    ]


def test_that_the_chip_of_an_audit_speaks_of_no_loss_and_no_retrieval():
    lane = LaneHistory("knn")
    lane.add(StepRecord("knn", 1, 0.5, tuples={"mined": 4, "hard": 4}, metrics={"map_at_r": 0.4, "mining_recall": 0.9}))
    text = chip_text(chip(lane), audit=True)
    assert "loss" not in text
    assert "MAP@R" not in text
    assert "hard 100%" in text
    assert "search recall 0.900" in text


def test_that_the_details_of_a_chip_say_on_which_items_the_metrics_are_measured():
    lane = LaneHistory("knn")
    lane.add(record(1, metrics={"precision_at_1": 0.5}))
    started = replace(run_history(1).started, evaluated=Evaluated(2_000, 15_000, 15_000, 0))
    assert "2,000 of 15,000 held-out items, each against all 15,000" in chip_details(chip(lane), started)
    assert "held-out" not in chip_details(chip(lane))
