"""Events as JSON, and that they can cross to another process."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from hnm_core.run.events import Event, Frame, RunStarted, StepRecord, frozen, to_json
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
