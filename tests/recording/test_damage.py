"""Foreign and damaged folders: one sentence that says what is wrong, never another exception."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import files, open_recording, reader, record, replay
from hnm_core.recording.checksums import record_checksums, sealed_line
from hnm_core.run.candidates import Candidates
from hnm_core.run.events import METRICS, Frame, StepRecord, Weights
from tests.families import one_in
from tests.recording import made_up

POINTS = 12
LANE = Path("01-knn")
LAYERS = Path("00-knn") / "layers.jsonl"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "run"
    list(record(made_up.run(points=POINTS), folder))
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "run"))


def sentence_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        for _ in replay(folder):
            pass
    message = str(caught.value)
    assert str(folder) in message and message.endswith((".", ")")) and "\n" not in message
    return message


def test_that_a_missing_folder_an_empty_one_and_a_file_are_told_apart(tmp_path: Path) -> None:
    assert "does not exist" in sentence_of(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert sentence_of(tmp_path / "empty") == f"The folder '{tmp_path / 'empty'}' is empty, so it holds no recording."
    (tmp_path / "file").write_text("x")
    assert "a recording is a folder" in sentence_of(tmp_path / "file")


def test_that_a_folder_of_something_else_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"meow")
    assert "has no run.json" in sentence_of(tmp_path)
    (tmp_path / "run.json").write_text('{"name": "another program"}')
    assert "not a recording of HNM Lab" in sentence_of(tmp_path)


edit = made_up.edit_run_file


def set_array(name: str, values: Any) -> Callable[[Path], None]:
    """Another array, with the checksum that belongs to it."""

    def damage(folder: Path) -> None:
        np.save(folder / name, values)
        known = json.loads((folder / "run.json").read_text())["arrays"]
        edit(folder, arrays=known | {name: f"{zlib.crc32((folder / name).read_bytes()):08x}"})

    return damage


def set_format(layout: str, name: str, text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        values = json.loads((folder / "run.json").read_text())[layout]
        values["formats"][values["names"].index(name)] = text
        edit(folder, **{layout: values})

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "run.json").write_text("{"), "run.json"),
        (lambda folder: (folder / "run.json").write_text("[" * 100_000), "run.json"),
        (lambda folder: edit(folder, schema=8), "newer version (schema 8)"),
        (
            lambda folder: (folder / "run.json").write_text('{"kind": "hnm-lab recording", "schema": "1"}'),
            "schema = '1'",
        ),
        (lambda folder: edit(folder, lanes=[{"name": "knn", "folder": "../../etc"}]), "lanes.0.folder"),
        (lambda folder: edit(folder, lanes=[{"name": "../knn", "folder": "00-knn"}]), "lanes.0.name"),
        (lambda folder: edit(folder, lanes=[{"name": "knn", "folder": "01-knn"}] * 2), "two lanes"),
        (lambda folder: edit(folder, config={"steps": -5}), "steps"),
        (lambda folder: edit(folder, raw=[{"kind": "raw", "distance": "cosine", "metrics": {"map_at_r": 7}}]), "raw.0"),
        (lambda folder: edit(folder, raw="much"), "raw"),
        (lambda folder: edit(folder, class_names=["a"]), "labels must lie in 0..0"),
        (set_format("step_dtype", "loss", "|O"), "'|O' is not a format"),
        (set_format("step_dtype", "loss", "<f4"), "field 'loss'"),
        (set_format("frame_dtype", "positions", "(999,3)<u2"), "field 'positions'"),
        (set_format("index_dtype", "edges", "<i4"), "field 'edges'"),
        (lambda folder: (folder / "labels.npy").unlink(), "labels.npy is missing"),
        (lambda folder: (folder / "labels.npy").write_bytes(b""), "labels.npy' is damaged"),
        (lambda folder: np.save(folder / "labels.npy", np.zeros(12, np.int64)), "its checksum is not that in run.json"),
        (set_array("labels.npy", np.zeros(5, np.int64)), "5 entries, but ids.npy has 12"),
        (set_array("labels.npy", np.zeros((12, 2), np.int64)), "one row of int64"),
        (set_array("held_out.npy", np.zeros(12, np.int64)), "one row of bool"),
        (set_array("held_out.npy", np.zeros(1 << 16, np.bool_)), "larger than 12 entries are"),
        (set_array("ids.npy", np.zeros(12, np.int64)), "do not ascend"),
        (lambda folder: edit(folder, arrays={}), "its checksum is not that in run.json"),
        (lambda folder: edit(folder, salt="x"), "salt"),
        (
            lambda folder: change(folder / "run.json", b"Made up", b"Made op"),
            "its checksum is not that of what it says",
        ),
    ],
)
def test_that_each_kind_of_damage_gets_its_sentence(folder: Path, damage: Callable[[Path], Any], words: str) -> None:
    damage(folder)
    assert words in sentence_of(folder)


@pytest.mark.parametrize(("at", "value"), [(8, 1), (10, 77)], ids=["encrypted", "packed in an unknown way"])
def test_that_weights_in_a_zip_file_that_cannot_be_unpacked_are_damaged(folder: Path, at: int, value: int) -> None:
    path = folder / LANE / "weights.npz"
    np.savez(path, **{"@step": np.int64(3), "@in_features": np.int64(2), "@image_shape": np.zeros(0, np.int64)})
    assert any(isinstance(event, Weights) for event in replay(folder))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + at] = value  # of the first entry of the zip file's directory
    path.write_bytes(bytes(data))
    recording = open_recording(folder)
    with pytest.raises(InputError, match=r"weights\.npz' is damaged"):
        recording.weights("knn")
    assert not any(isinstance(event, Weights) for event in replay(folder))
    recording.check()
    recording.refresh()
    assert recording.losses == ("Lane 'knn' lost its weights: 01-knn/weights.npz is damaged.",)


def change(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    path.write_bytes(data.replace(old, new, 1))


def losses_of(folder: Path) -> tuple[str, ...]:
    """What is lost, after all that is left was read and found to be as it was written."""
    events = list(made_up.run(points=POINTS))
    recording = open_recording(folder)
    recording.check()
    for lane in recording.lanes:
        of_lane = [event for event in events if getattr(event, "lane", "") == lane]
        frames = [event for event in of_lane if isinstance(event, Frame)]
        for place in range(len(recording.frame_steps(lane))):
            made_up.assert_same_event(recording.frame(lane, place), frames[place])
        steps = [event for event in of_lane if isinstance(event, StepRecord)]
        assert recording.steps(lane)["step"].tolist() == [event.step for event in steps[: recording.step_count(lane)]]
        assert recording.steps(lane)["loss"].tolist() == [event.loss for event in steps[: recording.step_count(lane)]]
    list(replay(folder))
    return recording.losses


def in_records(name: str, field: str, value: int, place: int = 1) -> Callable[[Path], None]:
    """Set a field of one record of steps.bin or frames.idx, whose checksum stays."""

    def damage(folder: Path) -> None:
        run = json.loads((folder / "run.json").read_text())
        records = np.fromfile(
            folder / LANE / name, np.dtype(run["step_dtype" if name == "steps.bin" else "index_dtype"])
        )
        records[field][place] = value
        records.tofile(folder / LANE / name)

    return damage


def cut_off(name: str, count: int) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / LANE / name, (folder / LANE / name).stat().st_size - count)


def set_events(text: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / "events.jsonl").write_text(text)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / LANE / name).unlink()


def zeros(name: str, share: float) -> Callable[[Path], None]:
    """The end of a file as it is when its length was on the disk at a power cut, and its bytes were not."""

    def damage(folder: Path) -> None:
        path = folder / LANE / name
        size = path.stat().st_size
        os.truncate(path, int(size * share))
        os.truncate(path, size)

    return damage


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (in_records("steps.bin", "loss", 1), "lost 9 records of steps (3.2 kB) after step 1: 01-knn/steps.bin is"),
        (zeros("steps.bin", 0.5), "lost 5 records of steps (1.8 kB) after step 5: 01-knn/steps.bin is damaged"),
        (cut_off("steps.bin", 3 * 244), "The run lost 3 records after step 7: 01-knn/steps.bin ends too early"),
        (remove("steps.bin"), "its steps: 01-knn/steps.bin is missing"),
        (in_records("frames.idx", "offset", 10**12), "4 clouds after step 2: 01-knn/frames.idx is damaged"),
        (in_records("frames.idx", "offset", -8), "4 clouds after step 2: 01-knn/frames.idx is damaged"),
        (in_records("frames.idx", "edges", 1 << 62), "4 clouds after step 2: 01-knn/frames.idx is damaged"),
        (in_records("frames.idx", "edges", -1, 0), "5 clouds, all of them: 01-knn/frames.idx is dam"),
        (in_records("frames.idx", "step", 3), "4 clouds after step 2: "),
        (zeros("frames.idx", 0.9), "1 cloud after step 8: 01-knn/frames.idx is damaged"),
        (cut_off("frames.idx", 1), "The run lost 1 record after step 8: 01-knn/frames.idx ends"),
        (lambda folder: os.truncate(folder / LANE / "frames.idx", 0), ", all of them: 01-knn/frames.idx ends"),
        (remove("frames.idx"), "01-knn/frames.idx is missing"),
        (zeros("frames.bin", 0.5), "3 clouds after step 4: 01-knn/frames.bin, or what belongs to it, is damaged"),
        (cut_off("frames.bin", 1), "1 cloud after step 8: 01-knn/frames.bin ends too early"),
        (remove("frames.bin"), "5 clouds, all of them: 01-knn/frames.bin is missing"),
        (cut_off("edges.bin", 1), "01-knn/edges.bin ends too early"),
        (cut_off("hardness.bin", 1), "01-knn/hardness.bin ends too early"),
        (remove("hardness.bin"), "01-knn/hardness.bin is missing"),
        (zeros("candidates.bin", 0.5), "4 clouds after step 2: 01-knn/frames.bin, or what belongs to it, is damaged"),
        (cut_off("candidates.bin", 1), "1 cloud after step 8: 01-knn/candidates.bin ends too early"),
        (remove("candidates.bin"), "5 clouds, all of them: 01-knn/candidates.bin is missing"),
        (lambda folder: edit(folder, lanes=[{"name": "knn", "folder": "77-knn"}]), "77-knn/steps.bin is missing"),
        (lambda folder: (folder / "events.jsonl").unlink(), "events.jsonl is missing"),
        (lambda folder: (folder / "events.jsonl").write_bytes(b"\xff\xfe\n"), "after step 0: events.jsonl"),
        (lambda folder: (folder / "events.jsonl").write_bytes(bytes(99)), "after step 0: events.jsonl is damaged"),
        (lambda folder: change(folder / "events.jsonl", b"together", b"2gether!"), "after step 5: events"),
        (lambda folder: (folder / LAYERS).write_text("7\n"), "metrics of layers of 3 steps after step 0"),
        (lambda folder: change(folder / LAYERS, b"2.0", b"3.0"), "metrics of layers of 2 steps after step 3: 00"),
    ],
)  # fmt: skip
def test_that_damage_ends_a_file_there_and_is_told(folder: Path, damage: Callable[[Path], Any], sentence: str) -> None:
    assert losses_of(folder) == ()
    damage(folder)
    told = losses_of(folder)
    assert any(sentence in loss for loss in told), told
    assert all(loss.endswith(".") for loss in told)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (in_records("steps.bin", "step", 1 << 62, 4), "records of steps (2.1 kB) after step 4: 01-knn/steps.bin is"),
        (in_records("steps.bin", "step", 3, 4), "after step 4: "),
        (in_records("steps.bin", "event", 0, 4), "after step 4: "),
        (in_records("steps.bin", "flags", 99, 4), "after step 4: "),
        (in_records("steps.bin", "measured", 1 << len(METRICS), 4), "after step 4: "),
        (in_records("steps.bin", "hard", -2, 4), "after step 4: "),
        (zeros("steps.bin", 0.51), "after step 5: 01-knn/steps.bin is damaged"),
        (zeros("frames.idx", 0.4), "clouds after step 4: 01-knn/frames.idx is damaged"),
        (in_records("frames.idx", "offset", -8), "4 clouds after step 2: 01-knn/frames.idx is damaged"),
        (in_records("frames.idx", "columns", 1 << 20), "4 clouds after step 2: "),
        (set_events('{"event": 1, "type": "Coup"}\n'), "after step 0: events.jsonl"),
        (set_events('{"event": 1, "type": "Alarm"}\n'), "after step 0: events.jsonl"),
        (lambda folder: (folder / LAYERS).write_text('{"step": -3, "entanglement/a": 1}\n'), "metrics of layers"),
        (lambda folder: (folder / LAYERS).write_text('{"entanglement/a": 1}\n'), "metrics of layers"),
        (lambda folder: (folder / LAYERS).write_text('{"step": 3, "map_at_r": 1}\n'), "metrics of layers"),
        (lambda folder: (folder / LAYERS).write_text('{"step": 3, "entanglement/a": "1"}\n'), "metrics of layers"),
        (lambda folder: (folder / LAYERS).write_text('{"step": 3, "entanglement/a": 1%s}\n' % ("0" * 400)), "layers"),
    ],
)  # fmt: skip
def test_that_an_older_recording_ends_where_its_numbers_make_no_sense(
    folder: Path, damage: Callable[[Path], Any], sentence: str
) -> None:
    made_up.as_schema_4(folder)
    assert open_recording(folder).losses == ()
    damage(folder)
    recording = open_recording(folder)
    recording.check()
    assert any(sentence in loss for loss in recording.losses), recording.losses
    assert recording.history().last_step == 10
    list(replay(folder))


def test_that_an_older_frame_with_edges_to_unknown_ids_ends_the_frames(folder: Path) -> None:
    made_up.as_schema_4(folder)
    path = folder / LANE / "edges.bin"
    edges = np.fromfile(path, "<i4")
    edges[:] = 1  # ids are multiples of three
    edges.tofile(path)
    recording = open_recording(folder)
    with pytest.raises(InputError, match="names unknown ids"):
        recording.frame("knn", -1)
    recording.check()
    assert "clouds" in recording.losses[0] and len(recording.frame_steps("knn")) < 5
    list(replay(folder))


@pytest.mark.parametrize(
    ("pairs", "asked", "total"),
    [([[-4, 3]], 9, 120), ([[3, -2]], 9, 120), ([[3, 6]], 0, 120), ([[3, 4]], 9, 12)],
    ids=["no anchor", "no candidate", "asked for none", "not among all that are shown"],
)
def test_that_candidates_that_cannot_be_are_damage_also_where_checksums_are_right(
    tmp_path: Path, pairs: list[list[int]], asked: int, total: int
) -> None:
    started = replace(made_up.started(POINTS, ("knn",)), items_total=total)
    plain = made_up.frame(np.random.default_rng(0), "knn", 2, POINTS)
    told = Candidates(np.array(pairs, np.int32), np.zeros(1, np.bool_), asked, 3, "nearest")
    list(record([started, replace(plain, candidates=told)], tmp_path))
    with pytest.raises(
        InputError, match=r"candidates\.bin' is damaged: the frame of step 2 has candidates that cannot"
    ):
        open_recording(tmp_path).frame("knn", 0)


def test_that_a_frame_that_was_not_checked_is_refused_when_it_is_asked_for(folder: Path) -> None:
    zeros("frames.bin", 0.5)(folder)
    recording = open_recording(folder)
    assert recording.losses == ()
    with pytest.raises(InputError, match=r"frames\.bin' is damaged: the frame of step 10 is not what was written"):
        recording.frame("knn", -1)
    made_up.assert_same_event(
        recording.frame("knn", 0),
        next(e for e in made_up.run(points=POINTS) if isinstance(e, Frame) and e.lane == "knn"),
    )
    recording.check()
    recording.refresh()
    assert recording.frame_steps("knn").tolist() == [2, 4] and len(recording.losses) == 1


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch sprung",)


def test_that_nothing_in_a_folder_is_ever_executed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(folder / "labels.npy", np.array([Trap()] * POINTS, object), allow_pickle=True)
    assert "labels.npy' is damaged" in sentence_of(folder)
    (folder / "labels.npy").write_bytes(pickle.dumps(Trap()))
    assert "labels.npy' is damaged" in sentence_of(folder)
    assert not (tmp_path / "sprung").exists()


def test_that_a_header_that_claims_a_huge_array_allocates_nothing(folder: Path) -> None:
    header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    (folder / "ids.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    tracemalloc.start()
    assert "ids.npy' is damaged" in sentence_of(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_that_what_a_long_run_lost_is_found_in_little_memory(tmp_path: Path) -> None:
    list(record(made_up.run(points=POINTS), tmp_path))
    run, steps = json.loads((tmp_path / "run.json").read_text()), 100_000
    dtype = np.dtype({"names": run["step_dtype"]["names"], "formats": run["step_dtype"]["formats"]})
    *told, last = (tmp_path / "events.jsonl").read_bytes().splitlines()
    before = json.loads(last)["event"]
    for place, lane in enumerate(run["lanes"]):
        path = tmp_path / lane["folder"] / "steps.bin"
        records = np.resize(np.fromfile(path, dtype), steps)
        records["step"] = np.arange(1, steps + 1)
        records["event"] = before + len(run["lanes"]) * np.arange(steps) + place
        records["flags"], records["measured"] = 1, 0
        records["checksum"] = record_checksums(records, run["salt"], f"{lane['folder']}/steps.bin", 0)
        records.tofile(path)
    end = json.loads(last) | {"event": before + len(run["lanes"]) * steps}
    del end["checksum"]
    told.append(sealed_line(json.dumps(end), run["salt"], "events.jsonl", len(told)).rstrip())
    (tmp_path / "events.jsonl").write_bytes(b"\n".join([*told, b""]))
    tracemalloc.start()
    losses = open_recording(tmp_path).losses
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert any("The run lost" in loss and "records" in loss for loss in losses), losses
    assert peak < 0.7 * steps * dtype.itemsize, "not even one of the three files of steps, and a header takes 17 MB"


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Cut off, with some bytes flipped, with a stretch overwritten, or with a stretch repeated."""
    if not data:
        return rng.randbytes(3)
    at = rng.randrange(len(data))
    match rng.randrange(4):
        case 0:
            return data[:at]
        case 1:
            changed = bytearray(data)
            for _ in range(rng.randint(1, 4)):
                changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            return bytes(changed)
        case 2:
            return data[:at] + rng.randbytes(8) + data[at + 8 :]
        case _:
            return data[:at] + data[max(0, at - 9) :]


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize("seed", one_in(3, range(6)))
def test_that_any_damage_to_any_file_is_an_input_error_or_a_good_read(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    outcomes = {"read": 0, "refused": 0}
    for path in files_of(folder):
        whole = path.read_bytes()
        for _ in range(4):
            path.write_bytes(mutated(whole, rng))
            try:
                events = list(replay(folder))
                open_recording(folder).summary()
            except InputError as error:
                outcomes["refused"] += 1
                assert str(error) and "Traceback" not in str(error)
            else:
                outcomes["read"] += 1
                assert len(events) <= 2 * len(list(made_up.run(points=POINTS)))
        path.write_bytes(whole)
    assert min(outcomes.values()) > 0


@pytest.mark.parametrize("records", [1, 3, 4])
def test_that_damage_is_told_alike_however_many_records_are_read_at_a_time_and_on_threads(
    folder: Path, records: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = folder / LANE / "steps.bin"
    size = json.loads((folder / "run.json").read_text())["step_dtype"]
    itemsize = np.dtype({"names": size["names"], "formats": size["formats"]}).itemsize
    whole = steps.read_bytes()
    for place in (0, 3, 8):
        flipped = bytearray(whole)
        flipped[place * itemsize + 20] ^= 4
        for damaged in (bytes(flipped), whole[: place * itemsize + 7]):
            steps.write_bytes(damaged)
            monkeypatch.undo()
            known = open_recording(folder)
            monkeypatch.setattr(files, "_PIECE", records * itemsize)
            monkeypatch.setattr(reader, "_MANY_BYTES", 0)
            read = open_recording(folder)
            assert read.step_count("knn") == known.step_count("knn") == place
            assert (read.losses, read.torn_bytes) == (known.losses, known.torn_bytes)
            assert read.summary() == known.summary()
