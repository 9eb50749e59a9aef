"""A disk that is full for a while, or gone: the run goes on, what is recorded is true, and what is missing is told."""

from __future__ import annotations

import errno
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import pytest

from hnm_core.cli import headless
from hnm_core.errors import InputError
from hnm_core.recording import disk, gap, open_recording, record, replay, syncing
from hnm_core.run.events import Alarm, Event, LaneForked, OptionChanged, RunFinished, StepRecord, Weights
from hnm_core.spec.config import load
from hnm_core.spec.resources import preset_path
from hnm_core.training.experiment import Experiment
from tests.faults.judging import TRIES, Counts, same, streams, truth
from tests.recording import made_up


class FullDisk:
    """Takes `room` bytes more, the last of them in part."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.room: float = float("inf")
        self._remove, self._truncate = disk.remove, disk.truncate
        patch.setattr(disk, "write", self.write)
        patch.setattr(disk, "remove", self.remove)
        patch.setattr(disk, "truncate", self.truncate)
        patch.setattr(gap, "RETRY_S", 0.0)

    def write(self, file: disk.OutFile, data: memoryview) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = FileIO.write(file, data[: int(min(len(data), self.room))]) or 0
        self.room -= written
        return written

    def remove(self, path: Path) -> None:
        self.room += sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
        self._remove(path)

    def truncate(self, file: disk.OutFile, size: int) -> None:
        self.room += file.path.stat().st_size - size
        self._truncate(file, size)


def codes(events: list[Event]) -> list[str]:
    return [event.code for event in events if isinstance(event, Alarm) and event.code.startswith(("rec", "weights"))]


def kept_in_order(folder: Path, events: list[Event]) -> bool:
    """Whether all that is recorded was told, in its order; what is missing is another matter."""
    again = streams(list(replay(folder)))
    for key, stream in streams(events).items():
        left = iter(stream)
        if not all(any(same(known, event, ()) for event in left) for known in again.get(key, [])):
            return False
    return not open_recording(folder).losses


def test_that_a_full_disk_is_a_gap_that_is_told_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = FullDisk(monkeypatch)
    events = truth(steps=30)
    passed: list[Event] = []
    for event in record(iter(events), tmp_path / "run"):
        passed.append(event)
        step = getattr(event, "step", 0)
        full.room = 100.0 if step == 10 and full.room > 100 else float("inf") if step == 20 else full.room
    assert [event for event in passed if not isinstance(event, Alarm)] == [
        event for event in events if not isinstance(event, Alarm)
    ]
    assert codes(passed) == ["recording-stopped", "recording-resumed"]
    stopped, resumed = (event for event in passed if isinstance(event, Alarm) and event.code.startswith("recording"))
    assert "the disk is full" in stopped.message and "were needed" in stopped.message and "free" in stopped.message
    recording = open_recording(tmp_path / "run")
    missing = sum(isinstance(event, StepRecord) for event in events) - sum(map(recording.step_count, recording.lanes))
    assert 20 < missing < 40 and f"It lacks {missing} steps and" in resumed.message
    assert codes(list(recording.events)) == ["recording-stopped", "recording-resumed"]
    assert recording.finished is not None and recording.torn_bytes == 0
    assert kept_in_order(tmp_path / "run", events)
    assert all(recording.weights(lane) is not None for lane in recording.lanes)


@pytest.mark.parametrize("existed", [False, True])
def test_that_who_asks_for_a_recording_hears_of_a_full_disk_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    full, folder = FullDisk(monkeypatch), tmp_path / "run"
    monkeypatch.setattr(Experiment, "prepare", lambda *_: pytest.fail("it went on"))
    if existed:
        folder.mkdir()
    full.room = 500_000
    with pytest.raises(InputError, match=r"into '.*run': the disk is full \(1\.0 MB are needed to begin, "):
        headless.train(load(preset_path("digits")), folder)
    assert list(tmp_path.rglob("*")) == [folder] * existed, "as it was before"
    full.room = 2e6
    with pytest.raises(pytest.fail.Exception, match="it went on"):
        headless.train(load(preset_path("digits")), folder)


def test_that_a_disk_that_is_full_at_any_moment_leaves_a_true_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, counts = random.Random(1), Counts("a full disk")
    monkeypatch.setattr(disk, "sync", lambda file, length_alone=True: None)
    monkeypatch.setattr(disk, "sync_folder", lambda path: None)
    events = truth(steps=12)
    full = FullDisk(monkeypatch)
    for number in range(25 * TRIES):
        folder = tmp_path / f"run{number}"
        full.room, written = rng.randint(0, 60_000), 0
        comes_back = rng.random() < 0.7
        passed = []
        for event in record(iter(events), folder):
            passed.append(event)
            if full.room <= 0 and comes_back and (written := written + 1) > rng.randint(1, 40):
                full.room, written = rng.choice((rng.randint(0, 20_000), 1e9)), 0
        full.room = float("inf")
        lasting = codes(passed)[-1:] in (["recording-stopped"], ["weights-missing"])
        if (folder / "run.json").is_file():
            right = kept_in_order(folder, events)
            lacks = len(list(replay(folder))) - len(codes(list(open_recording(folder).events))) < len(events)
            named = bool(codes(passed))
            counts.take("wrong" if not right or (lacks and not named) else "lost" if lacks else "whole")
            assert (open_recording(folder).finished is None) <= lasting
        else:
            counts.take("refused")
            assert lasting and not [path for path in folder.rglob("*") if path.name != "writing.lock"]
    counts.report()
    assert counts.wrong == 0 and counts.opened > 0 and counts.lost > 5


def test_that_a_lane_forked_off_while_the_disk_is_full_is_recorded_from_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    full, rng = FullDisk(monkeypatch), np.random.default_rng(0)
    told: list[Event] = [LaneForked("new", 2, "knn"), OptionChanged("new", 3, "optimizer.lr", "1", "2", asked=True)]
    events = [made_up.started(lanes=("knn",)), *(made_up.step(rng, "knn", step) for step in (1, 2)), *told]
    events += [made_up.step(rng, "new", step) for step in range(3, 9)]
    for place, _ in enumerate(record(iter([*events, RunFinished({"knn": 2, "new": 8}, 1.0)]), tmp_path / "run")):
        full.room = {2: 0.0, 6: float("inf")}.get(place, full.room)
    recording = open_recording(tmp_path / "run")
    assert recording.lanes == ("knn", "new") and recording.begins["new"] == 2
    assert [type(event) for event in recording.events if not isinstance(event, Alarm)] == [LaneForked, OptionChanged]
    assert recording.steps("new")["step"].tolist() == [4, 5, 6, 7, 8] and recording.losses == ()


def test_that_weights_that_do_not_fit_are_told_and_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    full = FullDisk(monkeypatch)
    events = made_up.run(steps=2)
    large = Weights("knn", 2, {"w": np.zeros(100_000)}, 3)
    passed: list[Event] = []
    for event in record(iter([*list(events)[:-1], large, RunFinished({}, 1.0)]), tmp_path / "run"):
        passed.append(event)
        full.room = 50_000.0 if len(passed) == 10 else full.room
    assert codes(passed) == ["weights-missing", "weights-missing"] and isinstance(passed[-1], RunFinished)
    alarm = next(event for event in passed if isinstance(event, Alarm) and event.code == "weights-missing")
    assert "The weights of lane 'knn' could not be written" in alarm.message and "kB were needed" in alarm.message
    recording = open_recording(tmp_path / "run")
    assert recording.finished is not None and recording.weights("knn") is None
    assert not list((tmp_path / "run").rglob("*.part"))
    full.room = 50_000.0
    for event in record(iter([*list(made_up.run(steps=2))[:-1], large, RunFinished({}, 1.0)]), tmp_path / "later"):
        full.room = float("inf") if isinstance(event, Alarm) and event.code == "weights-missing" else full.room
    assert open_recording(tmp_path / "later").weights("knn") is not None


def test_that_a_disk_that_cannot_sync_is_told_like_a_full_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncing, "INTERVAL_S", 0.001)
    monkeypatch.setattr(gap, "RETRY_S", 0.0)
    plain, broken = disk.sync, False

    def sync(file: disk.OutFile, *, length_alone: bool = True) -> None:
        if broken:
            raise OSError(errno.EIO, "Input/output error")
        plain(file, length_alone=length_alone)

    monkeypatch.setattr(disk, "sync", sync)
    passed: list[Event] = []
    for event in record(made_up.run(steps=1_000_000), tmp_path / "run"):
        passed.append(event)
        broken = len(passed) > 20 and "recording-stopped" not in codes(passed[-1:]) and not codes(passed)
        if codes(passed) == ["recording-stopped", "recording-resumed"]:
            break
    alarm = next(event for event in passed if isinstance(event, Alarm) and event.code == "recording-stopped")
    assert "Input/output error" in alarm.message


@pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be removed there")
@pytest.mark.parametrize("how", ["removed", "renamed", "one file"])
def test_that_a_folder_that_vanishes_is_noticed_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(syncing, "INTERVAL_S", 0.001)
    ways: dict[str, Callable[[], object]] = {
        "removed": lambda: shutil.rmtree(tmp_path / "run"),
        "renamed": lambda: (tmp_path / "run").rename(tmp_path / "moved"),
        "one file": lambda: (tmp_path / "run" / "01-knn" / "frames.idx").unlink(),
    }
    recorded = record(made_up.run(steps=1_000_000), tmp_path / "run")
    for place, event in enumerate(recorded):
        if place == 50:
            ways[how]()
        if isinstance(event, Alarm) and event.code == "recording-stopped":
            break
    assert "the folder was removed or renamed" in event.message
    recorded.close()
    if how == "renamed":
        assert open_recording(tmp_path / "moved").step_count("KNN") > 5


LIMITED = """
import json, resource, sys
from hnm_core.recording import record
from hnm_core.run.events import Alarm
from tests.recording import made_up

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
told = [event for event in record(made_up.run(steps=200, points=12), sys.argv[1]) if isinstance(event, Alarm)]
print(json.dumps([[alarm.code, alarm.message] for alarm in told]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_that_a_limit_on_the_size_of_files_is_told_and_what_fits_is_recorded(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    told = dict(json.loads(done.stdout))
    assert "larger than is allowed here" in told["recording-stopped"]
    recording = open_recording(tmp_path / "run")
    assert recording.step_count("KNN") > 20 and recording.losses == ()
    assert all(path.stat().st_size <= 20_000 for path in (tmp_path / "run").rglob("*"))
