"""Where the lanes of a run have some items, asked between two steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
import torch

from hnm_core.run.control import Control, Embedded
from hnm_core.run.events import Event, Frame, RunFinished, StepRecord
from hnm_core.training.experiment import Experiment
from hnm_core.training.setup import prepare
from hnm_core.training.trainer import Trainer
from tests.training.test_experiment import KNN, RANDOM, config, numbers

IDS = np.array([3, 17, 101, 204])
UNIT = {**KNN, "name": "unit", "normalize": True}
NARROW = {"model": {"options": {"widths": [16, 8], "embedding": 2}}}


def asking(control: Control, events: Iterator[Event], at: int, told: list[Mapping[str, Embedded]]) -> list[Event]:
    """All events of a run that is asked for `IDS` after each lane's step `at`."""
    found = []
    for event in events:
        found.append(event)
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("unit", at):
            control.embed(IDS, told.append)
    return found


def test_that_every_lane_tells_where_its_network_has_the_items_and_no_number_of_the_run_changes() -> None:
    of, control = config(RANDOM, UNIT, **NARROW, frame_every=7), Control()
    told: list[Mapping[str, Embedded]] = []
    asked = asking(control, Experiment(of).run(control), 7, told)
    (lanes,) = told
    cloud = {event.lane: event for event in asked if isinstance(event, Frame) and event.step == 7}
    for lane in ("random", "unit"):
        assert lanes[lane].step == 7 and not lanes[lane].vectors.flags.writeable
        place = np.searchsorted(np.arange(240), IDS)
        np.testing.assert_allclose(lanes[lane].vectors, cloud[lane].positions[place, :2], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(lanes["unit"].vectors, axis=1), 1, atol=1e-6)
    quiet = list(Experiment(of).run())
    assert [type(event) for event in asked] == [type(event) for event in quiet], "no event tells of it"
    for lane in ("random", "unit"):
        assert numbers(asked, lane) == numbers(quiet, lane)


def test_that_a_run_that_stands_still_answers_and_so_does_one_that_was_asked_after_its_last_step() -> None:
    of, control = config(RANDOM, UNIT, **NARROW), Control(paused=True)
    told: list[Mapping[str, Embedded]] = []
    events = Experiment(of).run(control)
    assert not isinstance(next(events), StepRecord)

    def and_resume(lanes: Mapping[str, Embedded]) -> None:
        told.append(lanes)
        control.resume()

    control.embed(IDS, and_resume)
    last = asking(control, events, of.steps, told)[-1]
    assert isinstance(last, RunFinished)
    assert [lanes["random"].step for lanes in told] == [0, of.steps]


def test_that_a_lane_that_cannot_tell_says_why_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Trainer.embeddings_of

    def broken(self: Trainer, ids: np.ndarray) -> np.ndarray:
        if self.lane.name == "random":
            raise RuntimeError("out of memory")
        return whole(self, ids)

    monkeypatch.setattr(Trainer, "embeddings_of", broken)
    control, told = Control(), []
    events = asking(control, Experiment(config(RANDOM, UNIT)).run(control), 5, told)
    assert isinstance(events[-1], RunFinished) and not events[-1].failed_lanes
    assert told[0]["random"].problem == "RuntimeError: out of memory"
    assert len(told[0]["unit"].vectors) == len(IDS) and not told[0]["unit"].problem


def test_that_items_are_found_by_their_ids_among_trained_and_held_out_ones() -> None:
    shared = prepare(config(RANDOM))
    row = shared.rows_of(IDS)
    assert shared.ids[row].tolist() == IDS.tolist()
    everything = np.sort(shared.ids.numpy())
    assert torch.equal(shared.ids[shared.rows_of(everything)], torch.from_numpy(everything))
    with pytest.raises(ValueError, match="no item"):
        shared.rows_of(np.array([3, 10**6]))
