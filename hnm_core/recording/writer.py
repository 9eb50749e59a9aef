"""Writes a recording while the events pass through. What has been yielded has been handed to the system: a killed
process loses nothing, a reader beside it sees everything."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from hnm_core.errors import InputError
from hnm_core.recording import disk, header, layout
from hnm_core.recording.arrays import arrays_of, write_arrays
from hnm_core.recording.checkpoints import CheckpointWriter
from hnm_core.recording.checksums import new_salt, sealed_line
from hnm_core.recording.claiming import claimed
from hnm_core.recording.disk import GrowingFile
from hnm_core.recording.gap import Gap, why
from hnm_core.recording.lane_writer import LaneWriter
from hnm_core.recording.syncing import Syncer
from hnm_core.run.event_json import to_json
from hnm_core.run.events import (
    Alarm,
    Checkpoint,
    Event,
    Frame,
    LaneForked,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRecord,
    Weights,
)


def record(events: Iterable[Event], folder: str | Path) -> Generator[Event, None, None]:
    """Yield every event after writing it into `folder`, a new or empty one.

    What was yielded is on the disk within a second, so that a power cut loses no more than that.

    If writing fails later on (a full disk), an `Alarm` with code `recording-stopped` follows and the run goes on. As
    soon as there is room again, so does the recording, with an `Alarm` with code `recording-resumed` that tells what is
    missing. Weights, changes, forks and alarms are kept until then, and written.

    If the source raises, the recording ends with a `RunFailed` and the error is raised again; if the returned
    generator is closed, the source is closed too and the recording ends with a `RunFinished` that says `stopped`.

    Raises:
        InputError: at once, before the first event, if the folder is not empty or cannot be written.
    """
    folder = Path(folder)
    recorded = _tee(iter(events), folder, claimed(folder, "record into"))
    next(recorded)  # into its `try`: whoever closes or drops it before the first event gives the folder back, too
    return recorded


def _tee(events: Iterator[Event], folder: Path, held: IO[bytes]) -> Generator[Any, None, None]:
    """Yields None, then the events."""
    writer = _Writer(folder, held)
    began = time.monotonic()
    try:
        yield None
        for event in events:
            alarms = writer.write(event)
            yield from (event, *alarms) if isinstance(event, RunStarted) else (*alarms, event)
    except Exception as error:
        user_fault = isinstance(error, InputError)
        message = str(error) if user_fault else f"{type(error).__name__}: {error}"
        writer.write_last(RunFailed(message, "" if user_fault else traceback.format_exc(), writer.steps))
        raise
    except BaseException:  # closed from outside, or Ctrl+C
        writer.write_last(RunFinished(writer.steps, time.monotonic() - began, stopped=True))
        raise
    finally:
        writer.close()
        close_source = getattr(events, "close", None)
        if close_source is not None:
            close_source()


class _Writer:
    """Takes events until `close`. While the disk refuses them it keeps what must not be missing."""

    def __init__(self, folder: Path, held: IO[bytes]) -> None:
        """`held` is the lock of the folder; it is given back by `close`."""
        self.steps: dict[str, int] = {}
        self._folder = folder
        self._held = held
        self._syncer = Syncer(folder)
        self._number = 0
        """Of the next that is written."""
        self._run_file: header.RunFile | None = None
        self._events: GrowingFile | None = None
        self._event_lines = 0
        self._open_files: list[GrowingFile] = []
        self._lanes: dict[str, LaneWriter] = {}
        self._started: RunStarted | None = None
        self._gap: Gap | None = None
        """What is not written while the disk refuses; None while all is well."""
        self._weights: dict[str, Weights] = {}
        """Of lanes whose weights the disk has refused so far."""
        self._checkpoints = CheckpointWriter(folder)
        self._ended = False

    def write(self, event: Event) -> list[Alarm]:
        """Write one event. Returns what is to be told: that recording had to stop, or that it goes on; these alarms are
        recorded, too."""
        ends = isinstance(event, RunFinished | RunFailed)
        self._ended |= ends
        if isinstance(event, StepRecord):
            self.steps[event.lane] = event.step
        alarms: list[Alarm] = []
        resumes = self._gap is not None
        if self._gap is not None and not ends and not self._gap.may_end(self._folder):
            self._keep(event)
            return alarms
        try:
            self._syncer.check()
            if self._gap is not None:
                alarms += self._written_after(self._gap, event)
            if isinstance(event, Weights):
                self._weights[event.lane] = event
            if isinstance(event, Weights) or ends or resumes:
                alarms += self._write_weights()
            if ends:
                self._checkpoints.wait()  # what goes wrong with the last one is told, too
            if problem := self._checkpoints.problem():
                alarms.append(self._alarm("checkpoint-failed", problem, event))
                self._write(alarms[-1])
            if not isinstance(event, Weights):
                self._write(event)  # last: an event that was written once is never kept for later
            self._gap = None
        except OSError as error:
            return [*alarms, *self._stop(event, error)]
        return alarms

    def _keep(self, event: Event) -> None:
        """Take an event into the gap."""
        assert self._gap is not None
        if isinstance(event, Weights):
            self._weights[event.lane] = event
        elif not isinstance(event, Checkpoint):  # it would vouch for events that are not written; the one before stays
            self._gap.add(event)

    def _stop(self, event: Event, error: OSError) -> list[Alarm]:
        """The disk refuses an event. Returns the alarm that says so, the first time."""
        with suppress(OSError):
            self._rewind()
        first = self._gap is None
        if self._gap is None:
            self._gap = Gap(getattr(error, "needed", 0))
        self._keep(event)
        if not first:
            return []
        alarm = self._alarm("recording-stopped", why(self._folder, error), event)
        self._gap.add(alarm)
        return [alarm]

    def _written_after(self, gap: Gap, event: Event) -> list[Alarm]:
        """Write what a gap has kept, and an alarm that tells what is missing. Raises `OSError` where the disk still
        refuses."""
        self._syncer.check_folder()
        self._rewind()
        for kept in gap.kept():
            self._write(kept)
        alarm = self._alarm("recording-resumed", gap.told(self._folder), event)
        self._write(alarm)
        return [alarm]

    def _write_weights(self) -> list[Alarm]:
        """Write what there is of weights. Returns what is to be told of those that the disk refuses."""
        alarms = []
        for name, weights in list(self._weights.items()):
            try:
                self._lane(name).write_weights(weights)
                self._write_line(weights)  # vouches for the file
                del self._weights[name]
            except OSError as error:
                needed = sum(array.nbytes for array in weights.arrays.values())
                text = why(self._folder, error, f"The weights of lane '{name}'", needed)
                alarms.append(Alarm(name, weights.step, "weights-missing", text))
        for alarm in alarms:
            self._write(alarm)
        return alarms

    def _alarm(self, code: str, message: str, event: Event) -> Alarm:
        lanes = [lane.name for lane in event.config.lanes] if isinstance(event, RunStarted) else list(self._lanes)
        lane = getattr(event, "lane", lanes[0] if lanes else "")
        return Alarm(lane, getattr(event, "step", max(self.steps.values(), default=0)), code, message)

    def write_last(self, event: RunFinished | RunFailed) -> None:
        """Write the closing event, unless there has been one."""
        if not self._ended:
            self.write(event)

    def _write(self, event: Event) -> None:
        """All that is written is counted, one by one: a gap among the numbers tells a reader that something is lost."""
        match event:
            case RunStarted():
                self._start(event)
            case StepRecord():
                self._lane(event.lane).write_step(event, self._number)
                self._number += 1
            case Frame():
                self._number += self._lane(event.lane).write_frame(event, self._number)
            case Checkpoint():
                self._checkpoints.put(event, self._number)  # lies in a file of its own, and is not counted
            case _:
                if isinstance(event, LaneForked):
                    self._lane(event.lane)
                if isinstance(event, RunFinished | RunFailed):
                    self._write_held()
                self._write_line(event)

    def _write_held(self) -> None:
        for lane in self._lanes.values():
            self._number += lane.write_held(self._number)

    def _start(self, started: RunStarted) -> None:
        arrays = arrays_of(started)
        run_file = header.new_run_file(started, arrays, new_salt())
        folders = [lane.folder for lane in run_file.lanes]
        with self._all_or_nothing(layout.RUN_FILE, layout.EVENTS_FILE, *arrays, *folders):
            self._started, self._run_file = started, run_file
            write_arrays(self._folder, arrays)
            for lane in run_file.lanes:
                self._open_lane(lane)
            self._events = self._open(header.events_path(self._folder))
            self._write_line(started)
            self._syncer.sync()
            header.write_run_file(self._folder, run_file)  # last: from here on it is a recording
            disk.sync_folder(self._folder.parent)

    def _start_lane(self, name: str) -> None:
        """One that was forked off while the run went on."""
        assert self._run_file is not None
        entry = header.LaneEntry(name=name, folder=layout.lane_folder(len(self._lanes), name))
        run_file = self._run_file.model_copy(update={"lanes": [*self._run_file.lanes, entry]})
        with self._all_or_nothing(entry.folder):
            self._open_lane(entry)
            self._syncer.sync()
            header.write_run_file(self._folder, run_file)
            self._run_file = run_file

    @contextmanager
    def _all_or_nothing(self, *names: str) -> Iterator[None]:
        """Where the disk refuses something within, everything made there is taken back; `names` are those in the
        folder. It is tried again when there is room."""
        before = self._run_file, self._events, dict(self._lanes), len(self._open_files)
        try:
            yield
        except OSError:
            self._run_file, self._events, self._lanes, files = before
            if self._run_file is None:
                self._number = self._event_lines = 0
            for file in self._open_files[files:]:
                self._syncer.leave_out(file)
                file.close()
            del self._open_files[files:]
            with suppress(OSError):
                for name in names:
                    disk.remove(self._folder / name)
            raise

    def _write_line(self, event: Event) -> None:
        if self._events is None or self._run_file is None:
            return  # a run may fail before it starts; then there is nothing to record
        text = json.dumps({"event": self._number, **to_json(event, whole=True)})
        self._events.append(sealed_line(text, self._run_file.salt, layout.EVENTS_FILE, self._event_lines))
        self._events.keep()
        self._event_lines += 1
        self._number += 1

    def _lane(self, name: str) -> LaneWriter:
        if self._run_file is None:
            raise ValueError("a run must begin with RunStarted")
        if name not in self._lanes:
            self._start_lane(name)
        return self._lanes[name]

    def _open_lane(self, lane: header.LaneEntry) -> None:
        assert self._started is not None and self._run_file is not None
        folder = self._folder / lane.folder
        disk.make_folder(folder)
        self._lanes[lane.name] = LaneWriter(folder, self._started, self._run_file.salt, self._open)

    def _open(self, path: Path) -> GrowingFile:
        file = GrowingFile(path)
        self._open_files.append(file)
        self._syncer.add(file)
        return file

    def _rewind(self) -> None:
        """Take back what is not whole."""
        for file in self._open_files:
            file.rewind()

    def close(self) -> None:
        """Close every file, the last checkpoint too. A folder in which no run began is left empty."""
        self._checkpoints.wait()
        try:
            if self._gap is None:
                self._write_held()
            if self._run_file is None:
                (self._folder / layout.LOCK_FILE).unlink(missing_ok=True)
        except OSError:
            pass  # the disk is full; everything before this frame is safe
        finally:
            with suppress(OSError):
                self._rewind()
            with suppress(OSError):
                self._syncer.close()
            for file in self._open_files:
                file.close()
            self._held.close()
