"""Foreign and damaged folders: one sentence that says what is wrong, never another exception."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record, replay
from hnm_core.run.events import Weights
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


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


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
        (lambda folder: edit(folder, schema=5), "newer version (schema 5)"),
        (lambda folder: edit(folder, schema="1"), "schema = '1'"),
        (lambda folder: edit(folder, lanes=[{"name": "knn", "folder": "../../etc"}]), "lanes.0.folder"),
        (lambda folder: edit(folder, lanes=[{"name": "../knn", "folder": "00-knn"}]), "lanes.0.name"),
        (lambda folder: edit(folder, lanes=[{"name": "knn", "folder": "77-knn"}]), "is missing"),
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
        (lambda folder: np.save(folder / "labels.npy", np.zeros(5, np.int64)), "5 entries, but ids.npy has 12"),
        (lambda folder: np.save(folder / "labels.npy", np.zeros((12, 2), np.int64)), "one row of int64"),
        (lambda folder: np.save(folder / "held_out.npy", np.zeros(12, np.int64)), "one row of bool"),
        (lambda folder: np.save(folder / "ids.npy", np.zeros(12, np.int64)), "do not ascend"),
        (lambda folder: (folder / LANE / "frames.bin").unlink(), "frames.bin is missing"),
        (lambda folder: (folder / "events.jsonl").unlink(), "events.jsonl is missing"),
        (lambda folder: (folder / "events.jsonl").write_text('{"event": 1, "type": "Alarm"}\n'), "events.jsonl"),
        (lambda folder: (folder / "events.jsonl").write_text('{"event": 1, "type": "Coup"}\n'), "events.jsonl"),
        (lambda folder: (folder / "events.jsonl").write_bytes(b"\xff\xfe\n"), "events.jsonl"),
        (lambda folder: (folder / LAYERS).write_text("7\n"), "layers.jsonl"),
        (lambda folder: (folder / LAYERS).write_text('{"entanglement/a": 1}\n'), "layers.jsonl"),
        (lambda folder: (folder / LAYERS).write_text('{"step": -3, "entanglement/a": 1}\n'), "layers.jsonl"),
        (lambda folder: (folder / LAYERS).write_text('{"step": 3, "map_at_r": 1}\n'), "layers.jsonl"),
        (lambda folder: (folder / LAYERS).write_text('{"step": 3, "entanglement/a": "1"}\n'), "layers.jsonl"),
        (lambda folder: (folder / LAYERS).write_text('{"step": 3, "entanglement/a": 1%s}\n' % ("0" * 400)), "layers"),
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
    with pytest.raises(InputError, match=r"weights\.npz' is damaged"):
        list(replay(folder))


@pytest.mark.parametrize(
    ("field", "value"), [("offset", 10**12), ("offset", -8), ("edges_offset", 10**12), ("edges", -1), ("edges", 2**62)]
)
def test_that_an_index_that_points_outside_its_data_is_refused(folder: Path, field: str, value: int) -> None:
    path = folder / LANE / "frames.idx"
    index = np.fromfile(path, np.dtype(json.loads((folder / "run.json").read_text())["index_dtype"]))
    index[field][1] = value
    index.tofile(path)
    assert "frames.idx' is damaged: entry 1" in sentence_of(folder)


def test_that_edges_to_unknown_ids_are_refused(folder: Path) -> None:
    path = folder / LANE / "edges.bin"
    edges = np.fromfile(path, "<i4")
    edges[:] = 1  # ids are multiples of three
    edges.tofile(path)
    assert "names unknown ids" in sentence_of(folder)


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


@pytest.mark.parametrize("seed", range(6))
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
