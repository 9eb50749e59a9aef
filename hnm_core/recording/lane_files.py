"""The files of one lane: which steps, frames and metrics of layers are wholly there and right, and what is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording.checksums import is_sealed
from hnm_core.recording.extents import Extent, extents
from hnm_core.recording.files import Lines, read_records, right_records, size_of
from hnm_core.recording.header import Dtypes, RunFile
from hnm_core.recording.layout import (
    CHECKSUM,
    FLAG_LAYERS,
    FRAMES_FILE,
    INDEX_FILE,
    LAYERS_FILE,
    PARTS,
    STEPS_FILE,
    WEIGHTS_FILE,
)
from hnm_core.recording.planes import streams
from hnm_core.recording.plausible import RecordJudge, leading
from hnm_core.recording.weights import read_weights
from hnm_core.run.event_json import number as measure
from hnm_core.run.events import layer_metric
from hnm_core.run.history import Column
from hnm_core.words import counted
from hnm_core.words import size as in_words

_MOST_BYTES = 1 << 36
"""Of a part of a frame."""

Take = Callable[[NDArray[Any]], object]


@dataclass
class LaneFiles:
    """What is known of them."""

    folder: Path
    lane: str
    _index: Column
    """Looked at twice a second while a run is recorded, so what is known is not copied."""
    judge: RecordJudge
    """Of steps.bin, as far as it is right."""
    index_judge: RecordJudge
    layer_lines: Lines
    steps: int = 0
    entries: int = 0
    """Of frames.idx that are right, also where the data of their frames are lost."""
    _step_bytes: int = 0
    lost_records: int = 0
    """Of steps.bin and frames.idx that follow what is right."""
    cut: set[str] = field(default_factory=set)
    """Of these two files those that end inside a record."""
    torn_bytes: int = 0
    """That belong to nothing that is wholly there and right."""
    losses: list[str] = field(default_factory=list)
    """What is damaged, each in a sentence."""
    lost_frames: bool = False
    """Whether there were frames after those of the index."""
    layer_steps: int = 0
    """Steps that have a line in layers.jsonl."""
    layers: dict[int, dict[str, float]] = field(default_factory=dict)
    """Metrics of single layers, by step."""
    checked: int = 0
    """How many frames were compared with their checksums."""
    frames_end: int | None = None
    """The first frame whose data are damaged; it and those after it are left out."""
    _frames_loss: str = ""
    weights_loss: str | None = None
    """That the weights are damaged; empty where they are not, None where nobody has looked."""

    @classmethod
    def unread(cls, folder: Path, lane: str, run_file: RunFile, dtypes: Dtypes) -> LaneFiles:
        """Of a lane whose files were not looked at yet."""
        steps, index = (RecordJudge(run_file, f"{folder.name}/{name}") for name in (STEPS_FILE, INDEX_FILE))
        lines = Lines(folder / LAYERS_FILE)
        return cls(folder, lane, Column(dtypes.index), steps, index, lines, _step_bytes=dtypes.step.itemsize)

    @property
    def index(self) -> NDArray[Any]:
        """The frames that are wholly there."""
        return self._index.values

    @property
    def last_step(self) -> int:
        """The step of the last record; 0 where there is none."""
        return self.judge.step if self.steps else 0

    @property
    def last_frame_step(self) -> int:
        """The step of the last frame; 0 where there is none."""
        return int(self.index["step"][-1]) if len(self.index) else 0

    @property
    def unread_bytes(self) -> int:
        """Of steps that nobody has looked at yet."""
        return size_of(self.folder / STEPS_FILE) - self.steps * self._step_bytes

    def refresh(self, dtypes: Dtypes, take: Take = lambda records: None) -> None:
        """Look at what has come since. `take` is called with the records of steps that are right, piece by piece, each
        gone when the next one comes. Raises `OSError`, and `InputError` when a file shrinks under our hands."""
        self.torn_bytes, self.lost_records, self.losses, self.cut = 0, 0, [], set()
        # What frames there are before the index, and the rest after it: by then, all that it vouches for is there.
        frames_before = size_of(self.folder / FRAMES_FILE)
        if self.weights_loss:
            self.losses.append(self.weights_loss)
        self._read_index(dtypes, frames_before)
        self._read_steps(dtypes.step, take)
        self._read_layers()

    def check_weights(self) -> None:
        """Read the weights, and say so where they are damaged."""
        path = self.folder / WEIGHTS_FILE
        if self.weights_loss is None:
            try:
                self.weights_loss = "" if read_weights(path, self.lane) is not None else None
            except InputError:
                self.weights_loss = f"Lane '{self.lane}' lost its weights: {self.folder.name}/{path.name} is damaged."
                self.losses.append(self.weights_loss)

    def end_frames(self, place: int) -> None:
        """The data of the frame at `place` are damaged: it is left out, and what follows."""
        lost = len(self.index) - place
        self._index.cut(place)
        self.frames_end = place
        self._lose_frames(lost, f"{FRAMES_FILE}, or what belongs to it, is damaged")
        self._frames_loss = self.losses[-1]

    def _read_steps(self, dtype: np.dtype[Any], take: Take) -> None:
        path = self.folder / STEPS_FILE
        size = size_of(path)
        for records in right_records(path, dtype, self.steps, size, self.judge):
            self.steps += len(records)
            self.layer_steps += int(np.count_nonzero(records["flags"] & FLAG_LAYERS))
            take(records)
        rest = max(0, size - self.steps * dtype.itemsize)
        self.torn_bytes += rest
        self.cut |= {STEPS_FILE} if rest % dtype.itemsize else set()
        if not path.is_file():
            self._lose("its steps", f"{path.name} is missing")
        elif rest >= dtype.itemsize:
            self.lost_records += rest // dtype.itemsize
            lost = (
                f"{counted(rest // dtype.itemsize, 'record')} of steps ({in_words(rest)}) after step {self.last_step:,}"
            )
            self._lose(lost, f"{path.name} is damaged")

    def _read_index(self, dtypes: Dtypes, frames_before: int) -> None:
        folder, path = self.folder, self.folder / INDEX_FILE
        size = size_of(path)
        self.cut |= {INDEX_FILE} if size % dtypes.index.itemsize else set()
        if self.frames_end is None:
            new = right_records(path, dtypes.index, len(self._index), size, self.index_judge)
            for records in [piece.copy() for piece in new]:  # all of them, or reading failed and nothing is known
                self._index.extend(records)
        index, right, ends = self.index, len(self.index), {}
        for name, extent in extents(index, dtypes).items():
            ends[PARTS[name].file], other = _ends(extent)
            right = min(right, other)
        right = min(right, _chained(index)) if dtypes.packed else right
        sizes = {name: size_of(folder / name) for name in ends}
        there = {name: int(np.searchsorted(ends[name][:right], sizes[name], side="right")) for name in ends}
        whole = min(there.values())
        used = sum(int(file[whole - 1]) for file in ends.values()) if whole else 0
        self.torn_bytes += size - whole * dtypes.index.itemsize + sum(sizes.values()) - used
        self._index.cut(whole)
        if self.frames_end is None:
            self.entries = len(index)
            self.lost_records += size // dtypes.index.itemsize - len(index)
        self.index_judge.go_on_after(self.index)
        if self.frames_end is not None:
            self.losses.append(self._frames_loss)
            return
        lost = size // dtypes.index.itemsize - whole
        if whole < right:
            name = min(there, key=lambda name: there[name])
            self._lose_frames(lost, f"{name} ends too early" if (folder / name).is_file() else f"{name} is missing")
        elif not path.is_file():
            self._lose_clouds(sizes[FRAMES_FILE], f"{INDEX_FILE} is missing")
        elif lost:
            self._lose_frames(lost, f"{INDEX_FILE} is damaged")
        elif self._are_several(more := frames_before - int(ends[FRAMES_FILE][-1] if whole else 0), dtypes):
            self._lose_clouds(more, f"{INDEX_FILE} ends too early")

    def _are_several(self, size: int, dtypes: Dtypes) -> bool:
        """Whether the last so many bytes of frames.bin hold more than one, which may have no entry yet."""
        frame = dtypes.frame.itemsize
        if not dtypes.packed or size > 2 * frame:
            return size >= 2 * frame
        path = self.folder / FRAMES_FILE
        return size > 0 and streams(read_records(path, np.dtype(np.uint8), size_of(path) - size, size).tobytes(), 2) > 1

    def _lose_frames(self, lost: int, why: str) -> None:
        self._lose_clouds_as(counted(lost, "cloud"), why)

    def _lose_clouds(self, size: int, why: str) -> None:
        """Nobody knows how many."""
        self._lose_clouds_as(f"clouds of {in_words(size)}", why)

    def _lose_clouds_as(self, what: str, why: str) -> None:
        self.lost_frames = True
        after = f" after step {self.last_frame_step:,}" if len(self.index) else ", all of them"
        self._lose(f"{what}{after}", why)

    def _lose(self, what: str, why: str) -> None:
        """`why` begins with the name of a file."""
        self.losses.append(f"Lane '{self.lane}' lost {what}: {self.folder.name}/{why}.")

    def _read_layers(self) -> None:
        """Take in what layers.jsonl has more than is known."""
        lines = self.layer_lines
        for step, values in lines.more(self._parse_layers):
            self.layers[step] = values
        self.torn_bytes += lines.rest
        if lines.damaged or lines.count < self.layer_steps:
            lost = counted(max(0, self.layer_steps - lines.count), "step")
            state = "is damaged" if lines.damaged else "ends too early" if lines.path.is_file() else "is missing"
            after = max(self.layers, default=0)
            self._lose(f"metrics of layers of {lost} after step {after:,}", f"{lines.path.name} {state}")

    def _parse_layers(self, line: bytes, place: int) -> tuple[int, dict[str, float]]:
        run_file = self.judge.run_file
        if run_file.has_checksums and not is_sealed(line, run_file.salt, f"{self.folder.name}/{LAYERS_FILE}", place):
            raise ValueError("its checksum is another")
        values = json.loads(line)
        if not isinstance(values, dict):
            raise ValueError("it must be an object")
        values.pop(CHECKSUM, None)
        step = values.pop("step", None)
        if type(step) is not int or step < 1 or not all(map(layer_metric, values)):
            raise ValueError("it needs a step and metrics of layers")
        return step, {name: measure(value) for name, value in values.items()}


def _ends(extent: Extent) -> tuple[NDArray[np.int64], int]:
    """Where a part of each frame ends in its file, in bytes, and how many entries of the index, from the first on, are
    of one piece."""
    offsets, sizes = extent
    right = (sizes >= 0) & (sizes <= _MOST_BYTES)
    ends: NDArray[np.int64] = np.cumsum(np.where(right, sizes, 0))
    right &= offsets == np.concatenate([[0], ends[:-1]])[: len(offsets)]
    return ends, leading(right)


def _chained(index: NDArray[Any]) -> int:
    """How many entries of the index, from the first on, lead back to a frame that is told alone, and take over from the
    one before them no more than it has."""
    edges, repeated, after_key = (index[name].astype(np.int64) for name in ("edges", "repeated", "after_key"))
    right = (edges >= 0) & (index["guests"] >= 0) & (index["candidates"] >= 0)
    right &= (after_key == 0) | (after_key == np.concatenate(([-1], after_key[:-1]))[: len(index)] + 1)
    right &= (repeated >= 0) & (repeated <= edges) & (repeated <= np.concatenate(([0], edges[:-1]))[: len(index)])
    return leading(right & ((repeated == 0) | (after_key > 0)))
