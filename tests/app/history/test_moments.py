"""What happened in a run, found in made-up numbers whose moments are known."""

from __future__ import annotations

import numpy as np
import pytest

from app.history.moments import PERSISTENT, Moment, goal_of, leads, moments
from hnm_core.run.events import Alarm, LaneForked, RunStarted, StepRecord, WarmupEnded
from hnm_core.run.history import RunHistory
from hnm_core.run.timing import Phase
from hnm_core.spec.config import ExperimentConfig, LaneConfig

ITEMS = 400


def history(curves: dict[str, list[float]], alike: int = 0, steps: int = 100) -> RunHistory:
    """Lanes measured every 10 steps, whose losses are the same for so many steps; a step takes 10 ms."""
    config = ExperimentConfig(
        steps=steps,
        lanes=tuple(LaneConfig(name=name, miner="random" if name == "random" else "knn") for name in curves),
    )
    run = RunHistory()
    held_out = np.ones(ITEMS, bool)
    run.add(RunStarted(config, np.zeros(ITEMS, int), np.arange(ITEMS), held_out, ("a",), items_total=ITEMS))
    for place, (name, values) in enumerate(curves.items()):
        for step in range(1, steps + 1):
            loss = 1.0 / step + (0.001 * place if step > alike else 0.0)
            metrics = {"map_at_r": values[step // 10 - 1], "mean_distance": 2.0} if step % 10 == 0 else {}
            run.add(StepRecord(name, step, loss, {Phase.SEARCH: 10.0}, {}, metrics))
    return run


def of(found: list[Moment], kind: str) -> list[Moment]:
    return [moment for moment in found if moment.kind == kind]


def test_that_lanes_part_at_the_first_step_at_which_their_losses_differ() -> None:
    level = [0.5] * 10
    (part,) = of(moments(history({"random": level, "knn": level, "lsh": level}, alike=20)), "part")
    assert part.step == 21 and part.lanes == ("random", "knn", "lsh")
    assert part.text == "Up to step 20 all lanes are the same, bit for bit. Here they part."
    for alike in (0, 1, 100):  # never, for too short, always the same
        assert not of(moments(history({"random": level, "knn": level}, alike)), "part")


def test_that_the_end_of_the_warm_up_names_who_mines_and_who_does_not() -> None:
    run = history({"random": [0.5] * 10, "knn": [0.5] * 10, "lsh": [0.5] * 10})
    for lane in ("random", "knn", "lsh"):
        run.add(WarmupEnded(lane, 21, lane))
    (start,) = of(moments(run), "warm-up")
    assert (start.step, start.lanes) == (21, ("knn", "lsh"))
    assert start.text == "Step 21: knn and lsh start to mine; random keeps to chance."
    assert start.numbers["step"] == "21" and start.numbers["lanes"] == "knn and lsh"


def test_that_a_picture_of_some_lanes_names_no_others_where_mining_begins() -> None:
    run = history({"random": [0.5] * 10, "knn": [0.5] * 10, "lsh": [0.5] * 10})
    for lane in ("random", "knn", "lsh"):
        run.add(WarmupEnded(lane, 21, lane))
    (start,) = of(moments(run, ["random", "lsh"]), "warm-up")
    assert start.text == "Step 21: lsh starts to mine; random keeps to chance."
    (start,) = of(moments(run, ["knn", "lsh"]), "warm-up")
    assert start.text == "Step 21: knn and lsh start to mine."
    assert not of(moments(run, ["random"]), "warm-up")


def test_that_overtaking_is_a_lead_that_lasts_and_is_wider_than_chance() -> None:
    ahead, behind = [0.6] * 4 + [0.4] * 6, [0.4] * 4 + [0.6] * 6
    (taken,) = of(moments(history({"a": ahead, "b": behind})), "overtake")
    assert (taken.step, taken.lanes) == (50, ("b", "a"))
    assert taken.text == "Step 50: b overtakes a, MAP@R 0.60 to 0.40."
    spike = [0.6] * 4 + [0.3] * 2 + [0.6] * 4
    assert not of(moments(history({"a": spike, "b": [0.4] * 10})), "overtake")  # two measurements are noise
    narrow = [0.5, 0.51] * 5
    assert not of(moments(history({"a": narrow, "b": [0.505] * 10})), "overtake")


@pytest.mark.parametrize("length", [PERSISTENT - 1, PERSISTENT])
def test_that_a_lead_is_as_long_as_it_must_be_and_ends_where_lanes_are_equal(length: int) -> None:
    one = np.array([0.5] * 3 + [0.9] * length + [0.5] * 3)
    found = leads(one, np.full(len(one), 0.5), ITEMS)
    assert found == ([(3, 3 + length, 1)] if length == PERSISTENT else [])
    assert leads(one, np.full(len(one), 0.5), 2) == []  # of two items nothing can be said


def test_that_the_best_lane_is_ahead_from_where_it_stays_ahead_beyond_chance() -> None:
    best = [0.50, 0.51, 0.52, 0.70, 0.70, 0.53, 0.70, 0.72, 0.74, 0.76]
    run = history({"random": [0.5] * 10, "knn": best, "lsh": [0.5] * 10})
    (apart,) = of(moments(run), "apart")
    assert (apart.step, apart.lanes) == (70, ("knn", "random", "lsh"))  # at 60 it was not
    assert apart.text == "From step 70 on knn is ahead of random and lsh, beyond chance."
    assert not of(moments(history({"random": [0.5] * 10, "knn": [0.51] * 10})), "apart")


def test_that_the_goal_is_a_share_of_the_best_end_and_is_reached_at_a_time() -> None:
    run = history({"random": [0.5] * 10, "with care": [0.5] * 7 + [0.76, 0.7, 0.8]})
    assert goal_of(run) == pytest.approx(0.76)
    (goal,) = of(moments(run), "goal")
    assert (goal.step, goal.lanes) == (80, ("with care",))
    assert goal.text == "“with\N{NO-BREAK SPACE}care” reaches MAP@R 0.76 after 0.8 s of training."


def test_that_collapse_forks_and_break_downs_are_told_with_their_numbers() -> None:
    run = history({"a": [0.5] * 10, "b": [0.5] * 10})
    run.add(StepRecord("a", 101, 0.1, {}, {}, {"mean_distance": 0.1}))
    for step in (101, 105):
        run.add(Alarm("a", step, "collapse", "words"))
    run.add(Alarm("b", 103, "nan", "words", "fatal"))
    run.add(LaneForked("c", 104, "a"))
    texts = {moment.kind: moment.text for moment in moments(run)}
    assert texts["collapse"] == "Step 101: a collapses: its points are 5 % as far apart as they were."
    assert texts["end"] == "Step 103: b breaks down." and texts["fork"] == "Step 104: c goes on from a."
    assert len(of(moments(run), "collapse")) == 1
    assert [moment.step for moment in moments(run)] == sorted(moment.step for moment in moments(run))


def test_that_a_run_without_measurements_has_no_moments_of_quality() -> None:
    run = RunHistory()
    assert moments(run) == [] and np.isnan(goal_of(run))
