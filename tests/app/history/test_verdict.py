"""What is said of a run at its end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from app.history.verdict import apart, ranking, seconds_to, verdict
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import RunFailed, RunFinished, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.run.raw import RawScore
from hnm_core.run.timing import Phase
from tests.app import fake_runs


def run(quality: dict[str, list[float]], ms: dict[str, float]) -> RunHistory:
    """Lanes measured every 10 steps; each spends `ms` on a step."""
    history = RunHistory()
    started = fake_runs.run_history(steps=1).started
    lanes = tuple(replace_lane(started.config.lanes[0], name) for name in quality)
    history.add(replace(started, config=started.config.model_copy(update={"lanes": lanes})))
    for step in range(1, 10 * len(next(iter(quality.values()))) + 1):
        for name, values in quality.items():
            metrics = {"map_at_r": values[step // 10 - 1]} if step % 10 == 0 else {}
            history.add(StepRecord(name, step, 1.0, phase_ms={Phase.LOSS: ms[name]}, metrics=metrics))
    return history


def replace_lane(lane, name: str):
    return lane.model_copy(update={"name": name})


QUALITY = {"slow": [0.2, 0.5, 0.8, 0.9], "quick": [0.2, 0.4, 0.5, 0.6], "twin": [0.2, 0.4, 0.5, 0.605]}
MS = {"slow": 20.0, "quick": 10.0, "twin": 11.0}


def test_that_the_winner_depends_on_what_is_held_equal():
    history = run(QUALITY, MS)
    assert verdict(history) is None, "it has not ended"
    history.add(RunFinished({}, 1.0))
    told = verdict(history)
    assert told.title == "The run is over"
    assert told.lines == (
        "MAP@R at equal steps (40): slow 0.900; behind: twin 0.605, quick 0.600",
        "At equal time (0.4 s of training): quick 0.600; behind: slow 0.500, twin 0.500",
        "To 0.855, 95 % of the best: slow 0.8 s, quick never, twin never",
    )


def test_that_every_lane_is_set_beside_the_features_as_they_are():
    history = run(QUALITY | {"poor": [0.1] * 4}, MS | {"poor": 10.0})
    raw = RawScore("raw embeddings", "euclidean", {"map_at_r": 0.612})
    history.started = replace(history.started, raw=(raw, replace(raw, distance="cosine", metrics={"map_at_r": 0.95})))
    history.add(RunFinished({}, 1.0))
    assert verdict(history).lines[-2:] == (
        "Raw embeddings, euclidean 0.612: slow better; quick, twin not told apart; poor worse",
        "Raw embeddings, cosine 0.950: slow, quick, twin, poor worse",
    )


def test_that_what_cannot_be_told_apart_is_called_no_difference():
    assert ranking({"a": 0.9, "b": 0.895, "c": 0.5}, 300) == "a 0.900; not told apart from b 0.895; behind: c 0.500"
    assert ranking({"a": math.nan}, 300) == "nothing measured yet"
    assert ranking({"a": math.nan, "b": 0.2}, 300) == "b 0.200"


@pytest.mark.parametrize("evaluated", [100, 2000])
def test_that_chance_alone_seldom_tells_two_equals_apart(evaluated: int):
    rng = np.random.default_rng(1)
    shares = rng.binomial(evaluated, 0.7, (4000, 2)) / evaluated
    told = np.mean([apart(one, other, evaluated) for one, other in shares])
    assert 0.02 < told < 0.07
    better = rng.binomial(evaluated, (0.7, 0.95), (500, 2)) / evaluated
    assert np.mean([apart(one, other, evaluated) for one, other in better]) > 0.99


def test_that_the_time_to_a_goal_is_that_of_the_first_measurement_there():
    lane = run(QUALITY, MS).lanes["slow"]
    assert seconds_to(lane, "map_at_r", 0.5) == pytest.approx(0.4)
    assert seconds_to(lane, "map_at_r", 0.51) == pytest.approx(0.6)
    assert math.isinf(seconds_to(lane, "map_at_r", 0.95))


def test_that_a_stopped_run_says_so_and_one_without_measures_claims_nothing():
    history = run({"only": [math.nan, math.nan]}, {"only": 1.0})
    history.add(RunFinished({}, 1.0, stopped=True))
    told = verdict(history)
    assert told.title == "The run was stopped at step 20" and "nothing can be said" in told.lines[0]
    failed = run(QUALITY, MS)
    failed.add(RunFailed("no"))
    assert verdict(failed) is None


def test_that_a_run_without_measures_says_why_where_it_knows():
    history = run({"only": [math.nan, math.nan]}, {"only": 1.0})
    history.started = replace(history.started, evaluated=Evaluated(30, 30, 30, 30))
    history.add(RunFinished({}, 1.0))
    (line,) = verdict(history).lines
    assert "none of the 30 held-out items" in line and line.endswith("so nothing can be said of who was better.")


def test_that_differences_are_judged_by_how_many_were_asked():
    def told(evaluated: Evaluated) -> str:
        history = run({"one": [0.5], "two": [0.53]}, {"one": 1.0, "two": 1.0})
        history.started = replace(history.started, evaluated=evaluated)
        history.add(RunFinished({}, 1.0))
        return verdict(history).lines[0]

    assert told(Evaluated(200, 200, 200, 0)) != told(Evaluated(20_000, 20_000, 20_000, 0))
    assert told(Evaluated(20_000, 20_000, 20_000, 19_800)) == told(Evaluated(200, 200, 200, 0))
