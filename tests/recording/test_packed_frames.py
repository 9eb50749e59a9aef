"""Frames are told as changes of those before them: whichever is asked for, in whatever order, is as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.experiment import Experiment
from hnm_core.recording import lane_writer, open_recording, record
from hnm_core.recording.reader import Recording
from hnm_core.run.events import Event, Frame
from tests.recording import made_up, other_reader
from tests.training.test_experiment import config

STEPS = 40


def told(folder: Path, frame_every: int = 1) -> list[Frame]:
    """The frames of a run that is recorded, of its lane that mines."""
    of = config({"name": "random", "miner": "random"}, steps=STEPS, frame_every=frame_every)
    events: Iterator[Event] = record(Experiment(of).run(), folder)
    return [event for event in events if isinstance(event, Frame)]


def same(recording: Recording, frames: list[Frame], places: np.ndarray) -> None:
    for place in places.tolist():
        made_up.assert_same_event(recording.frame("random", place), frames[place])


@pytest.mark.parametrize("points", [lane_writer.KEY_POINTS, 1000, 100])
def test_that_each_frame_is_the_same_in_any_order(tmp_path: Path, points: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_writer, "KEY_POINTS", points)
    frames = told(tmp_path / "run")
    recording = open_recording(tmp_path / "run")
    lane = next((tmp_path / "run").glob("*-random"))
    most = min(lane_writer.MOST_AFTER_KEY, points // len(frames[0].positions))
    assert other_reader.entries_of(lane)["after_key"].tolist() == [n % (most + 1) for n in range(len(frames))]
    order = np.random.default_rng(0)
    for places in (np.arange(len(frames)), np.arange(len(frames))[::-1], order.permutation(len(frames))):
        same(recording, frames, places)
        same(open_recording(tmp_path / "run"), frames, places[:3])
    for first, last in ((0, len(frames)), (7, 19), (39, 40)):
        for frame, (step, triplets, hardness) in zip(
            frames[first:last], recording.mined("random", first, last), strict=True
        ):
            assert step == frame.step and hardness is not None
            np.testing.assert_array_equal(triplets, frame.triplets)
            np.testing.assert_array_equal(hardness["age"], frame.age)
            np.testing.assert_array_equal(hardness["separation"], frame.separation)
    paths = recording.paths("random", np.array([0, 5]), 3, 30)
    for path, frame in zip(paths, frames[3:30], strict=True):
        np.testing.assert_allclose(path, frame.positions[[0, 5]], atol=np.ptp(frame.positions, 0).max() / 65_000)


def test_that_a_triplet_which_many_frames_tell_is_written_once(tmp_path: Path) -> None:
    frames = told(tmp_path / "run")
    entries = other_reader.entries_of(next((tmp_path / "run").glob("*-random")))
    new = entries["edges"] - entries["repeated"]
    keys = entries["after_key"] == 0
    assert (entries["repeated"][~keys][1:] > 0).all() and (entries["repeated"][keys] == 0).all()
    for place, frame in enumerate(frames):
        if not keys[place]:
            assert new[place] == np.count_nonzero(np.asarray(frame.age) == 0)


def test_that_a_damaged_frame_takes_those_along_that_are_told_as_its_changes(tmp_path: Path) -> None:
    frames = told(tmp_path / "run")
    lane = next((tmp_path / "run").glob("*-random"))
    entries = other_reader.entries_of(lane)
    path = lane / "frames.bin"
    data = bytearray(path.read_bytes())
    data[int(entries["offset"][20]) + 100] ^= 1
    path.write_bytes(data)
    recording = open_recording(tmp_path / "run")
    keys = np.flatnonzero(entries["after_key"] == 0)
    lost = np.arange(20, keys[keys > 20][0])
    same(recording, frames, np.setdiff1d(np.arange(len(frames)), lost))
    for place in lost.tolist():
        with pytest.raises(InputError, match=f"damaged: the frame of step {frames[20].step} is not what was written"):
            recording.frame("random", place)
    recording.check()
    assert len(recording.frame_steps("random")) == 20
    assert recording.losses[0].startswith(f"Lane 'random' lost {len(frames) - 20} clouds after step {frames[19].step}")


@pytest.mark.parametrize("field", ["after_key", "repeated", "frame_size", "edges_size", "edges", "guests"])
@pytest.mark.parametrize("value", [-1, 1 << 30, 5000])
def test_that_an_index_which_leads_nowhere_ends_there_though_its_checksums_are_right(
    tmp_path: Path, field: str, value: int
) -> None:
    frames = told(tmp_path / "run")
    lane = next((tmp_path / "run").glob("*-random"))
    entries = other_reader.entries_of(lane)
    entries[field][12] = np.int64(value).astype(entries.dtype[field])
    made_up.seal_index(lane, entries)
    recording = open_recording(tmp_path / "run")
    same(recording, frames, np.arange(12))
    if len(recording.frame_steps("random")) > 12:
        with pytest.raises(InputError, match=f"damaged: the frame of step {frames[12].step} is not what was written"):
            recording.frame("random", 12)
    list(recording.mined("random", 0, 12))
    assert recording.lanes == ("random",)
