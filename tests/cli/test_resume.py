"""`run --resume`: a run that was killed, or is over, goes on; and what is left of its networks is of use."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from hnm_core.recording import checkpoints, open_recording, replay
from hnm_core.run.events import Alarm, Event, Frame, StepRecord, Weights
from tests.cli.conftest import Ended, Lab, Start
from tests.training.test_experiment import numbers
from tests.training.test_forks import clouds

LANES = ("one", "two")


@pytest.fixture
def run(lab: Lab, tiny: Path, tmp_path: Path) -> Path:
    """A recorded run of six steps."""
    assert lab("run", tiny, "--record", tmp_path / "run").status == 0
    return tmp_path / "run"


def broken_off(run: Path) -> Path:
    """As a kill in the last moment leaves it: the end was not told, the networks were not written."""
    events = run / "events.jsonl"
    told = events.read_bytes().splitlines(True)
    ends = next(place for place, line in enumerate(told) if b'"Weights"' in line or b"RunFinished" in line)
    events.write_bytes(b"".join(told[:ends]))
    for path in run.glob("*/weights.npz"):
        path.unlink()
    assert open_recording(run).finished is None
    return run


def assert_equal_runs(again: Path, whole: Path) -> None:
    one, other = list(replay(again)), list(replay(whole))
    for lane in LANES:
        assert numbers(one, lane) == numbers(other, lane) != []
        assert clouds(one, lane, -1) == clouds(other, lane, -1) != []
        ours, theirs = (
            {name: array.tobytes() for name, array in event.arrays.items()}
            for events in (one, other)
            for event in events
            if isinstance(event, Weights) and event.lane == lane
        )
        assert ours == theirs


def went_on(folder: Path) -> list[str]:
    return [event.message for event in replay(folder) if isinstance(event, Alarm) and event.code == "went-on"]


@pytest.mark.thorough
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing is killed so here")
def test_that_a_run_killed_at_once_goes_on_as_if_it_never_was(
    lab: Lab, start: Start, tiny: Path, tmp_path: Path
) -> None:
    steps = 200
    assert lab("run", tiny, "--steps", str(steps), "--record", tmp_path / "whole").status == 0
    killed = tmp_path / "killed"
    child = start("run", tiny, "--steps", str(steps), "--record", killed, "--checkpoint-every", "0.01")
    try:
        until = time.monotonic() + 120
        while (checkpoints.newest_step(killed) or 0) < 30 and child.running and time.monotonic() < until:
            time.sleep(0.005)
    finally:
        child.send(signal.SIGKILL)
    assert child.wait().status == -signal.SIGKILL
    recording, step = open_recording(killed), checkpoints.newest_step(killed)
    assert recording.finished is None and step is not None and 30 <= step < steps
    files = {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()}

    ended = lab("run", "--resume", killed, "--checkpoint-every", "60", "--record", tmp_path / "again")
    assert ended.status == 0 and f"Goes on from step {step:,} of 'killed'." in ended.err
    assert_equal_runs(tmp_path / "again", tmp_path / "whole")
    assert files == {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()}, "nothing is lost"


def test_that_a_run_whose_clouds_are_damaged_goes_on_without_them_and_says_so(lab: Lab, run: Path) -> None:
    frames = next(run.glob("*one/frames.bin"))
    data = bytearray(frames.read_bytes())
    data[len(data) // 2] ^= 255
    frames.write_bytes(data)
    ended = lab("run", "--resume", run, "--steps", "10")
    assert ended.status == 0, ended.err
    assert "Damaged there: Lane 'one' lost " in ended.err and "frames.bin" in ended.err
    longer = open_recording(run.with_name("run-from-6"))
    longer.check()
    assert longer.losses == () and [longer.step_count(lane) for lane in LANES] == [10, 10]
    assert len(longer.frame_steps("one")) < len(longer.frame_steps("two"))


def test_that_fewer_steps_than_a_run_has_done_are_refused_in_words_that_are_true(lab: Lab, run: Path) -> None:
    refused = lab("run", "--resume", run, "--steps", "3")
    assert refused.status == 2 and "has done 6 steps, more than 3. Say how many" in refused.err


def test_that_a_finished_run_goes_on_to_more_steps_beside_itself(lab: Lab, tiny: Path, run: Path) -> None:
    refused = lab("run", "--resume", run)
    assert refused.status == 2
    assert "has done 6 of 6 steps. Say how many it shall have in the end, for instance --steps 12." in refused.err
    ended = lab("run", "--resume", run, "--steps", "10")
    longer = run.with_name("run-from-6")
    assert ended.status == 0 and f"Recorded in {longer}" in ended.err
    assert [line.split()[1] for line in ended.out.splitlines()[1:3]] == ["10", "10"]
    assert lab("run", tiny, "--steps", "10", "--record", run.with_name("whole")).status == 0
    one, other = list(replay(longer)), list(replay(run.with_name("whole")))
    for lane in LANES:  # but for the last step of the shorter run, which was measured and drawn
        assert [row[:3] for row in numbers(one, lane)] == [row[:3] for row in numbers(other, lane)]
    assert lab("run", "--resume", longer, "--steps", "12").status == 0
    assert lab("run", "--resume", run, "--steps", "7").status == 0
    names = sorted(path.name for path in run.parent.glob("run*"))
    assert names == ["run", "run-from-6", "run-from-6-2", "run-from-6-from-10"]
    assert len(went_on(run.with_name("run-from-6-from-10"))) == 2


def test_that_a_run_that_was_broken_off_at_its_end_is_brought_to_it(lab: Lab, run: Path) -> None:
    shutil.copytree(run, run.with_name("whole"))
    assert lab("run", "--resume", broken_off(run)).status == 0
    assert_equal_runs(run.with_name("run-from-6"), run.with_name("whole"))


def test_that_embed_and_evaluate_take_the_newest_checkpoint_of_a_broken_run_and_say_so(
    lab: Lab, run: Path, tmp_path: Path
) -> None:
    whole = lab("evaluate", run)
    assert "checkpoint" not in whole.err and "of step" not in whole.err
    data = tmp_path / "data.npz"
    np.savez(data, x=np.random.default_rng(0).random((20, 5)).astype(np.float32), y=np.arange(20) % 3)
    assert "of step" not in lab("embed", run, data, tmp_path / "whole.npz", "--lane", "two").err
    shown = lab("evaluate", broken_off(run))
    assert shown.status == 0 and shown.out == whole.out
    for lane in LANES:
        assert f"The network of lane '{lane}' is that of step 6, of a run that was broken off." in shown.err
    embedded = lab("embed", run, data, tmp_path / "broken.npz", "--lane", "two")
    assert embedded.status == 0 and "The network of lane 'two' is that of step 6, of a run that" in embedded.err
    assert np.array_equal(np.load(tmp_path / "broken.npz")["x"], np.load(tmp_path / "whole.npz")["x"])


def test_that_in_place_of_damaged_weights_a_checkpoint_is_taken_and_that_is_said(lab: Lab, run: Path) -> None:
    whole = lab("evaluate", run)
    (damaged,) = run.glob("*-two/weights.npz")
    os.truncate(damaged, damaged.stat().st_size // 2)
    shown = lab("evaluate", run)
    assert shown.status == 0 and shown.out == whole.out, "the checkpoint is of the last step"
    assert f"'{damaged}' is damaged: " in shown.err and "lane 'one'" not in shown.err
    assert "A checkpoint is taken in its place. The network of lane 'two' is that of step 6." in shown.err
    shutil.rmtree(run / "checkpoints")
    refused = lab("evaluate", run)
    assert refused.status == 2 and f"'{damaged}' is damaged: " in refused.err


def test_that_zero_keeps_no_checkpoints_and_then_nothing_can_go_on(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    assert lab("run", tiny, "--checkpoint-every", "0", "--record", tmp_path / "run").status == 0
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert "holds no checkpoint, so its run cannot go on." in lab("run", "--resume", tmp_path / "run").err
    refused = lab("run", tiny, "--checkpoint-every", "-1")
    assert refused.status == 2 and "checkpoint_every = -1" in refused.err
    no_weights = lab("evaluate", broken_off(tmp_path / "run"))
    assert no_weights.status == 2 and "holds no weights of lane 'one'" in no_weights.err


@pytest.mark.parametrize(
    "options", [["--preset", "digits"], ["--seed", "1"], ["--set", "optimizer.lr=1"], ["--miner", "knn"], ["x.toml"]]
)
def test_that_a_run_goes_on_as_it_was(lab: Lab, run: Path, options: list[str]) -> None:
    refused = lab("run", "--resume", run, "--steps", "8", *options)
    assert refused.status == 2 and "A run goes on as it was" in refused.err


def test_that_data_that_changed_since_are_not_trained_on(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = tmp_path / "data.npz"
    np.savez(data, x=rng.random((60, 4)).astype(np.float32), y=np.arange(60) % 3)
    assert lab("run", tiny, "--data", data, "--record", tmp_path / "run").status == 0
    np.savez(data, x=rng.random((60, 4)).astype(np.float32), y=np.arange(60) % 3)
    refused = lab("run", "--resume", tmp_path / "run", "--steps", "8")
    assert refused.status == 2 and "The data are others than those that the run was trained on" in refused.err


def test_that_steps_that_a_recording_lost_are_named(lab: Lab, run: Path) -> None:
    path = next(run.glob("*-two")) / "steps.bin"
    os.truncate(path, path.stat().st_size // 6 * 4)
    ended = lab("run", "--resume", broken_off(run), "--steps", "8")
    assert ended.status == 0
    assert "Steps 5 to 6 were trained, but are not in the recording before." in ended.err
    steps = [event.step for event in replay(run.with_name("run-from-6")) if isinstance(event, StepRecord)]
    assert sorted(steps) == sorted([*range(1, 9), *range(1, 5), *range(7, 9)])


def test_that_inspect_tells_what_a_run_can_go_on_from(lab: Lab, run: Path) -> None:
    shown: Ended = lab("inspect", run)
    assert "checkpoint\tstep 6; run --resume goes on from it" in shown.out


def test_that_frames_of_a_run_that_went_on_come_once(lab: Lab, run: Path) -> None:
    assert lab("run", "--resume", run, "--steps", "9").status == 0
    events: list[Event] = list(replay(run.with_name("run-from-6")))
    frames = [event.step for event in events if isinstance(event, Frame) and event.lane == "one"]
    assert frames == [0, 1, 2, 4, 6, 8, 9]
