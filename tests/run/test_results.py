"""The result table against sums done record by record, live and as it stood at earlier steps."""

from __future__ import annotations

import dataclasses
import math

import pytest

from hnm_core.run.events import OptionChanged, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.run.results import LaneResult, Results
from tests.run.lanes import record, started
from tests.run.naive_results import naive_results
from tests.run.random_runs import random_run


def results_of(events) -> Results:
    results = Results()
    for event in events:
        results.add(event)
    return results


def assert_same(rows: list[LaneResult], wanted: list[dict]) -> None:
    assert [row.lane for row in rows] == [row["lane"] for row in wanted]
    for found, row in zip(rows, wanted, strict=True):
        assert row.keys() == {field.name for field in dataclasses.fields(LaneResult)}
        for name, value in row.items():
            shown = getattr(found, name)
            same = (
                shown == value
                if isinstance(value, str | dict)
                else shown == pytest.approx(value, rel=1e-9, nan_ok=True)
            )
            assert same, (found.lane, name)


@pytest.mark.parametrize("seed", range(8))
def test_that_the_table_is_what_the_records_add_up_to_at_every_step(seed):
    events = list(random_run(seed))
    results = results_of(events)
    assert_same(results.lanes(), naive_results(events))
    for upto in (0, 1, 17, 100, 233, 399):
        assert_same(results.lanes(upto), naive_results(events, upto))


@pytest.mark.parametrize("upto", [1, 25, 200])
def test_that_the_table_at_a_step_is_that_of_a_run_so_far(upto):
    events = list(random_run(11))
    so_far = [event for event in events if getattr(event, "step", 0) <= upto]
    now, then = results_of(so_far).lanes(), {row.lane: row for row in results_of(events).lanes(upto)}
    assert len(now) >= 2
    for row in now:
        assert repr(row) == repr(then[row.lane])


def test_that_changes_told_before_the_steps_they_precede_count_the_same():
    events = list(random_run(5))
    told_first = sorted(events, key=lambda event: isinstance(event, StepRecord))
    assert any(isinstance(event, OptionChanged) and event.asked for event in events)
    assert repr(results_of(told_first).lanes()) == repr(results_of(events).lanes())


def test_that_a_table_of_no_steps_has_its_lanes_and_no_numbers():
    results = results_of([started("one", "two")])
    assert [(row.lane, row.steps, row.mined) for row in results.lanes()] == [("one", 0, 0), ("two", 0, 0)]
    assert math.isnan(results.lanes()[0].loss) and math.isnan(results.lanes()[0].hard_share)
    assert Results().lanes() == []


def test_that_a_curve_holds_each_measurement():
    results = results_of([started("one"), record(1, lane="one"), record(2, lane="one", metrics={"map_at_r": 0.5})])
    assert results.curve("one", "map_at_r") == [(2, 0.5)]
    assert results.curve("one", "knn_accuracy") == []


def test_that_results_are_a_view_of_a_history_that_is_there():
    history = RunHistory()
    results = Results(history)
    history.add(record(4, 0.5, lane="one"))
    assert [(row.lane, row.steps, row.loss) for row in results.lanes()] == [("one", 4, 0.5)]
