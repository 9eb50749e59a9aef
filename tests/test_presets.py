"""Every preset that ships runs as it is, for a few steps, and says what to look for."""

from __future__ import annotations

import math

import pytest

from hnm_core.run.events import Alarm, Event, Frame, RunFinished, RunStarted, StepRecord
from hnm_core.spec import config
from hnm_core.spec.resources import FIRST_PRESET, preset_names, preset_path
from hnm_core.training.experiment import Experiment

STEPS = 5


def test_that_the_first_preset_ships_and_is_first() -> None:
    assert preset_names()[0] == FIRST_PRESET
    assert {"digits", "digits-hardest-hurts", "demo-2019"} <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_that_a_preset_says_what_it_is_and_what_to_look_for(name: str) -> None:
    preset = config.load(preset_path(name))
    assert preset.title
    assert preset.about.count(".") >= 2, "two sentences at least"


@pytest.mark.parametrize("name", preset_names())
def test_that_lanes_of_a_preset_stand_on_equal_footing(name: str) -> None:
    preset = config.load(preset_path(name))
    hinges = [lane.loss_part.options for lane in preset.lanes if lane.loss == "triplet-margin"]
    assert {options.reduction for options in hinges} <= {"mean_nonzero"}, "zeros would weigh down who mines least"
    caps = {lane.miner_part.options.most_tuples(preset.sampler.batch) for lane in preset.lanes if lane.in_batch}
    if name == "deephash-miners":
        assert caps == {preset.sampler.batch}, "as many triplets as a lane over the whole set has"


@pytest.mark.parametrize("name", preset_names())
def test_that_a_preset_runs(name: str) -> None:
    preset = config.with_settings(config.load(preset_path(name)), [f"steps={STEPS}", "eval_every=5", "frame_every=5"])
    events: list[Event] = list(Experiment(preset).run())
    lanes = {lane.name for lane in preset.lanes}
    finished = events[-1]
    assert isinstance(events[0], RunStarted)
    assert isinstance(finished, RunFinished), finished
    assert finished.steps == dict.fromkeys(lanes, STEPS)
    assert not [event for event in events if isinstance(event, Alarm) and event.fatal]
    records = [event for event in events if isinstance(event, StepRecord)]
    assert all(math.isfinite(record.loss) for record in records)
    assert {event.lane for event in events if isinstance(event, Frame)} == lanes


@pytest.mark.parametrize("name", preset_names())
def test_that_a_preset_fits_the_window(name: str) -> None:
    from app.main import check_lanes

    check_lanes(config.load(preset_path(name)))
