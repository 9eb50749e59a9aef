"""Reads a recording, whole or while it is still being written. Needs no torch, runs no code, trusts no byte."""

from __future__ import annotations

import heapq
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording import header, layout
from hnm_core.recording.layout import (
    FLAG_FIRST_CALL,
    FLAG_MINING,
    GUESTS_FILE,
    LAYERS_FILE,
    RUN_FILE,
    WEIGHTS_FILE,
    WEIGHTS_IMAGE,
    WEIGHTS_INPUT,
    WEIGHTS_STEP,
)
from hnm_core.recording.lock import is_being_written
from hnm_core.run import changeable
from hnm_core.run.event_json import Told, from_json
from hnm_core.run.event_json import number as measure
from hnm_core.run.events import (
    TUPLE_COUNTS,
    Alarm,
    Event,
    Frame,
    Guests,
    LaneForked,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRecord,
    WarmupEnded,
    Weights,
    change_text,
    frozen,
    layer_metric,
)
from hnm_core.run.history import PHASES, RunHistory, StepColumns
from hnm_core.run.shown import places_of
from hnm_core.run.timing import Phase
from hnm_core.spec.config import ExperimentConfig

_CHUNK = 4096
"""Steps read at a time: their columns stay in a processor's cache."""
_EDGE_BYTES = 12


def open_recording(folder: str | Path) -> Recording:
    """Open a recording for random access.

    Raises:
        InputError: the folder is missing, empty, no recording, newer than this version, or damaged; one sentence.
    """
    return Recording(Path(folder))


def replay(folder: str | Path) -> Iterator[Event]:
    """The events of a recording in the order in which they happened: first `RunStarted`, last the closing event.

    A run whose writer was killed has no closing event; it ends with the last event that was written.

    Raises:
        InputError: as `open_recording`; at once, except for damage inside a frame, which shows when it is reached.
    """
    recording = open_recording(folder)
    return _replay(recording)


def _replay(recording: Recording) -> Iterator[Event]:
    yield recording.started
    streams: list[Iterator[tuple[int, Event]]] = [iter(recording.numbered_events)]
    for lane in recording.lanes:
        streams += [recording.numbered_steps(lane), recording.numbered_frames(lane)]
    for _, event in heapq.merge(*streams, key=lambda numbered: numbered[0]):
        yield event
    for lane in recording.lanes:
        weights = recording.weights(lane)
        if weights is not None:
            yield weights
    if recording.finished is not None:
        yield recording.finished


@dataclass
class _Lane:
    folder: Path
    steps: int
    index: NDArray[Any]
    """The frames that are wholly there."""
    torn_bytes: int
    layers: dict[int, dict[str, float]] = field(default_factory=dict)
    """Metrics of single layers, by step."""
    layers_read: int = 0
    """Bytes of layers.jsonl that are in `layers`."""


