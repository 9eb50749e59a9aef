"""Writes a recording while the events pass through. What has been yielded has been handed to the system: a killed
process loses nothing, a reader beside it sees everything."""

from __future__ import annotations

import itertools
import json
import math
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording import header, layout, unbegun
from hnm_core.recording.checkpoints import CheckpointWriter
from hnm_core.recording.layout import (
    ABSENT_COUNT,
    FLAG_FIRST_CALL,
    FLAG_MINING,
    GUESTS_FILE,
    HARDNESS_FILE,
    LAYERS_FILE,
    WEIGHTS_FILE,
    WEIGHTS_IMAGE,
    WEIGHTS_INPUT,
    WEIGHTS_STEP,
)
from hnm_core.recording.lock import lock
from hnm_core.run.event_json import to_json
from hnm_core.run.events import (
    METRICS,
    POINT_COLUMNS,
    TUPLE_COUNTS,
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
    layer_metric,
)
from hnm_core.run.hardness import BANDS, Hardness
from hnm_core.run.timing import Phase

FRAMES_AT_FULL_RATE = 10_000
"""A lane keeps every frame up to so many, then every second one for as many again, then every fourth, and so on."""


def record(events: Iterable[Event], folder: str | Path) -> Generator[Event, None, None]:
    """Yield every event after writing it into `folder`, a new or empty one.

    If writing fails later on (a full disk), an `Alarm` with code `recording-stopped` follows and the run goes on.
    If the source raises, the recording ends with a `RunFailed` and the error is raised again; if the returned
    generator is closed, the source is closed too and the recording ends with a `RunFinished` that says `stopped`.

    Raises:
        InputError: at once, before the first event, if the folder is not empty or cannot be written.
    """
    folder = Path(folder)
    recorded = _tee(iter(events), folder, _claimed(folder))
    next(recorded)  # into its `try`: whoever closes or drops it before the first event gives the folder back, too
    return recorded


def _claimed(folder: Path) -> IO[bytes]:
    """The lock of a new or empty folder, taken at once: two runs that begin together must not share one."""
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"Cannot record into '{folder}': it is a file. Name a new or an empty folder.")
        folder.mkdir(parents=True, exist_ok=True)
        _check_empty(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
        try:
            held = lock(folder)
        except (BlockingIOError, PermissionError):
            raise InputError(f"Cannot record into '{folder}': another run is recording into it.") from None
        try:
            _check_empty(folder)  # that other run may have come and gone in between
            unbegun.clear(folder)
        except (InputError, OSError):
            held.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"Cannot record into '{folder}': {reason}. Name a folder that can be written.") from error
    return held


def _check_empty(folder: Path) -> None:
    """What a run left that was killed before it began is no content."""
    if any(folder.iterdir()) and not unbegun.is_unbegun(folder):
        raise InputError(f"Cannot record into '{folder}': the folder is not empty. Name a new or an empty folder.")


