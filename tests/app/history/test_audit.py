"""The audit: its figures are those of `Results`, which the command line prints, at any step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from app.history.audit import audit
from app.history.history import RunHistory
from app.picture.theme import LIGHT
from app.views.audit_view import AuditView
from hnm_core.run.auditing import COLUMNS, cells
from hnm_core.run.events import OptionChanged, RunStarted, StepRecord
from hnm_core.run.results import Results
from hnm_core.run.timing import Phase
from hnm_core.spec.config import ExperimentConfig, LaneConfig, ModelConfig

UNLIKE = ("loss", "step_ms_mean")
"""What the audit leaves out."""
LANES = ("random", "knn", "still warm")


def events(steps: int = 40) -> list[RunStarted | StepRecord]:
    rng = np.random.default_rng(3)
    lanes = (
        LaneConfig(name="random"),
        LaneConfig(name="knn", miner="knn", warmup=10),
        LaneConfig(name="still warm", miner="knn", warmup=10_000),
    )
    config = ExperimentConfig(model=ModelConfig(name="identity"), lanes=lanes)
    nothing = np.zeros(2, np.bool_)
    found: list[RunStarted | StepRecord] = [RunStarted(config, np.arange(2), np.arange(2), nothing, ("a", "b"))]
    for step in range(1, steps + 1):
        for lane in lanes:
            hard, semi, easy = rng.integers(0, 50, 3).tolist()
            tuples = {"mined": hard + semi + easy, "hard": hard, "semi_hard": semi, "easy": easy, "missing": step % 3}
            if lane.name != "random":
                tuples["false_negative"] = hard // 4
            metrics = {"mining_recall": rng.random(), "distance_ratio": 1 + rng.random()} if step % 10 == 0 else {}
            ms = {Phase.SEARCH: float(np.float32(rng.random())), Phase.SELECT: float(np.float32(rng.random()))}
            warm = lane.name == "random" or step > lane.warmup
            found.append(StepRecord(lane.name, step, 1.0, ms, tuples, metrics, mining=warm, first_call=step == 1))
    return found


def fed(upto: int) -> Results:
    results = Results()
    for event in events():
        if isinstance(event, RunStarted) or event.step <= upto:
            results.add(event)
    return results


@pytest.fixture(scope="module")
def history():
    history = RunHistory()
    for event in events():
        history.add(event)
    return history


def test_that_another_miner_is_counted_and_timed_from_its_first_step_on():
    history, results, alone, told_first = RunHistory(), Results(), Results(), Results()
    told = [OptionChanged("random", 21, "miner", "knn", "random", asked=True)]
    told.append(OptionChanged("knn", 31, "miner_options.pool", "9", "3", asked=True))
    turned_at = {change.lane: change.step for change in told}
    start, *records = events()
    for event in (start, *told, *records):  # as a recording is read
        told_first.add(event)
    for event in events():
        while told and isinstance(event, StepRecord) and event.step == told[0].step:
            for take in (history, results):
                take.add(told[0])
            del told[0]
        for take in (history, results):
            take.add(event)
        if isinstance(event, RunStarted) or event.step >= turned_at.get(event.lane, 0):
            alone.add(event)
    assert results.lanes()[0].mined == alone.lanes()[0].mined > 0
    np.testing.assert_equal([*map(vars, told_first.lanes())], [*map(vars, results.lanes())])
    for found, wanted, only in zip(audit(history), results.lanes(), alone.lanes(), strict=True):
        for name in ("mined", "hard_share", "easy_share", "missing", "mining_ms_median", "mining_ms_p95"):
            one, two, three = (getattr(result, name) for result in (found, wanted, only))
            assert two == pytest.approx(three, nan_ok=True), name
            assert one == pytest.approx(two, rel=1e-6, nan_ok=True), name


@pytest.mark.parametrize("upto", [1, 10, 25, 40])
def test_that_the_audit_up_to_a_step_is_what_a_run_of_so_many_steps_comes_to(history, upto):
    for found, wanted in zip(audit(history, upto), fed(upto).lanes(), strict=True):
        for field in dataclasses.fields(wanted):
            if field.name not in UNLIKE:
                one, other = getattr(found, field.name), getattr(wanted, field.name)
                assert one == other or one == pytest.approx(other, rel=1e-6, nan_ok=True), field.name


def test_that_the_table_has_a_row_for_each_lane_and_follows_the_step(history, qtbot):
    view = AuditView()
    qtbot.addWidget(view)
    view.show_history(history, 25)
    texts = [[view.table.item(row, column).text() for column in range(len(COLUMNS))] for row in range(3)]
    assert texts == [list(cells(result)) for result in fed(25).lanes()]
    assert [row[0] for row in texts] == list(LANES)
    assert texts[2][1] == "0"
    view.set_theme(LIGHT)
    view.show_history(history)
    assert view.table.item(1, 1).text() == f"{fed(40).lanes()[1].mined:,}"


def test_that_a_run_without_a_step_is_an_audit_of_nothing():
    assert audit(RunHistory()) == []
    history = RunHistory()
    history.add(events()[0])
    assert history.audits
    assert [result.mined for result in audit(history)] == [0, 0, 0]
    assert cells(audit(history)[0])[2] == "-"
