"""Lanes that train for so many seconds instead of so many steps."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import Tensor

from hnm_core.errors import InputError
from hnm_core.kernels import SEARCH_KERNELS
from hnm_core.miners.base import MiningContext, Triplets
from hnm_core.miners.in_batch.batch import KERNELS as BATCH_KERNELS
from hnm_core.miners.whole_set.random_pairs import RandomMiner
from hnm_core.recording import record
from hnm_core.run.control import Control
from hnm_core.run.events import Event, Frame, RunFinished, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.spec import config
from hnm_core.training.experiment import Experiment
from hnm_core.training.resuming import resume

BASE = {
    "steps": 10_000,
    "seconds": 0.3,
    "eval_every": 7,
    "frame_every": 1000,
    "data": {"name": "near-classes", "options": {"groups": 4, "classes_per_group": 3, "points_per_class": 20}},
    "model": {"options": {"widths": [16, 8], "embedding": 3}},
    "sampler": {"batch": 40},
    "lanes": [{"name": "slow", "miner": "random"}, {"name": "quick", "miner": "semihard-negative"}],
}


@pytest.fixture(autouse=True)
def slow_random_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random pairs take 30 ms a step and more."""
    mine = RandomMiner.mine

    def late(miner: RandomMiner, anchors: Tensor, context: MiningContext) -> Triplets:
        time.sleep(0.03)
        return mine(miner, anchors, context)

    monkeypatch.setattr(RandomMiner, "mine", late)


def run(**fields: object) -> list[Event]:
    return list(Experiment(config.from_dict({**BASE, **fields})).run())


def steps_of(events: list[Event], lane: str) -> list[StepRecord]:
    return [event for event in events if isinstance(event, StepRecord) and event.lane == lane]


def test_that_each_lane_ends_with_the_first_step_that_begins_after_its_seconds() -> None:
    events = run()
    history = RunHistory()
    for event in events:
        history.add(event)
    assert isinstance(events[-1], RunFinished) and not events[-1].stopped, "that is how it was to end"
    for lane in history.lanes.values():
        assert lane.seconds[-2] >= 0.3 > (lane.seconds[-3] if len(lane) > 2 else 0)
    assert 2 <= len(steps_of(events, "slow")) <= 11 < len(steps_of(events, "quick"))


def test_that_what_a_lane_ends_with_is_measured_and_shown() -> None:
    events = run()
    for lane in ("slow", "quick"):
        last = steps_of(events, lane)[-1]
        assert "map_at_r" in last.metrics
        assert [event.step for event in events if isinstance(event, Frame) and event.lane == lane][-1] == last.step


def test_that_steps_end_a_lane_that_has_seconds_left() -> None:
    events = run(steps=4, seconds=1000.0)
    assert [len(steps_of(events, lane)) for lane in ("slow", "quick")] == [4, 4]
    assert isinstance(events[-1], RunFinished) and not events[-1].stopped


def test_that_a_run_without_a_limit_tells_the_same_numbers() -> None:
    limited = run(steps=12, seconds=1000.0)
    free = {name: value for name, value in BASE.items() if name != "seconds"}
    events = list(Experiment(config.from_dict({**free, "steps": 12})).run())
    for lane in ("slow", "quick"):
        told = [[(each.step, each.loss, each.metrics) for each in steps_of(of, lane)] for of in (limited, events)]
        assert told[0] == told[1]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "soon"])
def test_that_other_seconds_are_refused_by_name(seconds: object) -> None:
    with pytest.raises(InputError, match="seconds"):
        config.from_dict({**BASE, "seconds": seconds})


def recorded(folder: Path, stop_after: str = "") -> dict[str, int]:
    """Record a run, which is stopped once the lane `stop_after` has ended; how far the lanes came."""
    control, steps, quiet = Control(), dict[str, int](), 0
    for event in record(Experiment(config.from_dict(BASE)).run(control, checkpoints=True), folder):
        if isinstance(event, StepRecord):
            steps[event.lane] = event.step
            quiet = 0 if event.lane == stop_after else quiet + 1
            if stop_after and quiet == 2:
                control.stop()
    return steps


def test_that_a_run_that_its_seconds_ended_goes_on_by_steps(tmp_path: Path) -> None:
    before = recorded(tmp_path / "run")
    assert before["quick"] > before["slow"]
    more = before["quick"] + 5
    setting, past = resume(tmp_path / "run", steps=more)
    assert setting.seconds is None and "0.3 s of training" in past.words
    events = list(Experiment(setting, past).run())
    assert [steps_of(events, lane)[-1].step for lane in ("slow", "quick")] == [more, more]


def test_that_a_lane_whose_seconds_are_over_stays_ended_where_a_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    before = recorded(tmp_path / "run", stop_after="slow")
    setting, past = resume(tmp_path / "run")
    assert setting.seconds == 0.3
    events = list(Experiment(setting, past).run())
    assert steps_of(events, "slow")[-1].step == before["slow"]
    assert steps_of(events, "quick")[-1].step > before["quick"]
    assert isinstance(events[-1], RunFinished) and not events[-1].stopped


LOADS = """
import sys

from numba.core.caching import Cache

from hnm_core.run.events import RunStarted
from hnm_core.spec import config
from hnm_core.training.experiment import Experiment

loaded, load = [], Cache.load_overload


def told(cache, *arguments):
    loaded.append(cache)
    return load(cache, *arguments)


Cache.load_overload = told
points = {"groups": 5, "classes_per_group": 4, "points_per_class": 30}
run = Experiment(
    config.from_dict(
        {
            "steps": 3,
            "seconds": 1000.0,
            "data": {"name": "near-classes", "options": points},
            "model": {"options": {"widths": [16, 8], "embedding": 3}},
            "sampler": {"batch": 300},
            "lanes": [{"name": "mined", "miner": sys.argv[1]}],
        }
    )
)
for event in run.run():
    if isinstance(event, RunStarted):
        print(len(loaded))
print(len(loaded))
"""


@pytest.mark.parametrize("miner", ["batch-hard", "knn"])
def test_that_kernels_are_loaded_before_the_seconds_of_a_lane_begin(
    miner: str, compile_kernels: Callable[[str], None]
) -> None:
    for module in (SEARCH_KERNELS, BATCH_KERNELS):
        compile_kernels(module)
    done = subprocess.run([sys.executable, "-c", LOADS, miner], capture_output=True, text=True, check=True)
    before, at_the_end = map(int, done.stdout.split())
    assert 0 < before == at_the_end
