"""`hnm-lab run`: results, JSON lines, recordings, and how it ends."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnm_core.recording import disk, open_recording, replay
from hnm_core.run.control import Control
from hnm_core.run.events import Alarm, Event, RunFailed, RunFinished, StepRecord
from hnm_core.spec import config
from hnm_core.training import experiment
from tests.cli.conftest import Lab, Start
from tests.recording import made_up


def json_lines(text: str) -> list[dict[str, Any]]:
    """Every line must be one JSON object, and none may hold NaN or Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_that_a_run_ends_with_a_row_for_each_lane(lab: Lab, tiny: Path) -> None:
    ended = lab("run", tiny)
    assert ended.status == 0
    assert "MAP@R, P@1 and kNN: 22 held-out items, each against all others." in ended.err.splitlines()
    results, used = ended.out.split("\n\n")
    header, *rows, raw = results.splitlines()
    assert [row.split()[0] for row in used.splitlines()] == ["negatives", "one", "two", "two:"]
    assert header.split()[:4] == ["lane", "steps", "loss", "MAP@R"]
    assert [row.split()[:2] for row in rows] == [["one", "6"], ["two", "6"]]
    started = json_lines(lab("run", tiny, "--json").out)[0]
    scored = started["raw"]["raw features"]
    shown = [f"{scored[name]:.3f}" for name in ("map_at_r", "precision_at_1", "knn_accuracy")]
    assert raw.split() == ["raw", "features", *shown], "and one for what the features score by themselves"


def test_that_the_table_is_what_the_events_say(lab: Lab, tiny: Path) -> None:
    ended = lab("run", tiny, "--json")
    steps = [line for line in json_lines(ended.out) if line["type"] == "StepRecord" and line["lane"] == "two"]
    row = next(line.split() for line in ended.err.splitlines() if line.startswith("two"))
    last_measured = [step["metrics"] for step in steps if step["metrics"]][-1]
    assert float(row[2]) == pytest.approx(sum(step["loss"] for step in steps) / len(steps), abs=6e-5)
    assert float(row[3]) == pytest.approx(last_measured["map_at_r"], abs=6e-4)
    assert float(row[4]) == pytest.approx(last_measured["precision_at_1"], abs=6e-4)


def test_that_json_is_one_event_a_line_from_start_to_end(lab: Lab, tiny: Path) -> None:
    ended = lab("run", tiny, "--json", "--steps", "4", "--seed", "3")
    events = json_lines(ended.out)
    assert ended.status == 0
    assert events[0]["type"] == "RunStarted"
    assert (events[0]["config"]["steps"], events[0]["config"]["seed"], events[0]["items"]) == (4, 3, 90)
    assert events[-1]["type"] == "RunFinished"
    assert events[-1]["steps"] == {"one": 4, "two": 4}
    steps = [(event["lane"], event["step"]) for event in events if event["type"] == "StepRecord"]
    assert sorted(steps) == [(lane, step) for lane in ("one", "two") for step in range(1, 5)]
    assert all(next(iter(event)) == "type" for event in events)


