"""A run without a window: progress on standard error, and a first Ctrl+C that ends the run between two steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Literal, Protocol, cast

from rich.progress import Progress, TaskID

from hnm_core import kernels
from hnm_core.cli.console import (
    EXIT_FAILED,
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    echo,
    progress_bar,
    progress_of,
    report_bug,
    say,
    say_refusal,
    shown,
)
from hnm_core.run.control import Control
from hnm_core.run.event_json import to_json
from hnm_core.run.events import Alarm, Checkpoint, Event, RunFailed, RunFinished, RunStarted, StepRecord
from hnm_core.run.results import Results
from hnm_core.spec.config import ExperimentConfig
from hnm_core.system import ends
from hnm_core.words import number

if TYPE_CHECKING:
    from hnm_core.data.judged import JudgedSet
    from hnm_core.training.experiment import Before, Experiment
    from hnm_core.training.retrieval_config import RetrievalConfig


LOOK_EVERY_S = 0.2
"""So often the progress of a compiler is looked at,"""
SAY_EVERY_S = 15.0
"""and so often it is told where there are no bars."""
AGAIN_S = 0.5
"""A signal of the same kind within so long is the same request: `timeout` and some shells send two."""


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
        from hnm_core.recording import is_recording

        if not is_recording(folder):
            return f"Nothing of the run is in {folder}"
        match self.recording:
            case "stopped":
                return f"Recorded in {folder} up to step {self.stopped_at:,}: what followed is missing"
            case "with gaps":
                return f"Recorded in {folder}, but not all of it: see above"
            case "without weights":
                return f"Recorded in {folder}, but not all weights: see above"
        return f"Recorded in {folder}"


def train(
    config: ExperimentConfig,
    folder: Path | None = None,
    *,
    before: Before | None = None,
    json_lines: bool = False,
    tell: Callable[[str], None] | None = None,
) -> Outcome:
    """Run an experiment to its end, to its failure, or to the user's Ctrl+C.

    Args:
        config: what to run.
        before: where to go on from; None begins anew.
        folder: where to record it; None records nothing, and no frames are computed.
        json_lines: write each event as a line of JSON on standard output.
        tell: is given what data of the user's are, in words, once they are loaded, and nothing of other data; None
            says it.

    Raises:
        InputError: the experiment or the recording cannot start.
        KeyboardInterrupt: Ctrl+C before the first step.
    """
    from hnm_core.training.experiment import Experiment

    experiment, control = Experiment(config, before), Control()

    def prepare() -> None:
        _prepare(experiment, config, tell)

    events = experiment.run(control, frames=folder is not None, checkpoints=folder is not None)
    return _follow(events, folder, control, prepare, json_lines)


def train_on_documents(
    config: RetrievalConfig,
    folder: Path | None = None,
    *,
    data: JudgedSet | None = None,
    json_lines: bool = False,
    tell: Callable[[str], None] = say,
) -> Outcome:
    """`train` for a run over queries and documents.

    Args:
        config: what to run.
        folder: where to record it; None records nothing, and no frames are computed.
        data: the set that `config` names, where it is read already.
        json_lines: write each event as a line of JSON on standard output.
        tell: is given what the data are, in words, once they are read.

    Raises:
        InputError: the data cannot be read, or the recording cannot start.
        KeyboardInterrupt: Ctrl+C before the first step.
    """
    from hnm_core.training.retrieval_experiment import RetrievalExperiment

    experiment, control = RetrievalExperiment(config, data), Control()

    def prepare() -> None:
        with progress_bar() as progress:
            words = experiment.prepare(progress_of(progress))
        tell(words)
        if any(lane.searches for lane in config.lanes):
            wait_for_kernels(kernels.SEARCH_KERNELS)

    return _follow(experiment.run(control, frames=folder is not None), folder, control, prepare, json_lines)


def _follow(
    events: Iterator[Event], folder: Path | None, control: Control, prepare: Callable[[], None], json_lines: bool
) -> Outcome:
    """Take a run's events to their end, see `train`; `prepare` reads the data before the first of them."""
    if folder is not None:
        events = _recorded(events, folder)  # refuses a folder that is in use before the data are loaded
    outcome = Outcome()
    lost = 0
    bugs: list[Alarm] = []
    with _interruptible(control, outcome) as received, closing(cast(_Closable, events)):
        prepare()
        with progress_bar() as progress:
            bars = _Bars(progress)
            for event in events:
                outcome.started |= isinstance(event, RunStarted)
                outcome.results.add(event)
                bars.show(event)
                if isinstance(event, Alarm):
                    outcome.take(event)
                    if event.traceback:
                        bugs.append(event)
                if json_lines and not lost and not isinstance(event, Checkpoint):  # what replays is what is shown
                    try:
                        echo(json.dumps(to_json(event), allow_nan=False))
                    except OSError as error:
                        lost = say_refusal(error) or EXIT_FAILED
                        control.stop()
                if isinstance(event, (RunFinished, RunFailed)):
                    outcome.finished = isinstance(event, RunFinished)
                    outcome.status = _status(event)
    for bug in bugs:
        report_bug(bug.traceback, f" in lane '{bug.lane}'")
    if lost:
        outcome.status = lost
    elif received:
        outcome.status = EXIT_INTERRUPTED
    elif outcome.recording != "whole" and not outcome.status:
        outcome.status = EXIT_FAILED
    return outcome


