"""What lies where in a recording, and the numbers' layout. A reader needs numpy and json, and nothing else.

    run.json        configuration, versions, lanes, and every layout below, ready for `np.dtype`
    labels.npy ids.npy held_out.npy [groups.npy] [true_labels.npy]
    [several_ids.npy several_labels.npy]
                    (M,) int64 both, where items have several labels each: the id of an item and one of its labels,
                    ascending by id, then by label; `labels.npy` then holds the rarest of each shown item
    [texts.jsonl]   {"item": 12, "id": "...", "text": "..."}: an item's id in the user's files and how its text begins;
                    missing where items are no texts
    events.jsonl    every event that is neither a step nor a frame, one JSON object a line; weights are named
    00-NAME/        one folder a lane
        steps.bin   np.fromfile(path, step_dtype)
        frames.idx  np.fromfile(path, index_dtype): one entry a frame, written after its frame, which says where in the
                    five files that follow its part lies. These are packed, see `planes`; before schema 7 they were not
        frames.bin  a record of frame_dtype: positions in units of the frame's own box, columns as they are
        edges.bin   records of anchor, positive and negative, int32: the triplets, without the first ones, `repeated`
                    in number, where these are the last of the frame before
        hardness.bin  records of hardness_dtype, of each triplet in edges.bin: how hard it was, and how many steps
                    before its frame it was mined
        guests.bin  (guests,) records of guest_dtype: mined items, missed ones and candidates that are not in ids.npy,
                    where that holds a part of a large set only
        candidates.bin  (candidates,) records of candidate_dtype: what some anchors of the last step had to choose from:
                    anchor, candidate (-1 where it has none), whether that was chosen
        layers.jsonl  metrics of single layers, one JSON object a measured step: {"step": 50, "METRIC/LAYER": 1.5, ...};
                    missing where no layer was measured
        weights.npz the network at the end: arrays by name, `@step`, `@in_features`; missing if the run was broken off
    checkpoints/    what training can go on from, and the networks of a run that was broken off: see `checkpoints`

A position is `box[0] + position * (box[1] - box[0]) / POSITION_STEPS`; `POSITION_MISSING` stands for one that is not
finite. The field `event` of steps, index and events counts the events of the whole run, so the three merge into their
first order. From schema 5 on nothing else is counted, so a number that is nowhere belongs to a record that was lost.

Everything has a checksum (from schema 5 on), and reading a file ends before the first record whose checksum is wrong:
how they are made stands in `checksums.py`. Records of `steps.bin` and `frames.idx` end with a field `checksum`; `data`
of an entry of `frames.idx` is the crc32 of what the five files hold of its frame; lines of `events.jsonl` and
`layers.jsonl` and `run.json` itself end with `checksum`; `run.json` has the crc32 of each `.npy` file, and of
`texts.jsonl`, under `arrays`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.run.events import METRICS, POINT_COLUMNS, TUPLE_COUNTS
from hnm_core.run.hardness import BANDS, BINS
from hnm_core.run.timing import Phase

KIND = "hnm-lab recording"
SCHEMA = 7
"""Version of what is written. Those before are read: 1 knew no lanes forked off and no options changed by request; 2
told the end of a warm-up as a change of the miner, of an alarm only whether it was fatal, and knew no guests: of a set
too large to show, triplets then named items of which nothing else is known; 3 did not tell how hard triplets were; 4
had no checksums; 5 did not tell of candidates, nor how lanes search; 6 did not pack frames."""
FIRST_WITH_GUESTS = 3
FIRST_WITH_HARDNESS = 4
FIRST_WITH_CHECKSUMS = 5
FIRST_WITH_CANDIDATES = 6
FIRST_PACKED = 7
RUN_FILE = "run.json"
EVENTS_FILE = "events.jsonl"
TRUE_LABELS_FILE = "true_labels.npy"
SEVERAL_FILES = "several_ids.npy", "several_labels.npy"
TEXTS_FILE = "texts.jsonl"
STEPS_FILE = "steps.bin"
FRAMES_FILE = "frames.bin"
INDEX_FILE = "frames.idx"
EDGES_FILE = "edges.bin"
GUESTS_FILE = "guests.bin"
HARDNESS_FILE = "hardness.bin"
CANDIDATES_FILE = "candidates.bin"
LAYERS_FILE = "layers.jsonl"
WEIGHTS_FILE = "weights.npz"
WEIGHTS_STEP = "@step"
WEIGHTS_INPUT = "@in_features"
WEIGHTS_IMAGE = "@image_shape"
LOCK_FILE = "writing.lock"
CHECKPOINTS_FOLDER = "checkpoints"
CAMERA_FILE = "camera.json"
"""The user's own path of the camera, which the window puts there: no part of what a run has told."""
PACKED_SUFFIX = ".hnmlab"
"""Of a recording as one file, see `packed`."""
ARRAY_FILES = ("labels.npy", "ids.npy", "held_out.npy", "groups.npy", TRUE_LABELS_FILE, *SEVERAL_FILES, TEXTS_FILE)
LANE_FILES = (
    STEPS_FILE,
    FRAMES_FILE,
    INDEX_FILE,
    EDGES_FILE,
    HARDNESS_FILE,
    GUESTS_FILE,
    CANDIDATES_FILE,
    LAYERS_FILE,
    WEIGHTS_FILE,
)

