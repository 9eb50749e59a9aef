"""`run.json`: written at the start of a recording, checked field by field when it is read."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hnm_core.errors import InputError
from hnm_core.recording import disk, layout
from hnm_core.recording.arrays import Arrays, read_array
from hnm_core.recording.checksums import is_sealed_file, sealed_file
from hnm_core.recording.layout import (
    EVENTS_FILE,
    KIND,
    LANE_FOLDER,
    RUN_FILE,
    SCHEMA,
    SEVERAL_FILES,
    TEXTS_FILE,
    TRUE_LABELS_FILE,
    Layout,
)
from hnm_core.recording.texts import read_texts
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import METRICS, POINT_COLUMNS, TUPLE_COUNTS, RunStarted
from hnm_core.run.item_texts import MOST_ITEMS, ItemText
from hnm_core.run.raw import RawScore
from hnm_core.run.timing import Phase
from hnm_core.run.told_labels import MOST_PAIRS, ToldLabels
from hnm_core.spec import config as configuration
from hnm_core.spec import plug_ins
from hnm_core.spec.config import LANE_NAME
from hnm_core.spec.explaining import explain
from hnm_core.system.paths import why
from hnm_core.system.regular_files import read_regular

MAX_RUN_FILE = 16 << 20
"""Bytes; no recording has a larger header."""


class LaneEntry(BaseModel):
    """A lane and the folder with its files."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(pattern=LANE_NAME)
    folder: str = Field(pattern=LANE_FOLDER)


Share = Annotated[float, Field(ge=0, le=1)]


