"""The training process from inside: runs on threads of this process, with pipes that the test holds."""

from __future__ import annotations

import io
import os
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from app.training import child
from app.training.child import Run, serve
from app.training.messages import Ask, Report, Start, receive, send
from hnm_core import kernels
from hnm_core.recording import open_recording
from hnm_core.run.channel import Drained
from hnm_core.run.events import Event, Frame, RunFailed, RunFinished, RunStarted, StepRecord
from hnm_core.spec.config import ExperimentConfig
from tests.app import runs


class Pipe(io.BytesIO):
    """Keeps what is written to it; a write waits while `open` is not set."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.waiting = threading.Event(), threading.Event()
        self.open.set()

    def write(self, data) -> int:
        self.waiting.set()
        self.open.wait(20)
        return super().write(data)

    def reports(self) -> list[Report]:
        stream, known = io.BytesIO(self.getvalue()), []
        while (report := receive(stream)) is not None:
            known.append(report)
        return known


def config(**values: object) -> ExperimentConfig:
    """A real experiment of two tiny lanes."""
    return runs.config(**{"steps": 30, "frame_every": 1, "model": {"options": {"widths": [8]}}, **values})


def finished(config: ExperimentConfig, pipe: Pipe, folder: Path | None = None) -> list[Event]:
    """All events of a run but its frames, as reported."""
    run = Run(Start(config, folder, paused=False, rate=None), pipe)
    assert run.join(20)
    return [event for report in pipe.reports() for event in report.drained.events]


def test_that_all_steps_are_reported_in_order_and_the_last_report_says_that_the_run_is_over(tmp_path):
    pipe = Pipe()
    events = finished(config(), pipe, tmp_path / "run")
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    assert [event.step for event in events if isinstance(event, StepRecord) and event.lane == "two"] == [*range(1, 31)]
    assert [report.ended for report in pipe.reports()] == [False] * (len(pipe.reports()) - 1) + [True]
    assert open_recording(tmp_path / "run").finished.steps == events[-1].steps == {"one": 30, "two": 30}


def test_that_while_the_window_is_slow_frames_are_replaced_and_steps_are_not(tmp_path):
    pipe = Pipe()
    pipe.open.clear()
    run = Run(Start(config(), tmp_path / "run", paused=False, rate=None), pipe)
    assert pipe.waiting.wait(20)
    until = time.monotonic() + 20
    while not (tmp_path / "run" / "run.json").exists() or open_recording(tmp_path / "run").finished is None:
        assert time.monotonic() < until, "the run waits for the window"
        time.sleep(0.02)
    pipe.open.set()
    assert run.join(20)
    frames, steps = defaultdict(list), defaultdict(list)
    for report in pipe.reports():
        for frame in report.drained.frames:
            frames[frame.lane].append(frame.step)
        for event in report.drained.events:
            if isinstance(event, StepRecord):
                steps[event.lane].append(event.step)
    assert steps == {"one": [*range(1, 31)], "two": [*range(1, 31)]}
    assert all(len(shown) <= 3 and shown[-1] == 30 for shown in frames.values())
    assert open_recording(tmp_path / "run").frame_steps("one").tolist() == [*range(31)]  # the recording has them all


def test_that_steps_asked_for_are_reported_although_the_run_stands_still():
    pipe = Pipe()
    run = Run(Start(config(steps=1000), None, paused=True, rate=None), pipe)
    run.ask(Ask("step", (3,)))
    until = time.monotonic() + 20
    while not any(frame.step == 3 and frame.lane == "two" for r in pipe.reports() for frame in r.drained.frames):
        assert time.monotonic() < until
        time.sleep(0.01)
    run.ask(Ask("stop"))
    assert run.join(20)
    (last,) = pipe.reports()[-1].drained.events
    assert last.stopped
    assert last.steps == {"one": 3, "two": 3}


def test_that_what_a_starting_run_reads_is_reported():
    pipe = Pipe()
    finished(config(steps=1, data={"name": "digits"}), pipe)
    assert pipe.reports()[-1].loading == "digits, 100 %"


def test_that_a_mistake_in_the_input_is_a_sentence_and_ends_the_run(tmp_path):
    missing = {"name": "file", "options": {"path": str(tmp_path / "missing.npz")}}
    pipe = Pipe()
    (failure,) = finished(config(data=missing), pipe)
    assert isinstance(failure, RunFailed)
    assert "missing.npz" in failure.message
    assert failure.traceback == ""
    assert pipe.reports()[-1].ended


def test_that_arrays_nobody_may_write_to_arrive_so():
    stream = io.BytesIO()
    sent = runs.frame("one", 3)
    send(stream, Report(Drained((runs.started(config()),), (sent,))))
    stream.seek(0)
    report = receive(stream)
    (frame,) = report.drained.frames
    (started,) = report.drained.events
    assert isinstance(frame, Frame)
    np.testing.assert_array_equal(frame.positions, sent.positions)
    arrays = [frame.positions, frame.triplets, *frame.columns.values(), started.labels, started.ids, started.held_out]
    assert [array.flags.writeable for array in arrays] == [False] * len(arrays)


def test_that_a_message_cut_short_reads_as_the_end():
    stream = io.BytesIO()
    send(stream, Start(config(), None, paused=False, rate=None))
    whole = stream.getvalue()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        assert receive(io.BytesIO(whole[:length])) is None


def test_that_the_end_of_the_pipe_stops_the_run_and_completes_the_recording(tmp_path):
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as commands:
        server = threading.Thread(target=serve, args=(commands, Pipe()))
        with os.fdopen(writing, "wb") as window:
            send(window, Start(config(steps=1_000_000), tmp_path / "run", paused=True, rate=None))
            server.start()
            until = time.monotonic() + 20
            while not (tmp_path / "run" / "run.json").exists():
                assert time.monotonic() < until
                time.sleep(0.01)
        server.join(20)
    assert not server.is_alive()
    ended = open_recording(tmp_path / "run").finished
    assert isinstance(ended, RunFinished)
    assert ended.stopped


def test_that_a_run_goes_on_where_nobody_reads_until_it_is_stopped(tmp_path):
    class Broken(Pipe):
        def write(self, data) -> int:
            raise BrokenPipeError

    run = Run(Start(config(), tmp_path / "run", paused=False, rate=None), Broken())
    assert run.join(20)
    assert open_recording(tmp_path / "run").step_count("two") == 30


def test_that_one_process_does_several_runs_one_after_the_other():
    commands, pipe = io.BytesIO(), Pipe()
    for steps in (2, 3):
        send(commands, Start(config(steps=steps), None, paused=False, rate=None))
    commands.seek(0)
    serve(commands, pipe)
    first, second = [e for r in pipe.reports() for e in r.drained.events if isinstance(e, RunFinished)]
    assert (first.steps, first.stopped) == ({"one": 2, "two": 2}, False)
    assert second.stopped or second.steps == {"one": 3, "two": 3}  # the pipe ended meanwhile
    assert [report.ended for report in pipe.reports()].count(True) == 2


def test_that_the_warm_up_waits_for_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    class Compiler:
        waited_for = False

        def poll(self) -> None:
            return None

        def wait(self, _seconds: float | None = None) -> int:
            self.waited_for = True
            return 1

    compiler = Compiler()
    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: compiler)
    child._warm_up()
    assert not compiler.waited_for
