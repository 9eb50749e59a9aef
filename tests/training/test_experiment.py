"""Runs as a whole: what comes out, in which order, and that lanes never disturb one another."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from hnm_core import kernels
from hnm_core.run.control import Control
from hnm_core.run.events import (
    Alarm,
    Event,
    Frame,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRecord,
    WarmupEnded,
    Weights,
)
from hnm_core.spec.config import ExperimentConfig, LaneConfig, from_dict, with_settings
from hnm_core.training import experiment
from hnm_core.training.experiment import Experiment
from hnm_core.training.setup import Shared
from hnm_core.training.trainer import Trainer
from tests.families import one_in


def config(*lanes: dict, **fields: object) -> ExperimentConfig:
    base = {
        "device": "cpu",  # where equal lanes are equal bit for bit
        "steps": 12,
        "frame_every": 4,
        "eval_every": 6,
        "data": {"name": "near-classes", "options": {"groups": 4, "classes_per_group": 3, "points_per_class": 20}},
        "model": {"options": {"widths": [16, 8], "embedding": 3}},
        "sampler": {"batch": 64},
        "lanes": [{"loss_options": {"margin": 0.5}, **lane} for lane in lanes],
    }
    return from_dict({**base, **fields})


RANDOM = {"name": "random", "miner": "random"}
KNN = {"name": "knn", "miner": "knn", "warmup": 3, "refresh_every": 4}
LSH = {"name": "lsh", "miner": "lsh", "miner_options": {"bits": 64}, "warmup": 3, "refresh_every": 4}


def numbers(events: list[Event], lane: str) -> list[tuple]:
    return [
        (event.step, event.loss, dict(event.tuples), dict(event.metrics))
        for event in events
        if isinstance(event, StepRecord) and event.lane == lane
    ]


def test_that_a_lane_alone_equals_the_same_lane_among_others_bit_for_bit() -> None:
    together = list(Experiment(config(RANDOM, KNN, LSH)).run())
    for lane in (RANDOM, KNN, LSH):
        alone = list(Experiment(config(lane)).run())
        assert numbers(alone, lane["name"]) == numbers(together, lane["name"])
        clouds = [
            [e.positions for e in run if isinstance(e, Frame) and e.lane == lane["name"]] for run in (alone, together)
        ]
        assert all(np.array_equal(a, b) for a, b in zip(*clouds, strict=True))


def test_that_two_lanes_with_equal_options_are_equal() -> None:
    events = list(Experiment(config(LSH, {**LSH, "name": "another name"})).run(frames=False))
    assert numbers(events, "lsh") == numbers(events, "another name")


def test_that_frames_never_change_the_numbers() -> None:
    with_frames, without = (list(Experiment(config(KNN, LSH)).run(frames=frames)) for frames in (True, False))
    assert any(isinstance(event, Frame) for event in with_frames)
    assert not any(isinstance(event, Frame) for event in without)
    for lane in ("knn", "lsh"):
        assert numbers(with_frames, lane) == numbers(without, lane)


def test_that_the_thread_count_does_not_change_the_numbers() -> None:
    one, two = (list(Experiment(config(KNN, LSH, threads=threads)).run(frames=False)) for threads in (1, 2))
    for lane in ("knn", "lsh"):
        assert numbers(one, lane) == numbers(two, lane)


def test_that_another_seed_gives_other_numbers() -> None:
    first, second = (list(Experiment(config(KNN, seed=seed)).run(frames=False)) for seed in (0, 1))
    assert numbers(first, "knn") != numbers(second, "knn")


def test_that_the_global_generators_and_the_thread_count_are_left_alone() -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    list(Experiment(config(LSH, threads=2)).run())
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert before[2] == torch.get_num_threads()


def test_that_a_run_starts_and_ends_with_its_own_events_and_lanes_take_turns() -> None:
    events = list(Experiment(config(RANDOM, KNN)).run(frames=False))
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert dict(events[-1].steps) == {"random": 12, "knn": 12}
    assert not events[-1].stopped
    turns = [(event.step, event.lane) for event in events if isinstance(event, StepRecord)]
    assert turns == list(itertools.product(range(1, 13), ("random", "knn"))), "one step each, in lane order"


def test_that_metrics_come_every_eval_steps_and_after_the_last() -> None:
    events = list(Experiment(config(LSH, eval_every=5)).run(frames=False))
    measured = {event.step: event.metrics for event in events if isinstance(event, StepRecord) and event.metrics}
    assert sorted(measured) == [5, 10, 12]
    retrieval = {"precision_at_1", "map_at_r", "knn_accuracy", "mean_distance"}
    searched = {"mining_recall", "distance_ratio", "hardness_regret", "no_candidate", "bank_age", "drift"}
    of_classes = {"within_class_distance", "between_class_distance", "class_distance_ratio"}
    used = {"used_recall", "used_regret", "used_of", "predicted_recall"}
    assert set(measured[12]) == retrieval | of_classes | searched | used
    assert 0.9 <= measured[12]["mining_recall"] <= 1
    assert measured[12]["distance_ratio"] >= 1
    assert measured[12]["hardness_regret"] >= 0
    assert measured[12]["no_candidate"] == 0


def test_that_the_end_of_the_warm_up_is_marked_and_only_then_the_miner_works() -> None:
    events = list(Experiment(config(KNN, RANDOM)).run(frames=False))
    ends = [event for event in events if isinstance(event, WarmupEnded)]
    assert [(end.lane, end.step, end.miner) for end in ends] == [("knn", 4, "knn")]
    assert not any(isinstance(event, OptionChanged) for event in events)
    mining = [event.mining for event in events if isinstance(event, StepRecord) and event.lane == "knn"]
    assert mining == [False] * 3 + [True] * 9
    random, knn = numbers(events, "random"), numbers(events, "knn")
    assert [row[1] for row in random[:3]] == [row[1] for row in knn[:3]]
    assert random[3:] != knn[3:]


def test_that_a_warm_up_by_loss_waits_for_a_hundred_steps_below_the_threshold() -> None:
    lane = {"name": "knn", "miner": "knn", "warmup_below": 1e9}
    events = list(Experiment(config(lane, steps=103)).run(frames=False))
    assert [event.step for event in events if isinstance(event, WarmupEnded)] == [101]
    never = {"name": "knn", "miner": "knn", "warmup_below": 1e-12}
    events = list(Experiment(config(never, steps=103)).run(frames=False))
    assert not any(isinstance(event, WarmupEnded) for event in events)


def test_that_frames_speak_in_dataset_ids_of_training_items(tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    y = np.arange(90) % 3
    ids = source.permutation(10_000)[:90]
    np.savez(tmp_path / "mine.npz", x=source.normal(size=(90, 5)) + 3 * np.eye(3, 5)[y], y=y, ids=ids)
    label_of = dict(zip(ids.tolist(), y.tolist(), strict=True))
    data = {"name": "file", "options": {"path": str(tmp_path / "mine.npz")}, "held_out": 0.3}
    events = list(Experiment(config(KNN, data=data)).run())
    started = events[0]
    assert isinstance(started, RunStarted)
    assert {int(i): int(c) for i, c in zip(started.ids, started.labels, strict=True)} == label_of
    held_out = set(started.ids[started.held_out].tolist())
    frames = [event for event in events if isinstance(event, Frame)]
    assert [frame.step for frame in frames] == [0, 1, 4, 8, 12]
    for frame in frames[1:]:
        assert frame.mined_total == len(frame.triplets) > 0
        for anchor, positive, negative in frame.triplets.tolist():
            assert label_of[anchor] == label_of[positive] != label_of[negative]
            assert anchor != positive
            assert not {anchor, positive, negative} & held_out
        counted = np.bincount(np.searchsorted(started.ids, frame.triplets[:, 2]), minlength=90)
        assert (frame.columns["times_mined"] >= counted).all()
        assert frame.columns["loss_share"].sum() == pytest.approx(1, abs=1e-4)
        assert not frame.positions.flags.writeable


def test_that_an_embedding_above_three_dimensions_is_drawn_as_a_pca_that_says_so() -> None:
    events = list(Experiment(config(RANDOM, model={"options": {"embedding": 16}})).run())
    frame = next(event for event in events if isinstance(event, Frame))
    assert frame.positions.shape == (240, 3)
    assert frame.projection.startswith("PCA of 16-D")


def test_that_a_lane_that_diverges_raises_an_alarm_and_the_others_go_on() -> None:
    hot = {"name": "hot", "miner": "random", "loss": "contrastive", "loss_options": {"variant": "squared-2019"}}
    cool = {"name": "cool", "miner": "random"}
    optimizer = {"name": "sgd", "lr": 50.0}
    events = list(Experiment(config(hot, cool, steps=40, optimizer=optimizer)).run())
    alarms = [event for event in events if isinstance(event, Alarm) and event.fatal]
    assert alarms
    assert alarms[0].lane == "hot"
    assert "NaN or infinity" in alarms[0].message or "The loss became" in alarms[0].message
    assert isinstance(events[-1], RunFinished)
    assert "hot" in events[-1].failed_lanes


def test_that_a_collapsing_lane_is_named_once() -> None:
    lane = {
        "name": "pulled",
        "miner": "random",
        "loss": "contrastive",
        "loss_options": {"variant": "online", "neg_margin": 1e-9},
    }
    optimizer = {"lr": 3e-3, "options": {"weight_decay": 0.1}}
    events = list(Experiment(config(lane, steps=150, eval_every=10, optimizer=optimizer)).run(frames=False))
    collapses = [event for event in events if isinstance(event, Alarm) and event.code == "collapse"]
    assert len(collapses) == 1
    assert "one spot" in collapses[0].message


def test_that_stop_ends_the_run_between_steps() -> None:
    control, events = Control(), []
    for event in Experiment(config(RANDOM, KNN, steps=10_000)).run(control, frames=False):
        events.append(event)
        if isinstance(event, StepRecord) and event.step == 5:
            control.stop()
    assert isinstance(events[-1], RunFinished)
    assert events[-1].stopped
    assert dict(events[-1].steps) == {"random": 5, "knn": 5}


def test_that_a_paused_run_does_as_many_rounds_as_asked_for() -> None:
    control, seen = Control(paused=True), []
    finished = threading.Event()

    def train() -> None:
        for event in Experiment(config(RANDOM, KNN, steps=50)).run(control, frames=False):
            seen.append(event)
            if isinstance(event, StepRecord) and (event.step, event.lane) == (3, "knn"):
                finished.set()

    thread = threading.Thread(target=train)
    thread.start()
    control.step(3)
    assert finished.wait(60)
    control.stop()
    thread.join(60)
    assert max(event.step for event in seen if isinstance(event, StepRecord)) == 3


def test_that_wrong_data_fails_in_words_and_a_bug_with_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = config(RANDOM, data={"name": "file", "options": {"path": "/nowhere/x.npz"}})
    (failure,) = Experiment(wrong).run()
    assert isinstance(failure, RunFailed)
    assert "/nowhere/x.npz" in failure.message
    assert failure.traceback == ""

    def broken(*_: object) -> Iterator[Event]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("hnm_core.training.trainer.Trainer._step", broken)
    events = list(Experiment(config(RANDOM)).run())
    assert isinstance(events[-1], RunFailed)
    assert "ZeroDivisionError" in events[-1].traceback


def breaks(lane: str, step: int, own: Callable[..., object]) -> Callable[..., object]:
    """A method of a trainer that has a bug in one lane from a step on."""

    def method(trainer: Trainer, *arguments: object, **named: object) -> object:
        if trainer.lane.name == lane and trainer.step >= step:
            raise ZeroDivisionError("a bug")
        return own(trainer, *arguments, **named)

    return method


@pytest.mark.parametrize(
    ("method", "step"), one_in(2, [("_step", 5), ("_forward", 3), ("_measure", 6), ("_counts", 12)])
)
def test_that_a_bug_ends_the_lane_that_it_shows_in_and_no_other(
    monkeypatch: pytest.MonkeyPatch, method: str, step: int
) -> None:
    whole = list(Experiment(config(RANDOM, KNN, LSH)).run())
    monkeypatch.setattr(Trainer, method, breaks("knn", step, getattr(Trainer, method)))
    events = list(Experiment(config(RANDOM, KNN, LSH)).run())
    (alarm,) = (event for event in events if isinstance(event, Alarm) and event.fatal)
    assert (alarm.lane, alarm.step) == ("knn", step)
    assert "ZeroDivisionError: a bug" in alarm.message
    assert "Traceback" in alarm.traceback
    for lane in ("random", "lsh"):
        assert numbers(events, lane) == numbers(whole, lane)
    assert numbers(events, "knn") == numbers(whole, "knn")[: step - 1]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].failed_lanes == ("knn",)
    assert not events[-1].stopped
    (weights,) = (event for event in events if isinstance(event, Weights) and event.lane == "knn")
    assert weights.step == (step - 1 if method in ("_step", "_forward") else step)  # the others come after the update


def test_that_a_lane_that_cannot_even_be_made_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(Experiment(config(RANDOM, KNN)).run())
    own = experiment.Trainer

    def made(lane: LaneConfig, shared: Shared, *, frames: bool) -> Trainer:
        if lane.name == "knn":
            raise ZeroDivisionError("a bug")
        return own(lane, shared, frames=frames)

    monkeypatch.setattr(experiment, "Trainer", made)
    events = list(Experiment(config(RANDOM, KNN)).run())
    assert numbers(events, "random") == numbers(whole, "random")
    assert numbers(events, "knn") == []
    assert isinstance(events[-1], RunFinished)
    assert events[-1].failed_lanes == ("knn",)
    assert not events[-1].stopped


def audited(folder: Path, scale: float, **lane: object) -> tuple[list[str], list[dict[str, int]]]:
    """The notes of an audit of the same points at a scale, and its counts, step by step."""
    draw = np.random.default_rng(5)
    y = np.arange(120) % 4
    x = (draw.normal(size=(4, 3))[y] + draw.normal(size=(120, 3))).astype(np.float32)
    np.savez(folder / "points.npz", x=scale * x, y=y)
    data = {"name": "file", "options": {"path": str(folder / "points.npz"), "standardize": False}, "held_out": 0.0}
    lanes = from_dict({"steps": 3, "data": data, "model": {"name": "identity"}, "lanes": [{"name": "a", **lane}]})
    events = list(Experiment(lanes).run(frames=False))
    told = [event for event in events if isinstance(event, Alarm) and event.code == "usual-lead"]
    assert {event.level for event in told} <= {"hint"}
    notes = [event.message for event in told]
    return notes, [dict(event.tuples) for event in events if isinstance(event, StepRecord)]


def test_that_a_margin_is_offered_only_where_the_loss_has_one(tmp_path: Path) -> None:
    (with_margin,), _ = audited(tmp_path, 1.0)
    (without,), _ = audited(tmp_path, 1.0, loss="hoffer-ailon", loss_options={})
    assert with_margin.endswith("the median of random ones; loss_options.margin sets another.")
    assert without.endswith("the median of random ones.")


def test_that_what_an_audit_calls_semi_hard_goes_with_the_scale_of_the_data(tmp_path: Path) -> None:
    (note,), counts = audited(tmp_path, 1.0)
    for scale in (2.0**-10, 2.0**10):  # exact in floating point
        assert audited(tmp_path, scale)[1] == counts
    with np.load(tmp_path / "points.npz") as points:
        x, y = points["x"] / 2.0**10, points["y"]
    distance = np.linalg.norm(x[:, None] - x[None], axis=2)
    same = y[:, None] == y[None]
    leads = [
        (distance[a, ~same[a]][None, :] - distance[a, same[a] & (np.arange(120) != a)][:, None]).ravel()
        for a in range(120)
    ]
    every = np.concatenate(leads)
    told = float(note.split("lead of ")[1].split(",")[0])
    assert told == pytest.approx(np.median(every[every > 0]), rel=0.05)


def test_that_a_margin_that_is_given_is_the_one_that_an_audit_parts_by(tmp_path: Path) -> None:
    notes, counts = audited(tmp_path, 1.0, loss_options={"margin": 1e6})
    assert notes == []
    assert all(count["easy"] == 0 for count in counts)


def test_that_data_without_any_pair_is_refused_in_words(tmp_path: Path) -> None:
    np.savez(tmp_path / "lonely.npz", x=np.eye(5), y=np.arange(5))
    lonely = {"name": "file", "options": {"path": str(tmp_path / "lonely.npz")}, "held_out": 0.0}
    (failure,) = Experiment(config(RANDOM, data=lonely)).run()
    assert isinstance(failure, RunFailed)
    assert "two items of one class" in failure.message


def test_that_the_smallest_set_of_all_trains(tmp_path: Path) -> None:
    smallest = {"name": "noise", "options": {"points": 4, "classes": 2}, "held_out": 0.0}
    events = list(Experiment(config(RANDOM, KNN, data=smallest)).run())
    assert isinstance(events[-1], RunFinished)
    assert not events[-1].stopped


def test_that_mining_pays_on_near_classes() -> None:
    """The first preset's story at a third of its size: the KNN lane ends well above the random lane."""
    data = {"name": "near-classes", "options": {"groups": 10, "points_per_class": 30}, "held_out": 0.34}
    lanes = [{**RANDOM, "warmup": 100}, {**KNN, "warmup": 100, "refresh_every": 10}]
    events = list(
        Experiment(
            config(
                *lanes, data=data, steps=300, eval_every=300, model={}, sampler={"batch": 128}, optimizer={"lr": 3e-3}
            )
        ).run(frames=False)
    )
    last = {
        event.lane: event.metrics["map_at_r"] for event in events if isinstance(event, StepRecord) and event.metrics
    }
    assert last["knn"] > last["random"] + 0.1


