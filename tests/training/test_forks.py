"""Lanes that go on from where another one stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record, replay
from hnm_core.run.control import Control
from hnm_core.run.events import Alarm, Event, Frame, LaneForked, OptionChanged, RunFinished, StepRecord
from hnm_core.run.results import Results
from hnm_core.spec.config import MAX_LANES, ExperimentConfig
from hnm_core.training.experiment import Experiment
from hnm_core.training.lane_changes import fork as fork_of
from hnm_core.training.setup import prepare
from hnm_core.training.trainer import Trainer
from tests.families import one_in
from tests.training.test_experiment import KNN, LSH, RANDOM, config, numbers
from tests.training.test_live_changes import Ask, asked_changes, refusals, run, weights


def fork(lane: str, new_lane: str, **changes: Any) -> Ask:
    return lambda control: control.fork(lane, new_lane, changes)


def clouds(events: list[Event], lane: str, after: int) -> list[tuple]:
    return [
        (
            event.step,
            event.mined_total,
            event.positions.tobytes(),
            event.triplets.tobytes(),
            {name: column.tobytes() for name, column in event.columns.items()},
        )
        for event in events
        if isinstance(event, Frame) and event.lane == lane and event.step > after
    ]


LANES = {
    "random": {"miner": "random"},
    "knn": {"miner": "knn", "refresh_every": 4},
    "lsh": {"miner": "lsh", "refresh_every": 4},
    "lsh-buckets": {"miner": "lsh-buckets", "refresh_every": 4},
    "routed": {"miner": "routed", "refresh_every": 4},
    "kept warm": {"miner": "knn", "warmup": 9},
    "by drift": {"miner": "knn", "refresh": "drift", "refresh_every": 2},
    "in the background": {"miner": "lsh", "refresh": "background", "refresh_every": 4},
    "built at the fork": {"miner": "knn", "refresh": "background", "refresh_every": 5, "refresh_lag": 4},
    "in batch": {"miner": "batch-hard"},
    "by chance in batch": {"miner": "random-negative"},
    "with a memory": {"miner": "multi-similarity", "loss": "multi-similarity", "memory": 100},
    "of a library": {"miner": "TripletMarginMiner", "loss": "TripletMarginLoss"},
    "learned": {"miner": "knn", "loss": "snnl", "loss_options": {"schedule": "learned"}},
    "proxies": {"miner": "none", "loss": "ProxyAnchorLoss", "distance": "cosine"},
    "by neighbours": {"miner": "batch-hard", "sampler": {"name": "neighbours", "batch": 60}},
}


@pytest.mark.parametrize("kind", LANES)
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_that_lanes_of_every_kind_train_and_fork_where_kernels_are_not_compiled_and_on_a_gpu(
    kind: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and torch finds none")
    for module in ("code_index", "lsh_buckets", "routed"):
        monkeypatch.setattr(f"hnm_core.neighbors.{module}.compiled", lambda: False)
    lane = {"loss_options": {} if "loss" in LANES[kind] else {"margin": 0.5}, **LANES[kind], "name": "old"}
    events = run(config(lane, device=device), {7: fork("old", "new")}, frames=True)
    assert [event for event in events if isinstance(event, Alarm) and event.fatal] == []
    assert events[-1].steps == {"old": 12, "new": 12}
    old, new = ([e.loss for e in events if isinstance(e, StepRecord) and e.lane == name] for name in ("old", "new"))
    assert new == pytest.approx(old[7:], rel=0.05)


@pytest.mark.parametrize("kind", one_in(2, [*LANES]))
def test_that_a_lane_forked_off_without_a_change_stays_equal_to_the_one_it_came_from(kind: str) -> None:
    lane = {"loss_options": {} if "loss" in LANES[kind] else {"margin": 0.5}, **LANES[kind], "name": "old"}
    of = config(lane, steps=18, frame_every=3)
    events = run(of, {7: fork("old", "new")}, frames=True)
    (told,) = [event for event in events if isinstance(event, LaneForked)]
    assert (told.lane, told.step, told.parent) == ("new", 7, "old")
    old, new = numbers(events, "old"), numbers(events, "new")
    assert [row[0] for row in new] == list(range(8, 19))
    assert new == old[7:]
    assert clouds(events, "new", 7) == clouds(events, "old", 7) != []
    ours, theirs = weights(events, "new"), weights(events, "old")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    without = run(of, frames=True)
    assert numbers(without, "old") == old, "nothing of the fork reaches the old lane"
    assert clouds(without, "old", -1) == clouds(events, "old", -1)


@pytest.mark.parametrize(
    "changes", [{"miner": "lsh"}, {"lr": 0.05, "hard_share": 0.9}, {"batch": 20}, {"loss": "snnl"}]
)
def test_that_a_fork_with_changes_is_the_lane_changed_in_place(changes: dict[str, Any]) -> None:
    forked = run(config(KNN), {5: fork("knn", "new", **changes)})
    changed = run(config(KNN), {5: lambda control: control.change_together({"knn": changes})})
    assert numbers(forked, "new") == numbers(changed, "knn")[5:]
    assert numbers(forked, "knn") == numbers(run(config(KNN)), "knn")
    assert [row[1:] for row in asked_changes(forked)] == [row[1:] for row in asked_changes(changed)]
    assert {row[0] for row in asked_changes(forked)} == {"new"}


def test_that_forks_and_what_they_came_from_go_separate_ways_from_then_on() -> None:
    asks = {
        3: fork("knn", "a", miner="lsh"),
        5: lambda control: control.change("knn", "hard_share", 0.9),
        6: fork("a", "b"),
        8: lambda control: control.change("b", "lr", 0.1),
    }
    events = run(config(KNN, RANDOM, steps=14), asks)
    plain = run(config(KNN, RANDOM, steps=14), {5: asks[5]})
    for lane in ("knn", "random"):
        assert numbers(events, lane) == numbers(plain, lane)
    a, b = numbers(events, "a"), numbers(events, "b")
    assert b[:2] == a[3:5] and b[2] == a[5] and b[3] != a[6], "the weights after step 9 differ"
    assert dict(events[-1].steps) == {"knn": 14, "random": 14, "a": 14, "b": 14}


def test_that_the_first_thing_seen_of_a_fork_is_the_cloud_it_starts_from() -> None:
    events = run(config(KNN, frame_every=6), {6: fork("knn", "new")}, frames=True)
    first = next(event for event in events if isinstance(event, Frame) and event.lane == "new")
    before = next(event for event in events if isinstance(event, Frame) and event.step == 6)
    assert first.step == 6 and np.allclose(first.positions, before.positions, atol=1e-5)
    place = next(place for place, event in enumerate(events) if isinstance(event, LaneForked))
    assert events[place + 1] is first


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (fork("knn", "knn"), "There is a lane called 'knn' already"),
        (fork("nkn", "new"), "Unknown lane 'nkn'. Did you mean knn?"),
        (fork("knn", "/etc"), "a letter or a digit"),
        (fork("knn", ""), "a letter or a digit"),
        (fork("knn", "new", miner="nkn"), "Unknown miner 'nkn'"),
        (fork("knn", "new", distance="cosine"), "'distance' cannot be changed while"),
    ],
)
def test_that_a_fork_that_cannot_be_is_refused_and_leaves_nothing(ask: Ask, words: str) -> None:
    events = run(config(KNN), {5: ask})
    (sentence,) = refusals(events)
    assert sentence.startswith("No new lane '") and words in sentence and sentence.endswith(".")
    assert numbers(events, "knn") == numbers(run(config(KNN)), "knn")
    assert dict(events[-1].steps) == {"knn": 12}


def test_that_a_fork_that_breaks_down_keeps_its_own_last_good_weights() -> None:
    trainer = Trainer(config(RANDOM).lanes[0], prepare(config(RANDOM)), frames=False)
    trainer.good_weights = trainer.weights()
    twin = fork_of(trainer, "twin")
    for parameter in twin.parameters:
        parameter.data.fill_(float("nan"))
    saved = twin.weights()
    assert saved.lane == "twin" and all(np.isfinite(array).all() for array in saved.arrays.values())
    assert all(np.isfinite(array).all() for array in trainer.weights().arrays.values())


def test_that_a_run_has_only_so_many_lanes() -> None:
    asks = {place: fork("random", f"new {place}") for place in range(1, MAX_LANES + 1)}
    events = run(config(RANDOM, steps=MAX_LANES + 3, eval_every=100), asks)
    assert len(events[-1].steps) == MAX_LANES
    assert refusals(events) == [
        f"No new lane 'new {MAX_LANES}'. A run has at most {MAX_LANES} lanes, and there are as many."
    ]


def test_that_a_lane_that_broke_off_counts_once(monkeypatch) -> None:
    step = Trainer._step

    def breaks(trainer: Trainer, anchor_row: Any) -> Any:
        if trainer.lane.name == "knn":
            raise InputError("It broke.")
        return step(trainer, anchor_row)

    monkeypatch.setattr(Trainer, "_step", breaks)
    asks = {place: fork("random", f"new {place}") for place in range(1, MAX_LANES)}
    events = run(config(KNN, RANDOM, steps=MAX_LANES + 3, eval_every=100), asks)
    assert events[-1].failed_lanes == ("knn",)
    assert len({event.lane for event in events if isinstance(event, StepRecord)}) == MAX_LANES - 1
    assert len(refusals(events)) == 1, "the last one alone"


def test_that_a_fork_waits_for_the_run_to_begin_and_is_refused_when_it_has_ended() -> None:
    events = run(config(LSH), {0: fork("lsh", "twin"), 12: fork("lsh", "late")})
    assert numbers(events, "twin") == numbers(events, "lsh")
    assert refusals(events) == ["No new lane 'late'. The run has ended."]
    assert isinstance(events[-1], RunFinished) and not events[-1].stopped


def forked_run(folder: Path) -> tuple[ExperimentConfig, list[Event]]:
    of, control, events = config(KNN, RANDOM, steps=12), Control(), []
    for event in record(Experiment(of).run(control), folder):
        events.append(event)
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("random", 5):
            control.change("knn", "lr", 1e-3)
            control.fork("knn", "new", {"miner": "lsh", "miner_options.bits": 32})
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("random", 8):
            control.change("new", "hard_share", 0.75)
    return of, events


def test_that_a_recording_holds_the_fork_and_replays_it_in_its_place(tmp_path: Path) -> None:
    of, events = forked_run(tmp_path / "run")
    recording = open_recording(tmp_path / "run")
    assert recording.lanes == ("knn", "random", "new")
    replayed = list(replay(tmp_path / "run"))
    assert [type(event) for event in replayed] == [type(event) for event in events]
    (told,) = [event for event in replayed if isinstance(event, LaneForked)]
    assert (told.lane, told.step, told.parent) == ("new", 5, "knn")
    assert numbers(replayed, "new") == numbers(events, "new")
    assert recording.frame_steps("new").tolist() == [5, 8, 12]
    end = recording.lane_configs["new"]
    assert (end.lanes[0].miner, end.lanes[0].miner_options, end.lanes[0].hard_share) == ("lsh", {"bits": 32}, 0.75)
    assert end.optimizer.lr == 1e-3, "what the old lane was changed to before"
    assert end.lanes[0].warmup == of.lanes[0].warmup
    assert recording.lane_configs["knn"].lanes[0].miner == "knn"


def test_that_results_know_the_forked_lane(tmp_path: Path) -> None:
    _, events = forked_run(tmp_path / "run")
    results = Results()
    for event in events:
        results.add(event)
    rows = {row.lane: row for row in results.lanes()}
    assert list(rows) == ["knn", "random", "new"]
    assert rows["new"].steps == 12
    mined = [event.tuples["mined"] for event in events if isinstance(event, StepRecord) and event.lane == "new"]
    assert rows["new"].mined == sum(mined) and len(mined) == 7


def test_that_a_change_of_the_old_lane_before_the_same_step_reaches_the_fork_and_one_after_it_does_not() -> None:
    def both(control: Control) -> None:
        control.change("knn", "lr", 1e-3)
        control.fork("knn", "new")
        control.change("knn", "hard_share", 1)

    events = run(config(KNN), {5: both})
    alone = run(config(KNN), {5: lambda control: control.change("knn", "lr", 1e-3)})
    assert numbers(events, "new") == numbers(alone, "knn")[5:]
    assert numbers(events, "knn") != numbers(alone, "knn")
    order = [type(event) for event in events if isinstance(event, OptionChanged | LaneForked) and event.step in (5, 6)]
    assert order == [OptionChanged, LaneForked, OptionChanged]
