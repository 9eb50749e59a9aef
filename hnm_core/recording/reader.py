"""Reads a recording, whole or while it is still being written. Needs no torch, runs no code, trusts no byte."""

from __future__ import annotations

import heapq
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording import header, layout
from hnm_core.recording.files import new_lines, read_records, stamp
from hnm_core.recording.lane_files import LaneFiles, read_lane
from hnm_core.recording.layout import (
    GUESTS_FILE,
    HARDNESS_FILE,
    RUN_FILE,
    WEIGHTS_FILE,
    WEIGHTS_IMAGE,
    WEIGHTS_INPUT,
    WEIGHTS_STEP,
)
from hnm_core.recording.lock import Held, is_being_written
from hnm_core.recording.steps import as_columns, as_records
from hnm_core.recording.summary import summarised
from hnm_core.run import changeable
from hnm_core.run.event_json import Told, from_json
from hnm_core.run.events import (
    Event,
    Frame,
    Guests,
    LaneForked,
    RunFailed,
    RunFinished,
    RunStarted,
    Weights,
    frozen,
)
from hnm_core.run.hardness import BANDS, Hardness
from hnm_core.run.history import RunHistory, StepColumns
from hnm_core.run.shown import places_of
from hnm_core.spec.config import ExperimentConfig

_CHUNK = 4096
"""Steps read at a time: their columns stay in a processor's cache."""


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


class Recording:
    """Random access to a recording. `refresh` takes in what has been written since."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held = Held(folder)  # nobody throws it away while it is looked at
        self._run_file = header.read_run_file(folder)
        self._run_file_stamp = stamp(folder / RUN_FILE)
        self.started: RunStarted = header.read_started(folder, self._run_file)
        self._dtypes = header.checked_dtypes(folder, self._run_file, self.started)
        self._lanes: dict[str, LaneFiles] = {}
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
            now = stamp(self.folder / RUN_FILE)
            if now != self._run_file_stamp:  # a lane was forked off
                self._run_file, self._run_file_stamp = header.read_run_file(self.folder), now
            for entry in self._run_file.lanes:
                self._lanes[entry.name] = read_lane(
                    self.folder / entry.folder, self._dtypes, self._lanes.get(entry.name)
                )
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
        return read_records(state.folder / "steps.bin", self._dtypes.step, start, max(0, stop - start))

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

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that steps have a field for."""
        return tuple(self._run_file.metrics)

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
        first_edge, count = int(entry["edges_offset"]) // layout.EDGE_BYTES, int(entry["edges"])
        edges = read_records(state.folder / "edges.bin", np.dtype("<i4"), first_edge * 3, count * 3).reshape(-1, 3)
        told = None
        if self._dtypes.hardness is not None:
            told = read_records(state.folder / HARDNESS_FILE, self._dtypes.hardness, first_edge, count)
        given = int(entry["columns"])
        guests = self._guests(state.folder, entry, given)
        if not self._known_ends(edges, guests).all():
            where = state.folder / "edges.bin"
            raise InputError(f"'{where}' is damaged: the frame of step {int(entry['step']):,} names unknown ids.")
        place = int(entry["offset"]) // self._dtypes.frame.itemsize
        stored = read_records(state.folder / "frames.bin", self._dtypes.frame, place, 1)[0]
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
            separation=None if told is None else frozen(told["separation"]),
            age=None if told is None else frozen(told["age"]),
            hardness=None if told is None else _hardness(entry),
        )

    def mined(self, lane: str, start: int, stop: int) -> Iterator[tuple[int, NDArray[np.int32], NDArray[Any] | None]]:
        """What was mined, of the frames from `start` up to, not with, `stop`: of each its step, its (M, 3) triplets of
        ids, and the separation and age of each, None in recordings that do not tell them. Reads nothing else."""
        state = self._lane(lane)
        index = state.index[start:stop]
        if not len(index):
            return
        counts = index["edges"].astype(np.int64)
        first, total = int(index["edges_offset"][0]) // layout.EDGE_BYTES, int(counts.sum())
        edges = read_records(state.folder / "edges.bin", np.dtype("<i4"), first * 3, total * 3).reshape(-1, 3)
        told = None
        if self._dtypes.hardness is not None:
            told = read_records(state.folder / HARDNESS_FILE, self._dtypes.hardness, first, total)
        ends = np.cumsum(counts)
        for step, begin, end in zip(index["step"].tolist(), (ends - counts).tolist(), ends.tolist(), strict=True):
            yield step, edges[begin:end], None if told is None else told[begin:end]

    def paths(self, lane: str, places: NDArray[np.int64], start: int, stop: int) -> NDArray[np.float32]:
        """(F, K, 3) where K of the shown items stood in the frames from `start` up to, not with, `stop`; `places` are
        those among `started.ids`."""
        state = self._lane(lane)
        index, dtype = state.index[start:stop], self._dtypes.frame
        found = np.empty((len(index), len(places), 3), np.float32)
        for number, entry in enumerate(index):
            stored = read_records(state.folder / "frames.bin", dtype, int(entry["offset"]) // dtype.itemsize, 1)[0]
            found[number] = layout.dequantise(stored["positions"][places], entry["box"])
        return found

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
        stored = read_records(path, dtype, int(entry["guests_offset"]) // dtype.itemsize, int(entry["guests"]))
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
            RuntimeError,  # of zip files: encrypted, or packed in a way that nobody knows
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
        state = self._lane(lane)
        for start in range(0, state.steps, _CHUNK):
            yield from as_records(self.steps(lane, start, start + _CHUNK), lane, self._run_file, state.layers)

    def step_columns(self, lane: str) -> Iterator[StepColumns]:
        """All steps of a lane as columns, piece by piece, in what is known of phases and counts today."""
        layers = self.layer_metrics(lane)
        for start in range(0, self.step_count(lane), _CHUNK):
            yield as_columns(self.steps(lane, start, start + _CHUNK), self._run_file, layers)

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
        return summarised(self, self.history() if history is None else history)

    def _lane(self, name: str) -> LaneFiles:
        if name not in self._lanes:
            raise InputError(f"The recording '{self.folder}' has no lane '{name}', only {', '.join(self._lanes)}.")
        return self._lanes[name]

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
        lines, self._events_read, self._events_torn = new_lines(path, self._events_read)
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


def _hardness(entry: NDArray[Any]) -> Hardness | None:
    """What an index entry tells of how hard the triplets were; None where nothing, or nothing that can be."""
    width, margin, bins = float(entry["bin_width"]), float(entry["margin"]), frozen(entry["bins"])
    hard, semi_hard, easy = (int(entry[name]) for name in BANDS)
    first, sane = int(entry["first_bin"]), 1 << 53
    if not (
        0 < width < np.inf
        and np.isfinite(margin)
        and abs(first) < sane
        and min(hard, semi_hard, easy) >= 0
        and bins.min() >= 0
    ):
        return None
    return Hardness(margin, hard, semi_hard, easy, width, first, bins)