class RawEntry(BaseModel):
    """See `hnm_core.run.raw.RawScore`."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: str = Field(max_length=40)
    distance: str = Field(max_length=80)
    metrics: dict[str, Share] = Field(max_length=32)


class EvaluatedEntry(BaseModel):
    """See `hnm_core.run.evaluated.Evaluated`."""

    model_config = ConfigDict(frozen=True, strict=True)

    queries: int = Field(ge=0)
    among: int = Field(ge=0)
    items: int = Field(ge=0)
    alone: int = Field(ge=0)
    held_out: bool
    shares: bool = False


class RunFile(BaseModel):
    """The content of `run.json`."""

    model_config = ConfigDict(frozen=True, strict=True)

    kind: str
    schema_number: int = Field(alias="schema")
    started: str
    versions: dict[str, str]
    config: dict[str, Any]
    class_names: list[str]
    items_total: int
    has_groups: bool
    lanes: list[LaneEntry]
    phases: list[str] = Field(max_length=32)
    tuple_counts: list[str] = Field(max_length=32)
    metrics: list[str] = Field(max_length=32)
    point_columns: list[str] = Field(max_length=32)
    step_dtype: Layout
    frame_dtype: Layout
    index_dtype: Layout
    edge_dtype: Literal["<i4"]
    guest_dtype: Layout | None = None
    """None before schema 3."""
    hardness_dtype: Layout | None = None
    """None before schema 4."""
    candidate_dtype: Layout | None = None
    """None before schema 6."""
    chance: dict[str, Share] | None = None
    """None where it was not told, as before schema 3."""
    raw: list[RawEntry] = Field(default=[], max_length=32)
    """Not told by earlier versions"""
    evaluated: EvaluatedEntry | None = None
    """None where it was not told."""
    salt: str = Field(default="0" * 16, pattern="^[0-9a-f]{16}$")
    """Goes into every checksum, see `checksums`; there are none before schema 5."""
    arrays: dict[str, str] = {}
    """The crc32 of each `.npy` file and of `texts.jsonl`, 8 hexadecimal digits; empty before schema 5."""

    @property
    def has_checksums(self) -> bool:
        """Whether all that follows can be checked."""
        return self.schema_number >= layout.FIRST_WITH_CHECKSUMS


@dataclass(frozen=True)
class Dtypes:
    """The layouts of `run.json` as numpy knows them."""

    step: np.dtype[Any]
    frame: np.dtype[Any]
    index: np.dtype[Any]
    guest: np.dtype[Any] | None
    """None where frames have no guests, as before schema 3"""
    hardness: np.dtype[Any] | None
    """None where it is not told how hard triplets are, as before schema 4"""
    candidate: np.dtype[Any] | None
    """None where candidates are not told of, as before schema 6"""
    packed: bool
    """Whether frames are, as from schema 7 on, see `planes`"""


def new_run_file(started: RunStarted, arrays: Arrays, salt: str) -> RunFile:
    """The `run.json` of a run that starts now, see `arrays_of` and `checksums.new_salt`."""
    names = [lane.name for lane in started.config.lanes]
    return RunFile(
        kind=KIND,
        schema=SCHEMA,
        started=started.started,
        versions={str(key): str(value) for key, value in started.versions.items()},
        config=started.config.to_dict(),
        class_names=list(started.class_names),
        items_total=started.items_total,
        has_groups=started.groups is not None,
        lanes=[LaneEntry(name=name, folder=layout.lane_folder(place, name)) for place, name in enumerate(names)],
        phases=[str(phase) for phase in Phase],
        tuple_counts=list(TUPLE_COUNTS),
        metrics=list(METRICS),
        point_columns=list(POINT_COLUMNS),
        step_dtype=layout.step_layout(),
        frame_dtype=layout.frame_layout(len(started.ids)),
        index_dtype=layout.index_layout(),
        edge_dtype="<i4",
        guest_dtype=layout.guest_layout(started.groups is not None, started.true_labels is not None),
        hardness_dtype=layout.hardness_layout(),
        candidate_dtype=layout.candidate_layout(),
        chance=None if started.chance is None else dict(started.chance),
        raw=[RawEntry(kind=one.kind, distance=one.distance, metrics=dict(one.metrics)) for one in started.raw],
        evaluated=None if started.evaluated is None else EvaluatedEntry(**asdict(started.evaluated)),
        salt=salt,
        arrays={name: f"{zlib.crc32(data):08x}" for name, data in arrays.items()},
    )


def write_run_file(folder: Path, content: RunFile) -> None:
    """Replace `run.json` in one go and for good, so that a reader never sees half of it. Raises `OSError`."""
    with disk.whole_file(folder / RUN_FILE) as file:
        file.write(sealed_file(json.dumps(content.model_dump(by_alias=True), indent=1)))


def read_run_file(folder: Path) -> RunFile:
    """Check that `folder` is a recording and read what it says of itself.

    Raises:
        InputError: no such folder, an empty one, not a recording, `run.json` broken, or written by a newer version.
    """
    path = folder / RUN_FILE
    try:
        if not folder.is_dir():
            what = "is a file; a recording is a folder" if folder.exists() else "does not exist"
            raise InputError(f"The recording '{folder}' {what}.")
        if not any(folder.iterdir()):
            raise InputError(f"The folder '{folder}' is empty, so it holds no recording.")
        data = read_regular(path, MAX_RUN_FILE)
        values = json.loads(data)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"'{folder}' is not a recording: it has no {RUN_FILE}.") from None
    except OSError as error:
        raise InputError(f"The recording '{folder}' cannot be read: {RUN_FILE}: {why(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is damaged: {error}.") from error
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise InputError(f"'{folder}' is not a recording of HNM Lab: its {RUN_FILE} does not say so.")
    schema = values.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise InputError(
            f"'{folder}' was recorded by a newer version (schema {schema}); "
            f"this one reads schema {SCHEMA}. Update hnm-lab."
        )
    if type(schema) is not int or schema < 1:
        raise InputError(f"'{path}' is damaged: schema = {schema!r}, but it must be 1 to {SCHEMA}.")
    if schema >= layout.FIRST_WITH_CHECKSUMS and not is_sealed_file(data):
        raise InputError(f"'{path}' is damaged: its checksum is not that of what it says.")
    try:
        content = RunFile.model_validate(values)
    except ValidationError as error:
        raise InputError(f"'{path}' is damaged. {explain(error, RUN_FILE)}") from error
    names, folders = [lane.name for lane in content.lanes], [lane.folder for lane in content.lanes]
    if len(set(names)) < len(names) or len(set(folders)) < len(folders):
        raise InputError(f"'{path}' is damaged: two lanes have the same name or folder.")
    return content


def checked_dtypes(folder: Path, content: RunFile, started: RunStarted) -> Dtypes:
    """The layouts of `run.json`, if they hold what this version reads. Raises `InputError`."""
    where, points = str(folder / RUN_FILE), len(started.ids)
    step = layout.to_dtype(content.step_dtype, where)
    frame = layout.to_dtype(content.frame_dtype, where)
    index = layout.to_dtype(content.index_dtype, where)
    own_index = layout.to_dtype(layout.index_layout(content.schema_number), where)
    for dtype in (step, index) if content.has_checksums else ():
        if (dtype.names or ("",))[-1] != layout.CHECKSUM or dtype[layout.CHECKSUM] != "<u8" or dtype.itemsize % 4:
            raise InputError(f"'{where}' is damaged: a record must be of words of 4 bytes and end with its checksum.")
    wanted: list[tuple[np.dtype[Any], dict[str, Any]]] = [
        (step, {"event": "<i8", "step": "<i8", "loss": "<f8", "flags": "<u4", "measured": "<u4"}),
        (step, {f"{phase}_ms": "<f4" for phase in content.phases}),
        (step, dict.fromkeys(content.tuple_counts, "<i8")),
        (step, dict.fromkeys(content.metrics, "<f8")),
        (frame, {"positions": f"({points},3)<u2", **dict.fromkeys(content.point_columns, f"({points},)<f4")}),
        (index, {name: own_index[name] for name in own_index.names or ()}),
    ]
    for dtype, fields in wanted:
        for name, kind in fields.items():
            if name not in (dtype.names or ()) or dtype[name] != np.dtype(kind):
                raise InputError(f"'{where}' is damaged: field '{name}' is missing or has another layout than {kind}.")
    expected = set(content.point_columns) | {"positions"}
    if set(frame.names or ()) != expected:
        raise InputError(f"'{where}' is damaged: a frame has other fields than {', '.join(sorted(expected))}.")

    def known(name: str, first: int, given: Layout | None, own: Layout) -> np.dtype[Any] | None:
        if content.schema_number < first:
            return None
        if given != own:
            raise InputError(f"'{where}' is damaged: {name} is another than this version reads.")
        return layout.to_dtype(own, where)

    return Dtypes(
        step,
        frame,
        index,
        _checked_guest(content, started, where),
        known("hardness_dtype", layout.FIRST_WITH_HARDNESS, content.hardness_dtype, layout.hardness_layout()),
        known("candidate_dtype", layout.FIRST_WITH_CANDIDATES, content.candidate_dtype, layout.candidate_layout()),
        content.schema_number >= layout.FIRST_PACKED,
    )


def _checked_guest(content: RunFile, started: RunStarted, where: str) -> np.dtype[Any] | None:
    if content.schema_number < layout.FIRST_WITH_GUESTS:
        return None
    given = layout.to_dtype(content.guest_dtype or {}, where)
    known = layout.guest_layout(groups=True, true_labels=True)
    kinds = dict(zip(known["names"], known["formats"], strict=True)) | dict.fromkeys(content.point_columns, "<f4")
    needed = {"id", "label", "position", *content.point_columns}
    needed |= {"group"} if started.groups is not None else set()
    needed |= {"true_label"} if started.true_labels is not None else set()
    names = set(given.names or ())
    if not needed <= names <= kinds.keys() or any(given[name] != np.dtype(kinds[name]) for name in names):
        raise InputError(f"'{where}' is damaged: a guest has other fields or layouts than this version reads.")
    return given


def read_started(folder: Path, content: RunFile) -> tuple[RunStarted, str]:
    """The first event of the run, and in a sentence that the texts of its items are lost, without which it says what it
    said; empty where they are not. Raises `InputError` when an array is missing, damaged or of the wrong length."""

    def array(name: str, kind: type[np.generic]) -> NDArray[Any]:
        return read_array(folder / name, kind, points, content.arrays.get(name, "") if content.has_checksums else None)

    points = _points(str(folder / RUN_FILE), content)
    ids, labels, held_out = array("ids.npy", np.int64), array("labels.npy", np.int64), array("held_out.npy", np.bool_)
    groups = array("groups.npy", np.int64) if content.has_groups else None
    # Older recordings have none, so the file itself says whether there are any.
    noisy = TRUE_LABELS_FILE in content.arrays if content.has_checksums else (folder / TRUE_LABELS_FILE).exists()
    true_labels = array(TRUE_LABELS_FILE, np.int64) if noisy else None
    for name, other in (("labels", labels), ("held_out", held_out), ("groups", groups), ("true_labels", true_labels)):
        if other is not None and len(other) != len(ids):
            where = folder / f"{name}.npy"
            raise InputError(f"'{where}' is damaged: it has {len(other):,} entries, but ids.npy has {len(ids):,}.")
    texts: dict[int, ItemText] = {}
    lost = ""
    if content.has_checksums and TEXTS_FILE in content.arrays:
        most = max(len(ids), min(content.items_total, MOST_ITEMS))
        try:
            texts = read_texts(folder / TEXTS_FILE, most, content.arrays[TEXTS_FILE])
        except InputError as error:
            lost = f"The ids and texts of items are lost: {error}"
    if (np.diff(ids) <= 0).any():
        raise InputError(f"'{folder / 'ids.npy'}' is damaged: the ids do not ascend.")
    if labels.min() < 0 or labels.max() >= len(content.class_names):
        raise InputError(f"'{folder / 'labels.npy'}' is damaged: labels must lie in 0..{len(content.class_names) - 1}.")
    several = _read_several(folder, content)
    plug_ins.allow_absent(content.config)
    started = RunStarted(
        config=configuration.from_dict(content.config, f"'{folder / RUN_FILE}'"),
        labels=labels,
        ids=ids,
        held_out=held_out,
        class_names=tuple(content.class_names),
        groups=groups,
        items_total=content.items_total,
        versions=content.versions,
        started=content.started,
        true_labels=true_labels,
        chance=content.chance,
        texts=texts,
        raw=tuple(RawScore(one.kind, one.distance, one.metrics) for one in content.raw),
        evaluated=None if content.evaluated is None else Evaluated(**content.evaluated.model_dump()),
        several=several,
    )
    return started, lost


def _read_several(folder: Path, content: RunFile) -> ToldLabels | None:
    """All labels of items that have several each; None where the recording does not tell. Raises `InputError`."""
    if not any(name in content.arrays for name in SEVERAL_FILES):
        return None
    ids, labels = (
        read_array(folder / name, np.int64, MOST_PAIRS, content.arrays.get(name, "")) for name in SEVERAL_FILES
    )
    where = folder / SEVERAL_FILES[1]
    if len(ids) != len(labels):
        raise InputError(
            f"'{where}' is damaged: it has {len(labels):,} entries, but {SEVERAL_FILES[0]} has {len(ids):,}."
        )
    if labels.min() < 0 or labels.max() >= len(content.class_names):
        raise InputError(f"'{where}' is damaged: labels must lie in 0..{len(content.class_names) - 1}.")
    same = ids[1:] == ids[:-1]
    if (ids[1:] < ids[:-1]).any() or (same & (labels[1:] <= labels[:-1])).any():
        raise InputError(f"'{where}' is damaged: pairs of an item and a label do not ascend.")
    return ToldLabels(ids, labels)


def _points(where: str, content: RunFile) -> int:
    """How many items are shown, by the layout of a frame, before anything else is read."""
    fields = dict(zip(content.frame_dtype.get("names", []), content.frame_dtype.get("formats", []), strict=False))
    known = re.fullmatch(r"\((\d{1,9}),3\)<u2", fields.get("positions", ""))
    if known is None:
        raise InputError(f"'{where}' is damaged: field 'positions' is missing or has another layout than (N,3)<u2.")
    return int(known[1])


def events_path(folder: Path) -> Path:
    """Where the events lie that are neither steps nor frames."""
    return folder / EVENTS_FILE