class Recording:
    """Random access to a recording. `refresh` takes in what has been written since."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._run_file = header.read_run_file(folder)
        self._run_file_stamp = _stamp(folder / RUN_FILE)
        self.started: RunStarted = header.read_started(folder, self._run_file)
        self._dtypes = header.checked_dtypes(folder, self._run_file, self.started)
        self._lanes: dict[str, _Lane] = {}
        self._events: list[tuple[int, Event]] = []
        self._events_read = 0
        self._events_torn = 0
        self.finished: RunFinished | RunFailed | None = None
        """How the run ended; None while it is being written or when its writer was killed."""
        self.refresh()

    @property
    def config(self) -> ExperimentConfig:
        """What was run."""
        return self.started.config

    @property
    def begins(self) -> dict[str, int]:
        """The steps that each lane began with: those of its parent where it was forked off, else 0."""
        forks = {event.lane: event.step for event in self.events if isinstance(event, LaneForked)}
        return {lane: forks.get(lane, 0) for lane in self.lanes}

    @property
    def lane_configs(self) -> dict[str, ExperimentConfig]:
        """The configuration of every lane alone as it was in the end, see `hnm_core.run.changeable`."""
        try:
            return changeable.at_the_end(self.config, self.events)
        except InputError as error:
            raise InputError(f"'{header.events_path(self.folder)}' is damaged: {error}") from None

    @property
    def lanes(self) -> tuple[str, ...]:
        """Names of the lanes, forked ones last."""
        return tuple(self._lanes)

    @property
    def numbered_events(self) -> Sequence[tuple[int, Event]]:
        """Option changes, ended warm-ups, forks and alarms, each with its place in the run."""
        return self._events

    @property
    def events(self) -> tuple[Event, ...]:
        """Option changes, ended warm-ups, forks and alarms, oldest first."""
        return tuple(event for _, event in self._events)

    @property
    def torn_bytes(self) -> int:
        """Bytes at the ends of files that belong to nothing complete; they are ignored."""
        return self._events_torn + sum(lane.torn_bytes for lane in self._lanes.values())

    @property
    def is_being_written(self) -> bool:
        """Whether a living process is still recording into the folder."""
        return is_being_written(self.folder)

    def refresh(self) -> None:
        """Look again at the files of a run that is still being recorded. Raises `InputError` when they are damaged."""
        try:
            stamp = _stamp(self.folder / RUN_FILE)
            if stamp != self._run_file_stamp:  # a lane was forked off
                self._run_file, self._run_file_stamp = header.read_run_file(self.folder), stamp
            for entry in self._run_file.lanes:
                self._lanes[entry.name] = self._read_lane(self.folder / entry.folder, self._lanes.get(entry.name))
            self._read_events()
        except OSError as error:
            raise InputError(f"The recording '{self.folder}' cannot be read: {error}.") from error

    def step_count(self, lane: str) -> int:
        """Steps recorded of a lane."""
        return self._lane(lane).steps

    def steps(self, lane: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """The step records of a lane, a structured array of fields `step`, `loss`, `search_ms`, `map_at_r`, ..."""
        state = self._lane(lane)
        start, stop, _ = slice(start, stop).indices(state.steps)
        return _read(state.folder / "steps.bin", self._dtypes.step, start, max(0, stop - start))

    def layer_metrics(self, lane: str) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Steps and values of every metric of a single layer, by name, see `hnm_core.run.events.LAYER_METRICS`."""
        known, count = self._lane(lane).layers, self.step_count(lane)
        last = int(self.steps(lane, count - 1)["step"][0]) if count else 0
        found: dict[str, list[tuple[int, float]]] = {}
        for step in sorted(step for step in known if step <= last):  # a killed process may not have written the step
            for name, value in known[step].items():
                found.setdefault(name, []).append((step, value))
        return {
            name: (np.array([step for step, _ in points], np.int64), np.array([value for _, value in points]))
            for name, points in found.items()
        }

    def frame_steps(self, lane: str) -> NDArray[np.int64]:
        """The step of every recorded frame of a lane."""
        return self._lane(lane).index["step"].astype(np.int64)

    def frame(self, lane: str, index: int) -> Frame:
        """The frame at a place in `frame_steps`; negative from the end.

        Raises:
            IndexError: no such frame.
            InputError: the frame is damaged.
        """
        state = self._lane(lane)
        entry = state.index[index]
        edges = _read(
            state.folder / "edges.bin", np.dtype("<i4"), int(entry["edges_offset"]) // 4, int(entry["edges"]) * 3
        ).reshape(-1, 3)
        given = int(entry["columns"])
        guests = self._guests(state.folder, entry, given)
        if not self._known_ends(edges, guests).all():
            where = state.folder / "edges.bin"
            raise InputError(f"'{where}' is damaged: the frame of step {int(entry['step']):,} names unknown ids.")
        place = int(entry["offset"]) // self._dtypes.frame.itemsize
        stored = _read(state.folder / "frames.bin", self._dtypes.frame, place, 1)[0]
        columns = self._columns(stored, given)
        return Frame(
            lane=lane,
            step=int(entry["step"]),
            positions=frozen(layout.dequantise(stored["positions"], entry["box"])),
            triplets=frozen(edges),
            mined_total=int(entry["mined_total"]),
            columns=columns,
            projection=bytes(entry["projection"]).decode(errors="replace"),
            guests=guests,
        )

    def _columns(self, stored: NDArray[Any], given: int) -> dict[str, NDArray[np.float32]]:
        """The point columns of a record or of several, by the bits of the index."""
        return {
            name: frozen(stored[name]) for place, name in enumerate(self._run_file.point_columns) if given >> place & 1
        }

    def _guests(self, folder: Path, entry: NDArray[Any], given: int) -> Guests | None:
        """The guests of the frame of an index entry. Raises `InputError` when they are damaged."""
        dtype = self._dtypes.guest
        if dtype is None or not entry["guests"]:
            return None
        path = folder / GUESTS_FILE
        stored = _read(path, dtype, int(entry["guests_offset"]) // dtype.itemsize, int(entry["guests"]))
        ids, classes = stored["id"].astype(np.int64), len(self.started.class_names)
        wrong = ids < 0
        wrong[1:] |= np.diff(ids) <= 0
        wrong |= places_of(self.started.ids, ids) >= 0
        for name in {"label", "true_label"} & set(dtype.names or ()):
            wrong |= (stored[name] < 0) | (stored[name] >= classes)
        if wrong.any():
            step = int(entry["step"])
            raise InputError(f"'{path}' is damaged: the frame of step {step:,} has guests that cannot be.")

        def whole(name: str, of_sample: object) -> NDArray[np.int64] | None:
            return None if of_sample is None else frozen(stored[name].astype(np.int64))

        return Guests(
            ids=frozen(ids),
            labels=frozen(stored["label"].astype(np.int64)),
            positions=frozen(stored["position"]),
            columns=self._columns(stored, given),
            groups=whole("group", self.started.groups),
            true_labels=whole("true_label", self.started.true_labels),
        )

    def weights(self, lane: str) -> Weights | None:
        """The network of a lane at the end; None where the run was broken off. Raises `InputError` if damaged."""
        path = self._lane(lane).folder / WEIGHTS_FILE
        if not path.is_file():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: frozen(stored[name]) for name in stored.files}
            step, width = int(arrays.pop(WEIGHTS_STEP)), int(arrays.pop(WEIGHTS_INPUT))
            shape = arrays.pop(WEIGHTS_IMAGE).astype(int).tolist()
            return Weights(lane, step, arrays, width, (shape[0], shape[1], shape[2]) if shape else None)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            IndexError,
            zipfile.BadZipFile,
            EOFError,
            zlib.error,
        ) as error:
            raise InputError(f"'{path}' is damaged: {error}.") from error

    def numbered_steps(self, lane: str) -> Iterator[tuple[int, Event]]:
        """Every step record of a lane with its place in the run, read piece by piece."""
        state, run_file = self._lane(lane), self._run_file
        known = {str(phase): phase for phase in Phase}
        phases = [(known[name], f"{name}_ms") for name in run_file.phases if name in known]
        for start in range(0, state.steps, _CHUNK):
            for row in self.steps(lane, start, start + _CHUNK):
                measured, flags = int(row["measured"]), int(row["flags"])
                yield (
                    int(row["event"]),
                    StepRecord(
                        lane=lane,
                        step=int(row["step"]),
                        loss=float(row["loss"]),
                        phase_ms={phase: float(row[name]) for phase, name in phases if not np.isnan(row[name])},
                        tuples={name: int(row[name]) for name in run_file.tuple_counts if row[name] >= 0},
                        metrics={
                            name: float(row[name])
                            for place, name in enumerate(run_file.metrics)
                            if measured >> place & 1
                        }
                        | state.layers.get(int(row["step"]), {}),
                        mining=bool(flags & FLAG_MINING),
                        first_call=bool(flags & FLAG_FIRST_CALL),
                    ),
                )

    def step_columns(self, lane: str) -> Iterator[StepColumns]:
        """All steps of a lane as columns, piece by piece, in what is known of phases and counts today."""
        state, run_file = self._lane(lane), self._run_file
        phases = [(PHASES.index(Phase(name)), f"{name}_ms") for name in run_file.phases if name in PHASES]
        counts = [(TUPLE_COUNTS.index(name), name) for name in run_file.tuple_counts if name in TUPLE_COUNTS]
        layers = self.layer_metrics(lane)
        for start in range(0, state.steps, _CHUNK):
            steps = self.steps(lane, start, start + _CHUNK)
            flags = steps["flags"]
            phase_ms = np.zeros((len(steps), len(PHASES)), np.float32)
            for place, name in phases:
                phase_ms[:, place] = steps[name]
            np.copyto(phase_ms, 0, where=np.isnan(phase_ms))
            tuples = np.full((len(steps), len(TUPLE_COUNTS)), layout.ABSENT_COUNT, np.int64)
            for place, name in counts:
                tuples[:, place] = steps[name]
            given = tuples.max(axis=0) >= 0
            np.maximum(tuples, 0, out=tuples)
            yield StepColumns(
                step=steps["step"],
                loss=steps["loss"],
                phase_ms=phase_ms,
                tuples=tuples,
                counted=frozenset(name for place, name in counts if given[place]),
                mining=(flags & FLAG_MINING).astype(np.bool_),
                first_call=(flags & FLAG_FIRST_CALL).astype(np.bool_),
                metrics=_measured(steps, run_file.metrics) | _measured_of_layers(steps, layers),
            )

    def history(self, progress: Callable[[int, int], object] = lambda done, total: None) -> RunHistory:
        """What the run has told, as it stands now. `progress` is called with steps read, and of how many.

        Raises:
            InputError: the recording is damaged.
        """
        history = RunHistory()
        history.add(self.started)
        for event in self.events:
            history.add(event)
        done, total = 0, sum(self.step_count(lane) for lane in self.lanes)
        for name in self.lanes:
            lane = history.lane(name)
            lane.reserve(self.step_count(name))
            for columns in self.step_columns(name):
                lane.extend(columns)
                done += len(columns.step)
                progress(done, total)
        if self.finished is not None:
            history.add(self.finished)
        return history

    def numbered_frames(self, lane: str) -> Iterator[tuple[int, Event]]:
        """Every frame of a lane with its place in the run, read one by one."""
        numbers = self._lane(lane).index["event"]
        for place, number in enumerate(numbers.tolist()):
            yield number, self.frame(lane, place)

    def summary(self, history: RunHistory | None = None) -> dict[str, Any]:
        """What the recording holds, as plain values for a table or JSON. `history`: its own, where it is known."""
        started, finished = self.started, self.finished
        history = self.history() if history is None else history
        lanes = []
        for name in self.lanes:
            lane = history.lane(name)
            metrics = dict.fromkeys((*self._run_file.metrics, *lane.metrics))  # those of layers come last
            lanes.append(
                {
                    "lane": name,
                    "steps": int(lane.steps[-1]) if len(lane) else 0,
                    "frames": len(self.frame_steps(name)),
                    "loss": _finite(lane.mean_loss()),
                    **{metric: _finite(lane.latest(metric)) for metric in metrics},
                }
            )
        return {
            "folder": str(self.folder),
            "title": started.config.title,
            "started": started.started,
            "versions": dict(started.versions),
            "data": started.config.data.name,
            "model": started.config.model.name,
            "items_shown": len(started.ids),
            "items_total": started.items_total,
            "held_out": int(started.held_out.sum()),
            "classes": len(np.unique(started.labels)),
            "state": self._state(),
            "seconds": finished.seconds if isinstance(finished, RunFinished) else None,
            "lanes": lanes,
            "option_changes": sum(isinstance(event, OptionChanged | WarmupEnded) for event in self.events),
            "changes": [
                {"lane": event.lane, "step": event.step, "text": change_text(event)}
                for event in self.events
                if isinstance(event, LaneForked) or (isinstance(event, OptionChanged) and event.asked)
            ],
            "alarms": sum(isinstance(event, Alarm) for event in self.events),
            "bytes": sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file()),
            "torn_bytes": self.torn_bytes,
        }

    def _state(self) -> str:
        match self.finished:
            case RunFinished(stopped=True):
                return "stopped"
            case RunFinished():
                return "finished"
            case RunFailed(message=message):
                return f"failed: {message}"
        return "being recorded" if self.is_being_written else "broken off"

    def _lane(self, name: str) -> _Lane:
        if name not in self._lanes:
            raise InputError(f"The recording '{self.folder}' has no lane '{name}', only {', '.join(self._lanes)}.")
        return self._lanes[name]

    def _read_lane(self, folder: Path, before: _Lane | None) -> _Lane:
        # The index first: by the time the other sizes are read, everything it vouches for is there.
        known = before.index if before is not None else np.zeros(0, self._dtypes.index)
        index_bytes = _size(folder / "frames.idx")
        new = index_bytes // self._dtypes.index.itemsize - len(known)
        index = np.concatenate([known, _read(folder / "frames.idx", self._dtypes.index, len(known), max(0, new))])
        steps_bytes, frames_bytes, edges_bytes = (
            _size(folder / name) for name in ("steps.bin", "frames.bin", "edges.bin")
        )
        whole = min(len(index), frames_bytes // self._dtypes.frame.itemsize)
        edges_ends = self._checked_ends(folder, index, "edges", _EDGE_BYTES)
        whole = min(whole, int(np.searchsorted(edges_ends, edges_bytes, side="right")))
        guests_bytes, guests_ends = 0, np.zeros(len(index), np.int64)
        if self._dtypes.guest is not None:
            guests_bytes = _size(folder / GUESTS_FILE)
            guests_ends = self._checked_ends(folder, index, "guests", self._dtypes.guest.itemsize)
            whole = min(whole, int(np.searchsorted(guests_ends, guests_bytes, side="right")))
        used = int(edges_ends[whole - 1] + guests_ends[whole - 1]) if whole else 0
        torn = (
            steps_bytes % self._dtypes.step.itemsize
            + index_bytes
            - whole * self._dtypes.index.itemsize
            + frames_bytes
            - whole * self._dtypes.frame.itemsize
            + edges_bytes
            + guests_bytes
            - used
        )
        lane = _Lane(folder, steps_bytes // self._dtypes.step.itemsize, index[:whole], torn)
        if before is not None:
            lane.layers, lane.layers_read = before.layers, before.layers_read
        if (folder / LAYERS_FILE).exists():
            lane.torn_bytes += _read_layers(lane)
        return lane

    def _checked_ends(self, folder: Path, index: NDArray[Any], what: str, size: int) -> NDArray[np.int64]:
        """Where the edges or guests of each frame end in their file, in bytes, after checking that the index is of one
        piece; `size` is that of one of them."""
        counts = index[what]
        broken = (counts < 0) | (counts > 1 << 31)
        ends: NDArray[np.int64] = np.cumsum(np.where(broken, 0, counts) * size)
        broken |= index["offset"] != np.arange(len(index)) * self._dtypes.frame.itemsize
        broken |= index[f"{what}_offset"] != np.concatenate([[0], ends[:-1]])[: len(index)]
        if broken.any():
            place = int(np.argmax(broken))
            raise InputError(f"'{folder / 'frames.idx'}' is damaged: entry {place:,} points outside its data.")
        return ends

    def _known_ends(self, edges: NDArray[np.int32], guests: Guests | None) -> NDArray[np.bool_]:
        """(M, 3) whether an end of a triplet can be: one that is absent, shown or a guest. Older recordings have no
        guests; of a set that they show a part of, an end may be any item."""
        ids, total = self.started.ids, self.started.items_total
        known: NDArray[np.bool_] = (places_of(ids, edges) >= 0) | (edges == -1)
        if guests is not None:
            known |= places_of(guests.ids, edges) >= 0
        elif self._dtypes.guest is None and total > len(ids):
            counts_items = int(ids[-1]) < total  # else ids are the user's own, or places in a still larger set
            known |= (edges >= 0) & (edges < (total if counts_items else 1 << 31))
        return known

    def _read_events(self) -> None:
        path = header.events_path(self.folder)
        lines, self._events_read, self._events_torn = _new_lines(path, self._events_read)
        for line in lines:
            number, event = _event(line, path)
            if isinstance(event, RunFinished | RunFailed):
                self.finished = event
            elif event is not None:
                self._events.append((number, event))


def _event(line: bytes, path: Path) -> tuple[int, Told | None]:
    """One line of events.jsonl: its place in the run and the event, see `from_json`."""
    try:
        values = json.loads(line)
        if not isinstance(values, dict) or type(number := values.pop("event", None)) is not int:
            raise ValueError("an event needs a number")
        return number, from_json(values)
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is damaged: a line of it is no event ({error}).") from error


def _new_lines(path: Path, start: int) -> tuple[list[bytes], int, int]:
    """The whole lines from byte `start` on, the byte after them, and how many bytes follow that are no line yet."""
    size = _size(path)
    with path.open("rb") as file:
        file.seek(start)
        text = file.read(max(0, size - start))
    whole, newline, torn = text.rpartition(b"\n")
    return whole.split(b"\n") if newline else [], start + len(whole) + len(newline), len(torn)


def _read_layers(lane: _Lane) -> int:
    """Take in what layers.jsonl has more than is known. Returns the bytes of a line that is torn."""
    path = lane.folder / LAYERS_FILE
    lines, lane.layers_read, torn = _new_lines(path, lane.layers_read)
    for line in lines:
        try:
            values = json.loads(line)
            step = values.pop("step")
            if type(step) is not int or step < 1 or not all(map(layer_metric, values)):
                raise ValueError("it needs a step and metrics of layers")
            lane.layers[step] = {name: measure(value) for name, value in values.items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"'{path}' is damaged: a line of it tells nothing of layers ({error}).") from error
    return torn


_Measured = dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
"""By metric: the rows that measured it, or their steps, and the values."""


def _measured(steps: NDArray[Any], names: Sequence[str]) -> _Measured:
    """The metrics of step records, by their bits: names in the order of these."""
    measured = np.ascontiguousarray(steps["measured"])
    somewhere = np.flatnonzero(measured)
    bits = measured[somewhere]
    found = {}
    for place, name in enumerate(names):
        row = somewhere[(bits >> np.uint32(place) & np.uint32(1)).astype(np.bool_)]
        if len(row):
            found[name] = row, steps[name][row]
    return found


def _measured_of_layers(steps: NDArray[Any], layers: _Measured) -> _Measured:
    """Those of single layers, from what is known of them by step."""
    found = {}
    for name, (known, values) in layers.items():
        place = np.minimum(np.searchsorted(known, steps["step"]), len(known) - 1)
        row = np.flatnonzero(known[place] == steps["step"])
        if len(row):
            found[name] = row, values[place[row]]
    return found


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _size(path: Path) -> int:
    if not path.is_file():
        raise InputError(f"The recording '{path.parent}' is incomplete: {path.name} is missing.")
    return path.stat().st_size


def _read(path: Path, dtype: np.dtype[Any], start: int, count: int) -> NDArray[Any]:
    """`count` records from record `start` on. Raises `InputError` if the file has become shorter."""
    try:
        with path.open("rb") as file:
            file.seek(start * dtype.itemsize)
            data = file.read(count * dtype.itemsize)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error}.") from error
    if len(data) < count * dtype.itemsize:
        raise InputError(f"'{path}' is damaged: it has become shorter while it was read.")
    return np.frombuffer(data, dtype, count)
