"""Kills, and folders that cannot be recorded into."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record, replay
from hnm_core.run.events import Event
from tests.recording import made_up

KILLED_RUN = """
import sys
from hnm_core.recording import record
from tests.recording import made_up

for event in record(made_up.run(steps=1_000_000), sys.argv[1]):
    sys.stdout.write(f"{type(event).__name__}\\n")
    sys.stdout.flush()
"""


def test_that_a_killed_run_opens_up_to_its_last_event(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN, tmp_path / "run"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    seen = [child.stdout.readline().strip() for _ in range(400)]
    child.kill()
    seen += child.stdout.read().split()
    child.wait()
    child.stdout.close()
    recording = open_recording(tmp_path / "run")
    assert recording.finished is None and not recording.is_being_written
    assert recording.summary()["state"] == "broken off"
    replayed = list(replay(tmp_path / "run"))
    # One event may have been written and not yet yielded; what was printed in part is not counted.
    assert len(seen) - 1 <= len(replayed) <= len(seen) + 1
    for again, event in zip(replayed, made_up.run(steps=1_000_000), strict=False):
        made_up.assert_same_event(again, event)


def test_that_torn_tails_are_ignored_and_counted(tmp_path: Path) -> None:
    events = list(record(made_up.run(), tmp_path))
    folder = tmp_path / "01-knn"
    for name, tail in (("steps.bin", 11), ("frames.bin", 50), ("edges.bin", 5), ("frames.idx", 7)):
        with (folder / name).open("ab") as file:
            file.write(b"\xff" * tail)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"event": 99')
    recording = open_recording(tmp_path)
    assert recording.torn_bytes == 11 + 50 + 5 + 7 + 12
    assert len(list(replay(tmp_path))) == len(events)


def test_that_an_entry_whose_frame_is_not_wholly_there_is_ignored(tmp_path: Path) -> None:
    list(record(made_up.run(), tmp_path))
    path = tmp_path / "01-knn" / "frames.bin"
    size = path.stat().st_size
    os.truncate(path, size - 1)
    recording = open_recording(tmp_path)
    assert recording.frame_steps("knn").tolist() == [2, 4, 6, 8]
    assert recording.torn_bytes > size // 5 - 1
    assert recording.frame("knn", -1).step == 8


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
@pytest.mark.parametrize("kind", ["full", "file", "below a file", "sealed"])
def test_that_a_folder_that_cannot_be_recorded_into_is_refused_before_the_first_step(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    if kind == "full":
        target.mkdir()
        (target / "thesis.txt").write_text("mine")
    elif "file" in kind:
        target.write_text("mine")
    if kind == "sealed":
        target = Path("/proc/recording")  # not even root makes folders there
    steps: list[Event] = []
    with pytest.raises(InputError, match="Cannot record into"):
        record((steps.append(event) or event for event in made_up.run()), target / "x" if "below" in kind else target)
    assert steps == []


def test_that_an_empty_folder_may_be_recorded_into(tmp_path: Path) -> None:
    assert len(list(record(made_up.run(2), tmp_path))) == len(list(replay(tmp_path)))
