"""What the frames of a run told of a few items, from the first on: what was mined with one of them, and the way that
each of them went. Read from the recording a little at a time, so that no window waits. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnm_core.recording import Recording
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.history import Column
from hnm_core.run.shown import places_of

FRAMES_AT_ONCE, POINTS_AT_ONCE = 48, 200_000
"""So many frames of each lane are read in one go, and no more than hold so many points."""


@dataclass(frozen=True, eq=False)
class Mentions:
    """The mined tuples of one lane that name one item, oldest first, each once however many frames told of it."""

    triplets: NDArray[np.int32]
    """(M, 3) ids: anchor, positive, negative; -1 where a pair has no such end"""
    separation: NDArray[np.float32]
    """(M,) d(a,n) - d(a,p) when it was mined; NaN where that is not known"""
    frames: int = 0
    """How many frames were looked through"""


class _Lane:
    """What is known of one lane so far, frame by frame, in columns: of a long run there are tens of thousands."""

    def __init__(self, paths: int) -> None:
        self.steps = Column(np.int64)
        self.told = Column(np.int64)
        """How many tuples frames had told by then, this one with them"""
        self.triplets = Column(np.int32, (3,))
        self.separation = Column(np.float32)
        self.positions = Column(np.float32, (paths, 3))
        """(K, 3) of each frame"""

    def frames(self, upto_step: int) -> int:
        """How many frames there are up to a step."""
        return int(np.searchsorted(self.steps.values, upto_step, side="right"))


class Tracks:
    """`item_id` is the item whose tuples are gathered, -1 for none; `path_ids` those whose ways are.

    Either `read_on` is called again and again with the recording of the run, or, where a run is not recorded, `take`
    with every frame that is seen.
    """

    def __init__(self, started: RunStarted, item_id: int, path_ids: NDArray[np.int64]) -> None:
        self.item_id = item_id
        places = places_of(started.ids, path_ids)
        self.path_ids, self._places = path_ids[places >= 0], places[places >= 0]
        self._at_once = max(2, min(FRAMES_AT_ONCE, POINTS_AT_ONCE // max(1, len(started.ids))))
        self._lanes: dict[str, _Lane] = {}

    def read_on(self, recording: Recording) -> bool:
        """Take in the next frames of the recording; whether there were any."""
        read = [self._read_lane(recording, lane) for lane in recording.lanes]
        return any(read)

    def take(self, frame: Frame) -> None:
        """Take in a frame that is not recorded; one that is not newer than the last is known already."""
        lane = self._lane(frame.lane)
        if not len(lane.steps) or frame.step > lane.steps.values[-1]:
            lane.positions.append(frame.positions[self._places])
            self._add(lane, frame.step, frame.triplets.reshape(-1, 3), frame.separation, frame.age)

    def mentions(self, lane: str, upto_step: int) -> Mentions:
        """What was mined with the item, as the frames up to a step told it."""
        known = self._lane(lane)
        count = known.frames(upto_step)
        told = int(known.told.values[count - 1]) if count else 0
        return Mentions(known.triplets.values[:told], known.separation.values[:told], count)

    def paths(self, lane: str, upto_step: int) -> NDArray[np.float32]:
        """(F, K, 3) where the items of `path_ids` stood in the frames up to a step."""
        known = self._lane(lane)
        ways: NDArray[np.float32] = known.positions.values[: known.frames(upto_step)]
        return ways

    def _lane(self, name: str) -> _Lane:
        if name not in self._lanes:
            self._lanes[name] = _Lane(len(self._places))
        return self._lanes[name]

    def _read_lane(self, recording: Recording, name: str) -> bool:
        lane = self._lane(name)
        start = len(lane.steps)
        stop = min(start + self._at_once, len(recording.frame_steps(name)))
        if stop <= start:
            return False
        lane.positions.extend(recording.paths(name, self._places, start, stop))
        for step, triplets, told in recording.mined(name, start, stop):
            separation, age = (None, None) if told is None else (told["separation"], told["age"])
            self._add(lane, step, triplets, separation, age)
        return True

    def _add(
        self,
        lane: _Lane,
        step: int,
        triplets: NDArray[np.int32],
        separation: NDArray[np.float32] | None,
        age: NDArray[np.int32] | None,
    ) -> None:
        """Keep the tuples of a frame that name the item, but for those that the frame before has told already."""
        new = (triplets == self.item_id).any(1) if self.item_id >= 0 else np.zeros(len(triplets), np.bool_)
        if age is not None and len(lane.steps):
            new &= (age < 0) | (
                step - age.astype(np.int64) > lane.steps.values[-1]
            )  # a damaged step may be of any size
        lane.steps.append(step)
        lane.triplets.extend(triplets[new])
        lane.told.append(len(lane.triplets))
        unknown = np.full(int(new.sum()), np.nan, np.float32)
        lane.separation.extend(unknown if separation is None else separation[new].astype(np.float32))
