"""Reads a recording, whole or while it is still being written. Needs no torch, runs no code, trusts no byte."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording import header
from hnm_core.recording.event_lines import EventLines
from hnm_core.recording.files import read_records, record_pieces, stamp
from hnm_core.recording.frame_reader import FrameReader
from hnm_core.recording.lane_files import LaneFiles
from hnm_core.recording.layout import RUN_FILE, STEPS_FILE, WEIGHTS_FILE
from hnm_core.recording.lock import Held, is_being_written
from hnm_core.recording.missing import missing_records
from hnm_core.recording.steps import as_columns, as_records
from hnm_core.recording.summary import lane_facts, summarised
from hnm_core.recording.weights import read_weights
from hnm_core.run import changeable
from hnm_core.run.events import Event, Frame, LaneForked, Misses, RunFailed, RunFinished, RunStarted, Weights
from hnm_core.run.history import LaneHistory, RunHistory
from hnm_core.spec.config import ExperimentConfig
from hnm_core.system.paths import why

View = TypeVar("View")
Found = TypeVar("Found")

_CHUNK = 4096
"""Steps read at a time: their columns stay in a processor's cache."""
_MANY_BYTES = 64 << 20
"""Of steps that are new: fewer are read before a thread has begun."""
_AT_ONCE = 2
"""Lanes whose histories are made side by side: each needs room."""
_RESERVED = 1 << 21
"""Steps that room is taken for before any of them was looked at."""


def open_recording(folder: str | Path) -> Recording:
    """Open a recording for random access.

    Raises:
        InputError: the folder is missing, empty, no recording, newer than this version, or damaged; one sentence.
    """
    return _opened(Path(folder), Recording)


def open_and_view(folder: str | Path, view: Callable[[LaneHistory], View]) -> tuple[Recording, list[View]]:
    """Open a recording, and what `view` makes of the history of each lane, as `Recording.of_each_lane` tells it, but
    the steps are read once: each piece is taken in as it is found to be right. `view` is called on several threads,
    one after the other.

    Raises:
        InputError: as `open_recording`.
    """

    def both(folder: Path) -> tuple[Recording, list[View]]:
        recording = Recording(folder, read=False)
        return recording, recording.read_and_view(view)

    return _opened(Path(folder), both)


def _opened(folder: Path, opened: Callable[[Path], Found]) -> Found:
    try:
        return opened(folder)
    except InputError:
        if _is_gone(folder):  # somebody made room while we read: it is not damaged, whatever was missing
            raise InputError(f"The recording '{folder}' does not exist.") from None
        raise


def _is_gone(folder: Path) -> bool:
    try:
        folder.stat()
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        pass  # a closed folder, a name that is none: told as it was
    return False


def replay(folder: str | Path) -> Iterator[Event]:
    """The events of a recording in the order in which they happened: first `RunStarted`, last the closing event.

    A run whose writer was killed has no closing event; it ends with the last event that was written.

    Raises:
        InputError: as `open_recording`; at once. What is damaged after the start is left out, see `Recording.losses`.
    """
    recording = open_recording(folder)
    recording.check()
    return _replay(recording)


def _replay(recording: Recording) -> Iterator[Event]:
    yield recording.started
    streams: list[Iterator[tuple[int, Event]]] = [recording.numbered_events]
    for lane in recording.lanes:
        streams += [recording.numbered_steps(lane), recording.numbered_frames(lane)]
    for _, event in heapq.merge(*streams, key=lambda numbered: numbered[0]):
        yield event
    for lane in recording.lanes:
        try:
            weights = recording.weights(lane)
        except InputError:
            continue  # as `losses` says
        if weights is not None:
            yield weights
    if recording.finished is not None:
        yield recording.finished


