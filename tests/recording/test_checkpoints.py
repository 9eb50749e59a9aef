"""Checkpoints on the disk: whole or not there, two at most, and never a wrong number from a damaged one."""

from __future__ import annotations

import json
import os
import random
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import checkpoints, copy_run, open_recording, record, replay
from hnm_core.run.events import Alarm, Checkpoint, Event, RunFinished, RunStarted, StepRecord, Weights, frozen
from tests.recording import made_up


def checkpoint(step: int = 12, size: int = 50) -> Checkpoint:
    """Every kind of value that a state may hold; the network stands in it twice."""
    rng = np.random.default_rng(step)
    network = {"layer.weight": frozen(rng.random((size, 3)).astype(np.float32)), "layer.bias": frozen(np.zeros(3))}
    weights = tuple(Weights(lane, step, network, 3, shape) for lane, shape in (("knn", None), ("KNN", (1, 28, 28))))
    state = {
        "seconds": 1.5,
        "nothing": None,
        "never": float("inf"),
        "unknown": float("nan"),
        "yes": True,
        "exact": 0.1 + 0.2,
        "lanes": [{"model": network, "counts": [1, 2, 3], "generator": frozen(rng.integers(0, 255, 40, np.uint8))}],
        "scalar": frozen(np.array(step, np.float32)),
        "empty": frozen(np.zeros((0, 3), np.int64)),
        "turned": frozen(rng.random((4, 5)).T),
        "named like a lane / é": {"x": frozen(np.arange(3) > 1)},
    }
    return Checkpoint(step, weights, state)


def plain(value: Any) -> Any:
    """For comparing bit by bit."""
    match value:
        case np.ndarray():
            return value.dtype.str, value.shape, value.tobytes()
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case float():
            return value.hex()
        case Weights():
            return value.lane, value.step, value.in_features, value.image_shape, plain(dict(value.arrays))
        case _:
            return value