def _recorded(events: Iterator[Event], folder: Path) -> Iterator[Event]:
    """`record`, where there is room for it. Raises `InputError`, and leaves the disk as it was."""
    from hnm_core.recording import record
    from hnm_core.recording.claiming import check_room

    is_new = not folder.exists()
    recorded = record(events, folder)
    try:
        check_room(folder)
    except BaseException:
        recorded.close()
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise
    return recorded


def say_recorded(folder: Path, outcome: Outcome) -> None:
    """Say where the run was recorded, if it was: a disk may have been full from the start."""
    if outcome.started:
        say(outcome.recorded_in(folder))


def wait_for_kernels(module: str) -> None:
    """Compile the kernels of `module` where that was never done on this machine; say so, and how far it is."""
    compiler = kernels.compile_in_background(module)
    if compiler is None:
        return
    say(f"Compiling the kernels of {module}, once for this machine.")
    next_word = time.monotonic() + SAY_EVERY_S
    with progress_bar() as bars:
        task = bars.add_task("kernels", total=None, note="")
        while compiler.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                compiler.wait(LOOK_EVERY_S)
            told = kernels.progress(module)
            if told is None:
                continue
            bars.update(task, completed=told.done, total=told.total, note=told.name)
            if bars.disable and time.monotonic() > next_word:
                next_word += SAY_EVERY_S
                say(f"{told.done} of {told.total} kernels are compiled; now '{told.name}'.")
    if compiler.returncode != 0:
        say(
            f"They could not be compiled, so the first use is slower: python -P -m hnm_core.kernels {module} tells why."
        )


def _prepare(experiment: Experiment, config: ExperimentConfig, tell: Callable[[str], None] | None) -> None:
    """Load the data and tell of them; and have the search kernels ready, so that the first step uses the same search
    as the last."""
    with progress_bar() as progress:
        words = experiment.prepare(progress_of(progress))
    told = words if config.data.own else ""
    if tell is not None:
        tell(told)
    elif told:
        say(told)
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
    """Within, a signal that asks for an end asks for a stop between two steps; before the start, or when Ctrl+C or a
    request to terminate comes again, it interrupts at once. Yields the list of the signals that came."""
    received: list[int] = []
    first = dict[int, float]()

    def stop(kind: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = kind in first
        if again and (now - first[kind] < AGAIN_S or kind not in (signal.SIGINT, signal.SIGTERM)):
            return
        first.setdefault(kind, now)
        received.append(kind)
        if again or not outcome.started:
            raise KeyboardInterrupt
        control.stop()
        # Past sys.stderr, which this signal may have interrupted in the middle of a line.
        with suppress(OSError):
            os.write(2, b"\nStopping after this step. Once more stops at once.\n")

    with ends.handled(stop):
        yield received


class _Bars:
    """One bar for each lane, and its alarms above."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, event: Event) -> None:
        match event:
            case RunStarted():
                for lane in event.config.lanes:
                    self._tasks[lane.name] = self._progress.add_task(lane.name, total=event.config.steps, note="")
            case Alarm():
                text = f"{event.lane}, step {event.step}: {event.message}"
                self._progress.console.print(shown(text), markup=False, soft_wrap=True)
            case StepRecord() if event.lane in self._tasks:
                note = f"loss {number(event.loss)}"
                self._progress.update(self._tasks[event.lane], completed=event.step, note=note)
            case _:
                pass