class Recording:
    """Random access to a recording. `refresh` takes in what has been written since.

    A file is read up to the first record that is not right: steps, index entries and lines on opening, what lies behind
    the entries when a frame is asked for, or all of it by `check`. What is lost, `losses` says.
    """

    def __init__(self, folder: Path, *, read: bool = True) -> None:
        """Unless it is `read`, only its header is: `read_and_view` or `refresh` comes next."""
        self.folder = folder
        self._held = Held(folder)  # nobody throws it away while it is looked at
        self._run_file = header.read_run_file(folder)
        self._run_file_stamp = stamp(folder / RUN_FILE)
        self.started: RunStarted
        self.started, self._texts_loss = header.read_started(folder, self._run_file)
        self._dtypes = header.checked_dtypes(folder, self._run_file, self.started)
        self._frames = FrameReader(self.started, self._run_file, self._dtypes)
        self._lanes: dict[str, LaneFiles] = {}
        self._told_lines = EventLines(folder, self._run_file)
        self._missing: str | None = None
        if read:
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
    def finished(self) -> RunFinished | RunFailed | None:
        """How the run ended; None while it is being written or when its writer was killed."""
        return self._told_lines.finished

    @property
    def lanes(self) -> tuple[str, ...]:
        """Names of the lanes, forked ones last."""
        return tuple(self._lanes)

    @property
    def numbered_events(self) -> Iterator[tuple[int, Event]]:
        """`events` and what searches missed, each with its place in the run."""
        return self._told_lines.numbered

    @property
    def events(self) -> tuple[Event, ...]:
        """Option changes, ended warm-ups, forks and alarms, oldest first."""
        return tuple(event for _, event in self._told_lines.events)

    @property
    def torn_bytes(self) -> int:
        """Bytes at the ends of files that belong to nothing complete and right; they are ignored."""
        return self._told_lines.torn_bytes + sum(lane.torn_bytes for lane in self._lanes.values())

    @property
    def losses(self) -> tuple[str, ...]:
        """What is damaged or missing, a sentence each: which file, from which step on, how much. Empty for a recording
        that is as it was written, also where its writer was killed."""
        told = [loss for loss in (self._texts_loss, self._told_lines.loss) if loss]
        told += [loss for lane in self._lanes.values() for loss in lane.losses]
        for name, lane in self._lanes.items():
            if name in self._told_lines.trained and not (lane.folder / WEIGHTS_FILE).is_file():
                told.append(f"Lane '{name}' lost its weights: {lane.folder.name}/{WEIGHTS_FILE} is missing.")
        if self.finished is not None and self._run_file.has_checksums:
            if self._missing is None:
                self._missing = missing_records(self._told_lines.numbers, list(self._lanes.values()), self._dtypes)
            told += [self._missing] * bool(self._missing)
        return tuple(told)

    @property
    def clouds_lost_after(self) -> dict[str, int]:
        """By lane, where frames are lost: the step of the last that is left; 0 where none is."""
        return {name: lane.last_frame_step for name, lane in self._lanes.items() if lane.lost_frames}

    @property
    def is_being_written(self) -> bool:
        """Whether a living process is still recording into the folder."""
        return is_being_written(self.folder)

    def refresh(self) -> None:
        """Look again at the files of a run that is still being recorded. Raises `InputError` when they are damaged."""
        with self._reading():
            self._read_events()
            self._look_at_lanes(self._refresh_lane, os.cpu_count() or 1)
            self._settle()

    def read_and_view(self, view: Callable[[LaneHistory], View]) -> list[View]:
        """Look at the files for the first time, and do as `of_each_lane` meanwhile. Raises as `refresh`."""
        with self._reading():
            self._read_events()
            known = len(self._told_lines.numbers)
            histories = self._told().lanes
            for lane in list(histories.values()):
                if lane.parent is not None:  # both are needed at once, and are read later
                    histories.pop(lane.name)
                    histories.pop(lane.parent.name, None)
            views: dict[str, View] = {}
            viewing = Lock()  # what is worked out for a view takes as much room as the history: for one at a time

            def look(lane: LaneFiles) -> None:
                history = histories.pop(lane.lane, None)
                if history is None:
                    self._refresh_lane(lane)
                else:
                    history.reserve(min(_RESERVED, lane.unread_bytes // self._dtypes.step.itemsize))
                    lane.refresh(self._dtypes, lambda rows: history.extend(as_columns(rows, self._run_file)))
                    self._fill_layers(history)
                    with viewing:
                        views[lane.lane] = view(history)

            self._look_at_lanes(look, _AT_ONCE)
            self._settle()
        if len(self._told_lines.numbers) != known:  # a run that goes on: what it told belongs into the histories
            views.clear()
        return [views[name] if name in views else self._viewed(name, view) for name in self.lanes]

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"The recording '{self.folder}' cannot be read: {why(error)}.") from error

    def _read_events(self) -> None:
        """Which lanes there are, and what was told beside steps and frames."""
        now = stamp(self.folder / RUN_FILE)
        if now != self._run_file_stamp:  # a lane was forked off
            self._run_file, self._run_file_stamp = header.read_run_file(self.folder), now
        for entry in self._run_file.lanes:
            if entry.name not in self._lanes:
                folder = self.folder / entry.folder
                self._lanes[entry.name] = LaneFiles.unread(folder, entry.name, self._run_file, self._dtypes)
        self._told_lines.refresh()

    def _settle(self) -> None:
        """Read what was told meanwhile. Where that is the end, all that came before it is in the files by now, and what
        of it is not there is lost."""
        over = self.finished is not None
        self._read_events()
        if self.finished is not None and not over:
            self._look_at_lanes(self._refresh_lane, os.cpu_count() or 1)

    def _refresh_lane(self, lane: LaneFiles) -> None:
        lane.refresh(self._dtypes)

    def _look_at_lanes(self, look: Callable[[LaneFiles], None], at_once: int) -> None:
        """Long lanes on a thread each: they share nothing, and reading and checksums hold no other thread up."""
        lanes = list(self._lanes.values())
        if len(lanes) > 1 and sum(lane.unread_bytes for lane in lanes) > _MANY_BYTES:
            with ThreadPoolExecutor(min(len(lanes), at_once)) as threads:
                list(threads.map(look, lanes))
        else:
            for lane in lanes:
                look(lane)

    def check(self, progress: Callable[[int, int], object] = lambda done, total: None) -> None:
        """Compare the data of all frames with their checksums. A lane's frames end before the first that is not as it
        was written. `progress` is called with frames checked, and of how many."""
        done, total = 0, sum(len(lane.index) - lane.checked for lane in self._lanes.values())
        for lane in self._lanes.values():
            while lane.checked < len(lane.index):
                if not self._frames.is_right(lane, lane.checked):
                    lane.end_frames(lane.checked)
                    break
                lane.checked += 1
                done += 1
                progress(done, total)
            lane.check_weights()

    def misses(self, lane: str, step: int) -> Misses:
        """What the search of a lane missed when it was measured at a step, read when it is asked for. Raises
        `InputError` where nothing tells it."""
        return self._told_lines.misses(lane, step)

    def missed_steps(self, lane: str) -> Collection[int]:
        """The steps at which that was measured."""
        return self._told_lines.missed.get(lane, {}).keys()

    def step_count(self, lane: str) -> int:
        """Steps recorded of a lane."""
        return self._lane(lane).steps

    def steps(self, lane: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """The step records of a lane, a structured array of fields `step`, `loss`, `search_ms`, `map_at_r`, ..."""
        state = self._lane(lane)
        start, stop, _ = slice(start, stop).indices(state.steps)
        return read_records(state.folder / STEPS_FILE, self._dtypes.step, start, max(0, stop - start))

    def layer_metrics(self, lane: str) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Steps and values of every metric of a single layer, by name, see `hnm_core.run.events.LAYER_METRICS`."""
        known, last = self._lane(lane).layers, self._lane(lane).last_step
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
        return self._frames.frame(self._lane(lane), index)

    def mined(self, lane: str, start: int, stop: int) -> Iterator[tuple[int, NDArray[np.int32], NDArray[Any] | None]]:
        """What was mined, of the frames from `start` up to, not with, `stop`: of each its step, its (M, 3) triplets of
        ids, and the separation and age of each, None in recordings that do not tell them. Reads nothing else."""
        return self._frames.mined(self._lane(lane), start, stop)

    def paths(self, lane: str, places: NDArray[np.int64], start: int, stop: int) -> NDArray[np.float32]:
        """(F, K, 3) where K of the shown items stood in the frames from `start` up to, not with, `stop`; `places` are
        those among `started.ids`."""
        return self._frames.paths(self._lane(lane), places, start, stop)

    def weights(self, lane: str) -> Weights | None:
        """The network of a lane at the end; None where the run was broken off. Raises `InputError` if damaged."""
        return read_weights(self._lane(lane).folder / WEIGHTS_FILE, lane)

    def numbered_steps(self, lane: str) -> Iterator[tuple[int, Event]]:
        """Every step record of a lane with its place in the run, read piece by piece."""
        state = self._lane(lane)
        for start in range(0, state.steps, _CHUNK):
            yield from as_records(self.steps(lane, start, start + _CHUNK), lane, self._run_file, state.layers)

    def history(self, progress: Callable[[int, int], object] = lambda done, total: None) -> RunHistory:
        """What the run has told, as it stands now. `progress` is called with steps read, and of how many.

        Raises:
            InputError: the recording is damaged.
        """
        history = self._told()
        done, total = 0, sum(self.step_count(lane) for lane in self.lanes)
        for name in self.lanes:
            for steps in self._fill(history.lane(name)):
                done += steps
                progress(done, total)
        return history

    def of_each_lane(self, view: Callable[[LaneHistory], View]) -> list[View]:
        """What `view` makes of the history of each lane, one after the other, so that no two need room at once, unless
        one was forked off the other."""
        return [self._viewed(name, view) for name in self.lanes]

    def _viewed(self, name: str, view: Callable[[LaneHistory], View]) -> View:
        told = self._told().lane(name)
        lane: LaneHistory | None = told
        while lane is not None:
            for _ in self._fill(lane):
                pass
            lane = lane.parent
        return view(told)

    def _told(self) -> RunHistory:
        """The history without steps."""
        missed = {lane: self.missed_steps(lane) for lane in self.lanes}
        history = RunHistory(read_misses=self.misses, missed_steps=missed)
        history.add(self.started)
        for event in self.events:
            history.add(event)
        if self.finished is not None:
            history.add(self.finished)
        return history

    def _fill(self, lane: LaneHistory) -> Iterator[int]:
        """Read the steps of a lane into its history; yields how many, piece by piece."""
        state = self._lane(lane.name)
        lane.reserve(state.steps)
        for rows in record_pieces(state.folder / STEPS_FILE, self._dtypes.step, 0, state.steps, _CHUNK):
            lane.extend(as_columns(rows, self._run_file))
            yield len(rows)
        self._fill_layers(lane)

    def _fill_layers(self, lane: LaneHistory) -> None:
        for metric, (steps, values) in self.layer_metrics(lane.name).items():
            lane.measure(metric, steps, values)

    def numbered_frames(self, lane: str) -> Iterator[tuple[int, Event]]:
        """Every frame of a lane with its place in the run, read one by one."""
        numbers = self._lane(lane).index["event"]
        for place, number in enumerate(numbers.tolist()):
            yield number, self.frame(lane, place)

    def summary(self) -> dict[str, Any]:
        """What the recording holds, as plain values for a table or JSON."""
        return summarised(self, self.of_each_lane(lane_facts))

    def _lane(self, name: str) -> LaneFiles:
        if name not in self._lanes:
            raise InputError(f"The recording '{self.folder}' has no lane '{name}', only {', '.join(self._lanes)}.")
        return self._lanes[name]
