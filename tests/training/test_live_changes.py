"""Options changed while lanes train: when they take effect, what they leave alone, what is refused."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hnm_core.miners.whole_set.options import SearchingOptions
from hnm_core.recording import open_recording, record, replay
from hnm_core.run import changeable
from hnm_core.run.control import Control
from hnm_core.run.events import (
    Alarm,
    Event,
    Frame,
    OptionChanged,
    RunFailed,
    RunFinished,
    StepRecord,
    WarmupEnded,
    Weights,
)
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import MinerOptions, Part
from hnm_core.training.experiment import Experiment
from hnm_core.training.lane_changes import change
from hnm_core.training.setup import prepare
from hnm_core.training.trainer import Trainer
from tests.families import one_in
from tests.training.test_experiment import KNN, LSH, RANDOM, config, numbers

Ask = Callable[[Control], None]

PLAIN_KNN = {"name": "knn", "miner": "knn", "refresh_every": 4}


def run(of: ExperimentConfig, asks: Mapping[int, Ask] | None = None, *, frames: bool = False) -> list[Event]:
    """A whole run in which `asks[s]` is asked after step s of the last lane; 0 is before the run."""
    control, events = Control(), []
    asks = asks or {}
    if 0 in asks:
        asks[0](control)
    for event in Experiment(of).run(control, frames=frames):
        events.append(event)
        if isinstance(event, StepRecord) and event.lane == of.lanes[-1].name and event.step in asks:
            asks[event.step](control)
    assert not isinstance(events[-1], RunFailed), events[-1]
    return events


def ask(lane: str, option: str, value: Any) -> Ask:
    return lambda control: control.change(lane, option, value)


def asked_changes(events: list[Event]) -> list[tuple]:
    return [(e.lane, e.step, e.option, e.before, e.value) for e in events if isinstance(e, OptionChanged) and e.asked]


def refusals(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Alarm) and event.code == "refused"]


def weights(events: list[Event], lane: str) -> dict[str, np.ndarray]:
    return next(dict(event.arrays) for event in events if isinstance(event, Weights) and event.lane == lane)


CHANGES = [
    ("optimizer.lr", 1e-3, {"optimizer": {"lr": 1e-3}}),
    ("optimizer.options.weight_decay", 0.1, {"optimizer": {"options": {"weight_decay": 0.1}}}),
    ("sampler.batch", 30, {"sampler": {"batch": 30}}),
    ("sampler", {"name": "balanced"}, {"sampler": {"name": "balanced"}}),
    ("hard_share", 0.9, {"lane": {"hard_share": 0.9}}),
    ("hard_share", 0, {"lane": {"hard_share": 0}}),
    ("refresh_every", 3, {"lane": {"refresh_every": 3}}),
    ("refresh", "epoch", {"lane": {"refresh": "epoch"}}),
    ("refresh", "background", {"lane": {"refresh": "background"}}),
    ("miner_options.pool", 7, {"lane": {"miner_options": {"pool": 7}}}),
    ("miner_options.positives", "hardest", {"lane": {"miner_options": {"positives": "hardest"}}}),
    ("miner", "lsh", {"lane": {"miner": "lsh"}}),
    ("miner", "random", {"lane": {"miner": "random"}}),
    ("miner", "batch-hard", {"lane": {"miner": "batch-hard"}}),
    ("loss_options.margin", 0.2, {"lane": {"loss_options": {"margin": 0.2}}}),
    ("loss", "contrastive", {"lane": {"loss": "contrastive", "loss_options": {}}}),
    ("loss", "snnl", {"lane": {"loss": "snnl", "loss_options": {}}}),
]


@pytest.mark.parametrize(("option", "value", "fields"), one_in(2, CHANGES))
def test_that_a_change_before_the_first_step_is_as_if_the_lane_had_been_configured_so(
    option: str, value: Any, fields: dict
) -> None:
    fields = dict(fields)
    lane = {**PLAIN_KNN, **fields.pop("lane", {})}
    configured = run(config(lane, **fields), frames=True)
    changed = run(config(PLAIN_KNN), {0: ask("knn", option, value)}, frames=True)
    assert asked_changes(changed) and not refusals(changed)
    assert numbers(changed, "knn") == numbers(configured, "knn")
    ours, theirs = ([e for e in events if isinstance(e, Frame)] for events in (changed, configured))
    for one, other in zip(ours, theirs, strict=True):
        assert np.array_equal(one.positions, other.positions) and np.array_equal(one.triplets, other.triplets)
    before, after = weights(changed, "knn"), weights(configured, "knn")
    assert all(np.array_equal(before[name], after[name]) for name in after)


def test_that_a_miner_taken_up_in_the_middle_is_as_one_after_a_warm_up() -> None:
    warmed = run(config({**PLAIN_KNN, "warmup": 5}))
    changed = run(config({**PLAIN_KNN, "miner": "random"}), {5: ask("knn", "miner", "knn")})
    assert asked_changes(changed) == [("knn", 6, "miner", "random", "knn")]
    assert [row[1:] for row in numbers(changed, "knn")] == [row[1:] for row in numbers(warmed, "knn")]


def test_that_a_change_takes_effect_at_the_next_step_and_not_before() -> None:
    plain = numbers(run(config(PLAIN_KNN, eval_every=1)), "knn")
    for option, value in (("optimizer.lr", 0.05), ("loss_options.margin", 3.0), ("miner", "random"), ("batch", 10)):
        events = run(config(PLAIN_KNN, eval_every=1), {6: ask("knn", option, value)})
        rows = numbers(events, "knn")
        assert rows[:6] == plain[:6], "what came before stays"
        assert rows[6] != plain[6], f"step 7 has the new {option}"
        (change,) = [event for event in events if isinstance(event, OptionChanged)]
        assert change.step == 7
        assert events.index(change) > next(
            place for place, e in enumerate(events) if isinstance(e, StepRecord) and e.step == 6
        )


def test_that_the_same_changes_at_the_same_steps_give_the_same_numbers() -> None:
    asks = {
        3: ask("lsh", "miner_options.bits", 32),
        5: lambda control: control.change_together(
            {"lsh": {"miner": "knn", "miner_options.pool": 5}, "knn": {"refresh": "background", "lr": 1e-3}}
        ),
        9: ask("knn", "batch", 40),
    }
    of = config(KNN, LSH, steps=20)
    first, second = run(of, asks), run(of, asks)
    assert asked_changes(first) == asked_changes(second)
    assert asked_changes(first)[1:5] == [
        ("lsh", 6, "miner", "lsh", "knn"),
        ("lsh", 6, "miner_options.pool", "", "5"),
        ("knn", 6, "refresh", "steps", "background"),
        ("knn", 6, "optimizer.lr", "0.002", "0.001"),
    ]
    for lane in ("knn", "lsh"):
        assert numbers(first, lane) == numbers(second, lane)


def test_that_lanes_that_are_not_changed_are_not_touched() -> None:
    alone = run(config(LSH, steps=20))
    asks = {5: ask("knn", "miner", "lsh"), 9: ask("knn", "optimizer.lr", 0.1), 12: ask("knn", "batch", 20)}
    beside = run(config(KNN, LSH, steps=20), asks)
    assert len(asked_changes(beside)) == 3
    assert numbers(beside, "lsh") == numbers(alone, "lsh")


def test_that_an_option_changed_to_its_present_value_changes_nothing() -> None:
    of = config(LSH, steps=14)
    same = {
        "lr": 2e-3,
        "batch": 64,
        "miner": "lsh",
        "hard_share": 0.5,
        "loss_options.margin": 0.5,
        "refresh": "steps",
        "miner_options.bits": 64,
        "miner_options.positives": "random",
        "sampler": {"batch": 64},
    }
    asks = {6: lambda control: [control.change("lsh", option, value) for option, value in same.items()]}
    events = run(of, asks)
    assert not asked_changes(events) and not refusals(events)
    assert numbers(events, "lsh") == numbers(run(of), "lsh")


def test_that_a_change_and_its_way_back_before_the_same_step_leave_the_numbers() -> None:
    def there_and_back(control: Control) -> None:
        for option, value, before in (("lr", 1.0, 2e-3), ("hard_share", 0.9, 0.5), ("refresh_every", 1, 4)):
            control.change("knn", option, value)
            control.change("knn", option, before)

    events = run(config(PLAIN_KNN), {6: there_and_back})
    assert len(asked_changes(events)) == 6
    assert numbers(events, "knn") == numbers(run(config(PLAIN_KNN)), "knn")


def test_that_weights_and_what_the_optimiser_remembers_stay_when_everything_else_changes() -> None:
    of = config(PLAIN_KNN)
    trainer = Trainer(of.lanes[0], prepare(of), frames=False)
    steps = trainer.steps()
    for _ in range(6):
        next(steps)
    before = copy.deepcopy((trainer.model.state_dict(), trainer.optimizer.state_dict()["state"]))
    generator = trainer.mining._generator.get_state()
    changes = {"lr": 0.1, "optimizer.options": {"weight_decay": 0.5}, "batch": 20, "miner": "lsh", "loss": "snnl"}
    assert len(change(trainer, changes)) >= 5
    model, moments = trainer.model.state_dict(), trainer.optimizer.state_dict()["state"]
    assert all(torch.equal(before[0][name], model[name]) for name in model)
    assert moments.keys() == before[1].keys() and len(moments) > 0
    for place, kept in moments.items():
        assert kept["step"] == 5 and all(torch.equal(kept[name], before[1][place][name]) for name in kept)
    assert torch.equal(trainer.mining._generator.get_state(), generator)
    (group,) = trainer.optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.5)
    next(steps)
    assert trainer.step == 6


@pytest.mark.parametrize(
    ("lane", "option", "value", "words"),
    one_in(
        2,
        [
            ("knn", "hard_share", 2, ("hard_share = 2", "at most 1")),
            ("knn", "hard_share", "many", ("hard_share = 'many'", "a number")),
            ("knn", "miner", "nkn", ("Unknown miner 'nkn'", "Did you mean knn")),
            ("knn", "miner_options.poll", 3, ("'poll'", "pool")),
            ("knn", "miner_options.pool", -1, ("pool = -1", "at least 1")),
            ("knn", "optimizer.lr", 0, ("optimizer.lr = 0", "above 0")),
            ("knn", "optimizer.lr", float("nan"), ("optimizer.lr", "finite")),
            ("knn", "optimizer.name", "sgd", ("'optimizer.name'", "cannot be changed while", "optimizer.lr")),
            ("knn", "distance", "cosine", ("'distance'", "cannot be changed while")),
            ("knn", "steps", 5, ("'steps'", "cannot be changed while")),
            ("knn", "", 5, ("''", "cannot be changed while")),
            ("knn", "hard_share.more", 5, ("hard_share",)),
            ("knn", "miner", "angular", ("angular", "normalised")),
            ("knn", "loss", "circle", ("circle", "cosine")),
            ("knn", "loss", "ProxyAnchorLoss", ("ProxyAnchorLoss",)),
            ("knn", "loss_options", {"learn_temperature": True}, ("learn_temperature",)),
            ("knn", "sampler.name", "nobody", ("Unknown sampler 'nobody'",)),
            ("knn", "sampler.batch", 0, ("batch = 0", "at least 1")),
            ("knn", "sampler", {"name": "balanced", "batch": 99}, ("batch = 99", "batches of")),
            ("knn", "sampler.options", 5, ("sampler.options",)),
            ("knn", "sampler", 5, ("sampler",)),
            ("knn", "miner", None, ("miner",)),
            ("knn", "miner_options", [3], ("miner_options",)),
            ("nkn", "lr", 1e-3, ("Unknown lane 'nkn'", "Did you mean knn")),
        ],
    ),
)
def test_that_what_cannot_be_is_refused_in_a_sentence_and_the_run_goes_on_unharmed(
    lane: str, option: str, value: Any, words: tuple[str, ...]
) -> None:
    events = run(config(PLAIN_KNN), {5: ask(lane, option, value)})
    (sentence,) = refusals(events)
    assert all(word in sentence for word in words), sentence
    assert sentence.startswith("Not changed. ") and sentence.endswith(".")
    assert numbers(events, "knn") == numbers(run(config(PLAIN_KNN)), "knn")
    assert not asked_changes(events)


def test_that_what_is_asked_together_is_refused_together() -> None:
    together = {"knn": {"hard_share": 0.9, "miner_options.pool": 0}}
    events = run(config(PLAIN_KNN), {5: lambda control: control.change_together(together)})
    assert len(refusals(events)) == 1 and not asked_changes(events)
    assert numbers(events, "knn") == numbers(run(config(PLAIN_KNN)), "knn")


@pytest.mark.parametrize(
    ("lane", "option", "value"),
    [
        ({"loss": "snnl", "loss_options": {"schedule": "learned"}}, "loss_options.temperature_lr", 0.5),
        ({"loss": "nt-xent", "loss_options": {"learn_temperature": True}}, "loss", "triplet-margin"),
        ({"loss": "nt-xent", "loss_options": {}}, "loss_options.learn_temperature", True),
        ({"loss": "margin", "loss_options": {"learn_beta": "one"}}, "loss_options.margin", 0.5),
    ],
)
def test_that_a_loss_with_weights_of_its_own_waits_for_the_next_start(lane: dict, option: str, value: Any) -> None:
    events = run(config({"name": "it", **lane}), {5: ask("it", option, value)})
    (sentence,) = refusals(events)
    assert "weights of its own" in sentence
    assert sum(isinstance(event, StepRecord) for event in events) == 12


def test_that_a_miner_that_cannot_be_made_leaves_the_lane_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    from hnm_core import miners

    build = miners.build

    def broken(part: Part[MinerOptions], *arguments: Any, **given: Any) -> Any:
        if part.entry.name == "lsh":
            raise RuntimeError("no planes")
        return build(part, *arguments, **given)

    monkeypatch.setattr("hnm_core.training.lane_mining.miners.build", broken)
    events = run(config(PLAIN_KNN), {5: lambda c: c.change_together({"knn": {"lr": 0.1, "batch": 9, "miner": "lsh"}})})
    (alarm,) = [event for event in events if isinstance(event, Alarm) and event.code == "refused"]
    assert "RuntimeError: no planes" in alarm.message and "no planes" in alarm.traceback and not alarm.fatal
    assert numbers(events, "knn") == numbers(run(config(PLAIN_KNN)), "knn")


def test_that_what_was_drawn_for_a_change_that_fails_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from hnm_core import miners

    build = miners.build

    def greedy(part: Part[MinerOptions], source: torch.Generator, **given: Any) -> Any:
        made = build(part, source, **given)
        if isinstance(part.options, SearchingOptions) and part.options.pool == 9:
            torch.rand(100, generator=source)
            raise RuntimeError("enough")
        return made

    lane = {"name": "it", "miner": "random-negative"}
    monkeypatch.setattr("hnm_core.training.lane_mining.miners.build", greedy)
    events = run(config(lane), {5: lambda c: c.change_together({"it": {"miner": "knn", "miner_options.pool": 9}})})
    assert len(refusals(events)) == 1
    assert numbers(events, "it") == numbers(run(config(lane)), "it")


def test_that_a_bank_that_nobody_waits_for_may_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build in the background that ends in an error is no reason to refuse the change that gives it up."""
    lane = {"name": "it", "miner": "knn", "refresh": "background", "refresh_every": 6}
    events = run(config(lane), {8: lambda c: (break_builds(monkeypatch), c.change("it", "refresh", "steps"))})
    assert not refusals(events) and len(numbers(events, "it")) == 12


