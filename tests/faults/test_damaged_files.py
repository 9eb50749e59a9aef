"""Each file of a recording damaged by itself: zeros at its end, single bits, cut off, gone, records in other places."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hnm_core.recording import record
from tests.faults.judging import TRIES, Counts, files_of, judged, truth
from tests.recording import made_up

EVENTS = truth(steps=6, points=8)
READ_BY_PLACES = {"edges.bin", "hardness.bin", "candidates.bin", "weights.npz"}
"""Where something that follows is not looked at: all that is read is where frames.idx, or the archive's list, says."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound") / "run"
    list(record(iter(EVENTS), folder))
    assert judged(folder, EVENTS) == "whole"
    return folder


def zeroed(data: bytes, rng: random.Random) -> bytes:
    """Its length was on the disk, its last bytes were not."""
    at = rng.randrange(len(data))
    return data[:at] + bytes(len(data) - at)


def flipped(data: bytes, rng: random.Random) -> bytes:
    """One bit."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    """Cut off anywhere."""
    return data[: rng.randrange(len(data))]


def shifted(data: bytes, rng: random.Random) -> bytes:
    """A stretch of it stands where another one was, or twice."""
    size = rng.randint(1, len(data))
    here, there = rng.randrange(len(data)), rng.randrange(len(data))
    return (data[:here] + data[there : there + size] + data[here + rng.choice((0, size)) :]) or b"\0"


def grown(data: bytes, rng: random.Random) -> bytes:
    """Something else follows."""
    return data + rng.choice((bytes, rng.randbytes))(rng.randint(1, 2 * len(data)))


@pytest.mark.parametrize(
    ("fault", "damage", "tries"),
    [
        ("zeros at the end of a file", zeroed, 100),
        ("a single bit", flipped, 100),
        ("a file cut off", cut, 60),
        ("a stretch of a file elsewhere", shifted, 60),
        ("something at the end of a file", grown, 30),
    ],
)
def test_that_what_is_left_of_a_damaged_recording_is_true(
    sound: Path, tmp_path: Path, fault: str, damage: Callable[[bytes, random.Random], bytes], tries: int
) -> None:
    rng, counts, harmless = random.Random(fault), Counts(fault), 0
    folder = Path(shutil.copytree(sound, tmp_path / "run"))
    paths = files_of(folder)
    for number in range(tries * TRIES):
        path = paths[number % len(paths)]
        whole = path.read_bytes()
        path.write_bytes(damage(whole, rng))
        outcome = judged(folder, EVENTS)
        counts.take(outcome)
        assert outcome != "wrong", (fault, number, path.relative_to(folder))
        if damage is grown and path.name in READ_BY_PLACES:
            assert outcome == "whole", path.relative_to(folder)
            harmless += 1
        path.write_bytes(whole)
    counts.report()
    assert counts.lost > (counts.tries - harmless) // 2


def test_that_a_file_that_is_gone_is_told(sound: Path, tmp_path: Path) -> None:
    counts = Counts("a file is gone")
    for path in files_of(sound):
        folder = Path(shutil.copytree(sound, tmp_path / "run"))
        (folder / path.relative_to(sound)).unlink()
        outcome = judged(folder, EVENTS)
        counts.take(outcome)
        assert outcome in ("lost", "refused"), path
        shutil.rmtree(folder)
    counts.report()


def test_that_records_of_another_recording_are_not_taken_for_this_ones(sound: Path, tmp_path: Path) -> None:
    """A disk may still hold them where a file of this one was to be, with checksums that are right over there."""
    other = tmp_path / "other"
    list(record(iter(EVENTS), other))
    counts = Counts("a stale tail of another recording")
    for path in files_of(sound):
        if path.suffix not in (".bin", ".idx", ".jsonl") or path.parent == sound:
            continue
        folder = Path(shutil.copytree(sound, tmp_path / "run"))
        relative = path.relative_to(sound)
        whole, stale = path.read_bytes(), (other / relative).read_bytes()
        (folder / relative).write_bytes(whole[: len(whole) // 2] + stale[len(whole) // 2 :])
        counts.take(judged(folder, EVENTS))
        shutil.rmtree(folder)
    counts.report()
    assert counts.wrong == 0 and counts.lost > 0


def test_that_a_file_of_holes_costs_neither_time_nor_memory(sound: Path, tmp_path: Path) -> None:
    import tracemalloc

    folder = Path(shutil.copytree(sound, tmp_path / "run"))
    for path in folder.rglob("*"):
        if path.suffix in (".bin", ".idx", ".jsonl"):
            os.truncate(path, 100_000_000_000)  # a hundred gigabytes of holes
    tracemalloc.start()
    assert judged(folder, EVENTS) in ("lost", "whole")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6
    os.truncate(folder / "labels.npy", 100_000_000_000)
    assert judged(folder, EVENTS) == "refused"


def test_that_an_older_recording_never_gives_more_than_was_recorded(sound: Path, tmp_path: Path) -> None:
    """Before there were checksums, numbers can be wrong; what is no number of a run still ends the tale."""
    from hnm_core.errors import InputError
    from hnm_core.recording import open_recording

    folder = Path(shutil.copytree(sound, tmp_path / "run"))
    made_up.as_schema_4(folder)
    rng = random.Random(2)
    reached = []
    for path in files_of(folder):
        whole = path.read_bytes()
        for _ in range(3 * TRIES):
            path.write_bytes(whole[: rng.randrange(len(whole))] + rng.randbytes(len(whole)))
            try:
                recording = open_recording(folder)
                recording.check()
                reached.append(recording.history().last_step)
            except InputError:
                pass
        path.write_bytes(whole)
    assert reached and max(reached) == 6
