"""Training in a process of its own, seen from the window's side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.training import process
from app.training.process import TrainingProcess
from hnm_core.recording import checkpoints, open_recording
from hnm_core.run.events import (
    Alarm,
    Event,
    Frame,
    LaneForked,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRecord,
)
from hnm_core.spec.config import ExperimentConfig
from hnm_core.training.experiment import Experiment
from tests.app import runs

ROOT = Path(__file__).resolve().parents[3]
LONG = 1_000_000
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def config(**values: object) -> ExperimentConfig:
    """A real experiment of two tiny lanes, one of which mines."""
    miners = {"steps": 40, "model": {"options": {"widths": [16]}}, "sampler": {"batch": 32}, "eval_every": 10}
    lanes = [{"name": "one"}, {"name": "two", "miner": "knn", "warmup": 5}]
    return runs.config(**{**miners, "lanes": lanes, **values})


@pytest.fixture(scope="module")
def training() -> Iterator[TrainingProcess]:
    """One process for all tests that leave it alive."""
    shared = TrainingProcess()
    shared.warm_up()
    yield shared
    shared.close()


@pytest.fixture
def mortal() -> Iterator[TrainingProcess]:
    """A process that the test may kill."""
    own = TrainingProcess()
    yield own
    own.close()


def gather(training: TrainingProcess, *, until: type[Event] | None = None, count: int = 1) -> list[Event]:
    """What comes until the run is over, or until so many events of a kind have come."""
    known: list[Event] = []
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        running = training.running
        drained = training.drain()
        known += [*drained.frames, *drained.events]
        if not running or (until is not None and sum(isinstance(event, until) for event in known) >= count):
            return known
        time.sleep(0.005)
    raise AssertionError(f"nothing more after {known[-3:]}")


def stop(training: TrainingProcess) -> list[Event]:
    training.ask("stop")
    return gather(training)


def numbers(events: list[Event]) -> list[tuple]:
    steps = [event for event in events if isinstance(event, StepRecord)]
    return [(event.lane, event.step, event.loss, event.tuples, event.metrics) for event in steps]


@pytest.mark.thorough
def test_that_losses_metrics_and_clouds_are_those_of_a_run_without_a_window_bit_for_bit(training, tmp_path):
    here = list(Experiment(config()).run())
    training.start(config(), tmp_path / "run")
    there = gather(training)
    assert len(numbers(here)) == 80
    assert numbers(there) == numbers(here)
    clouds = [{e.lane: e for e in events if isinstance(e, Frame)} for events in (here, there)]
    for lane in ("one", "two"):
        np.testing.assert_array_equal(clouds[0][lane].positions, clouds[1][lane].positions)
        np.testing.assert_array_equal(clouds[0][lane].triplets, clouds[1][lane].triplets)
    assert isinstance(open_recording(tmp_path / "run").finished, RunFinished)
    assert training.resident_mb > 50


@pytest.mark.thorough
@posix
def test_that_a_run_whose_process_was_killed_goes_on_in_another_one_as_if_it_never_was(mortal, tmp_path):
    of = config(steps=300, checkpoint_every=0.01)
    mortal.start(of, tmp_path / "killed")
    deadline = time.monotonic() + 60
    while (checkpoints.newest_step(tmp_path / "killed") or 0) < 20 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(mortal.pid, signal.SIGKILL)
    assert isinstance(gather(mortal)[-1], RunFailed)
    step = checkpoints.newest_step(tmp_path / "killed")
    assert step is not None and 20 <= step < 300
    rarely = of.model_copy(update={"checkpoint_every": 60})
    mortal.start(rarely, tmp_path / "again", resume=tmp_path / "killed")
    again = gather(mortal)
    assert numbers(again) == numbers(list(Experiment(of).run()))
    assert any(isinstance(event, Alarm) and event.code == "went-on" for event in again)
    assert isinstance(open_recording(tmp_path / "again").finished, RunFinished)


def test_that_what_cannot_go_on_is_told_as_the_end_of_a_run(training, tmp_path):
    training.start(config(), tmp_path / "again", resume=tmp_path / "nothing")
    (failed,) = gather(training)
    assert isinstance(failed, RunFailed) and failed.traceback == ""
    assert "does not exist" in failed.message


def test_that_changes_and_forks_cross_over_and_their_events_come_back(training):
    training.start(config(), None, paused=True)
    gather(training, until=RunStarted)
    training.ask("change_together", {"two": {"lr": 0.01, "hard_share": 0.25}, "nobody": {"lr": 1}})
    training.ask("fork", "one", "three", {"miner": "lsh", "miner_options": {"bits": 32}})
    events = gather(training, until=LaneForked)
    assert [(e.lane, e.option) for e in events if isinstance(e, OptionChanged)][:2] == [
        ("two", "hard_share"),
        ("two", "optimizer.lr"),
    ]
    assert any(isinstance(event, Alarm) and event.code == "refused" for event in events)
    training.ask("resume")
    finished = gather(training)[-1]
    assert isinstance(finished, RunFinished) and dict(finished.steps) == {"one": 40, "two": 40, "three": 40}


def test_that_it_pauses_steps_goes_on_and_stops_as_asked(training):
    training.start(config(steps=LONG), None, paused=True)
    gather(training, until=RunStarted)
    training.ask("step", 2)
    assert [step[:2] for step in numbers(gather(training, until=StepRecord, count=4))] == [
        ("one", 1),
        ("two", 1),
        ("one", 2),
        ("two", 2),
    ]
    time.sleep(0.1)
    assert training.drain().events == ()
    training.ask("resume")
    assert len(gather(training, until=StepRecord, count=50)) >= 50
    training.ask("pause")
    until = time.monotonic() + 20
    while time.sleep(0.5) or training.drain().events:  # what was under way when it was asked
        assert time.monotonic() < until, "it goes on"
    assert training.running
    last = stop(training)[-1]
    assert isinstance(last, RunFinished)
    assert last.stopped


def test_that_a_rate_holds_while_it_is_set(training):
    training.start(config(steps=LONG), None, rate=20.0)
    gather(training, until=StepRecord)
    time.sleep(0.5)
    assert 14 <= len(training.drain().events) <= 26  # two lanes, ten rounds
    training.ask("set_rate", None)
    assert len(gather(training, until=StepRecord, count=100)) >= 100
    stop(training)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_that_a_run_that_is_paused_takes_no_processor_time(training):
    def ticks() -> int:
        return sum(
            int(value) for value in Path(f"/proc/{training.pid}/stat").read_text().rsplit(")")[-1].split()[11:13]
        )

    training.start(config(steps=LONG), None)
    gather(training, until=StepRecord, count=20)
    training.ask("pause")
    time.sleep(0.2)
    before = ticks()
    time.sleep(0.5)
    assert ticks() - before <= 1  # of 50
    stop(training)


@posix
def test_that_ctrl_c_does_not_reach_it(training):
    training.start(config(steps=LONG), None)
    gather(training, until=StepRecord)
    os.kill(training.pid, signal.SIGINT)
    assert len(gather(training, until=StepRecord, count=50)) >= 50
    assert isinstance(stop(training)[-1], RunFinished)


def test_that_a_stop_before_the_first_step_ends_the_run(training):
    training.start(config(steps=LONG), None)
    last = stop(training)[-1]
    assert isinstance(last, RunFinished)
    assert last.stopped


@posix
def test_that_a_killed_process_is_told_its_recording_opens_and_a_new_run_starts(mortal, tmp_path):
    mortal.start(config(steps=LONG), tmp_path / "run")
    known = gather(mortal, until=StepRecord, count=20)
    first = mortal.pid
    os.kill(first, signal.SIGKILL)
    rest = gather(mortal)
    assert isinstance(rest[-1], RunFailed)
    assert "SIGKILL" in rest[-1].message
    recording = open_recording(tmp_path / "run")
    assert recording.finished is None
    assert recording.step_count("two") >= len(numbers(known + rest)) // 2

    mortal.start(config(steps=3), None)
    assert isinstance(gather(mortal)[-1], RunFinished)
    assert mortal.pid != first

    mortal.start(config(steps=LONG), tmp_path / "next")  # a request to terminate completes the recording first
    gather(mortal, until=StepRecord, count=20)
    os.kill(mortal.pid, signal.SIGTERM)
    assert isinstance(gather(mortal)[-1], RunFinished)
    assert open_recording(tmp_path / "next").finished.stopped


@posix
@pytest.mark.parametrize(
    ("status", "said", "told"),
    [
        (-9, "", "was killed (SIGKILL), as the system does when memory runs out."),
        (
            -11,
            "Fatal Python error: Segmentation fault\n\nThread 0x1:\n  File ...",
            "died of signal 11 (Segmentation fault).",
        ),
        (
            -6,
            "  what(): std::bad_alloc\nFatal Python error: Aborted\n",
            "died of signal 6 (Aborted): what(): std::bad_alloc.",
        ),
        (1, "Traceback ...\nImportError: no torch here\n", "ended with status 1: ImportError: no torch here."),
        (0xC0000005, "", "ended with status 0xc0000005."),
        (-64, "", "died of signal 64"),
    ],
)
def test_that_how_a_process_died_is_told_in_a_sentence(status, said, told):
    assert process._obituary(status, said).startswith(f"The training process {told}")


def test_that_a_stop_while_the_engine_loads_waits_for_nothing_and_a_new_run_can_start(mortal):
    mortal.start(config(steps=LONG), None)
    first, start = mortal.pid, time.monotonic()
    mortal.ask("stop")
    (last,) = gather(mortal)
    assert isinstance(last, RunFinished)
    assert last.stopped
    assert time.monotonic() - start < 1
    mortal.start(config(), None)
    assert mortal.pid != first


def test_that_closing_while_the_engine_loads_leaves_nothing_behind(mortal):
    mortal.warm_up()
    start = time.monotonic()
    mortal.close()
    assert time.monotonic() - start < 1
    with pytest.raises(ProcessLookupError):
        os.kill(mortal.pid, 0)


@pytest.mark.thorough
@posix
def test_that_closing_breaks_off_a_run_that_does_not_stop_and_keeps_its_stacks(mortal):
    mortal.start(config(steps=LONG), None)
    gather(mortal, until=StepRecord)
    mortal.close()  # as if it had been asked to stop and had not done so
    failure = gather(mortal)[-1]
    assert isinstance(failure, RunFailed)
    assert failure.message == "The run did not stop and was broken off."
    assert "Aborted" in failure.traceback
    assert "child.py" in failure.traceback  # the stacks
    with pytest.raises(ProcessLookupError):
        os.kill(mortal.pid, 0)


@posix
def test_that_closing_ends_even_a_process_that_does_not_react(mortal, monkeypatch):
    monkeypatch.setattr(process, "ABORT_S", 0.1)
    mortal.start(config(steps=LONG), None)
    os.kill(mortal.pid, signal.SIGSTOP)
    mortal.close()
    assert isinstance(gather(mortal)[-1], RunFailed)
    with pytest.raises(ProcessLookupError):
        os.kill(mortal.pid, 0)


WINDOW = """
import sys, time
from app.training.process import TrainingProcess
from hnm_core import config
training = TrainingProcess()
training.start(config.load(sys.argv[1]), sys.argv[2])
while not (drained := training.drain()).frames:
    time.sleep(0.01)
print(training.pid, "torch" in sys.modules, flush=True)
time.sleep(60)
"""


@pytest.mark.thorough
@posix
def test_that_when_the_window_is_killed_the_run_ends_its_recording_is_complete_and_no_process_stays(tmp_path):
    from hnm_core.spec import config as configuration

    (tmp_path / "run.toml").write_text(configuration.dump(config(steps=LONG)), encoding="utf-8")
    window = subprocess.Popen(
        [sys.executable, "-c", WINDOW, tmp_path / "run.toml", tmp_path / "run"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid, torch_loaded = window.stdout.readline().split()
    window.kill()
    window.communicate()
    assert torch_loaded == "False"  # nothing that came in needs it
    deadline = time.monotonic() + 15
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)
    ended = open_recording(tmp_path / "run").finished
    assert isinstance(ended, RunFinished)
    assert ended.stopped