def test_that_what_is_loaded_is_said_and_a_stop_calls_it_off() -> None:
    control = Control()
    list(Experiment(config(RANDOM, steps=1, data={"name": "digits"})).run(control, frames=False))
    assert control.loading == "digits, 100 %"
    stopped = Control()
    stopped.stop()
    (only,) = Experiment(config(RANDOM, data={"name": "digits"})).run(stopped)
    assert isinstance(only, RunFinished)
    assert only.stopped


def test_that_memory_that_does_not_suffice_is_refused_with_the_option_and_the_amount(monkeypatch):
    monkeypatch.setattr("hnm_core.system.memory.free", lambda: 20_000_000)
    for settings, words in (
        (
            ["model.options.embedding=65536"],
            r"for model\.options\.embedding = 65,536: about \d+ MB are needed, and 20 MB are free; make it smaller",
        ),
        (["model.options.widths=[5000, 5000]"], r"for the model 'mlp': about \d+ MB are needed"),
        (["data.options.points=1000000"], r"for 1,000,000 points with dim = 5: about \d+ MB are needed"),
    ):
        base = config(RANDOM, data={"name": "blobs", "options": {"classes": 3, "points": 90, "dim": 5}})
        failure = list(Experiment(with_settings(base, settings)).run())[-1]
        assert isinstance(failure, RunFailed) and not failure.traceback
        assert re.search(words, failure.message), failure.message


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory: you tried to"),
        torch.OutOfMemoryError("CUDA out of memory"),
    ],
)
def test_that_memory_that_runs_out_is_no_fault_of_the_program(monkeypatch, error):
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("hnm_core.training.trainer.Trainer.steps", fails)
    failure = list(Experiment(config(RANDOM)).run())[-1]
    assert isinstance(failure, RunFailed) and not failure.traceback
    assert failure.message.startswith("The memory does not suffice")