def break_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Any) -> Any:
        raise RuntimeError("no bank")

    monkeypatch.setattr("hnm_core.training.lane_bank._Build.wait", failing)


def test_that_a_lane_that_has_ended_is_refused_and_the_others_can_still_be_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = Trainer._step

    def failing(self: Trainer, anchor_row: torch.Tensor) -> Any:
        if self.lane.name == "knn" and self.step == 3:
            raise ArithmeticError("seven")
        return step(self, anchor_row)

    monkeypatch.setattr(Trainer, "_step", failing)
    events = run(config(KNN, LSH), {5: ask("knn", "lr", 0.1), 6: ask("lsh", "lr", 0.1)})
    assert refusals(events) == ["Not changed. Lane 'knn' has ended."]
    assert asked_changes(events) == [("lsh", 7, "optimizer.lr", "0.002", "0.1")]


def test_that_what_is_asked_after_the_last_step_is_answered_too() -> None:
    events = run(config(PLAIN_KNN), {12: ask("knn", "lr", 0.1)})
    assert refusals(events) == ["Not changed. The run has ended."]
    assert isinstance(events[-1], RunFinished) and not events[-1].stopped


def test_that_a_standing_run_answers_at_once_and_from_another_thread() -> None:
    control, events = Control(paused=True), []
    news = threading.Condition()

    def train() -> None:
        for event in Experiment(config(PLAIN_KNN)).run(control, frames=False):
            with news:
                events.append(event)
                news.notify_all()

    thread = threading.Thread(target=train)
    thread.start()
    try:
        control.change("knn", "hard_share", 0.25)
        with news:
            assert news.wait_for(lambda: bool(asked_changes(events)), timeout=30)
            assert not any(isinstance(event, StepRecord) for event in events)
        assert asked_changes(events) == [("knn", 1, "hard_share", "0.5", "0.25")]
    finally:
        control.resume()
        thread.join(30)
    assert numbers(events, "knn") == numbers(run(config({**PLAIN_KNN, "hard_share": 0.25})), "knn")


