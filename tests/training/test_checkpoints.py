"""Runs that go on from a checkpoint: on the CPU they are the run that never ended, bit for bit."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from hnm_core import miners
from hnm_core.errors import InputError
from hnm_core.miners.base import DatasetMiner
from hnm_core.recording import checkpoints, record
from hnm_core.run.control import Control
from hnm_core.run.events import (
    Alarm,
    Checkpoint,
    Event,
    Frame,
    Misses,
    OptionChanged,
    RunFailed,
    RunFinished,
    StepRecord,
    WarmupEnded,
)
from hnm_core.spec.compatibility import check
from hnm_core.spec.config import ExperimentConfig, from_dict, with_settings
from hnm_core.spec.registry import LOSSES, MINERS, SAMPLERS
from hnm_core.training.experiment import Before, Experiment
from hnm_core.training.resuming import resume
from tests.cli.conftest import TINY
from tests.families import across, one_in
from tests.training.test_experiment import KNN, LSH, RANDOM, config, numbers
from tests.training.test_forks import LANES, clouds, fork
from tests.training.test_live_changes import Ask, ask, weights

EVERY_ROUND = 1e-9
NEVER_ALONE = {"VICRegLoss", "SelfSupervisedLoss"}
"""Losses that compare two views of the same items, which no lane has."""


def told(of: ExperimentConfig, asks: Mapping[int, Ask] | None = None) -> list[Event]:
    """A run with a checkpoint after each round; `asks` are asked after the step of the last lane."""
    asks = asks or {}
    control, events = Control(), []
    every = of.model_copy(update={"checkpoint_every": EVERY_ROUND})
    for event in Experiment(every).run(control, checkpoints=True):
        events.append(event)
        if isinstance(event, StepRecord) and event.lane == of.lanes[-1].name and event.step in asks:
            asks[event.step](control)
    assert not isinstance(events[-1], RunFailed), events[-1].message
    return events


def gone_on(of: ExperimentConfig, events: list[Event], step: int, folder: Path) -> list[Event]:
    """The same run, from its checkpoint of a step on, by way of a file."""
    place = next(place for place, event in enumerate(events) if isinstance(event, Checkpoint) and event.step == step)
    checkpoint = events[place]
    assert isinstance(checkpoint, Checkpoint) and checkpoint.state is not None
    checkpoints.write(folder / "checkpoints", checkpoint, place)
    stored = checkpoints.read(folder)
    assert stored is not None and stored.event == place and stored.note == ""
    state = stored.checkpoint.state
    assert state is not None
    again = list(Experiment(of, Before(step, state, [], "")).run())
    assert not isinstance(again[-1], RunFailed), again[-1].message
    assert not any(isinstance(event, Frame | StepRecord) and event.step <= step for event in again)
    return again


def assert_equal_from(step: int, again: list[Event], events: list[Event], lanes: list[str]) -> None:
    for lane in lanes:
        whole = [row for row in numbers(events, lane) if row[0] > step]
        assert [str(row) for row in numbers(again, lane)] == [str(row) for row in whole], lane
        assert clouds(again, lane, step) == clouds(events, lane, step)
        ours, theirs = weights(again, lane), weights(events, lane)
        assert ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert happened(again, step) == happened(events, step)


def happened(events: list[Event], step: int) -> list[tuple]:
    """What was said beside numbers and clouds of later steps."""
    kinds = (Alarm, Misses, OptionChanged, WarmupEnded)
    own = {"went-on", "steps-missing"}
    return [
        (type(event).__name__, event.lane, event.step, getattr(event, "message", ""), getattr(event, "total", 0))
        for event in events
        if isinstance(event, kinds) and event.step > step and getattr(event, "code", "") not in own
    ]


def fitting(of: ExperimentConfig) -> ExperimentConfig:
    """`of`, changed as the rules advise where it does not go together."""
    for _ in range(6):
        refused = [finding for finding in check(of) if finding.level == "refuse"]
        if not refused:
            return of
        fixes = [fix for finding in refused for fix in (finding.fix or "").split()]
        assert fixes, refused
        settings = [fix if "." in fix and fix.split(".")[0] in vars(of) else f"lanes.0.{fix}" for fix in fixes]
        of = with_settings(of, settings)
    raise AssertionError(check(of))


def test_that_a_run_with_checkpoints_is_the_run_without_them() -> None:
    of = config(KNN, LSH, {"name": "memory", "miner": "multi-similarity", "memory": 100})
    with_them, without = told(of), list(Experiment(of).run())
    assert not any(isinstance(event, Checkpoint) for event in without)
    assert [event.step for event in with_them if isinstance(event, Checkpoint)] == list(range(1, 13))
    assert_equal_from(0, with_them, without, ["knn", "lsh", "memory"])


@pytest.mark.parametrize("miner", one_in(3, MINERS.names()))
def test_that_every_miner_goes_on_as_if_the_run_had_never_ended(miner: str, tmp_path: Path) -> None:
    options = MINERS.entry(miner).options
    if options.gone or options.in_order:
        pytest.skip("the library has it no more, or no sampler serves it")
    of = fitting(config({"name": "it", "miner": miner, "loss_options": {}, "refresh_every": 4}))
    events = told(of)
    assert_equal_from(6, gone_on(of, events, 6, tmp_path), events, ["it"])


@pytest.mark.parametrize("loss", one_in(3, LOSSES.names()))
def test_that_every_loss_goes_on_as_if_the_run_had_never_ended(loss: str, tmp_path: Path) -> None:
    if LOSSES.entry(loss).options.bug or loss in NEVER_ALONE:
        pytest.skip("it is refused")
    of = fitting(config({"name": "it", "miner": "none", "loss": loss, "loss_options": {}}))
    events = told(of)
    assert_equal_from(6, gone_on(of, events, 6, tmp_path), events, ["it"])


@pytest.mark.parametrize("sampler", SAMPLERS.names())
@pytest.mark.parametrize("step", [1, 3, 4, 8])
def test_that_every_sampler_goes_on_in_the_middle_of_an_epoch_and_between_two(
    sampler: str, step: int, tmp_path: Path
) -> None:
    own = {"batch": 64} if SAMPLERS.part(sampler, {}).options.own_batch is None else {}
    of = config({"name": "it", "miner": "batch-hard"}, sampler={"name": sampler, **own})
    events = told(of)
    assert_equal_from(step, gone_on(of, events, step, tmp_path), events, ["it"])


@pytest.mark.parametrize("kind", one_in(2, [*LANES]))
def test_that_lanes_of_every_kind_go_on_from_every_moment(kind: str, tmp_path: Path) -> None:
    own = LANES[kind]
    lane = {"loss_options": {} if "loss" in own else {"margin": 0.5}, **own, "name": "it"}
    of = config(lane, frame_every=3, steps=12)
    events = told(of)
    for step in (3, 7, 10):
        assert_equal_from(step, gone_on(of, events, step, tmp_path), events, ["it"])


@pytest.mark.parametrize(("miner", "refresh"), across(["lsh", "lsh-buckets", "routed"], ["steps", "background"]))
def test_that_what_a_search_keeps_from_one_bank_to_the_next_is_kept(refresh: str, miner: str, tmp_path: Path) -> None:
    """Their choices are made anew every 20 banks, whatever happens in between."""
    lane = {"name": "it", "miner": miner, "refresh": refresh, "refresh_every": 1}
    of = config(lane, steps=26, model={"options": {"widths": [16], "embedding": 12}})
    events = told(of)
    for step in (1, 19, 20, 21):
        assert_equal_from(step, gone_on(of, events, step, tmp_path), events, ["it"])


def test_that_changes_and_forks_of_a_run_go_on_as_they_were(tmp_path: Path) -> None:
    few = {"miner": "lsh-buckets", "miner_options.tables": 1, "miner_options.bits": 5, "miner_options.probes": 0}
    asks: dict[int, Ask] = {
        1: lambda control: control.change_together({"lsh": few}),
        2: ask("knn", "miner", "lsh-buckets"),
        3: fork("knn", "fork", lr=0.05, refresh="background", refresh_every=2),
        4: ask("random", "loss", "contrastive"),
        5: ask("lsh", "sampler.batch", 30),
        6: ask("fork", "miner_options.tables", 3),
    }
    of = config(KNN, RANDOM, LSH, steps=14)
    events = told(of, asks)
    again = gone_on(of, events, 9, tmp_path)
    assert_equal_from(9, again, events, ["knn", "random", "lsh", "fork"])
    assert dict(again[-1].steps) == {"knn": 14, "random": 14, "lsh": 14, "fork": 14}


def test_that_a_run_goes_on_to_more_steps(tmp_path: Path) -> None:
    short, long = config(KNN, LSH), config(KNN, LSH, steps=20)
    events = told(short)
    again = gone_on(long, events, 12, tmp_path)
    assert_equal_from(12, again, list(Experiment(long).run()), ["knn", "lsh"])


def test_that_a_warm_up_that_waits_for_the_loss_goes_on_waiting(tmp_path: Path) -> None:
    lane = {"name": "it", "miner": "knn", "warmup": 2, "warmup_below": 10.0}
    of = config(lane, steps=112, eval_every=50, frame_every=50)
    events = told(of)
    assert [event.step for event in events if isinstance(event, WarmupEnded)] == [101]
    assert_equal_from(60, gone_on(of, events, 60, tmp_path), events, ["it"])


@pytest.mark.thorough
def test_that_an_audit_and_a_model_with_running_means_go_on(tmp_path: Path) -> None:
    audit = config(KNN, LSH, model={"name": "identity"})
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "pictures.npz", x=rng.random((60, 64), np.float32), y=np.arange(60) % 3)
    pictures = config(
        {"name": "knn", "miner": "knn"},
        data={"name": "file", "options": {"path": str(tmp_path / "pictures.npz")}},
        model={"name": "resnet18", "options": {}},
        sampler={"batch": 8},
        steps=3,
        eval_every=3,
    )
    for of, step in ((audit, 5), (pictures, 1)):
        events = told(of)
        assert_equal_from(step, gone_on(of, events, step, tmp_path), events, [lane.name for lane in of.lanes])


def test_that_a_run_whose_last_checkpoint_was_its_end_is_told_as_one_that_ended(tmp_path: Path) -> None:
    of = config(RANDOM, KNN, steps=3)
    ended = gone_on(of, told(of), 3, tmp_path)[-1]
    assert isinstance(ended, RunFinished) and not ended.stopped


def test_that_a_lane_that_failed_stays_where_it_was(tmp_path: Path) -> None:
    of = config({"name": "wild", "miner": "random"}, KNN, steps=16, optimizer={"name": "sgd", "lr": 0.01})
    events = told(of, {3: ask("wild", "optimizer.lr", 100.0)})
    (over,) = [event for event in events if isinstance(event, Alarm) and event.fatal and event.lane == "wild"]
    last = events[-1]
    step = max(event.step for event in events if isinstance(event, Checkpoint))
    assert over.step < step, "the checkpoint was made after it"
    again = gone_on(of, events, step, tmp_path)
    assert numbers(again, "wild") == []
    ours, theirs = weights(again, "wild"), weights(events, "wild")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert again[-1].steps == last.steps
    assert again[-1].failed_lanes == last.failed_lanes == ("wild",), "though nothing told again said so"


def test_that_a_part_that_does_not_tell_its_state_leaves_the_weights_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Mute:
        """A miner that keeps its contract, and no more."""

        def __init__(self, miner: DatasetMiner) -> None:
            self.refresh, self.mine = miner.refresh, miner.mine

    build = miners.build
    monkeypatch.setattr(miners, "build", lambda *given, **named: Mute(build(*given, **named)))
    events = told(config(KNN, RANDOM))
    (said,) = [event for event in events if isinstance(event, Alarm) and event.code == "weights-alone"]
    assert (said.step, said.level) == (0, "hint")
    assert said.message == (
        "Checkpoints of this run hold its weights alone, so training cannot go on from them: the miner 'knn' does not "
        "tell its state."
    )
    saved = [event for event in events if isinstance(event, Checkpoint)]
    assert len(saved) == 12 and all(event.state is None for event in saved)
    assert [weights.lane for weights in saved[-1].weights] == ["knn", "random"]
    list(record(Experiment(config(KNN)).run(checkpoints=True), tmp_path / "run"))
    with pytest.raises(InputError, match="holds weights alone, as a part of the run does not tell its state"):
        resume(tmp_path / "run", steps=20)
    assert checkpoints.newest_step(tmp_path / "run") is None
    saved_weights, _ = checkpoints.read_weights(tmp_path / "run", "knn")
    assert saved_weights is not None and saved_weights.step == 12


def test_that_a_run_that_is_being_recorded_does_not_go_on_beside_itself(tmp_path: Path) -> None:
    events = record(Experiment(config(KNN)).run(checkpoints=True), tmp_path / "run")
    for event in events:
        if isinstance(event, StepRecord):
            break
    with pytest.raises(InputError, match="is still going on"):
        resume(tmp_path / "run")
    events.close()


@pytest.mark.parametrize("wrong", ["missing", "of another size", "no number"])
def test_that_a_state_that_does_not_fit_is_refused_in_a_sentence(wrong: str) -> None:
    of = config(KNN)
    checkpoint = next(event for event in told(of) if isinstance(event, Checkpoint) and event.step == 6)
    assert checkpoint.state is not None
    (lane,) = checkpoint.state["lanes"]
    changed = {
        "missing": {name: value for name, value in lane.items() if name != "watch"},
        "of another size": {**lane, "model": {name: array[:1] for name, array in lane["model"].items()}},
        "no number": {**lane, "step": "six"},
    }[wrong]
    (failed,) = Experiment(of, Before(6, {**checkpoint.state, "lanes": [changed]}, [], "")).run()
    assert isinstance(failed, RunFailed) and failed.traceback == ""
    assert failed.message.startswith("The checkpoint does not fit this version, or is damaged: ")


def test_that_what_was_noticed_of_a_lane_is_not_forgotten(tmp_path: Path) -> None:
    of = from_dict({**tomllib.loads(TINY), "steps": 70, "eval_every": 35, "frame_every": 35, "device": "cpu"})
    events = told(of)
    easy = {event.step for event in events if isinstance(event, Alarm) and event.code == "all-easy"}
    assert min(easy) >= 50 and max(easy) < 65
    for step in (min(easy) - 10, max(easy) + 1):
        assert_equal_from(step, gone_on(of, events, step, tmp_path), events, ["one", "two"])
