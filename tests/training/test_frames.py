"""What frames tell of how hard the mined tuples were, against the step records of the same run."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from hnm_core.run.control import Control
from hnm_core.run.events import TRAIL_STEPS, Frame, StepRecord
from hnm_core.run.hardness import BANDS, bands_of
from hnm_core.training import frames
from hnm_core.training.experiment import Experiment
from hnm_core.training.frames import hardest_first
from tests.training.test_experiment import KNN, RANDOM, config


def told(lane: dict, **fields) -> tuple[list[StepRecord], list[Frame]]:
    events = list(Experiment(config(lane, **fields)).run())
    return [e for e in events if isinstance(e, StepRecord)], [e for e in events if isinstance(e, Frame)]


@pytest.mark.parametrize("lane", [KNN, RANDOM, {**KNN, "miner": "batch-hard"}], ids=["knn", "random", "batch-hard"])
@pytest.mark.parametrize("frame_every", [3, 11])
def test_that_a_frame_counts_each_band_over_the_steps_it_tells_of(lane: dict, frame_every: int):
    steps, clouds = told(lane, steps=26, frame_every=frame_every)
    last = 0
    for frame in clouds[1:]:
        since = min(last, frame.step - TRAIL_STEPS)
        window = [record for record in steps if since < record.step <= frame.step]
        assert frame.hardness is not None and frame.separation is not None and frame.age is not None
        for band in BANDS:
            assert getattr(frame.hardness, band) == sum(record.tuples[band] for record in window)
        assert frame.hardness.total == frame.mined_total == frame.hardness.bins.sum()
        assert set(frame.age.tolist()) <= {frame.step - record.step for record in window}
        assert len(frame.separation) == len(frame.age) == len(frame.triplets)
        last = frame.step


def test_that_separations_are_the_distances_of_the_triplets_when_the_network_does_not_change():
    audit = config(
        {**KNN, "distance": "euclidean"}, steps=4, frame_every=4, data={"name": "blobs", "options": {"dim": 3}},
        model={"name": "identity"},
    )  # fmt: skip
    events = list(Experiment(audit).run())
    started, frame = events[0], [event for event in events if isinstance(event, Frame)][-1]
    place = np.searchsorted(started.ids, frame.triplets)
    anchor, positive, negative = np.moveaxis(frame.positions.astype(np.float64)[place], 1, 0)
    expected = np.linalg.norm(anchor - negative, axis=1) - np.linalg.norm(anchor - positive, axis=1)
    np.testing.assert_allclose(frame.separation, expected, atol=1e-5)


def test_that_hard_triplets_are_drawn_first_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frames, "MAX_DRAWN_TRIPLETS", 100)
    _, clouds = told({**KNN, "hard_share": 0.5}, steps=40, frame_every=10)
    for frame in clouds[2:]:
        bands = np.bincount(bands_of(frame.separation, frame.hardness.margin), minlength=3)
        assert bands.sum() == 100 < frame.mined_total
        assert bands[0] == min(100, frame.hardness.hard)
        assert bands[1] == min(100 - bands[0], frame.hardness.semi_hard)


def test_that_the_choice_is_ascending_fair_within_a_band_and_has_room_for_exactly_so_many():
    separation = torch.tensor([5.0, -1, 5, 0.2, 5, -1, 5, torch.nan, 5, 0.2])
    assert hardest_first(separation, 0.5, 3).tolist() == [1, 3, 5]
    assert hardest_first(separation, 0.5, 6).tolist() == [0, 1, 3, 5, 6, 9]
    assert hardest_first(separation, 0.5, 1).tolist() == [1]
    assert hardest_first(separation, 0.5, 99).tolist() == list(range(10))


def test_that_the_histogram_keeps_to_the_newest_steps_when_there_are_very_many_tuples(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frames, "GATHER_ENTRIES", 200)
    steps, clouds = told(KNN, steps=20, frame_every=10)
    hardness = clouds[-1].hardness
    assert hardness.total == sum(record.tuples["mined"] for record in steps[10:])
    assert steps[-1].tuples["mined"] <= hardness.bins.sum() < hardness.total


@pytest.mark.parametrize(
    ("rate", "single"), [(19.0, False), (200.0, False), (None, True)], ids=["slow", "quick", "one by one"]
)
def test_that_steps_that_are_looked_at_one_by_one_have_a_frame_each(rate: float | None, single: bool):
    control = Control(rate=rate, paused=single)
    if single:
        control.step(6)
        threading.Timer(1.5, control.stop).start()
    run = Experiment(config(KNN, steps=6, frame_every=5)).run(control)
    shown = [event.step for event in run if isinstance(event, Frame)]
    assert shown == ([0, 1, 5, 6] if rate == 200.0 else [0, 1, 2, 3, 4, 5, 6])


def test_that_lanes_of_a_run_that_is_paused_within_a_round_are_seen_at_the_step_where_they_stand():
    control = Control()
    shown, done = {}, 0
    for event in Experiment(config(KNN, RANDOM, steps=20, frame_every=10)).run(control):
        if isinstance(event, StepRecord):
            done = event.step
            if event.step == 4 and not control.paused:  # the first lane has had its turn, and the second has not
                control.pause()
                threading.Timer(1.0, control.stop).start()
        if isinstance(event, Frame):
            shown[event.lane] = event.step
    assert done == 4
    assert list(shown.values()) == [4, 4]