class Compiling:
    """A compiler of the search kernels, from the first kernel to the last."""

    done = 0

    def poll(self) -> int | None:
        return 0 if self.done == 3 else None

    def wait(self, _seconds: float | None = None) -> int:
        self.done += 1
        return 0


@pytest.mark.parametrize(("lane", "waits"), [(LSH, True), (KNN, True), (RANDOM, False)])
def test_that_a_lane_that_searches_begins_once_the_kernels_are_compiled_and_comes_to_the_same_numbers(
    lane: dict, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = numbers(list(Experiment(config(lane)).run(frames=False)), lane["name"])
    compiler, told = Compiling(), list[tuple]()
    ready = kernels.ready
    monkeypatch.setattr(kernels, "ready", lambda module: compiler.done == 3 and ready(module))
    monkeypatch.setattr(kernels, "progress", lambda _module: kernels.Progress(compiler.done, 3, "tree"))
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: None if compiler.done == 3 else compiler)

    def progress(*how_far: object) -> None:
        told.append(how_far)

    events = list(Experiment(config(lane)).run(frames=False, progress=progress))
    words = "compiling the search kernels, once for this machine"
    assert [far for far in told if far[2] == words] == [(done, 3, words) for done in range(3) if waits]
    assert numbers(events, lane["name"]) == expected


def test_that_who_waits_for_the_kernels_can_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    control = Control()

    class Slow(Compiling):
        def wait(self, _seconds: float | None = None) -> int:
            control.stop()
            return 0

    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: Slow())
    (ended,) = Experiment(config(LSH)).run(control)
    assert isinstance(ended, RunFinished) and ended.stopped