def _tee(events: Iterator[Event], folder: Path, held: IO[bytes]) -> Generator[Any, None, None]:
    """Yields None, then the events."""
    writer = _Writer(folder, held)
    began = time.monotonic()
    try:
        yield None
        for event in events:
            problem = writer.write(event)
            yield event
            if problem is not None:
                yield problem
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
    """Takes events until `close`; after a failed write it takes them without writing."""

    def __init__(self, folder: Path, held: IO[bytes]) -> None:
        """`held` is the lock of the folder; it is given back by `close`."""
        self.steps: dict[str, int] = {}
        self._folder = folder
        self._files = ExitStack()
        self._files.enter_context(held)
        self._count = itertools.count()
        self._run_file: header.RunFile | None = None
        self._events: FileIO | None = None
        self._lanes: dict[str, _LaneWriter] = {}
        self._started: RunStarted | None = None
        self._checkpoints = CheckpointWriter(folder)
        self._broken = False
        self._ended = False

    def write(self, event: Event) -> Alarm | None:
        """Write one event. Returns an alarm if this was the one at which recording had to stop."""
        if self._broken:
            return None
        try:
            self._write(event)
        except OSError as error:
            self._broken = True
            step = getattr(event, "step", 0)
            lane = getattr(event, "lane", next(iter(self._lanes), ""))
            message = f"Recording into '{self._folder}' stopped: {error.strerror or error}. The run goes on without it."
            return Alarm(lane, step, "recording-stopped", message)
        problem = self._checkpoints.problem()
        return Alarm(next(iter(self._lanes)), self._farthest, "checkpoint-failed", problem) if problem else None

    def write_last(self, event: RunFinished | RunFailed) -> None:
        """Write the closing event, unless there has been one."""
        if not self._ended:
            self.write(event)

    def _write(self, event: Event) -> None:
        number = next(self._count)
        match event:
            case RunStarted():
                self._start(event, number)
            case StepRecord():
                self.steps[event.lane] = event.step
                self._lane(event.lane).write_step(event, number)
            case Frame():
                self._lane(event.lane).write_frame(event, number)
            case Weights():
                self._lane(event.lane).write_weights(event)
            case Checkpoint():
                self._checkpoints.put(event, number)
            case _:
                if isinstance(event, LaneForked):
                    self._lane(event.lane)
                if isinstance(event, RunFinished | RunFailed):
                    self._ended = True
                    for lane in self._lanes.values():
                        lane.write_held()
                self._write_line(event, number)

    @property
    def _farthest(self) -> int:
        return max(self.steps.values(), default=0)

    def _start(self, started: RunStarted, number: int) -> None:
        self._started = started
        header.write_arrays(self._folder, started)
        self._run_file = header.new_run_file(started)
        for lane in self._run_file.lanes:
            self._open_lane(lane)
        self._events = self._open(header.events_path(self._folder))
        self._write_line(started, number)
        header.write_run_file(self._folder, self._run_file)  # last: from here on it is a recording

    def _write_line(self, event: Event, number: int) -> None:
        if self._events is not None:  # a run may fail before it starts; then there is nothing to record
            line = json.dumps({"event": number, **to_json(event, whole=True)})
            _append(self._events, line.encode() + b"\n")

    def _lane(self, name: str) -> _LaneWriter:
        if self._run_file is None:
            raise ValueError("a run must begin with RunStarted")
        if name not in self._lanes:  # a lane that was forked off while the run went on
            entry = header.LaneEntry(name=name, folder=layout.lane_folder(len(self._lanes), name))
            self._open_lane(entry)
            self._run_file = self._run_file.model_copy(update={"lanes": [*self._run_file.lanes, entry]})
            header.write_run_file(self._folder, self._run_file)
        return self._lanes[name]

    def _open_lane(self, lane: header.LaneEntry) -> None:
        folder = self._folder / lane.folder
        folder.mkdir()
        assert self._started is not None
        names = ("steps.bin", "frames.bin", "edges.bin", HARDNESS_FILE, GUESTS_FILE, "frames.idx")
        files = {name: self._open(folder / name) for name in names}
        self._lanes[lane.name] = _LaneWriter(folder, files, self._started, self._open)

    def _open(self, path: Path) -> FileIO:
        return self._files.enter_context(FileIO(path, "w"))

    def close(self) -> None:
        """Close every file, the last checkpoint too. A folder in which no run began is left empty."""
        self._checkpoints.close()
        try:
            if not self._broken:
                for lane in self._lanes.values():
                    lane.write_held()
            if self._run_file is None:
                (self._folder / layout.LOCK_FILE).unlink(missing_ok=True)
        except OSError:
            pass  # the disk is full; everything before this frame is safe
        finally:
            self._files.close()


