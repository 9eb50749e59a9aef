"""Reads the frames of a lane: clouds, and what was mined for them. Trusts no byte."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording import layout, planes
from hnm_core.recording.extents import Extent, extents
from hnm_core.recording.files import read_records
from hnm_core.recording.header import Dtypes, RunFile
from hnm_core.recording.lane_files import LaneFiles
from hnm_core.recording.layout import CANDIDATES_FILE, EDGES_FILE, FRAMES_FILE, GUESTS_FILE
from hnm_core.run.candidates import SCOPES, Candidates
from hnm_core.run.events import Frame, Guests, RunStarted, frozen
from hnm_core.run.hardness import BANDS, Hardness
from hnm_core.run.shown import places_of


class _Stored(NamedTuple):
    """What the files hold of a frame."""

    cloud: NDArray[Any]
    edges: NDArray[np.int32]
    """(M, 3)"""
    told: NDArray[Any] | None
    """How hard these were"""
    guests: NDArray[Any] | None
    candidates: NDArray[Any] | None


class _Mined(NamedTuple):
    """What was mined for a frame."""

    edges: NDArray[Any]
    """(M,)"""
    told: NDArray[Any] | None


class _Clouds(NamedTuple):
    """Clouds that follow one another from the place of one that is told alone."""

    first: int
    clouds: tuple[NDArray[Any], ...]


class FrameReader:
    """Reads the frames of any lane of a run."""

    def __init__(self, started: RunStarted, run_file: RunFile, dtypes: Dtypes) -> None:
        self._started, self._run_file, self._dtypes = started, run_file, dtypes
        self._read: dict[str, _Clouds] = {}
        """By lane those that were read last: of those around them only the changes are in the file."""

    def frame(self, lane: LaneFiles, index: int) -> Frame:
        """The frame at a place of a lane's index; negative from the end.

        Raises:
            IndexError: no such frame.
            InputError: the frame is damaged.
        """
        place = range(len(lane.index))[index]
        entry = lane.index[place]
        given = int(entry["columns"])
        cloud, edges, told, guests_stored, candidates_stored = self._stored(lane, place)
        guests = self._guests(lane.folder, entry, given, guests_stored)
        if not self._known_ends(edges, guests).all():
            where = lane.folder / EDGES_FILE
            raise InputError(f"'{where}' is damaged: the frame of step {int(entry['step']):,} names unknown ids.")
        return Frame(
            lane=lane.lane,
            step=int(entry["step"]),
            positions=frozen(layout.dequantise(cloud["positions"], entry["box"])),
            triplets=frozen(edges),
            mined_total=int(entry["mined_total"]),
            columns=self._columns(cloud, given),
            projection=bytes(entry["projection"]).decode(errors="replace"),
            guests=guests,
            separation=None if told is None else frozen(told["separation"]),
            age=None if told is None else frozen(told["age"]),
            hardness=None if told is None else _hardness(entry),
            candidates=self._candidates(lane.folder, entry, candidates_stored),
        )

    def is_right(self, lane: LaneFiles, index: int) -> bool:
        """Whether the frame at a place of a lane's index is there as it was written; of older recordings, whether what
        was mined names items that there are."""
        entry = lane.index[index]
        try:
            if self._run_file.has_checksums:
                self._bytes(lane, entry)
                return True
            stored = self._stored(lane, index)
            known = self._guests(lane.folder, entry, int(entry["columns"]), stored.guests)
            return bool(self._known_ends(stored.edges, known).all())
        except InputError:
            return False

    def mined(
        self, lane: LaneFiles, start: int, stop: int
    ) -> Iterator[tuple[int, NDArray[np.int32], NDArray[Any] | None]]:
        """What was mined, of the frames from `start` up to, not with, `stop`: of each its step, its (M, 3) triplets of
        ids, and the separation and age of each, None in recordings that do not tell them. Reads nothing else."""
        for place, mined in enumerate(self._mined(lane, start, min(stop, len(lane.index))), start):
            yield int(lane.index[place]["step"]), _rows(mined.edges), mined.told

    def paths(self, lane: LaneFiles, places: NDArray[np.int64], start: int, stop: int) -> NDArray[np.float32]:
        """(F, K, 3) where K of the shown items stood in the frames from `start` up to, not with, `stop`; `places` are
        those among `started.ids`."""
        index = lane.index[start:stop]
        found = np.empty((len(index), len(places), 3), np.float32)
        for number, entry in enumerate(index):
            cloud = self._cloud(lane, start + number)
            found[number] = layout.dequantise(cloud["positions"][places], entry["box"])
        return found

    def _stored(self, lane: LaneFiles, place: int) -> _Stored:
        """What the files hold of a frame. Raises `InputError` where that is not what was written."""
        entry, dtypes = lane.index[place], self._dtypes
        data = self._bytes(lane, entry)
        (mined,) = self._mined(lane, place, place + 1)
        cloud = self._cloud(lane, place, data["frame"])
        with _damage_told(lane.folder / FRAMES_FILE, entry):
            guests, candidates = (
                None if dtype is None else self._numbers(data[name], dtype, int(entry[name]))
                for name, dtype in (("guests", dtypes.guest), ("candidates", dtypes.candidate))
            )
        return _Stored(cloud, _rows(mined.edges), mined.told, guests, candidates)

    def _mined(self, lane: LaneFiles, start: int, stop: int) -> Iterator[_Mined]:
        """What was mined, of the frames from `start` up to, not with, `stop`. Raises `InputError` where that is
        damaged."""
        index, before = lane.index, None
        first = start
        if self._dtypes.packed:
            while 0 < first < stop and index[first]["repeated"]:
                first -= 1
        entries = index[first:stop]
        if not len(entries):
            return
        parts = extents(entries, self._dtypes)
        data = {name: _read_all(lane.folder, name, parts[name]) for name in ("edges", "hardness") if name in parts}
        for place, entry in enumerate(entries):
            count = int(entry["edges"])
            repeated = int(entry["repeated"]) if self._dtypes.packed else 0
            with _damage_told(lane.folder / EDGES_FILE, entry):
                edges, told = self._numbers(data["edges"][place], layout.EDGE, count - repeated), None
                if self._dtypes.hardness is not None:
                    told = self._numbers(data["hardness"][place], self._dtypes.hardness, count - repeated)
            if repeated and before is not None and before.told is not None and told is not None:
                older = before.told[-repeated:].copy()
                older["age"] += np.where(older["age"] < 0, 0, entry["step"] - entries[place - 1]["step"])
                edges, told = np.concatenate((before.edges[-repeated:], edges)), np.concatenate((older, told))
            before = _Mined(edges, told)
            if first + place >= start:
                yield before

    def _bytes(self, lane: LaneFiles, entry: NDArray[Any]) -> dict[str, NDArray[np.uint8]]:
        """The bytes of each part of a frame. Raises `InputError` where their checksum is another."""
        data = {name: _read(lane.folder, name, extent) for name, extent in extents(entry, self._dtypes).items()}
        if self._run_file.has_checksums:
            checksum = 0
            for name in layout.PARTS:
                checksum = zlib.crc32(data[name].data, checksum) if name in data else checksum
            if checksum != int(entry["data"]):
                raise _damaged(lane.folder / FRAMES_FILE, entry)
        return data

    def _cloud(self, lane: LaneFiles, place: int, data: NDArray[np.uint8] | None = None) -> NDArray[Any]:
        """The record of a cloud; `data` are its bytes, where they are known. Raises `InputError` if it, or one before
        it that it is a change of, is damaged."""
        dtype, index = self._dtypes.frame, lane.index
        if not self._dtypes.packed:
            data = _read(lane.folder, "frame", extents(index[place], self._dtypes)["frame"]) if data is None else data
            return data.view(dtype)[0]  # type: ignore[no-any-return]
        first = place - int(index[place]["after_key"])
        read = self._read.get(lane.lane, _Clouds(-1, ()))
        clouds = list(read.clouds) if read.first == first else []
        for following in range(first + len(clouds), place + 1):
            entry = index[following]
            if data is None or following < place:
                own = _read(lane.folder, "frame", extents(entry, self._dtypes)["frame"])
            else:
                own = data
            with _damage_told(lane.folder / FRAMES_FILE, entry):
                clouds.append(planes.unpack(own.data, dtype, 1, clouds[-1] if clouds else None))
            clouds[-1].flags.writeable = False
        if place > first or (place + 1 < len(index) and index[place + 1]["after_key"]):  # else nothing is told by it
            self._read[lane.lane] = _Clouds(first, tuple(clouds))  # in one go: another thread may read
        return clouds[place - first][0]  # type: ignore[no-any-return]

    def _numbers(self, data: NDArray[np.uint8], dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        """What these bytes hold. Raises `planes.UnpackError` where that is something else."""
        if not self._dtypes.packed:
            return data.view(dtype)
        return planes.unpack(data.data, dtype, count) if count else np.zeros(0, dtype)

    def _columns(self, stored: NDArray[Any], given: int) -> dict[str, NDArray[np.float32]]:
        """The point columns of a record or of several, by the bits of the index."""
        return {
            name: frozen(stored[name]) for place, name in enumerate(self._run_file.point_columns) if given >> place & 1
        }

    def _guests(self, folder: Path, entry: NDArray[Any], given: int, stored: NDArray[Any] | None) -> Guests | None:
        """The guests of the frame of an index entry. Raises `InputError` when they are damaged."""
        if stored is None or not len(stored):
            return None
        ids, classes = stored["id"].astype(np.int64), len(self._started.class_names)
        wrong = ids < 0
        wrong[1:] |= np.diff(ids) <= 0
        wrong |= places_of(self._started.ids, ids) >= 0
        for name in {"label", "true_label"} & set(stored.dtype.names or ()):
            wrong |= (stored[name] < 0) | (stored[name] >= classes)
        if wrong.any():
            step = int(entry["step"])
            raise InputError(
                f"'{folder / GUESTS_FILE}' is damaged: the frame of step {step:,} has guests that cannot be."
            )

        def whole(name: str, of_sample: object) -> NDArray[np.int64] | None:
            return None if of_sample is None else frozen(stored[name].astype(np.int64))

        return Guests(
            ids=frozen(ids),
            labels=frozen(stored["label"].astype(np.int64)),
            positions=frozen(stored["position"]),
            columns=self._columns(stored, given),
            groups=whole("group", self._started.groups),
            true_labels=whole("true_label", self._started.true_labels),
        )

    def _candidates(self, folder: Path, entry: NDArray[Any], stored: NDArray[Any] | None) -> Candidates | None:
        """The candidates of the frame of an index entry. Raises `InputError` when they are damaged."""
        if stored is None or not len(stored):
            return None
        pairs = np.stack((stored["anchor"], stored["candidate"]), 1)
        asked, most, scope = (int(entry[name]) for name in ("asked", "most", "scope"))
        ids, total = self._started.ids, self._started.items_total
        wrong = (pairs < (0, -1)).any() or (stored["chosen"] > 1).any() or min(asked, most) < 1 or scope >= len(SCOPES)
        if total == len(ids):  # of a set that is shown in part, a candidate may be any item
            wrong |= not ((places_of(ids, pairs) >= 0) | (pairs == -1)).all()
        if wrong:
            step = int(entry["step"])
            raise InputError(
                f"'{folder / CANDIDATES_FILE}' is damaged: the frame of step {step:,} has candidates that cannot be."
            )
        return Candidates(frozen(pairs), frozen(stored["chosen"].astype(np.bool_)), asked, most, SCOPES[scope])

    def _known_ends(self, edges: NDArray[np.int32], guests: Guests | None) -> NDArray[np.bool_]:
        """(M, 3) whether an end of a triplet can be: one that is absent, shown or a guest. Older recordings have no
        guests; of a set that they show a part of, an end may be any item."""
        ids, total = self._started.ids, self._started.items_total
        known: NDArray[np.bool_] = (places_of(ids, edges) >= 0) | (edges == -1)
        if guests is not None:
            known |= places_of(guests.ids, edges) >= 0
        elif self._dtypes.guest is None and total > len(ids):
            counts_items = int(ids[-1]) < total  # else ids are the user's own, or places in a still larger set
            known |= (edges >= 0) & (edges < (total if counts_items else 1 << 31))
        return known


def _read(folder: Path, name: str, extent: Extent) -> NDArray[np.uint8]:
    return read_records(folder / layout.PARTS[name].file, np.dtype(np.uint8), int(extent.offset), int(extent.size))


def _read_all(folder: Path, name: str, extent: Extent) -> list[NDArray[np.uint8]]:
    """The bytes of a part of frames that follow one another, by frame; the file is read once."""
    ends = np.cumsum(extent.size)
    together = _read(folder, name, Extent(extent.offset[0], ends[-1]))
    return np.split(together, ends[:-1])


def _rows(edges: NDArray[Any]) -> NDArray[np.int32]:
    """(M, 3)"""
    return edges.view(np.int32).reshape(-1, 3)


def _damaged(path: Path, entry: NDArray[Any]) -> InputError:
    return InputError(f"'{path}' is damaged: the frame of step {int(entry['step']):,} is not what was written.")


@contextmanager
def _damage_told(path: Path, entry: NDArray[Any]) -> Iterator[None]:
    try:
        yield
    except planes.UnpackError as error:
        raise _damaged(path, entry) from error


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
