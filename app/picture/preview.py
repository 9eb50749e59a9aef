"""A short recording of a preset in one small file, to be played before anything has been trained. No Qt, no torch.

Of a run it holds a part of the items, some moments and the pairs mined at them. Positions are whole numbers of a
frame's own box, as differences from frame to frame, low and high bytes apart: what moves little then packs well.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.picture.ranking import stratified_rank
from app.picture.scene import interpolate
from hnm_core.errors import InputError
from hnm_core.recording import Recording
from hnm_core.run.events import Frame, RunStarted, frozen
from hnm_core.run.hardness import BANDS, BINS, Hardness
from hnm_core.run.shown import places_of
from hnm_core.spec import config as configuration
from hnm_core.spec import plug_ins
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import is_over_documents
from hnm_core.system.whole_files import whole_file

LEVELS = 1023
"""Steps of a position in the box of its frame."""
MOST_TRIPLETS = 160
"""Of one frame; it still says how many were mined."""
OF_TRIPLETS = 0.75
"""At most such a share of the points are ends that were chosen for their triplets."""
EARLY = 1.6
"""Moments are closer together at the start, where clouds move fastest: the power of a moment's place."""
_OF_ITEMS = ("labels", "ids", "held_out", "groups", "true_labels")


@dataclass(frozen=True, eq=False)
class Preview:
    """L lanes of a run at F moments."""

    started: RunStarted
    lanes: Mapping[str, tuple[Frame, ...]]
    """F frames of every lane, without columns."""

    @property
    def length(self) -> int:
        """F"""
        return min(len(frames) for frames in self.lanes.values())

    def at(self, place: float) -> list[Frame]:
        """Every lane at a place 0 .. F - 1, which may lie between two moments: then clouds are on a straight line
        from one to the other, with the pairs of the earlier."""
        place = min(max(place, 0.0), self.length - 1.0)
        before = min(int(place), self.length - 2) if self.length > 1 else 0
        share = place - before
        if share == 0.0:
            return [frames[before] for frames in self.lanes.values()]
        return [
            replace(frames[before], positions=frozen(interpolate(frames[before], frames[before + 1], share)))
            if share < 1.0
            else frames[before + 1]
            for frames in self.lanes.values()
        ]

    def shows(self, config: ExperimentConfig) -> bool:
        """Whether it is a recording of just that experiment."""
        return self.started.config == config


def thin(recording: Recording, *, moments: int, points: int) -> Preview:
    """At most `moments` frames of each lane and `points` items, the same share of every class.

    Mined triplets stay where all of their ends do, up to `MOST_TRIPLETS`. Queries and documents are too many for those
    of a few hundred to be whole by chance, so there the ends of the hardest take up to `OF_TRIPLETS` of the points.

    Raises:
        InputError: a lane has no frame, or the recording holds only a part of the items of classes.
    """
    started = recording.started
    over_documents = is_over_documents(started.config.data.name)
    if started.items_total > len(started.ids) and not over_documents:
        raise InputError(f"'{recording.folder}' holds a part of its items only; a preview is made of all.")
    whole: dict[str, list[Frame]] = {}
    for lane in recording.lanes:
        steps = recording.frame_steps(lane)
        if not len(steps):
            raise InputError(f"'{recording.folder}' has no frame of '{lane}'.")
        wanted = np.linspace(0, 1, moments) ** EARLY * steps[-1]
        places = np.unique(np.searchsorted(steps, wanted))
        whole[lane] = [recording.frame(lane, int(place)) for place in places]
    rank = stratified_rank(started.ids, started.labels).astype(np.float64)
    if over_documents:
        frames = [frame for of_lane in whole.values() for frame in of_lane]
        rank[_ends_of_hardest(frames, started.ids, round(OF_TRIPLETS * points))] = -1
    kept = np.sort(np.argsort(rank, kind="stable")[:points])
    lanes = {lane: tuple(_thinned(frame, started.ids, kept) for frame in frames) for lane, frames in whole.items()}
    groups, truth = started.groups, started.true_labels
    part = replace(
        started,
        labels=frozen(started.labels[kept]),
        ids=frozen(started.ids[kept]),
        held_out=frozen(started.held_out[kept]),
        groups=None if groups is None else frozen(groups[kept]),
        true_labels=None if truth is None else frozen(truth[kept]),
    )
    return Preview(part, lanes)


def _ends_of_hardest(frames: Sequence[Frame], ids: NDArray[np.int64], most: int) -> list[int]:
    """Places of the ends of the hardest triplets of each frame that are among `ids`, no more than `most`; a frame has
    its second triplet when all have their first."""
    hardest = []
    for frame in frames:
        ends = places_of(ids, frame.triplets.astype(np.int64))
        order = np.arange(len(ends)) if frame.separation is None else np.argsort(frame.separation, kind="stable")
        hardest.append([tuple(ends[place].tolist()) for place in order if (ends[place] >= 0).all()])
    chosen: set[int] = set()
    for triplet in chain.from_iterable(zip_longest(*hardest)):
        if triplet is not None and len(chosen | set(triplet)) <= most:
            chosen |= set(triplet)
    return sorted(chosen)


def _thinned(frame: Frame, ids: NDArray[np.int64], kept: NDArray[np.int64]) -> Frame:
    ends = frame.triplets.astype(np.int64)
    whole = np.flatnonzero(((places_of(ids[kept], ends) >= 0) | (ends == -1)).all(axis=1))
    drawn = whole[np.linspace(0, len(whole) - 1, min(len(whole), MOST_TRIPLETS)).astype(np.int64)]
    if frame.separation is not None:  # the hardest, for these are what is to be seen
        drawn = np.sort(whole[np.argsort(frame.separation[whole], kind="stable")][:MOST_TRIPLETS])
    return replace(
        frame,
        positions=frozen(frame.positions[kept]),
        triplets=frozen(frame.triplets[drawn]),
        columns={},
        guests=None,
        separation=None if frame.separation is None else frozen(frame.separation[drawn]),
        age=None,
        candidates=None,
    )