class _LaneWriter:
    """The files of one lane."""

    def __init__(
        self, folder: Path, files: dict[str, FileIO], started: RunStarted, open_file: Callable[[Path], FileIO]
    ) -> None:
        self._folder = folder
        self._files = files
        self._open = open_file
        self._points = points = len(started.ids)
        self._step = np.zeros((), layout.to_dtype(layout.step_layout()))
        self._frame = np.zeros((), layout.to_dtype(layout.frame_layout(points)))
        guest = layout.guest_layout(started.groups is not None, started.true_labels is not None)
        self._guest_dtype = layout.to_dtype(guest)
        self._index = np.zeros((), layout.to_dtype(layout.index_layout()))
        self._hardness_dtype = layout.to_dtype(layout.hardness_layout())
        self._frames_seen = 0
        self._frames_kept = 0
        self._edges_bytes = 0
        self._guests_bytes = 0
        self._held: tuple[Frame, int] | None = None

    def write_step(self, record: StepRecord, number: int) -> None:
        """Append to steps.bin."""
        row = self._step
        row["event"], row["step"], row["loss"] = number, record.step, record.loss
        row["flags"] = FLAG_MINING * record.mining | FLAG_FIRST_CALL * record.first_call
        for phase in Phase:
            row[f"{phase}_ms"] = record.phase_ms.get(phase, np.nan)
        for name in TUPLE_COUNTS:
            row[name] = record.tuples.get(name, ABSENT_COUNT)
        for name in METRICS:
            row[name] = record.metrics.get(name, np.nan)
        row["measured"] = sum(1 << place for place, name in enumerate(METRICS) if name in record.metrics)
        _known(record.tuples, TUPLE_COUNTS, "tuple count")
        of_layers = {name: value for name, value in record.metrics.items() if layer_metric(name)}
        _known(record.metrics.keys() - of_layers.keys(), METRICS, "metric")
        if of_layers:
            self._write_layers(record.step, of_layers)  # before its step, which vouches for it
        _append(self._files["steps.bin"], row.tobytes())

    def _write_layers(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append to layers.jsonl, which only lanes have whose layers are measured."""
        if LAYERS_FILE not in self._files:
            self._files[LAYERS_FILE] = self._open(self._folder / LAYERS_FILE)
        values = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        _append(self._files[LAYERS_FILE], json.dumps({"step": step, **values}).encode() + b"\n")

    def write_frame(self, frame: Frame, number: int) -> None:
        """Append to frames.bin, edges.bin and frames.idx, unless the lane has so many that this one is skipped."""
        stride = 1 << (self._frames_kept // FRAMES_AT_FULL_RATE)
        if self._frames_seen % stride == 0:
            self._keep(frame, number)
        else:
            self._held = frame, number
        self._frames_seen += 1

    def write_weights(self, weights: Weights) -> None:
        """Write weights.npz, whole or not at all."""
        arrays: dict[str, Any] = {
            WEIGHTS_STEP: np.int64(weights.step),
            WEIGHTS_INPUT: np.int64(weights.in_features),
            WEIGHTS_IMAGE: np.array(weights.image_shape or (), np.int64),
            **weights.arrays,
        }
        part = self._folder / f"{WEIGHTS_FILE}.part"
        with part.open("wb") as file:
            np.savez(file, **arrays)
        part.replace(self._folder / WEIGHTS_FILE)

    def write_held(self) -> None:
        """Keep the newest frame, even where it would have been left out: a recording ends with the final cloud."""
        if self._held is not None:
            self._keep(*self._held)

    def _keep(self, frame: Frame, number: int) -> None:
        if frame.positions.shape != (self._points, 3):
            raise ValueError(f"frame of {frame.lane}: positions {frame.positions.shape}, expected ({self._points}, 3)")
        _known(frame.columns, POINT_COLUMNS, "point column")
        row, index = self._frame, self._index
        row["positions"], index["box"] = layout.quantise(frame.positions)
        for name in POINT_COLUMNS:
            row[name] = frame.columns.get(name, np.nan)
        edges = np.ascontiguousarray(frame.triplets, dtype="<i4").reshape(-1, 3)
        index["event"], index["step"], index["mined_total"] = number, frame.step, frame.mined_total
        index["offset"], index["edges_offset"] = self._frames_kept * row.nbytes, self._edges_bytes
        index["edges"] = len(edges)
        self._index_hardness(frame.hardness)
        guests = self._guests(frame)
        index["guests"], index["guests_offset"] = len(guests), self._guests_bytes
        index["columns"] = sum(1 << place for place, name in enumerate(POINT_COLUMNS) if name in frame.columns)
        index["projection"] = frame.projection.encode()[:64].decode(errors="ignore").encode()
        _append(self._files["frames.bin"], row.tobytes())
        _append(self._files["edges.bin"], edges.tobytes())
        _append(self._files[HARDNESS_FILE], self._hardness(frame).tobytes())
        _append(self._files[GUESTS_FILE], guests.tobytes())
        _append(self._files["frames.idx"], index.tobytes())  # last: an entry vouches for its frame
        self._frames_kept += 1
        self._edges_bytes += edges.nbytes
        self._guests_bytes += guests.nbytes
        self._held = None

    def _hardness(self, frame: Frame) -> NDArray[Any]:
        """The (M,) records of how hard a frame's triplets are."""
        records = np.zeros(len(frame.triplets), self._hardness_dtype)
        records["separation"] = np.nan if frame.separation is None else frame.separation
        records["age"] = -1 if frame.age is None else frame.age
        return records

    def _index_hardness(self, hardness: Hardness | None) -> None:
        index = self._index
        if hardness is None:
            for name in ("margin", *BANDS, "bin_width", "first_bin", "bins"):
                index[name] = 0
            return
        index["margin"], index["bin_width"] = hardness.margin, hardness.width
        index["first_bin"], index["bins"] = hardness.first, hardness.bins
        for name in BANDS:
            index[name] = getattr(hardness, name)

    def _guests(self, frame: Frame) -> NDArray[Any]:
        """The (G,) records of a frame's guests."""
        guests = frame.guests
        if guests is None:
            return np.zeros(0, self._guest_dtype)
        records = np.zeros(len(guests.ids), self._guest_dtype)
        records["id"], records["label"], records["position"] = guests.ids, guests.labels, guests.positions
        for name, values in (("group", guests.groups), ("true_label", guests.true_labels)):
            if name in (self._guest_dtype.names or ()):
                records[name] = values
        for name in POINT_COLUMNS:
            records[name] = guests.columns.get(name, np.nan)
        return records


def _known(given: Iterable[str], names: tuple[str, ...], kind: str) -> None:
    """Refuse what would be lost silently: the names of a recording's fields are a closed set."""
    for name in given:
        if name not in names:
            raise ValueError(f"unknown {kind} '{name}'; known: {', '.join(names)}")


def _append(file: FileIO, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += _write_some(file, data[written:] if written else data)


def _write_some(file: FileIO, data: bytes) -> int:
    return file.write(data) or 0
