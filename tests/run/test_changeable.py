"""What can be changed while a lane trains, as configurations: no training here, and no torch."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hnm_core.errors import InputError
from hnm_core.run import changeable
from hnm_core.run.events import LaneForked, OptionChanged, WarmupEnded
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig, from_dict
from hnm_core.spec.resources import preset_names, preset_path

CONFIG = from_dict(
    {
        "optimizer": {"lr": 0.01},
        "sampler": {"batch": 64},
        "lanes": [
            {"name": "a.b", "miner": "knn", "miner_options": {"pool": 5}},
            {"name": "own", "miner": "batch-hard", "sampler": {"name": "balanced"}},
        ],
    }
)


def events_of(before: ExperimentConfig, after: ExperimentConfig, step: int = 9) -> list[OptionChanged]:
    lane = before.lanes[0].name
    return [
        OptionChanged(lane, step, option, value, old, True)
        for option, old, value in changeable.differences(before, after)
    ]


def test_that_a_lane_alone_has_its_own_sampler_or_the_shared_one() -> None:
    assert changeable.alone(CONFIG, "a.b").sampler.batch == 64
    own = changeable.alone(CONFIG, "own")
    assert own.sampler.name == "balanced" and own.lanes[0].sampler is None
    with pytest.raises(InputError, match="Unknown lane 'b'"):
        changeable.alone(CONFIG, "b")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lr": "1e-3"}, [("optimizer.lr", "0.01", "0.001")]),
        ({"miner_options.pool": "5"}, []),
        ({"miner_options": {}}, [("miner_options.pool", "5", "3")]),
        ({"miner": "knn"}, []),
        ({"miner": "random"}, [("miner", "knn", "random")]),
        (
            {"miner_options.pool": 9, "miner": "lsh"},
            [("miner", "knn", "lsh"), ("miner_options.pool", "", "9")],
        ),
        (
            {"refresh": "background", "refresh_lag": 4},
            [("refresh", "steps", "background"), ("refresh_lag", "null", "4")],
        ),
        ({"sampler.name": "balanced"}, [("sampler.name", "random", "balanced")]),
        ({"optimizer.options": {"weight_decay": 0.1}}, [("optimizer.options.weight_decay", "0.0", "0.1")]),
        ({"loss_options.margin": 1}, [("loss_options.margin", "0.05", "1.0")]),
    ],
)
def test_that_differences_are_what_was_changed_in_effect(changes: dict[str, Any], told: list[tuple]) -> None:
    before = changeable.alone(CONFIG, "a.b")
    assert changeable.differences(before, changeable.changed(before, changes)) == told


@pytest.mark.parametrize("preset", preset_names())
def test_that_events_lead_from_any_lane_to_any_other_of_a_preset(preset: str) -> None:
    """Whatever two lanes differ in: telling the differences and following them again arrives at the other lane."""
    shown = configuration.load(preset_path(preset))
    alone = [changeable.alone(shown, lane.name) for lane in shown.lanes]
    for before in alone:
        for after in alone:
            events = events_of(before, after)
            (end,) = changeable.at_the_end(before, events).values()
            assert changeable.settings(end) == changeable.settings(after)


def test_that_a_fork_goes_on_from_what_its_parent_was_at_its_step() -> None:
    events = [
        OptionChanged("a.b", 3, "optimizer.lr", "0.1", "0.01", asked=True),
        WarmupEnded("a.b", 4, "knn"),
        LaneForked("new", 5, "a.b"),
        OptionChanged("new", 6, "miner", "lsh", "knn", asked=True),
        OptionChanged("a.b", 7, "optimizer.lr", "0.2", "0.1", asked=True),
    ]
    ends = changeable.at_the_end(CONFIG, events)
    assert list(ends) == ["a.b", "own", "new"]
    assert (ends["new"].optimizer.lr, ends["new"].lanes[0].miner, ends["new"].lanes[0].name) == (0.1, "lsh", "new")
    assert (ends["a.b"].optimizer.lr, ends["a.b"].lanes[0].miner) == (0.2, "knn")
    assert ends["own"] == changeable.alone(CONFIG, "own")


@pytest.mark.parametrize(
    "events",
    [
        [LaneForked("new", 5, "nobody")],
        [OptionChanged("nobody", 5, "lr", "1", "2", asked=True)],
        [OptionChanged("own", 5, "hard_share", "many", "2", asked=True)],
    ],
)
def test_that_events_of_another_run_are_refused(events: list) -> None:
    with pytest.raises(InputError):
        changeable.at_the_end(CONFIG, events)


@pytest.mark.parametrize(
    "value", [1, 1.5, 1e-7, True, None, "knn", "", "5", "true", "null", '"', "a b", [1, 2], {"a": [1.0]}]
)
def test_that_a_value_as_text_is_read_back_as_what_it_was(value: Any) -> None:
    again = changeable.as_value(changeable.as_text(value))
    assert again == value and type(again) is type(value)


def test_that_this_needs_no_torch() -> None:
    code = (
        "import sys, hnm_core.run.changeable, hnm_core.run.control; assert not {'torch', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