def same(one: Checkpoint, other: Checkpoint) -> bool:
    return plain([one.step, one.weights, one.state]) == plain([other.step, other.weights, other.state])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a recording with checkpoints of steps 12 and 24."""
    for step in (12, 24):
        checkpoints.write(tmp_path / "checkpoints", checkpoint(step), 10 * step)
    return tmp_path


def test_that_a_checkpoint_is_read_as_it_was_written(folder: Path) -> None:
    stored = checkpoints.read(folder)
    assert stored is not None and same(stored.checkpoint, checkpoint(24))
    assert (stored.event, stored.note) == (240, "")
    with pytest.raises(ValueError, match="read-only"):
        stored.checkpoint.state["scalar"][()] = 1  # type: ignore[index]


def test_that_numpy_alone_reads_it_and_an_array_is_stored_once(folder: Path) -> None:
    path = sorted((folder / "checkpoints").iterdir())[-1]
    with np.load(path, allow_pickle=False) as stored:
        index = json.loads(stored["checkpoint.json"])
        name = index["state"]["lanes"][0]["model"]["layer.weight"]["@array"]
        assert np.array_equal(stored[name], checkpoint(24).weights[0].arrays["layer.weight"])
        assert sum(entry.endswith("layer.weight") for entry in stored.files) == 1


def test_that_the_newest_two_are_kept(folder: Path) -> None:
    checkpoints.write(folder / "checkpoints", checkpoint(36), 360)
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["00000002.npz", "00000003.npz"]
    assert checkpoints.newest_step(folder) == 36


def test_that_of_a_damaged_newest_one_the_one_before_is_taken_and_that_is_said(folder: Path) -> None:
    newest = folder / "checkpoints" / "00000002.npz"
    os.truncate(newest, newest.stat().st_size // 2)
    stored = checkpoints.read(folder)
    assert stored is not None and same(stored.checkpoint, checkpoint(12))
    assert str(newest) in stored.note and "is damaged" in stored.note and "The checkpoint before it" in stored.note
    weights, note = checkpoints.read_weights(folder, "knn")
    assert note == stored.note and weights is not None and weights.step == 12
    (folder / "checkpoints" / "00000001.npz").write_bytes(b"")
    with pytest.raises(InputError, match=r"00000002.npz' is damaged: .*\.$"):
        checkpoints.read(folder)


def test_that_no_flipped_bit_changes_a_number(folder: Path) -> None:
    path, before = (folder / "checkpoints" / f"0000000{place}.npz" for place in (2, 1))
    before.unlink()
    whole, wanted = path.read_bytes(), checkpoint(24)
    rng, unharmed, told = random.Random(0), 0, 0
    for _ in range(400):
        place = rng.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1 :])
        try:
            stored = checkpoints.read(folder)
        except InputError as error:
            assert str(path) in str(error)
            told += 1
        else:
            assert stored is not None and same(stored.checkpoint, wanted), place
            unharmed += 1
    assert told > 200 and unharmed + told == 400


@pytest.mark.parametrize("size", [0, 1, 100, 3000])
def test_that_a_cut_file_is_refused(folder: Path, size: int) -> None:
    for path in (folder / "checkpoints").iterdir():
        os.truncate(path, size)
    with pytest.raises(InputError, match="is damaged"):
        checkpoints.read(folder)
    assert checkpoints.newest_step(folder) is None


def test_that_what_is_no_file_and_what_says_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints"
    place.mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(place / "00000003.npz")
        with pytest.raises(InputError, match=r"is damaged: .*named pipe"):
            checkpoints.read(tmp_path)
        (place / "00000003.npz").unlink()
    header = b"\x93NUMPY\x01\x00" + (76).to_bytes(2, "little")
    text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(75) + "\n"
    objects = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(75) + "\n"
    for name, content in (("huge", text), ("objects", objects)):
        index = {"format": 1, "step": 1, "event": 1, "weights": [], "state": {"x": {"@array": name}}}
        with zipfile.ZipFile(place / "00000001.npz", "w") as file:
            file.writestr("checkpoint.json", json.dumps(index))
            file.writestr(f"{name}.npy", header + content.encode() + b"12345678")
        with pytest.raises(InputError, match="is not of the size that it says"):
            checkpoints.read(tmp_path)
    with zipfile.ZipFile(place / "00000001.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("checkpoint.json", json.dumps(index) + " " * 10_000_000)
    with pytest.raises(InputError, match="it holds more than there is room for in it"):
        checkpoints.read(tmp_path)


def test_that_one_of_a_later_version_is_not_misread(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with zipfile.ZipFile(tmp_path / "checkpoints" / "00000001.npz", "w") as file:
        file.writestr("checkpoint.json", json.dumps({"format": 2, "step": 1}))
    with pytest.raises(InputError, match=r"cannot be used: it was written by another version \(format 2\)\.$"):
        checkpoints.read(tmp_path)


def with_checkpoints(steps: tuple[int, ...] = (3, 6), end: bool = True) -> Iterator[Event]:
    """A made-up run with checkpoints after some of its steps."""
    for event in made_up.run(steps=8):
        if isinstance(event, RunFinished) and not end:
            return
        yield event
        if isinstance(event, StepRecord) and event.lane == "knn" and event.step in steps:
            yield checkpoint(event.step)


def test_that_a_recording_keeps_them_and_is_read_as_ever(tmp_path: Path) -> None:
    told = list(record(with_checkpoints(), tmp_path / "run"))
    assert [event.step for event in told if isinstance(event, Checkpoint)] == [3, 6]
    stored = checkpoints.read(tmp_path / "run")
    assert stored is not None and same(stored.checkpoint, checkpoint(6))
    place = next(place for place, event in enumerate(told) if isinstance(event, Checkpoint) and event.step == 6)
    assert stored.event == sum(not isinstance(event, Checkpoint) for event in told[:place]), "they are not counted"
    for again, event in zip(replay(tmp_path / "run"), made_up.run(steps=8), strict=True):
        made_up.assert_same_event(again, event)
    assert open_recording(tmp_path / "run").summary()["checkpoint"] == 6


def test_that_a_run_that_was_broken_off_has_the_network_of_its_newest_checkpoint(tmp_path: Path) -> None:
    list(record(with_checkpoints(end=False), tmp_path / "run"))
    assert open_recording(tmp_path / "run").finished is None
    weights, _ = checkpoints.read_weights(tmp_path / "run", "knn")
    assert weights is not None and weights.step == 6
    assert np.array_equal(weights.arrays["layer.weight"], checkpoint(6).weights[0].arrays["layer.weight"])
    assert checkpoints.read_weights(tmp_path / "run", "lsh + re.score") == (None, "")
    assert not any(isinstance(event, Weights) for event in replay(tmp_path / "run")), "it is not that of the end"


@pytest.mark.parametrize("unsynced", [".part", "steps.bin"], ids=["itself", "what it knows of"])
def test_that_a_full_disk_is_told_once_and_the_checkpoint_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unsynced: str
) -> None:
    synced, full = os.fsync, False

    def fsync(file: int) -> None:
        if full and os.path.realpath(f"/proc/self/fd/{file}").endswith(unsynced):
            raise OSError(28, "No space left on device")
        synced(file)

    monkeypatch.setattr(os, "fsync", fsync)
    told: list[Event] = []
    for event in record(with_checkpoints((2, 4, 5, 6)), tmp_path / "run"):
        told.append(event)
        if isinstance(event, Checkpoint):
            for thread in threading.enumerate():
                if thread.name == "hnm-checkpoint":
                    thread.join()
            full = True
    alarms = [event for event in told if isinstance(event, Alarm) and event.code == "checkpoint-failed"]
    assert [event.message for event in alarms] == [
        "The checkpoint of step 4 was not written: No space left on device. The one before stays."
    ]
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["00000001.npz"]
    assert checkpoints.newest_step(tmp_path / "run") == 2
    assert isinstance(told[-1], RunFinished)


def test_that_of_many_at_once_the_last_is_written_and_two_at_most_are_held(tmp_path: Path) -> None:
    writer = checkpoints.CheckpointWriter(tmp_path)
    for step in range(1, 40):
        writer.put(checkpoint(step, size=20_000), step)
    writer.wait()
    assert checkpoints.newest_step(tmp_path) == 39
    newest = max(int(path.stem) for path in (tmp_path / "checkpoints").iterdir())
    assert newest < 39, "those that came while another was written made room"


def test_that_a_copy_of_a_recording_has_its_checkpoints_and_nothing_half_written(tmp_path: Path) -> None:
    list(record(with_checkpoints((6,)), tmp_path / "run"))
    checkpoints.write(tmp_path / "run" / "checkpoints", checkpoint(7), 1)
    (tmp_path / "run" / "checkpoints" / "00000003.npz.part").write_bytes(b"half")
    copied = copy_run(tmp_path / "run", tmp_path / "copy")
    names = sorted(path.name for path in (copied / "checkpoints").iterdir())
    assert names == ["00000001.npz", "00000002.npz"]
    stored = checkpoints.read(copied)
    assert stored is not None and stored.checkpoint.step == 7


def test_that_a_recording_without_checkpoints_has_no_folder_for_them(tmp_path: Path) -> None:
    events = [event for event in made_up.run(steps=2) if not isinstance(event, RunStarted | Checkpoint)]
    list(record(iter([made_up.started(), *events]), tmp_path / "run"))
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert checkpoints.read(tmp_path / "run") is checkpoints.read_weights(tmp_path / "run", "knn")[0] is None


def test_that_what_no_checkpoint_can_hold_is_told_and_the_run_is_recorded_to_its_end(tmp_path: Path) -> None:
    def events() -> Iterator[Event]:
        *told, end = made_up.run(steps=2)
        yield from told
        yield Checkpoint(2, (), {"a part of somebody else": {1, 2}})
        yield end

    *_, alarm, end = recorded = list(record(events(), tmp_path / "run"))
    assert isinstance(alarm, Alarm) and alarm.code == "checkpoint-failed"
    assert alarm.message.startswith("The checkpoint of step 2 was not written: TypeError: ")
    assert isinstance(end, RunFinished) and len(recorded) > 3
    made_up.assert_same_event([event for event in replay(tmp_path / "run") if isinstance(event, Alarm)][-1], alarm)