def save(preview: Preview, path: Path) -> None:
    """Write one file. Positions lose what is below a `LEVELS`th of their frame's box."""
    started = preview.started
    head = {
        "config": started.config.to_dict(),
        "class_names": started.class_names,
        "items_total": started.items_total,
        "lanes": [
            {
                "name": lane,
                "steps": [frame.step for frame in frames],
                "triplets": [len(frame.triplets) for frame in frames],
                "mined": [frame.mined_total for frame in frames],
                "projection": [frame.projection for frame in frames],
                "hardness": [None if (told := frame.hardness) is None else _head_of(told) for frame in frames],
            }
            for lane, frames in preview.lanes.items()
        ],
    }
    arrays: dict[str, NDArray[Any]] = {"head": np.frombuffer(json.dumps(head).encode(), np.uint8)}
    for name in _OF_ITEMS:
        if (values := getattr(started, name)) is not None:
            arrays[name] = values.astype(np.int32)
    for place, frames in enumerate(preview.lanes.values()):
        arrays[f"box{place}"] = np.array([_box(frame.positions) for frame in frames], np.float32)
        arrays[f"low{place}"], arrays[f"high{place}"] = _packed(np.array([_levels(frame) for frame in frames]))
        arrays[f"triplets{place}"] = np.concatenate([frame.triplets for frame in frames]).astype(np.int32)
        known = [np.full(len(f.triplets), np.nan) if f.separation is None else f.separation for f in frames]
        arrays[f"separation{place}"] = np.concatenate(known).astype(np.float16)
        bins = [np.zeros(BINS) if frame.hardness is None else frame.hardness.bins for frame in frames]
        arrays[f"bins{place}"] = np.array(bins).astype(np.int32)
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def load(path: Path) -> Preview:
    """Read what `save` wrote. Raises `InputError` when the file is missing or damaged."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:  # numpy leaves a damaged one open
            stored = {name: file[name] for name in file.files}
        head = json.loads(stored["head"].tobytes())
        items = {name: frozen(stored[name].astype(np.int64)) for name in _OF_ITEMS if name in stored}
        plug_ins.allow_absent(head["config"])  # parts of a run over queries and documents are none by name
        started = RunStarted(
            config=configuration.from_dict(head["config"], str(path)),
            labels=items["labels"],
            ids=items["ids"],
            held_out=frozen(items["held_out"].astype(np.bool_)),
            class_names=tuple(head["class_names"]),
            groups=items.get("groups"),
            items_total=head["items_total"],
            true_labels=items.get("true_labels"),
        )
        lanes = {lane["name"]: _frames(lane, stored, place) for place, lane in enumerate(head["lanes"])}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"The preview '{path}' cannot be read: {error}.") from error
    return Preview(started, lanes)


def _frames(lane: dict[str, Any], stored: dict[str, NDArray[Any]], place: int) -> tuple[Frame, ...]:
    levels = _unpacked(stored[f"low{place}"], stored[f"high{place}"])
    ends = np.cumsum([0, *lane["triplets"]])
    return tuple(
        Frame(
            lane=lane["name"],
            step=step,
            positions=frozen((low + shares * ((high - low) / LEVELS)).astype(np.float32)),
            triplets=frozen(stored[f"triplets{place}"][ends[number] : ends[number + 1]]),
            mined_total=lane["mined"][number],
            projection=lane["projection"][number],
            separation=frozen(stored[f"separation{place}"][ends[number] : ends[number + 1]].astype(np.float32)),
            hardness=_hardness(lane["hardness"][number], stored[f"bins{place}"][number]),
        )
        for number, (step, shares, (low, high)) in enumerate(
            zip(lane["steps"], levels, stored[f"box{place}"].astype(np.float64), strict=True)
        )
    )


def _head_of(told: Hardness) -> dict[str, float]:
    return {name: getattr(told, name) for name in ("margin", *BANDS, "width", "first")}


def _hardness(head: dict[str, Any] | None, bins: NDArray[np.int32]) -> Hardness | None:
    return None if head is None else Hardness(**head, bins=frozen(bins.astype(np.int64)))


def _box(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array([positions.min(axis=0), positions.max(axis=0)])


def _levels(frame: Frame) -> NDArray[np.int32]:
    low, high = _box(frame.positions).astype(np.float64)
    levels: NDArray[np.int32] = np.rint((frame.positions - low) / np.where(high > low, high - low, 1) * LEVELS).astype(
        np.int32
    )
    return levels


def _packed(levels: NDArray[np.int32]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Low and high bytes of (F, N, 3) differences along F; small ones of either sign are small numbers."""
    steps = np.diff(levels, axis=0, prepend=0)
    coded = np.where(steps < 0, -2 * steps - 1, 2 * steps)
    return (coded & 255).astype(np.uint8), (coded >> 8).astype(np.uint8)


def _unpacked(low: NDArray[np.uint8], high: NDArray[np.uint8]) -> NDArray[np.int32]:
    coded = low.astype(np.int32) | high.astype(np.int32) << 8
    levels: NDArray[np.int32] = np.cumsum(np.where(coded & 1, -(coded + 1) // 2, coded // 2), axis=0, dtype=np.int32)
    return levels
