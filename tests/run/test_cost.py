"""What a step costs, by timelines made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hnm_core.run import cost as costs
from hnm_core.run.cost import mining_ms, step_cost
from hnm_core.run.history import LaneHistory
from hnm_core.run.results import lane_result
from hnm_core.run.timing import PHASES, Phase
from tests.run.lanes import record


def lane_of(*steps, name="knn", **parentage):
    """A lane of steps, each the milliseconds of its phases; an empty name for a first call."""
    lane = LaneHistory(name, **parentage)
    for step, phases in enumerate(steps, start=1 + lane.forked_at):
        ms = {Phase(phase): value for phase, value in phases.items() if phase}
        lane.add(record(step, phase_ms=ms, first_call="" in phases))
    return lane


def test_that_a_refresh_is_paid_by_the_steps_that_it_serves():
    bank = {"embed": 30.0, "build": 10.0, "search": 22.0, "select": 2.0, "step": 1.0}
    plain = {"search": 2.0, "select": 1.0, "step": 1.0}
    lane = lane_of(bank, *[plain] * 7, bank, *[plain] * 3)
    spent = np.array([64 / 8] + [3 + 64 / 8] * 7 + [64 / 4] + [3 + 64 / 4] * 3)
    np.testing.assert_allclose(mining_ms(lane), spent, rtol=1e-12)
    cost, result = step_cost(lane), lane_result(lane)
    assert cost.mining_ms == pytest.approx((2 * 64 + 10 * 3) / 12), "all that was spent, by the steps"
    assert cost.mining_p95 == pytest.approx(np.percentile(spent, 95))
    assert (cost.step_ms, cost.step_p95) == pytest.approx((cost.mining_ms + 1, cost.mining_p95 + 1))
    assert (result.mining_ms_mean, result.mining_ms_p95) == (cost.mining_ms, cost.mining_p95)
    assert result.step_ms_mean == cost.step_ms
    assert cost.phase_ms[PHASES.index(Phase.EMBED)] == pytest.approx(60 / 12)
    assert step_cost(lane, 8).mining_ms == pytest.approx((64 + 7 * 3) / 8), "as it stood then"


def test_that_the_same_steps_cost_the_same_at_once_and_new_ones_are_counted():
    lane = lane_of(*[{"search": 2.0, "step": 1.0}] * 3)
    cost = step_cost(lane)
    assert step_cost(lane) is cost and step_cost(lane, 3) is cost
    assert step_cost(lane, 2).steps == 2 and step_cost(lane) is cost, "another moment was asked for in between"
    lane.add(record(4, phase_ms={Phase.SEARCH: 6.0}))
    assert step_cost(lane).steps == 4 and step_cost(lane).mining_ms == pytest.approx(3.0)
    lane.turns.append(4)
    assert step_cost(lane).steps == 1, "another miner since step 4"


def test_that_a_first_call_stands_apart_but_the_bank_that_it_made_is_paid_for():
    slow = {"": 0, "embed": 900.0, "build": 100.0, "search": 500.0, "step": 70.0}
    bank = {"embed": 6.0, "build": 3.0, "search": 1.0, "step": 1.0}
    lane = lane_of(slow, {"search": 1.0}, {"search": 1.0}, {"search": 1.0}, bank, {"search": 1.0})
    spent = mining_ms(lane)
    assert math.isnan(spent[0])
    np.testing.assert_allclose(spent[1:], [1 + 10 / 4] * 3 + [10 / 2, 1 + 10 / 2])
    cost = step_cost(lane)
    assert (cost.steps, cost.first_calls, cost.first_ms) == (5, 1, 1570.0)
    only = step_cost(lane, 4)
    assert only.mining_ms == pytest.approx(1 + 1000 / 4), "no other bank tells what one costs"
    nothing = step_cost(lane, 1)
    assert (nothing.steps, nothing.phase_ms.any(), math.isnan(nothing.mining_ms)) == (0, False, True)
    assert (step_cost(LaneHistory("new")).steps, math.isnan(lane_result(LaneHistory("new")).mining_ms_mean)) == (
        0,
        True,
    )


def test_that_the_batches_of_an_epoch_are_paid_by_the_epoch():
    mined = {"embed": 8.0, "build": 2.0, "search": 20.0, "select": 10.5}
    lane = lane_of(*[{"select": 0.5}] * 4, {**mined, "": 0}, *[{"select": 0.5}] * 3, mined, *[{"select": 0.5}] * 3)
    assert np.nanmax(mining_ms(lane)) == pytest.approx(0.5 + 40.5 / 4)
    assert step_cost(lane).mining_ms == pytest.approx((4 * 0.5 + 3 * (0.5 + 40.5 / 4) + 40.5 + 3 * 0.5) / 11)


def test_that_what_is_made_in_the_background_is_mining_but_holds_no_step_up():
    start, taken = {"embed": 2.0, "step": 3.0}, {"build": 4.0, "background": 60.0, "step": 3.0}
    lane = lane_of(*[{"step": 3.0}] * 2, start, {"step": 3.0}, taken, *[{"step": 3.0}] * 3)
    cost = step_cost(lane)
    np.testing.assert_allclose(mining_ms(lane), [0, 0, 2 / 6, 2 / 6, *[2 / 6 + 16] * 4], rtol=1e-6)
    assert (cost.mining_ms, cost.step_ms, cost.background_ms) == pytest.approx((66 / 8, 3 + 6 / 8, 60 / 8))
    assert lane.seconds[-1] == pytest.approx(8 * 0.003 + 0.006), "the training clock does not count it"


def test_that_the_warm_up_and_a_miner_before_are_told_apart():
    lane = lane_of(*[{"search": 64.0}] * 3)
    for step in range(4, 7):
        lane.add(record(step, phase_ms={Phase.SEARCH: 1.0}, mining=False))
    assert step_cost(lane).mining_ms == 1.0
    assert math.isnan(lane_result(lane).mining_ms_mean), "what a warm-up costs says nothing of the miner"
    lane.turns.append(7)
    for step in range(7, 9):
        lane.add(record(step, phase_ms={Phase.SEARCH: 4.0}))
    assert (step_cost(lane).mining_ms, step_cost(lane, 2).mining_ms) == (4.0, 64.0)
    assert mining_ms(lane).tolist() == [64.0] * 3 + [1.0] * 3 + [4.0] * 2


def test_that_a_forked_lane_pays_its_share_of_the_bank_that_it_took_along():
    bank, plain = {"embed": 40.0, "build": 8.0, "step": 1.0}, {"step": 1.0}
    parent = lane_of(bank, plain, plain, plain)
    fork = lane_of(plain, plain, bank, plain, name="fork", parent=parent, forked_at=2)
    np.testing.assert_allclose(mining_ms(fork), [12, 12, 24, 24])
    fork.turns.append(3)
    assert step_cost(fork, 4).mining_ms == 0, "with another miner it begins anew"


def test_that_of_a_long_run_the_last_steps_are_told_with_what_serves_them_and_all_first_calls(monkeypatch):
    monkeypatch.setattr(costs, "MOST_STEPS", 10)
    first, plain = {"": 0, "step": 500.0}, {"search": 1.0, "step": 1.0}
    bank = {"build": 40.0, "search": 1.0, "step": 1.0}
    lane = lane_of(first, *[{"search": 90.0, "step": 9.0}] * 20, bank, *[plain] * 3, bank, *[plain] * 3, *[plain] * 4)
    cost = step_cost(lane)
    assert cost.steps == 12, "from the bank on that serves the tenth step from the end"
    assert cost.mining_ms == pytest.approx(((41 + 3) + (41 + 7)) / 12) and cost.step_ms == cost.mining_ms + 1
    spent = [41 / 4] + [1 + 41 / 4] * 3 + [41 / 8] + [1 + 41 / 8] * 7
    assert cost.mining_p95 == pytest.approx(np.percentile(spent, 95))
    assert (cost.first_calls, cost.first_ms) == (1, 500.0)
    assert step_cost(lane, 21).mining_ms == 90.0, "as it stood then"
    fork = lane_of(*[plain] * 4, name="fork", parent=lane, forked_at=len(lane))
    assert step_cost(fork).mining_ms == pytest.approx(1 + 41 / 12), "the bank of its parent serves it"
    assert mining_ms(lane)[1] == 90.0, "a table of all steps is of all steps"


def test_that_a_look_at_what_a_long_run_costs_takes_in_no_more_than_its_last_steps(monkeypatch):
    looked, plain, all_rows = [], costs.spread, costs.taken
    monkeypatch.setattr(costs, "MOST_STEPS", 50)
    monkeypatch.setattr(costs, "spread", lambda ms, first: looked.append(len(ms)) or plain(ms, first))
    taken = []
    monkeypatch.setattr(costs, "taken", lambda values, row: taken.append(len(row)) or all_rows(values, row))
    lane = lane_of(*[{"build": 4.0, "step": 1.0}] * 400)
    for upto in (None, 300, 40):
        step_cost(lane, upto)
    assert looked == [50, 50, 40] and max(taken) == 100
