"""A run without a window: progress on standard error, and a first Ctrl+C that ends the run between two steps."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal, Protocol, cast

import typer
from rich.progress import Progress, TaskID

from hnm_core import kernels
from hnm_core.cli.console import (
    EXIT_BROKEN_PIPE,
    EXIT_FAILED,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    drop_output,
    progress_bar,
    progress_of,
    report_bug,
    say,
)
from hnm_core.recording.layout import RUN_FILE
from hnm_core.run.control import Control
from hnm_core.run.event_json import to_json
from hnm_core.run.events import Alarm, Event, RunFailed, RunFinished, RunStarted, StepRecord
from hnm_core.run.results import Results
from hnm_core.spec.config import ExperimentConfig
from hnm_core.words import number

if TYPE_CHECKING:
    from hnm_core.training.experiment import Experiment


class _Closable(Protocol):
    """A generator of events: closing it ends the recording properly."""

    def close(self) -> object: ...


@dataclass
class Outcome:
    """How a run ended."""

    results: Results = field(default_factory=Results)
    started: bool = False
    """Whether there is anything to look at, and a recording if one was asked for."""
    finished: bool = False
    """Whether the run came to its end or was stopped, as opposed to broken off."""
    status: int = 0
    """Exit status for the command line."""
    recording: Literal["whole", "with gaps", "stopped", "without weights"] = "whole"
    """What became of it."""
    stopped_at: int = 0
    """The step at which it stopped."""

    def take(self, alarm: Alarm) -> None:
        """What an alarm says of the recording."""
        match alarm.code:
            case "recording-stopped":
                self.recording, self.stopped_at = "stopped", alarm.step
            case "recording-resumed":
                self.recording = "with gaps"
            case "weights-missing" if self.recording == "whole":
                self.recording = "without weights"

    def recorded_in(self, folder: Path) -> str:
        """Where the run is to be found, and how much of it."""
        if not (folder / RUN_FILE).is_file():
            return f"Nothing of the run is in {folder}"
        match self.recording:
            case "stopped":
                return f"Recorded in {folder} up to step {self.stopped_at:,}: what followed is missing"
            case "with gaps":
                return f"Recorded in {folder}, but not all of it: see above"
            case "without weights":
                return f"Recorded in {folder}, but not all weights: see above"
        return f"Recorded in {folder}"


def train(config: ExperimentConfig, folder: Path | None = None, *, json_lines: bool = False) -> Outcome:
    """Run an experiment to its end, to its failure, or to the user's Ctrl+C.

    Args:
        config: what to run.
        folder: where to record it; None records nothing, and no frames are computed.
        json_lines: write each event as a line of JSON on standard output.

    Raises:
        InputError: the experiment or the recording cannot start.
        KeyboardInterrupt: Ctrl+C before the first step.
    """
    from hnm_core.recording import record
    from hnm_core.training.experiment import Experiment

    experiment = Experiment(config)
    control = Control()
    events = experiment.run(control, frames=folder is not None)
    if folder is not None:
        events = record(events, folder)  # refuses a folder that is in use before the data are loaded
    _prepare(experiment, config)
    outcome = Outcome()
    reader_is_there = True
    bugs: list[Alarm] = []
    with _interruptible(control, outcome) as received, progress_bar() as progress, closing(cast(_Closable, events)):
        bars = _Bars(progress)
        for event in events:
            outcome.started |= isinstance(event, RunStarted)
            outcome.results.add(event)
            bars.show(event)
            if isinstance(event, Alarm):
                text = f"{event.lane}, step {event.step}: {event.message}"
                progress.console.print(text, markup=False, soft_wrap=True)
                outcome.take(event)
                if event.traceback:
                    bugs.append(event)
            if json_lines and reader_is_there:
                try:
                    typer.echo(json.dumps(to_json(event), allow_nan=False))
                except BrokenPipeError:
                    drop_output()
                    reader_is_there = False
                    control.stop()
            if isinstance(event, (RunFinished, RunFailed)):
                outcome.finished = isinstance(event, RunFinished)
                outcome.status = _status(event)
    for bug in bugs:
        report_bug(bug.traceback, f" in lane '{bug.lane}'")
    if not reader_is_there:
        outcome.status = EXIT_BROKEN_PIPE
    elif received:
        outcome.status = EXIT_INTERRUPTED
    elif outcome.recording != "whole" and not outcome.status:
        outcome.status = EXIT_FAILED
    return outcome


def wait_for_kernels(module: str) -> None:
    """Compile the kernels of `module` where that was never done on this machine, and say so."""
    compiler = kernels.compile_in_background(module)
    if compiler is not None:
        say(f"Compiling the kernels of {module}, once for this machine; that takes less than a minute.")
        if compiler.wait() != 0:
            say(f"They could not be compiled, so searches are slower: python -m hnm_core.kernels {module} tells why.")


def _prepare(experiment: Experiment, config: ExperimentConfig) -> None:
    """Load the data, and have the search kernels ready, so that the first step uses the same search as the last."""
    with progress_bar() as progress:
        experiment.prepare(progress_of(progress))
    if any(lane.miner not in ("random", "none") for lane in config.lanes):
        wait_for_kernels(kernels.SEARCH_KERNELS)  # after the data: a mistake in their name is said at once


def _status(event: RunFinished | RunFailed) -> int:
    """The exit status that a run's last event stands for; a failure is explained on standard error."""
    match event:
        case RunFailed(traceback=""):
            say(f"Error: {event.message}")
            return EXIT_INPUT
        case RunFailed():
            report_bug(event.traceback)
            return EXIT_FAILED
        case RunFinished() if event.failed_lanes:
            say(f"Failed: {', '.join(event.failed_lanes)}.")
            return EXIT_FAILED
        case _:
            return 0


@contextmanager
def _interruptible(control: Control, outcome: Outcome) -> Iterator[list[int]]:
    """Within, SIGINT and SIGTERM ask for a stop between two steps; before the start, or when they come again, they
    interrupt at once. Yields the list of the signals that came."""
    received: list[int] = []

    def stop(kind: int, frame: FrameType | None) -> None:
        received.append(kind)
        if len(received) > 1 or not outcome.started:
            raise KeyboardInterrupt
        control.stop()
        with suppress(
            OSError
        ):  # written past sys.stderr, which this signal may have interrupted in the middle of a line
            os.write(2, b"\nStopping after this step. Once more stops at once.\n")

    before = {kind: signal.signal(kind, stop) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


class _Bars:
    """One bar for each lane."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        match event:
            case RunStarted():
                for lane in event.config.lanes:
                    self._tasks[lane.name] = self._progress.add_task(lane.name, total=event.config.steps, note="")
            case StepRecord() if event.lane in self._tasks:
                note = f"loss {number(event.loss)}"
                self._progress.update(self._tasks[event.lane], completed=event.step, note=note)
            case _:
                pass