def test_that_frames_are_made_only_for_a_recording(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    without = json_lines(lab("run", tiny, "--json").out)
    recorded = json_lines(lab("run", tiny, "--json", "--record", tmp_path / "run").out)
    assert not [event for event in without if event["type"] == "Frame"]
    frames = [event for event in recorded if event["type"] == "Frame"]
    assert frames
    assert all(event["points"] == 90 for event in frames)


def test_that_a_recording_never_changes_the_numbers(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    def losses(text: str) -> list[tuple[str, int, float]]:
        events = json_lines(text)
        return [(event["lane"], event["step"], event["loss"]) for event in events if event["type"] == "StepRecord"]

    recorded = lab("run", tiny, "--json", "--record", tmp_path / "run")
    assert losses(recorded.out) == losses(lab("run", tiny, "--json").out)


def test_that_a_recording_replays_what_was_shown(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    ended = lab("run", tiny, "--json", "--record", tmp_path / "run")
    shown = [event["type"] for event in json_lines(ended.out)]
    assert [type(event).__name__ for event in replay(tmp_path / "run")] == shown
    assert str(tmp_path / "run") in ended.err


def test_that_the_options_reach_the_run(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    ended = lab(
        "run", tiny, "--data", "digits", "--miner", "random", "--miner", "knn", "--set", "lanes.knn.refresh_every=3",
        "--steps", "2", "--device", "cpu", "--record", tmp_path / "run",
    )  # fmt: skip
    assert ended.status == 0
    recorded = open_recording(tmp_path / "run").started.config
    base = config.load(tiny).lanes[0]
    assert recorded.data.name == "digits"
    assert [lane.name for lane in recorded.lanes] == ["random", "knn"]
    assert [lane.refresh_every for lane in recorded.lanes] == [base.refresh_every, 3]


class Script:
    """Stands in for an experiment whose events are known."""

    events: tuple[Event, ...] = ()

    def __init__(self, configuration: config.ExperimentConfig, before: object) -> None:
        pass

    def prepare(self, progress: object) -> str:
        return ""

    def run(self, control: Control, *, frames: bool, checkpoints: bool) -> Iterator[Event]:
        yield from self.events


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> type[Script]:
    class Scripted(Script):
        pass

    monkeypatch.setattr(experiment, "Experiment", Scripted)
    return Scripted


def test_that_a_failed_lane_is_status_1_and_named(lab: Lab, tiny: Path, script: type[Script]) -> None:
    script.events = (RunFinished({"one": 6, "two": 2}, 0.1, failed_lanes=("two",)),)
    ended = lab("run", tiny)
    assert ended.status == 1
    assert "two" in ended.err


def test_that_a_bug_is_status_1_with_a_report_and_no_traceback_on_the_screen(
    lab: Lab, tiny: Path, script: type[Script], own_data_folder: Path
) -> None:
    script.events = (RunFailed("KeyError: 'x'", "Traceback (most recent call last):\n  deep inside\nKeyError: 'x'"),)
    ended = lab("run", tiny)
    reports = list((own_data_folder / "hnm-lab" / "reports").iterdir())
    assert ended.status == 1
    assert len(reports) == 1
    assert str(reports[0]) in ended.err
    assert "Traceback" not in ended.err
    assert "deep inside" in reports[0].read_text()


def test_that_a_bug_in_one_lane_is_status_1_with_a_report_and_a_table(
    lab: Lab, tiny: Path, script: type[Script], own_data_folder: Path
) -> None:
    text = "Traceback (most recent call last):\n  deep inside\nKeyError: 'x'"
    script.events = (
        Alarm("two", 3, "bug", "A fault of the program, KeyError: 'x'", level="fatal", traceback=text),
        RunFinished({"one": 6, "two": 2}, 0.1, failed_lanes=("two",)),
    )
    ended = lab("run", tiny)
    (report,) = (own_data_folder / "hnm-lab" / "reports").iterdir()
    assert ended.status == 1
    assert "two, step 3: A fault of the program, KeyError: 'x'" in ended.err
    assert "Internal error in lane 'two'" in ended.err
    assert str(report) in ended.err
    assert "Traceback" not in ended.err
    assert "deep inside" in report.read_text()


def test_that_a_recording_that_broke_off_is_status_1_and_said(lab: Lab, tiny: Path, script: type[Script]) -> None:
    script.events = (
        Alarm("one", 3, "recording-stopped", "Recording into 'x' stopped: No space left on device."),
        RunFinished({"one": 6, "two": 6}, 0.1),
    )
    ended = lab("run", tiny)
    assert ended.status == 1
    assert "one, step 3: Recording into 'x' stopped: No space left on device." in ended.err


@pytest.mark.parametrize(
    ("codes", "end"),
    [
        ((), "Recorded in {0}"),
        (("recording-stopped",), "Recorded in {0} up to step 3: what followed is missing"),
        (("recording-stopped", "recording-resumed"), "Recorded in {0}, but not all of it: see above"),
        (("weights-missing",), "Recorded in {0}, but not all weights: see above"),
    ],
)
def test_that_the_last_line_says_how_much_of_the_run_is_recorded(
    lab: Lab, tiny: Path, tmp_path: Path, script: type[Script], codes: tuple[str, ...], end: str
) -> None:
    alarms = (Alarm("one", 3, code, "See.") for code in codes)
    script.events = (made_up.started(lanes=("one", "two")), *alarms, RunFinished({"one": 6, "two": 6}, 0.1))
    ended = lab("run", tiny, "--record", tmp_path / "run")
    assert ended.err.splitlines()[-1] == end.format(tmp_path / "run")
    assert ended.status == bool(codes)


def test_that_a_run_for_which_there_is_no_room_any_more_says_that_nothing_is_recorded(
    lab: Lab, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: disk.OutFile, data: memoryview) -> int:
        if file.path.name == "trial.part":  # while data are read, others take the rest
            return len(data)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "write", full)
    ended = lab("run", tiny, "--record", tmp_path / "run")
    assert ended.status == 1
    assert "the disk is full" in ended.err
    assert ended.err.splitlines()[-1] == f"Nothing of the run is in {tmp_path / 'run'}"


def test_that_a_run_for_which_there_is_no_room_from_the_start_is_refused_in_one_line(
    lab: Lab, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: disk.OutFile, _data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "write", full)
    ended = lab("run", tiny, "--record", tmp_path / "run")
    assert ended.status == 2 and not (tmp_path / "run").exists()
    assert len(ended.err.splitlines()) == 1 and "the disk is full" in ended.err


def test_that_input_that_fails_late_is_status_2(lab: Lab, tiny: Path, script: type[Script]) -> None:
    script.events = (RunFailed("Data set 'x' has one class only."),)
    ended = lab("run", tiny)
    assert (ended.status, "one class only" in ended.err) == (2, True)


def test_that_a_number_that_is_not_finite_is_null_in_json_and_a_dash_in_the_table(
    lab: Lab, tiny: Path, script: type[Script]
) -> None:
    script.events = (
        StepRecord("one", 1, math.nan, metrics={"map_at_r": math.inf}),
        RunFinished({"one": 1}, 0.1),
    )
    ended = lab("run", tiny, "--json")
    record = json_lines(ended.out)[0]
    assert (record["loss"], record["metrics"]) == (None, {"map_at_r": None})
    assert ended.err.splitlines()[-1].split() == ["one", "1", *["-"] * 8]


def wait_for_line(stream: Any, word: str) -> None:
    for line in stream:
        if word in line:
            return
    raise AssertionError(f"no line with {word}")


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_that_an_interrupted_run_has_a_whole_recording_and_a_table(
    start: Start, tiny: Path, tmp_path: Path, kind: int
) -> None:
    out = tmp_path / "out"
    os.mkfifo(out)
    run = start("run", tiny, "--steps", "1000000", "--record", tmp_path / "run", "--json", out=out)
    with out.open() as lines:
        wait_for_line(lines, '"step": 3,')
        run.send(kind)
        last = json_lines(lines.read())[-1]
    status, err = run.wait().status, run.err.read_text()
    recorded = open_recording(tmp_path / "run")
    assert status == 130, err
    assert last["type"] == "RunFinished"
    assert isinstance(recorded.finished, RunFinished)
    assert recorded.finished.stopped
    assert recorded.torn_bytes == 0
    steps = recorded.finished.steps
    rows = err[err.index("mine p95") :].splitlines()[1:3]
    assert [line.split()[:2] for line in rows] == [[lane, f"{steps[lane]:,}"] for lane in steps]
    assert "Traceback" not in err


def test_that_a_reader_that_goes_away_ends_the_run_quietly(start: Start, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    os.mkfifo(out)
    run = start("run", tiny, "--steps", "1000000", "--record", tmp_path / "run", "--json", out=out)
    with out.open() as lines:
        lines.readline()
    began = time.monotonic()
    ended = run.wait()
    assert ended.status == 141
    assert time.monotonic() - began < 10
    assert "Traceback" not in ended.err
    assert "BrokenPipe" not in ended.err
    assert isinstance(open_recording(tmp_path / "run").finished, RunFinished)


def test_that_own_data_without_a_preset_train_in_its_lanes_and_a_network_that_suits_them(
    lab: Lab, tmp_path: Path
) -> None:
    source = np.random.default_rng(0)
    np.savez(tmp_path / "own.npz", x=source.normal(size=(60, 128)), y=np.arange(60) % 3)
    done = lab("run", "--data", tmp_path / "own.npz", "--miner", "knn", "--steps", 2, "--record", tmp_path / "run")
    assert done.status == 0, done.err
    assert "of --preset near-classes" in done.err
    assert "so they go into 'head', a network to 64 dimensions, not into the preset's 'mlp'" in done.err
    trained = open_recording(tmp_path / "run").started.config
    assert (trained.model.name, trained.model.part.options.dimension) == ("head", 64)
    assert [lane.miner for lane in trained.lanes] == ["knn"]
    kept = lab("run", "--data", tmp_path / "own.npz", "--set", "model.options.embedding=5", "--steps", 2)
    assert kept.status == 0 and "Your rows look like" not in kept.err


def test_that_own_data_in_a_presets_narrow_network_are_told_of_once(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(40, 48)), y=np.arange(40) % 4)
    run = ["run", "--preset", "digits", "--data", path, "--steps", "1"]
    ended = lab(*run)
    assert ended.status == 0 and ended.err.count("'mlp' to 3 dimensions") == 1
    for more in (["--set", "model.name=head", "--set", "model.options.embedding=64"], ["--set", "model.name=identity"]):
        ended = lab(*run, *more)
        assert ended.status == 0 and "dimensions" not in ended.err
