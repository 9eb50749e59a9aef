"""Recordings of sets too large to show: what was mined beyond the shown part is there, and older ones still open."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.picture.scene import build_scene
from app.picture.theme import DARK
from hnm_core.errors import InputError
from hnm_core.recording import export, open_recording, record, replay
from hnm_core.run.events import Event, Frame
from tests.recording import made_up, other_reader

LANE = Path("00-knn")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    list(record(made_up.run_of_a_large_set(), tmp_path / "run"))
    return tmp_path / "run"


def clouds(lane: str) -> list[Frame]:
    return [event for event in made_up.run_of_a_large_set() if isinstance(event, Frame) and event.lane == lane]


def test_that_guests_are_replayed_as_they_were(folder: Path) -> None:
    events: list[Event] = list(made_up.run_of_a_large_set())
    for again, event in zip(replay(folder), events, strict=True):
        made_up.assert_same_event(again, event)
    recording = open_recording(folder)
    assert recording.torn_bytes == 0
    for index in (-2, 0, 5, 2):
        made_up.assert_same_event(recording.frame("random", index), clouds("random")[index])
    guests = recording.frame("knn", 0).guests
    assert guests is not None
    arrays = (guests.ids, guests.labels, guests.positions, guests.groups, guests.true_labels, *guests.columns.values())
    assert not any(array.flags.writeable for array in arrays if array is not None)


def test_that_guests_are_there_as_soon_as_their_frame_is(tmp_path: Path) -> None:
    passing = record(made_up.run_of_a_large_set(), tmp_path)
    next(passing)
    recording = open_recording(tmp_path)
    seen = 0
    for event in passing:
        recording.refresh()
        if isinstance(event, Frame):
            made_up.assert_same_event(recording.frame(event.lane, -1), event)
            seen += event.guests is not None
    assert seen == 6


def test_that_numpy_json_and_zlib_are_enough_to_read_guests(folder: Path) -> None:
    run = json.loads((folder / "run.json").read_text())
    index = np.fromfile(folder / LANE / "frames.idx", np.dtype(run["index_dtype"]))
    assert index["guests"].tolist() == [4, 0, 6, 0, 8, 0]
    guests, told = other_reader.parts_of(folder / LANE)["guests"][4], clouds("knn")[4].guests
    assert told is not None
    assert guests["id"].tolist() == told.ids.tolist()
    np.testing.assert_array_equal(guests["position"], told.positions)


def test_that_a_frame_whose_guests_are_torn_is_left_out(folder: Path) -> None:
    path = folder / LANE / "guests.bin"
    path.write_bytes(path.read_bytes()[:-1])
    recording = open_recording(folder)
    assert recording.frame_steps("knn").tolist() == [1, 2, 3, 4]
    made_up.assert_same_event(recording.frame("knn", -1), clouds("knn")[3])
    assert recording.torn_bytes > 0 and len(recording.frame_steps("random")) == 6


def in_guests(field: str, value: int, place: int = 0) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        dtype = np.dtype(json.loads((folder / "run.json").read_text())["guest_dtype"])
        guests = np.fromfile(folder / LANE / "guests.bin", dtype)
        guests[field][place] = value
        guests.tofile(folder / LANE / "guests.bin")

    return damage


def in_index(field: str, value: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        dtype = np.dtype(json.loads((folder / "run.json").read_text())["index_dtype"])
        index = np.fromfile(folder / LANE / "frames.idx", dtype)
        index[field][2] = value
        index.tofile(folder / LANE / "frames.idx")

    return damage


def in_header(**changes: object) -> Callable[[Path], None]:
    return lambda folder: made_up.edit_run_file(folder, **changes)


@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (in_guests("id", -1), 0),
        (in_guests("id", 100_000), 0),  # the ids do not ascend any more
        (in_guests("id", 3, place=0), 0),  # it is shown already
        (in_guests("label", 5), 0),
        (in_guests("label", -1), 0),
        (in_guests("true_label", 77, place=5), 2),
        (in_index("guests", -1), 2),
        (in_index("guests", 1 << 40), 2),
        (in_index("guests_offset", 1), 2),
        (lambda folder: (folder / LANE / "guests.bin").unlink(), 0),
    ],
)
@pytest.mark.parametrize("older", [True, False])
def test_that_damaged_guests_end_the_frames(
    folder: Path, damage: Callable[[Path], None], left: int, older: bool
) -> None:
    (made_up.as_schema_4 if older else made_up.as_schema_6)(folder)
    damage(folder)
    recording = open_recording(folder)
    recording.check()
    assert recording.frame_steps("knn").tolist() == [*range(1, left + 1)]
    assert recording.losses[0].startswith(f"Lane 'knn' lost {6 - left} clouds"), recording.losses
    for place in range(left):
        again, event = recording.frame("knn", place), clouds("knn")[place]
        made_up.assert_same_event(again, made_up.without_candidates(event) if older else event)
    list(replay(folder))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (in_header(guest_dtype=None), "damaged: a layout"),
        (in_header(guest_dtype={"names": ["id"], "formats": ["<i4"]}), "damaged: a guest has other fields"),
        (in_header(guest_dtype={"names": ["id"], "formats": ["O"]}), "is not a format of numbers"),
        (in_header(chance={"map_at_r": 2.0}), "run.json' is damaged"),
    ],
)
def test_that_damage_to_the_layout_of_guests_gets_its_sentence(
    folder: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(folder)
    with pytest.raises(InputError) as caught:
        list(replay(folder))
    assert words in str(caught.value)


def test_that_an_end_that_is_neither_shown_nor_a_guest_is_damage(folder: Path) -> None:
    made_up.as_schema_4(folder)
    edges = np.fromfile(folder / LANE / "edges.bin", "<i4")
    edges[-1] = 2  # shown ids are multiples of three, guests one more
    edges.tofile(folder / LANE / "edges.bin")
    recording = open_recording(folder)
    with pytest.raises(InputError, match="the frame of step 6 names unknown ids"):
        recording.frame("knn", -1)
    recording.check()
    assert recording.frame_steps("knn").tolist() == [1, 2, 3, 4, 5]


def test_that_an_older_recording_of_a_large_set_opens_without_the_ends_that_it_does_not_know(folder: Path) -> None:
    made_up.as_schema_2(folder)
    recording = open_recording(folder)
    start = made_up.started()
    for place, event in enumerate(clouds("knn")):
        frame = recording.frame("knn", place)
        assert frame.guests is None
        np.testing.assert_array_equal(frame.triplets, event.triplets)
        scene = build_scene(recording.started, frame, DARK)
        finite = np.isfinite(frame.positions).all(1)  # lines to where nothing can be drawn are left out
        known = set(start.ids[finite].tolist())
        drawable = sum(
            anchor in known and end in known for anchor, *ends in event.triplets.tolist() for end in ends if end >= 0
        )
        assert scene.edges_shown == drawable <= scene.edges_total and scene.guests == 0
    assert [type(event) for event in replay(folder)] == [type(event) for event in made_up.run_of_a_large_set()]


@pytest.mark.parametrize("unknown", [-2, -(1 << 31), 600, 1 << 30])
def test_that_damage_is_found_in_an_older_recording_of_a_large_set(folder: Path, unknown: int) -> None:
    made_up.as_schema_2(folder)
    path = folder / LANE / "edges.bin"
    edges = np.fromfile(path, "<i4")
    edges[-1] = 599  # the last of 600 items
    edges.tofile(path)
    assert sum(isinstance(event, Frame) for event in replay(folder)) == 12
    edges[-1] = unknown
    edges.tofile(path)
    assert sum(isinstance(event, Frame) for event in replay(folder)) == 11
    with pytest.raises(InputError, match="names unknown ids"):
        open_recording(folder).frame("knn", -1)


def test_that_guests_of_the_last_frame_are_exported_beside_the_fair_part(tmp_path: Path) -> None:
    events = list(made_up.run_of_a_large_set(steps=5))
    list(record(iter(events), tmp_path / "run"))
    paths = {path.name for path in export(tmp_path / "run", "csv")}
    of_lanes = {f"{lane}.{what}.csv" for lane in ("knn", "random") for what in ("steps", "positions", "guests")}
    assert paths == {*of_lanes, "raw.csv", "results.csv"}
    with (tmp_path / "run" / "export" / "knn.guests.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    with (tmp_path / "run" / "export" / "knn.positions.csv").open(newline="", encoding="utf-8") as file:
        positions = list(csv.reader(file))
    assert header == positions[0] and len(positions) == 61
    told = [event for event in events if isinstance(event, Frame) and event.lane == "knn"][-1].guests
    assert told is not None
    assert [int(row[header.index("id")]) for row in rows] == told.ids.tolist()
    assert [int(row[header.index("label")]) for row in rows] == told.labels.tolist()
    written = np.array([[row[header.index(axis)] for axis in "xyz"] for row in rows], np.float32)
    np.testing.assert_array_equal(written, told.positions)
