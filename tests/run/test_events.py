"""Events as JSON, and that they can cross to another process."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from hnm_core.run.event_json import from_json, number, to_json
from hnm_core.run.events import (
    Alarm,
    Event,
    Frame,
    LaneForked,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRecord,
    WarmupEnded,
    frozen,
)
from hnm_core.run.timing import Phase
from tests.recording import made_up


def test_that_every_event_is_one_line_of_strict_json_with_its_type_first() -> None:
    for event in made_up.run():
        line = json.dumps(to_json(event), allow_nan=False)
        assert "\n" not in line
        values = json.loads(line)
        assert next(iter(values)) == "type" and values["type"] == type(event).__name__


def test_that_a_step_record_keeps_its_names_and_a_number_that_is_not_finite_becomes_null() -> None:
    record = StepRecord("knn", 12, float("inf"), {Phase.SEARCH: 1.5}, {"hard": 7}, {"map_at_r": float("nan")})
    assert json.loads(json.dumps(to_json(record))) == {
        "type": "StepRecord",
        "lane": "knn",
        "step": 12,
        "loss": None,
        "phase_ms": {"search": 1.5},
        "tuples": {"hard": 7},
        "metrics": {"map_at_r": None},
        "mining": True,
        "first_call": False,
    }


def test_that_frames_and_starts_carry_counts_instead_of_arrays() -> None:
    frame = Frame("a", 3, np.zeros((5, 3), np.float32), np.zeros((2, 3), np.int32), 70)
    assert to_json(frame) == {
        "type": "Frame", "lane": "a", "step": 3, "points": 5, "triplets": 2, "mined_total": 70,
    }  # fmt: skip
    start = to_json(made_up.started())
    assert (start["items"], start["items_total"], start["held_out"], start["classes"]) == (60, 600, 15, 5)


@pytest.mark.parametrize("event", list(made_up.run(2)), ids=lambda event: type(event).__name__)
def test_that_every_event_can_be_pickled(event: Event) -> None:
    copy = pickle.loads(pickle.dumps(event))
    if isinstance(event, Frame | RunStarted):
        assert type(copy) is type(event)
    else:
        made_up.assert_same_event(copy, event)


def test_that_a_frozen_array_is_a_copy_nobody_can_write_to() -> None:
    source = np.arange(6).reshape(2, 3).T
    copy = frozen(source)
    source[0, 0] = 9
    assert copy[0, 0] == 0 and copy.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        copy[0, 0] = 1


TOLD = [
    OptionChanged("a", 5, "optimizer.lr", "0.1", "0.2", asked=True),
    OptionChanged("a", 5, "alpha", "4"),
    WarmupEnded("a", 5, "knn"),
    LaneForked("b", 5, "a"),
    Alarm("a", 5, "collapse", "All points „fall“ together."),
    Alarm("a", 5, "all-easy", "words", "hint"),
    Alarm("a", 5, "bug", "words", "fatal", "Traceback ..."),
    RunFinished({"a": 5, "b": 7}, 1.5, stopped=True, failed_lanes=("a", "b")),
    RunFailed("words", "Traceback ...", {"a": 5}),
]


@pytest.mark.parametrize("event", TOLD, ids=lambda event: type(event).__name__)
def test_that_what_is_told_comes_back_from_its_json_equal_and_of_the_same_types(event: Event) -> None:
    again = from_json(json.loads(json.dumps(to_json(event), allow_nan=False)))
    made_up.assert_same_event(again, event)
    for name in event.__dataclass_fields__:
        assert type(getattr(again, name)) is type(getattr(event, name)), name


def test_that_an_alarm_says_in_json_whether_it_is_fatal_beside_its_level() -> None:
    values = {(event.level, to_json(event)["fatal"]) for event in TOLD if isinstance(event, Alarm)}
    assert values == {("warning", False), ("hint", False), ("fatal", True)}


@pytest.mark.parametrize(
    ("code", "fatal", "level"),
    [("collapse", False, "warning"), ("all-easy", False, "hint"), ("C26", False, "hint"), ("bug", True, "fatal")],
)
def test_that_an_alarm_of_before_levels_gets_the_one_that_it_was_shown_with(code: str, fatal: bool, level: str) -> None:
    old = {"type": "Alarm", "lane": "a", "step": 5, "code": code, "message": "words", "fatal": fatal, "traceback": ""}
    again = from_json(old)
    assert isinstance(again, Alarm)
    assert (again.level, again.fatal, again.code) == (level, fatal, code)


def test_that_the_end_of_a_warm_up_that_was_told_as_a_change_is_read_as_such() -> None:
    old = {"type": "OptionChanged", "lane": "a", "step": 5, "option": "miner", "value": "warm-up over, my miner mines"}
    again = from_json(old)
    assert isinstance(again, WarmupEnded)
    assert (again.lane, again.step, again.miner) == ("a", 5, "my miner")
    asked = from_json({**old, "before": "knn", "asked": True})
    assert isinstance(asked, OptionChanged) and asked.value == old["value"]
    assert isinstance(from_json({**old, "option": "alpha"}), OptionChanged)


def test_that_a_phase_of_earlier_versions_and_the_start_are_passed_over() -> None:
    assert from_json({"type": "PhaseDone", "lane": "a", "step": 5, "phase": "search"}) is None
    assert from_json(to_json(made_up.started())) is None


ALARM = to_json(TOLD[4])
FINISHED = to_json(TOLD[-2])


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"type": "Coup"},
        {"type": ["Alarm"]},
        {"type": "StepRecord", "lane": "a", "step": 5, "loss": 1.0},
        {name: value for name, value in ALARM.items() if name != "message"},
        {**ALARM, "mood": "bad"},
        {**ALARM, "step": True},
        {**ALARM, "step": 5.0},
        {**ALARM, "lane": 5},
        {**ALARM, "level": "dire"},
        {**ALARM, "level": ["hint"]},
        {**ALARM, "fatal": 0},
        {**ALARM, "fatal": True},
        {**ALARM, "level": "fatal"},
        {**FINISHED, "seconds": "1.5"},
        {**FINISHED, "seconds": True},
        {**FINISHED, "seconds": 10**400},
        {**FINISHED, "steps": {"a": 1.5}},
        {**FINISHED, "steps": [5]},
        {**FINISHED, "failed_lanes": "ab"},
        {**FINISHED, "failed_lanes": ["a", 7]},
        {**FINISHED, "stopped": None},
    ],
)
def test_that_json_of_another_shape_is_no_event(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        from_json(values)


def test_that_a_number_that_was_not_finite_comes_back_as_one_that_is_none() -> None:
    again = from_json({**FINISHED, "seconds": None})
    assert isinstance(again, RunFinished) and np.isnan(again.seconds)
    assert (number(3), number(2.5)) == (3.0, 2.5)