POSITION_STEPS = 65_534
POSITION_MISSING = 65_535
ABSENT_COUNT = -1

FLAG_MINING = 1
FLAG_FIRST_CALL = 2
FLAG_LAYERS = 4
"""The step has a line in layers.jsonl; told from schema 5 on."""

_HARDNESS = {
    "margin": "<f8",
    **dict.fromkeys(BANDS, "<i8"),
    "bin_width": "<f8",
    "first_bin": "<i8",
    "bins": f"({BINS},)<i8",
}

_CANDIDATES = {"candidates_offset": "<i8", "candidates": "<i8", "asked": "<i8", "most": "<i8", "scope": "<u4"}


class Part(NamedTuple):
    """Where a part of a frame lies: its file, and the fields of the index that say at which byte, and of how many."""

    file: str
    offset: str
    size: str


PARTS = {
    "frame": Part(FRAMES_FILE, "offset", "frame_size"),
    "edges": Part(EDGES_FILE, "edges_offset", "edges_size"),
    "hardness": Part(HARDNESS_FILE, "hardness_offset", "hardness_size"),
    "guests": Part(GUESTS_FILE, "guests_offset", "guests_size"),
    "candidates": Part(CANDIDATES_FILE, "candidates_offset", "candidates_size"),
}
"""In the order in which `data` of an entry of the index takes them."""

_PACKED = {
    "after_key": "<u4",
    "repeated": "<i8",
    "hardness_offset": "<i8",
    **{part.size: "<i8" for part in PARTS.values()},
}

CHECKSUM = "checksum"
"""The last field of whatever has one."""
CHECKSUM_BYTES = 8
"""Of a record."""

EDGE = np.dtype([("anchor", "<i4"), ("positive", "<i4"), ("negative", "<i4")])
"""A triplet of `edges.bin`."""

Layout = dict[str, list[str]]
"""What `np.dtype` takes: `names` and `formats` of the fields."""


def step_layout() -> Layout:
    """One training step. NaN where a phase did not run or a metric was not measured, -1 for a count not given."""
    fields = {
        "event": "<i8",
        "step": "<i8",
        "loss": "<f8",
        "flags": "<u4",
        "measured": "<u4",
        **{f"{phase}_ms": "<f4" for phase in Phase},
        **dict.fromkeys(TUPLE_COUNTS, "<i8"),
        **dict.fromkeys(METRICS, "<f8"),
        CHECKSUM: "<u8",
    }
    return {"names": list(fields), "formats": list(fields.values())}


def frame_layout(points: int) -> Layout:
    """One cloud of `points` points."""
    fields = {"positions": f"({points},3)<u2", **dict.fromkeys(POINT_COLUMNS, f"({points},)<f4")}
    return {"names": list(fields), "formats": list(fields.values())}


def guest_layout(groups: bool, true_labels: bool) -> Layout:
    """One guest of a frame; groups and true labels where the data set has them. Unlike those of `frame_layout`, its
    position stands there as it is."""
    fields = {
        "id": "<i4",
        "label": "<i4",
        **({"group": "<i8"} if groups else {}),
        **({"true_label": "<i4"} if true_labels else {}),
        "position": "(3,)<f4",
        **dict.fromkeys(POINT_COLUMNS, "<f4"),
    }
    return {"names": list(fields), "formats": list(fields.values())}


def hardness_layout() -> Layout:
    """How hard one triplet of a frame was; NaN where that is not known, and age -1."""
    return {"names": ["separation", "age"], "formats": ["<f4", "<i4"]}


def candidate_layout() -> Layout:
    """One pair of an anchor and a candidate of a frame, see `hnm_core.run.candidates.Candidates`."""
    return {"names": ["anchor", "candidate", "chosen"], "formats": ["<i4", "<i4", "|u1"]}


