"""That what goes wrong is told once, in words, and that nothing is told of a healthy run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hnm_core.config import from_dict, load
from hnm_core.events import Alarm, RunFinished
from hnm_core.experiment import Experiment
from hnm_core.resources import preset_path
from hnm_core.training.pathologies import CLEAR_STEPS, Seen, Watch


def codes(watch: Watch, seen: Seen) -> list[str]:
    return [alarm.code for alarm in watch.see(seen)]


def healthy(step: int) -> Seen:
    loss = float(np.exp(-step / 300) + 0.05 * np.random.default_rng(step).random())
    metrics = (
        {"mean_distance": 1 + step / 500, "map_at_r": 1 - float(np.exp(-step / 300)), "drift": 2.5}
        if step % 50 == 0
        else {}
    )
    tuples = {"mined": 256, "hard": 40, "semi_hard": 100, "easy": 116}
    return Seen(step, loss, tuples, metrics, gradient_norm=loss, terms=256, nonzero_terms=140, chance=2.0, plateau=0.5)


def test_that_a_healthy_run_raises_nothing() -> None:
    watch = Watch("lane", first_spread=1.0)
    assert [code for step in range(1, 1500) for code in codes(watch, healthy(step))] == []


SICK = {
    "collapse": ({"metrics": {"mean_distance": 0.005}}, 1),
    "empty-miner": ({"tuples": {"mined": 0}, "empty_reason": "No triplets: all are easy."}, 1),
    "all-easy": ({"tuples": {"mined": 1000, "easy": 995, "hard": 5}}, 50),
    "all-hard": ({"tuples": {"mined": 1000, "easy": 10, "hard": 990}}, 50),
    "tiny-signal": ({"terms": 3000, "nonzero_terms": 12}, 50),
    "false-negatives": ({"tuples": {"mined": 100, "false_negative": 7}}, 50),
    "chance": ({"loss": 2.001}, 200),
    "C22": ({"wideness": 10.5}, 1),
    "starved-search": ({"metrics": {"no_candidate": 0.09}}, 1),
    "low-recall": ({"metrics": {"mining_recall": 0.3}}, 1),
    "degenerate-buckets": ({"largest_bucket": 0.4}, 1),
    "stale-bank": ({"metrics": {"drift": 7.5, "bank_age": 300}}, 5),
}


@pytest.mark.parametrize("code", SICK)
def test_that_each_condition_is_told_after_its_steps_once_and_again_after_it_was_gone(code: str) -> None:
    fields, patience = SICK[code]
    watch = Watch("lane", first_spread=1.0)

    def sick(step: int) -> Seen:
        base = {name: getattr(healthy(step), name) for name in Seen.__dataclass_fields__}
        return Seen(**{**base, "metrics": {}, **fields, "step": step})

    told = [step for step in range(1, 301) if code in codes(watch, sick(step))]
    assert told == [patience]
    for step in range(301, 301 + CLEAR_STEPS + 1):
        assert code not in codes(watch, healthy(step))
    told = [step for step in range(502, 802) if code in codes(watch, sick(step))]
    # A mean over steps is on its level though one of a hundred was not.
    assert told == [501 + patience - (code == "chance")]


def test_that_a_gradient_a_hundred_times_the_usual_is_told() -> None:
    watch = Watch("lane")
    for step in range(1, 101):
        assert not codes(watch, Seen(step, 0.5, gradient_norm=1 + 0.1 * (step % 3)))
    assert not codes(watch, Seen(101, 0.5, gradient_norm=90.0))
    assert codes(watch, Seen(102, 0.5, gradient_norm=200.0)) == ["exploding"]


def test_that_retrieval_that_stays_below_its_best_is_told_whatever_the_loss_does() -> None:
    def told(*qualities: float) -> list[int]:
        watch = Watch("lane")
        seen = (Seen(50 * place, 0.5, metrics={"map_at_r": quality}) for place, quality in enumerate(qualities, 1))
        return [step.step // 50 for step in seen if codes(watch, step) == ["quality-falls"]]

    assert told(0.2, 0.38, 0.33, 0.3, 0.34, 0.32, 0.27, 0.26) == [7]
    assert told(0.2, 0.38, 0.33, 0.3, 0.35, 0.32, 0.27, 0.26) == []  # not the last five
    assert told(0.2, 0.38, *8 * [0.35]) == []  # not by a tenth


def test_that_hard_tuples_of_the_warm_up_are_no_alarm() -> None:
    watch = Watch("lane")
    for step in range(1, 200):
        assert not codes(watch, Seen(step, 0.5, {"mined": 10, "hard": 10}, mining=False))


def plateaus_of(preset: str, *lanes: str, steps: int) -> list[Alarm]:
    """The alarms of a plateau in so many steps of a preset's lanes."""
    values = load(preset_path(preset)).to_dict()
    values |= {"steps": steps, "eval_every": 50, "device": "cpu", "threads": 1}
    values["lanes"] = [lane for lane in values["lanes"] if lane["name"] in lanes]
    *events, end = Experiment(from_dict(values)).run(frames=False)
    assert isinstance(end, RunFinished)
    return [event for event in events if isinstance(event, Alarm) and event.code == "plateau"]