def test_that_a_random_lane_that_is_given_a_miner_keeps_its_warm_up() -> None:
    lane = {**PLAIN_KNN, "miner": "random", "warmup": 8}
    events = run(config(lane), {3: ask("knn", "miner", "knn")})
    mining = [event.mining for event in events if isinstance(event, StepRecord)]
    assert mining == [True] * 3 + [False] * 5 + [True] * 4
    assert [e.step for e in events if isinstance(e, WarmupEnded)] == [9]


def test_that_a_batch_changed_in_the_middle_begins_a_new_epoch_of_such_batches() -> None:
    events = run(config(RANDOM, steps=8), {2: ask("random", "batch", 50)})
    mined = [event.tuples["mined"] for event in events if isinstance(event, StepRecord)]
    assert mined == [64, 64, 50, 50, 50, 30, 50, 50], "an epoch has 12 classes of 15 items"


def test_that_what_becomes_doubtful_by_a_change_is_said_once() -> None:
    doubtful = {"miner": "batch-hard", "hard_share": 0.9}
    events = run(config(PLAIN_KNN), {3: lambda control: control.change_together({"knn": doubtful})})
    said = [event for event in events if isinstance(event, Alarm) and event.code == "C35" and event.step == 4]
    assert len(said) == 2 and any("hard_share = 0.9 has no effect" in event.message for event in said)
    assert {event.level for event in said} == {"hint"}


