"""Writes the files of one lane."""

from __future__ import annotations

import itertools
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.recording import layout, planes
from hnm_core.recording.checksums import Sealer, sealed_line
from hnm_core.recording.disk import GrowingFile, Opener
from hnm_core.recording.layout import (
    ABSENT_COUNT,
    CANDIDATES_FILE,
    CHECKSUM_BYTES,
    EDGES_FILE,
    FLAG_FIRST_CALL,
    FLAG_LAYERS,
    FLAG_MINING,
    FRAMES_FILE,
    GUESTS_FILE,
    HARDNESS_FILE,
    INDEX_FILE,
    LAYERS_FILE,
    STEPS_FILE,
    WEIGHTS_FILE,
)
from hnm_core.recording.weights import write_weights
from hnm_core.run.candidates import SCOPES, Candidates
from hnm_core.run.events import (
    METRICS,
    POINT_COLUMNS,
    TUPLE_COUNTS,
    Frame,
    RunStarted,
    StepRecord,
    Weights,
    layer_metric,
)
from hnm_core.run.hardness import BANDS, Hardness
from hnm_core.run.timing import Phase

FRAMES_AT_FULL_RATE = 10_000
"""A lane keeps every frame up to so many, then every second one for as many again, then every fourth, and so on."""

KEY_POINTS = 100_000
"""So many points are unpacked at most until a frame is found: about a hundredth of a second."""
MOST_AFTER_KEY = 11
"""So many frames at most are changes of those before them, all of which one needs."""

_NOISY_BYTES = {"frame": 1, "edges": 1, "hardness": 3}
"""Of a position, of an anchor, of a separation; see `planes.pack`."""

_PACKED = {"<i8": "q", "<f8": "d", "<u4": "I", "<f4": "f"}
"""How `struct` calls the formats of a step, of which it makes bytes several times as fast as numpy."""

_NAN, _ABSENT = itertools.repeat(math.nan), itertools.repeat(ABSENT_COUNT)


class _Told(NamedTuple):
    """What is kept of a frame until the next one."""

    step: int
    row: NDArray[Any]
    edges: NDArray[Any]
    hardness: NDArray[Any]