@pytest.mark.thorough
def test_that_a_start_from_one_spot_that_the_points_slowly_leave_is_no_alarm() -> None:
    assert plateaus_of("demo-2019", "random", steps=300) == []


@pytest.mark.parametrize(
    ("loss", "spread", "told"),
    [
        (lambda step: 0.5 + 0.004 * (-1) ** step, lambda _step: 0.2, [160]),
        (lambda step: 0.5 + 0.03 * np.cos(7 * step), lambda step: 0.2 + 0.05 * np.cos(step), [160]),  # both scatter
        (lambda step: 0.5, lambda step: 0.2 + step / 1e4, []),  # the points move apart
        (lambda step: 0.5 if step % 120 < 60 else 0.4, lambda _step: 0.2, []),  # it comes and goes
        (lambda step: 0.45 + step / 1e3, lambda _step: 0.2, []),  # it passes by
    ],
)
def test_that_only_a_loss_that_stays_where_one_spot_would_put_it_is_told(
    loss: Callable[[int], float], spread: Callable[[int], float], told: list[int]
) -> None:
    watch = Watch("lane", first_spread=1.0)
    found = []
    for step in range(1, 301):
        metrics = {"mean_distance": spread(step)} if step % 20 == 0 else {}
        found += [step for code in codes(watch, Seen(step, loss(step), metrics=metrics, plateau=0.5))]
    assert found == told


HINTS = {"all-easy", "tiny-signal", "false-negatives", "chance", "C22", "low-recall", "stale-bank"}


@pytest.mark.parametrize("code", SICK)
def test_that_what_a_lane_could_learn_more_by_is_a_hint_and_what_goes_wrong_a_warning(code: str) -> None:
    fields, _ = SICK[code]
    watch = Watch("lane", first_spread=1.0)
    base = {name: getattr(healthy(1), name) for name in Seen.__dataclass_fields__}
    seen = (Seen(**{**base, "metrics": {}, **fields, "step": step}) for step in range(1, 301))
    told = next(alarm for step in seen for alarm in watch.see(step) if alarm.code == code)
    assert told.level == ("hint" if code in HINTS else "warning")


@pytest.mark.parametrize(
    ("code", "ill", "well"),
    [
        ("low-recall", {"mining_recall": 0.1}, {"mining_recall": 0.9}),
        ("starved-search", {"no_candidate": 0.9}, {"no_candidate": 0.0}),
    ],
)
def test_that_what_every_rare_evaluation_finds_is_told_once_and_again_only_after_one_that_does_not(
    code: str, ill: dict[str, float], well: dict[str, float]
) -> None:
    watch, told = Watch("one"), []
    for step in range(1, 10_001):
        measured = {} if step % 1_000 else well if step == 5_000 else ill
        if step == 3_500:
            again = Watch("one")
            again.restore(watch.state())
            watch = again
        told += [step] if code in codes(watch, replace(healthy(step), metrics=measured)) else []
    assert told == [1_000, 6_000]
