"""Checksums tell what they promise to tell, and another program can work them out."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from hnm_core.recording import checksums, record
from tests.recording import made_up, other_reader

SALT, PATH = "0123456789abcdef", "00-knn/steps.bin"


@pytest.fixture
def records() -> np.ndarray:
    dtype = np.dtype({"names": ["a", "b", "checksum"], "formats": ["(5,)<u4", "|S16", "<u8"]})
    rng = np.random.default_rng(0)
    made = np.frombuffer(rng.bytes(40 * dtype.itemsize), dtype).copy()
    made["checksum"] = checksums.record_checksums(made, SALT, PATH, 0)
    return made


def right(records: np.ndarray, first: int = 0) -> np.ndarray:
    return checksums.record_checksums(records, SALT, PATH, first) == records["checksum"]


def test_that_every_single_bit_is_told(records: np.ndarray) -> None:
    assert right(records).all()
    bits = records.itemsize * 8
    flipped = np.repeat(records[7:8], bits)
    raw = flipped.view(np.uint8).reshape(bits, -1)
    raw[np.arange(bits), np.arange(bits) // 8] ^= (1 << np.arange(bits) % 8).astype(np.uint8)
    assert not any(right(flipped[bit : bit + 1], 7)[0] for bit in range(bits))


def test_that_any_change_within_a_word_is_told(records: np.ndarray) -> None:
    keys = checksums.keys(20_000)
    assert (keys % np.uint64(1 << 32) != 0).all() and len(set(keys.tolist())) == len(keys)


def test_that_two_bits_and_bursts_are_told(records: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    many = np.repeat(records[:1], 20_000)
    raw = many.view(np.uint8).reshape(len(many), -1)
    for _ in range(2):
        place = rng.integers(0, raw.shape[1], len(many))
        raw[np.arange(len(many)), place] ^= (1 << rng.integers(0, 8, len(many))).astype(np.uint8)
    changed = (raw != records[:1].view(np.uint8)).any(axis=1)
    verdicts = np.array([right(many[place : place + 1])[0] for place in np.flatnonzero(changed)[:4000]])
    assert not verdicts.any()
    for start in range(0, records.itemsize, 4):
        burst = records[:1].copy()
        burst.view(np.uint8)[start : start + 13] = 0
        assert not right(burst)[0]


def test_that_zeros_and_records_at_other_places_of_other_files_or_recordings_are_told(records: np.ndarray) -> None:
    assert not right(np.zeros(1000, records.dtype)).any()
    assert not right(records, 1).any() and not right(np.roll(records, 1)).any()
    assert not (checksums.record_checksums(records, SALT, "01-knn/steps.bin", 0) == records["checksum"]).any()
    assert not (checksums.record_checksums(records, checksums.new_salt(), PATH, 0) == records["checksum"]).any()
    assert not right(np.frombuffer(b"\1" + records.tobytes()[:-1], records.dtype)).any()


def splitmix64(x: int) -> int:
    mask = (1 << 64) - 1
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
    x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
    return x ^ x >> 31


def test_that_they_are_what_their_description_says(tmp_path: Path) -> None:
    """By whole numbers of Python, from the files alone."""
    list(record(made_up.run(), tmp_path))
    run = json.loads((tmp_path / "run.json").read_text())
    salt, mask = run["salt"], (1 << 64) - 1
    for name, layout in (("steps.bin", "step_dtype"), ("frames.idx", "index_dtype")):
        data, size = (tmp_path / "00-knn" / name).read_bytes(), np.dtype(run[layout]).itemsize
        for place in range(len(data) // size):
            one = data[place * size : (place + 1) * size]
            words = [int.from_bytes(one[at : at + 4], "little") for at in range(0, size - 8, 4)]
            total = int(salt, 16) + zlib.crc32(f"00-knn/{name}".encode())
            total += splitmix64(0x9E3779B97F4A7C15) * (place + 1)
            total += sum(splitmix64(0x9E3779B97F4A7C15 * (i + 2) & mask) * word for i, word in enumerate(words))
            assert total & mask == int.from_bytes(one[-8:], "little")
    for path in ("events.jsonl", "00-knn/layers.jsonl"):
        for place, line in enumerate((tmp_path / path).read_bytes().splitlines()):
            body, tail = line.rsplit(b', "checksum": ', 1)
            assert json.loads(tail[:-1]) == f"{zlib.crc32(body, zlib.crc32(f'{salt} {path} {place}'.encode())):08x}"
    body, tail = (tmp_path / "run.json").read_bytes().rsplit(b',\n "checksum": ', 1)
    assert json.loads(tail[:-1]) == f"{zlib.crc32(body):08x}"
    assert run["arrays"].keys() == {path.name for path in tmp_path.glob("*.npy")}
    for name, checksum in run["arrays"].items():
        assert checksum == f"{zlib.crc32((tmp_path / name).read_bytes()):08x}"
    index = np.fromfile(tmp_path / "00-knn" / "frames.idx", np.dtype(run["index_dtype"]))
    parts = {name: (tmp_path / "00-knn" / f"{name}.bin").read_bytes() for name in other_reader.FILES}
    for entry in index:
        checksum = 0
        for name, (offset, size) in other_reader.FILES.items():
            checksum = zlib.crc32(parts[name][entry[offset] : entry[offset] + entry[size]], checksum)
        assert checksum == entry["data"]
