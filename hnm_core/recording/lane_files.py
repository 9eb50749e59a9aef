"""The files of one lane: which steps, frames and metrics of layers are wholly there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording.files import new_lines, read_records, size_of
from hnm_core.recording.header import Dtypes
from hnm_core.recording.layout import EDGE_BYTES, GUESTS_FILE, HARDNESS_FILE, LAYERS_FILE
from hnm_core.run.event_json import number as measure
from hnm_core.run.events import layer_metric


@dataclass
class LaneFiles:
    """What is known of them."""

    folder: Path
    steps: int
    index: NDArray[Any]
    """The frames that are wholly there."""
    torn_bytes: int
    layers: dict[int, dict[str, float]] = field(default_factory=dict)
    """Metrics of single layers, by step."""
    layers_read: int = 0
    """Bytes of layers.jsonl that are in `layers`."""


def read_lane(folder: Path, dtypes: Dtypes, before: LaneFiles | None) -> LaneFiles:
    """What of a lane's files is whole now; `before` is what was so the last time. Raises `InputError` when damaged."""
    # The index first: by the time the other sizes are read, everything it vouches for is there.
    known = before.index if before is not None else np.zeros(0, dtypes.index)
    index_bytes = size_of(folder / "frames.idx")
    new = index_bytes // dtypes.index.itemsize - len(known)
    index = np.concatenate([known, read_records(folder / "frames.idx", dtypes.index, len(known), max(0, new))])
    steps_bytes, frames_bytes, edges_bytes = (
        size_of(folder / name) for name in ("steps.bin", "frames.bin", "edges.bin")
    )
    whole = min(len(index), frames_bytes // dtypes.frame.itemsize)
    edges_ends = _checked_ends(folder, index, dtypes, "edges", EDGE_BYTES)
    whole = min(whole, int(np.searchsorted(edges_ends, edges_bytes, side="right")))
    hardness_bytes, hardness_ends = 0, np.zeros(len(index), np.int64)
    if dtypes.hardness is not None:
        hardness_bytes, hardness_ends = (
            size_of(folder / HARDNESS_FILE),
            edges_ends // EDGE_BYTES * dtypes.hardness.itemsize,
        )
        whole = min(whole, int(np.searchsorted(hardness_ends, hardness_bytes, side="right")))
    guests_bytes, guests_ends = 0, np.zeros(len(index), np.int64)
    if dtypes.guest is not None:
        guests_bytes = size_of(folder / GUESTS_FILE)
        guests_ends = _checked_ends(folder, index, dtypes, "guests", dtypes.guest.itemsize)
        whole = min(whole, int(np.searchsorted(guests_ends, guests_bytes, side="right")))
    used = int(edges_ends[whole - 1] + hardness_ends[whole - 1] + guests_ends[whole - 1]) if whole else 0
    torn = (
        steps_bytes % dtypes.step.itemsize
        + index_bytes
        - whole * dtypes.index.itemsize
        + frames_bytes
        - whole * dtypes.frame.itemsize
        + edges_bytes
        + hardness_bytes
        + guests_bytes
        - used
    )
    lane = LaneFiles(folder, steps_bytes // dtypes.step.itemsize, index[:whole], torn)
    if before is not None:
        lane.layers, lane.layers_read = before.layers, before.layers_read
    if (folder / LAYERS_FILE).exists():
        lane.torn_bytes += _read_layers(lane)
    return lane


def _checked_ends(folder: Path, index: NDArray[Any], dtypes: Dtypes, what: str, size: int) -> NDArray[np.int64]:
    """Where the edges or guests of each frame end in their file, in bytes, after checking that the index is of one
    piece; `size` is that of one of them."""
    counts = index[what]
    broken = (counts < 0) | (counts > 1 << 31)
    ends: NDArray[np.int64] = np.cumsum(np.where(broken, 0, counts) * size)
    broken |= index["offset"] != np.arange(len(index)) * dtypes.frame.itemsize
    broken |= index[f"{what}_offset"] != np.concatenate([[0], ends[:-1]])[: len(index)]
    if broken.any():
        place = int(np.argmax(broken))
        raise InputError(f"'{folder / 'frames.idx'}' is damaged: entry {place:,} points outside its data.")
    return ends


def _read_layers(lane: LaneFiles) -> int:
    """Take in what layers.jsonl has more than is known. Returns the bytes of a line that is torn."""
    path = lane.folder / LAYERS_FILE
    lines, lane.layers_read, torn = new_lines(path, lane.layers_read)
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