def index_layout(schema: int = SCHEMA) -> Layout:
    """One entry of `frames.idx`. Offsets are bytes; `columns` has a bit for each column given; what follows `margin` is
    a `hnm_core.run.hardness.Hardness`, of width 0 where there is none; `asked`, `most` and `scope`, a place in
    `hnm_core.run.candidates.SCOPES`, belong to the `candidates`; from schema 7 on sizes are bytes, and the frame is
    packed as a change of the one before it, and that likewise, back to the one `after_key` frames earlier, or alone
    where that is 0; of its `edges` the first `repeated` are the last of that before it; `data` is the crc32 of the
    frame's bytes in frames.bin, edges.bin, hardness.bin, guests.bin and, from schema 6 on, candidates.bin, one after
    the other."""
    fields = {
        "event": "<i8",
        "step": "<i8",
        "offset": "<i8",
        "edges_offset": "<i8",
        "edges": "<i8",
        **({"guests_offset": "<i8", "guests": "<i8"} if schema >= FIRST_WITH_GUESTS else {}),
        "mined_total": "<i8",
        "box": "(2,3)<f4",
        "columns": "<u4",
        "projection": "|S64",
        **(_HARDNESS if schema >= FIRST_WITH_HARDNESS else {}),
        **(_CANDIDATES if schema >= FIRST_WITH_CANDIDATES else {}),
        **(_PACKED if schema >= FIRST_PACKED else {}),
        **({"data": "<u4", CHECKSUM: "<u8"} if schema >= FIRST_WITH_CHECKSUMS else {}),
    }
    return {"names": list(fields), "formats": list(fields.values())}


_FORMAT = re.compile(r"(\((?P<shape>\d{1,9}(,\d{0,9})?)\))?([<|][iuf][1248]|\|S64)")


def to_dtype(layout: Layout, where: str = RUN_FILE) -> np.dtype[Any]:
    """The dtype of a layout read from a file. Raises `InputError` for anything but plain numbers."""
    names, formats = layout.get("names", []), layout.get("formats", [])
    if len(names) != len(formats) or not names or len(set(names)) != len(names) or "" in names:
        raise InputError(f"{where} is damaged: a layout needs as many formats as distinct names.")
    for text in formats:
        if not _FORMAT.fullmatch(text):
            raise InputError(f"{where} is damaged: '{text}' is not a format of numbers.")
    try:
        return np.dtype({"names": names, "formats": formats})
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where} is damaged: {str(error).rstrip('.')}.") from error


def quantise(positions: NDArray[np.float32]) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """(N, 3) positions as (N, 3) whole steps of their own box, and the (2, 3) box: lowest and highest finite corner."""
    axes = np.ascontiguousarray(positions.T)  # what goes along an axis goes along memory, ten times as fast
    missing = ~np.isfinite(axes)
    if missing.any():
        low = np.where(missing, np.inf, axes).min(axis=1)
        high = np.where(missing, -np.inf, axes).max(axis=1)
        empty = missing.all(axis=1)
        box = np.array([np.where(empty, 0, low), np.where(empty, 0, high)], dtype=np.float32)
        axes = np.where(missing, box[0][:, None], axes)
    else:
        box = np.array([axes.min(axis=1), axes.max(axis=1)], dtype=np.float32)
    corner = box[0].astype(np.float64)[:, None]
    extent = box[1].astype(np.float64)[:, None] - corner
    extent[extent == 0] = 1.0
    steps = np.rint((axes - corner) / extent * POSITION_STEPS).astype(np.uint16)
    steps[missing] = POSITION_MISSING
    return steps.T, box


def dequantise(steps: NDArray[np.uint16], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, 3) float32 positions; NaN where they were not finite. The inverse of `quantise` to half a step."""
    with np.errstate(all="ignore"):  # a damaged box may hold anything
        corner = box[0].astype(np.float64)
        extent = box[1].astype(np.float64) - corner
        positions: NDArray[np.float32] = (corner + steps * (extent / POSITION_STEPS)).astype(np.float32)
    positions[steps == POSITION_MISSING] = np.nan
    return positions


def lane_folder(place: int, name: str) -> str:
    """A folder name that every file system takes and no other lane of the run has."""
    return f"{place:02d}-{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'lane'}"


LANE_FOLDER = r"^[0-9]{2,4}-[a-z0-9-]{1,48}$"


_CHECKPOINT = re.compile(r"[0-9]{8,12}\.npz")


def is_checkpoint(path: str) -> bool:
    """Whether a path inside a recording, with `/`, is that of a checkpoint."""
    folder, _, name = path.rpartition("/")
    return folder == CHECKPOINTS_FOLDER and _CHECKPOINT.fullmatch(name) is not None


def is_part(path: str) -> bool:
    """Whether a path inside a recording, with `/`, is that of one of its files. Such names have small letters, so no
    two of them are one to any file system, and none leads out of the recording."""
    folder, _, name = path.rpartition("/")
    if not folder:
        return path in (RUN_FILE, EVENTS_FILE, CAMERA_FILE, *ARRAY_FILES)
    return is_checkpoint(path) or (re.fullmatch(LANE_FOLDER.strip("^$"), folder) is not None and name in LANE_FILES)
