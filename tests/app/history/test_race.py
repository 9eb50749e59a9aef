"""Equal time instead of equal steps, against a walk through the clocks."""

from __future__ import annotations

import numpy as np
import pytest

from app.history.race import quickest, steps_at_equal_time
from hnm_core.run.history import RunHistory
from tests.app import fake_runs


def walked(history: RunHistory, step: int | None) -> dict[str, int]:
    lanes = history.lanes
    total = {name: float(lane.phase_ms.sum(dtype=np.float64)) for name, lane in lanes.items()}
    lead = min(total, key=lambda name: total[name])
    rows = len(lanes[lead]) if step is None else step
    budget = float(lanes[lead].phase_ms[:rows].sum(dtype=np.float64))
    found = {}
    for name, lane in lanes.items():
        spent, done = 0.0, 0
        for ms in lane.phase_ms.sum(1, dtype=np.float64):
            spent += float(ms)
            if spent > budget * (1 + 1e-9):
                break
            done += 1
        found[name] = done
    return found


@pytest.mark.parametrize("step", [None, 0, 1, 7, 150, 299, 300])
def test_that_each_lane_is_where_it_was_when_the_quickest_had_come_so_far(step: int | None):
    history = fake_runs.run_history(steps=300)
    assert steps_at_equal_time(history, step) == walked(history, step)


def test_that_the_quickest_is_the_one_that_spent_least_on_the_steps_that_all_have_done():
    history = fake_runs.run_history(steps=300)
    assert quickest(dict(history.lanes)) == "random"
    at_the_end = steps_at_equal_time(history)
    assert at_the_end["random"] == 300 > at_the_end["lsh"] and at_the_end["knn"] < 300


def test_that_nothing_is_shown_of_a_run_that_has_not_begun():
    assert steps_at_equal_time(RunHistory()) == {}