class LaneWriter:
    """The files of one lane. After an `OSError`, `rewind` takes back what is not whole."""

    def __init__(self, folder: Path, started: RunStarted, salt: str, open_file: Opener) -> None:
        """`open_file` opens a new file of this lane; those that vouch for others are to be synced after them."""
        self._folder, self._salt, self._open = folder, salt, open_file
        names = (STEPS_FILE, FRAMES_FILE, EDGES_FILE, HARDNESS_FILE, GUESTS_FILE, CANDIDATES_FILE, INDEX_FILE)
        self._files: dict[str, GrowingFile] = {name: open_file(folder / name) for name in names}
        self._points = points = len(started.ids)
        self._phases = tuple(Phase)  # to go over the class itself takes several times as long
        self._step = Struct("<" + "".join(map(_PACKED.__getitem__, layout.step_layout()["formats"][:-1])))
        self._frame_dtype = layout.to_dtype(layout.frame_layout(points))
        self._most_after_key = min(MOST_AFTER_KEY, KEY_POINTS // max(1, points))
        self._after_key = 0
        self._before: _Told | None = None
        """The frame that the next one is told as a change of"""
        guest = layout.guest_layout(started.groups is not None, started.true_labels is not None)
        self._guest_dtype = layout.to_dtype(guest)
        self._index = np.zeros((), layout.to_dtype(layout.index_layout()))
        self._step_sealer = Sealer(salt, self._path(STEPS_FILE), self._step.size + CHECKSUM_BYTES)
        self._index_sealer = Sealer(salt, self._path(INDEX_FILE), self._index.nbytes)
        self._hardness_dtype = layout.to_dtype(layout.hardness_layout())
        self._candidate_dtype = layout.to_dtype(layout.candidate_layout())
        self._frames_seen = 0
        self._layer_lines = 0
        self._held: Frame | None = None

    def rewind(self) -> None:
        """Take back what is not whole. Raises `OSError`."""
        for file in self._files.values():
            file.rewind()

    def _keep(self) -> None:
        for file in self._files.values():
            file.keep()

    def _place(self, name: str, size: int) -> int:
        """How many records of a size a file has."""
        return self._files[name].kept // size

    def _path(self, name: str) -> str:
        return f"{self._folder.name}/{name}"

    def write_step(self, record: StepRecord, number: int) -> None:
        """Append to steps.bin."""
        metrics, of_layers = record.metrics, {}
        if metrics:  # hardly any step has some
            of_layers = {name: value for name, value in metrics.items() if layer_metric(name)}
            _known(metrics.keys() - of_layers.keys(), METRICS, "metric")
        _known(record.tuples, TUPLE_COUNTS, "tuple count")
        if of_layers:
            self._write_layers(record.step, of_layers)  # before its step, which vouches for it
        row = self._step.pack(
            number,
            record.step,
            record.loss,
            FLAG_MINING * record.mining | FLAG_FIRST_CALL * record.first_call | FLAG_LAYERS * bool(of_layers),
            sum(1 << METRICS.index(name) for name in metrics if name not in of_layers),
            *map(record.phase_ms.get, self._phases, _NAN),
            *map(record.tuples.get, TUPLE_COUNTS, _ABSENT),
            *map(metrics.get, METRICS, _NAN),
        )
        steps = self._files[STEPS_FILE]
        steps.append(self._step_sealer.sealed(row, self._place(STEPS_FILE, len(row) + CHECKSUM_BYTES)))
        if of_layers:
            self._layer_lines += 1
            self._files[LAYERS_FILE].keep()
        steps.keep()

    def _write_layers(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append to layers.jsonl, which only lanes have whose layers are measured."""
        if LAYERS_FILE not in self._files:
            self._files[LAYERS_FILE] = self._open(self._folder / LAYERS_FILE)
        values = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        text = json.dumps({"step": step, **values})
        self._files[LAYERS_FILE].append(sealed_line(text, self._salt, self._path(LAYERS_FILE), self._layer_lines))

    def write_frame(self, frame: Frame, number: int) -> bool:
        """Append to frames.bin, what belongs to it and frames.idx, unless the lane has so many that this one is
        skipped. Returns whether it was written."""
        stride = 1 << (self._place(INDEX_FILE, self._index.nbytes) // FRAMES_AT_FULL_RATE)
        written = self._frames_seen % stride == 0
        if written:
            self._write_frame(frame, number)
        else:
            self._held = frame
        self._frames_seen += 1
        return written

    def write_weights(self, weights: Weights) -> None:
        """Write weights.npz, whole or not at all."""
        write_weights(self._folder / WEIGHTS_FILE, weights)

    def write_held(self, number: int) -> bool:
        """Write the newest frame, if it was skipped: a recording ends with the final cloud. Returns whether it was."""
        if self._held is None:
            return False
        self._write_frame(self._held, number)
        return True

    def _write_frame(self, frame: Frame, number: int) -> None:
        if frame.positions.shape != (self._points, 3):
            raise ValueError(f"frame of {frame.lane}: positions {frame.positions.shape}, expected ({self._points}, 3)")
        _known(frame.columns, POINT_COLUMNS, "point column")
        row, index = np.empty(1, self._frame_dtype), self._index
        row["positions"], index["box"] = layout.quantise(frame.positions)
        for name in POINT_COLUMNS:
            row[name] = frame.columns.get(name, np.nan)
        edges = np.ascontiguousarray(frame.triplets, dtype="<i4").reshape(-1).view(layout.EDGE)
        index["event"], index["step"], index["mined_total"] = number, frame.step, frame.mined_total
        index["after_key"], index["edges"] = self._after_key, len(edges)
        self._index_hardness(frame.hardness)
        guests = self._guests(frame)
        candidates = self._candidates(frame.candidates)
        index["guests"], index["candidates"] = len(guests), len(candidates)
        index["columns"] = sum(1 << place for place, name in enumerate(POINT_COLUMNS) if name in frame.columns)
        index["projection"] = frame.projection.encode()[:64].decode(errors="ignore").encode()
        before, told = self._before, _Told(frame.step, row, edges, self._hardness(frame))
        index["repeated"] = repeated = 0 if before is None else _repeated(before, told)
        parts = {"frame": row, "edges": edges[repeated:], "hardness": told.hardness[repeated:], "guests": guests}
        checksum = 0
        for part, numbers in {**parts, "candidates": candidates}.items():
            file = self._files[layout.PARTS[part].file]
            earlier = before.row if before is not None and part == "frame" else None
            data = planes.pack(numbers, earlier, _NOISY_BYTES.get(part, 0)) if len(numbers) else b""
            index[layout.PARTS[part].offset], index[layout.PARTS[part].size] = file.kept, len(data)
            if data:
                checksum = zlib.crc32(data, checksum)
                file.append(data)
        index["data"] = checksum
        entry = index.tobytes()[:-CHECKSUM_BYTES]
        place = self._place(INDEX_FILE, index.nbytes)
        self._files[INDEX_FILE].append(self._index_sealer.sealed(entry, place))  # last: it vouches for its frame
        self._keep()
        self._after_key = 0 if self._after_key == self._most_after_key else self._after_key + 1
        self._before = told if self._after_key else None
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

    def _candidates(self, told: Candidates | None) -> NDArray[Any]:
        """The (P,) records of a frame's candidates; what else is told of them goes into the index."""
        index = self._index
        index["asked"], index["most"], index["scope"] = 0, 0, 0
        if told is None:
            return np.zeros(0, self._candidate_dtype)
        index["asked"], index["most"], index["scope"] = told.asked, told.most, SCOPES.index(told.scope)
        records = np.zeros(len(told.pairs), self._candidate_dtype)
        records["anchor"], records["candidate"], records["chosen"] = *told.pairs.T, told.chosen
        return records

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


def _repeated(before: _Told, now: _Told) -> int:
    """How many of the triplets that are told now, from the first on, are the last that were told before: frames that
    come soon after one another tell of the same steps."""
    if not len(now.edges):
        return 0
    known, own = (told.hardness["separation"].view(np.int32) for told in (before, now))
    for first in np.flatnonzero((known == own[0]) & (before.edges == now.edges[0])):
        count = len(known) - int(first)
        age = before.hardness["age"][first:]
        pairs = (
            (before.edges[first:], now.edges),
            (known[first:], own),
            (np.where(age < 0, age, age + (now.step - before.step)), now.hardness["age"]),
        )
        if all(np.array_equal(earlier, later[:count]) for earlier, later in pairs):
            return count
    return 0


def _known(given: Iterable[str], names: tuple[str, ...], kind: str) -> None:
    """Refuse what would be lost silently: the names of a recording's fields are a closed set."""
    for name in given:
        if name not in names:
            raise ValueError(f"unknown {kind} '{name}'; known: {', '.join(names)}")