def test_that_a_recording_tells_what_every_lane_was_in_the_end(tmp_path: Path) -> None:
    of = config(KNN, LSH, steps=10)
    control = Control()
    for event in record(Experiment(of).run(control), tmp_path / "run"):
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("lsh", 4):
            control.change_together({"lsh": {"miner": "knn", "miner_options.pool": 5}, "knn": {"batch": 32}})
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("lsh", 6):
            control.change("knn", "refresh_lag", None)
            control.change("lsh", "lr", 1e-5)
    recording = open_recording(tmp_path / "run")
    assert recording.config == of, "the start is told as it was"
    ends = recording.lane_configs
    assert ends["lsh"].lanes[0].miner == "knn" and ends["lsh"].lanes[0].miner_options == {"pool": 5}
    assert ends["lsh"].optimizer.lr == 1e-5 and ends["knn"].optimizer.lr == 2e-3
    assert ends["knn"].sampler.batch == 32 and ends["lsh"].sampler.batch == 64
    told = [(change["lane"], change["step"], change["text"]) for change in recording.summary()["changes"]]
    assert told == [
        ("lsh", 5, "miner lsh → knn"),
        ("lsh", 5, "miner_options.pool = 5"),
        ("knn", 5, "sampler.batch 64 → 32"),
        ("lsh", 7, "optimizer.lr 0.002 → 1e-05"),
    ]
    replayed = [event for event in replay(tmp_path / "run") if isinstance(event, OptionChanged) and event.asked]
    assert [(e.lane, e.step, e.option, e.before, e.value) for e in replayed] == asked_changes(
        list(replay(tmp_path / "run"))
    )
    first = next(changeable.alone(of, lane.name) for lane in of.lanes if lane.name == "lsh")
    changes = {"miner": "knn", "miner_options.pool": 5, "lr": 1e-5}
    assert changeable.settings(changeable.changed(first, changes)) == changeable.settings(ends["lsh"])
