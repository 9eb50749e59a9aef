"""A lane of a recording as something that can be seen at any moment: clouds between frames, edges that fade."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.picture.scene import Scene, build_scene, interpolate
from app.picture.theme import Theme
from hnm_core.recording import Recording
from hnm_core.run.events import Frame
from hnm_core.run.shown import shown_text

MAX_EDGES = 320
"""Edges drawn of one recorded frame; more would hide the cloud."""

EDGE_STRENGTH = 1.6
"""Edges are this much less transparent than in the window, for two frames' edges share the light."""


class Film:
    """One lane, looked at from its first to its last step. Reads two frames at a time, never the whole run."""

    def __init__(
        self,
        recording: Recording,
        lane: str,
        theme: Theme,
        edge_steps: float,
        parent: Film | None = None,
        begins: int = 0,
    ) -> None:
        """`edge_steps`: the edges of a frame fade into those of one at least so many steps later. Before step `begins`
        the lane is its `parent`."""
        self.lane = lane
        self._parent, self._begins = parent, begins
        self.started = recording.started
        self._theme = theme
        self._items_text = shown_text(recording.started)
        self.steps = recording.frame_steps(lane)
        """Steps of the recorded frames."""
        self._edge_places = _spaced(self.steps, edge_steps)
        frame = self._frame = lru_cache(4)(lambda place: recording.frame(lane, place))
        self._scene = lru_cache(4)(
            lambda place: build_scene(recording.started, frame(place), theme, max_edges=MAX_EDGES)
        )

    def still_parent(self, step: float) -> Film | None:
        """The film of the lane that this one is at a step, where it was forked off later."""
        return self._parent if step < self._begins else None

    def frame_at(self, step: float) -> Frame:
        """The newest frame not after a step, or the first."""
        if (parent := self.still_parent(step)) is not None:
            return parent.frame_at(step)
        return self._frame(_between(self.steps, step)[0])

    def positions(self, step: float) -> NDArray[np.float32]:
        """(S, 3) where the items that every frame shows are at a step."""
        if (parent := self.still_parent(step)) is not None:
            return parent.positions(step)
        before, after, share = _between(self.steps, step)
        return interpolate(self._frame(before), self._frame(after), share)

    def at(self, step: float) -> Scene:
        """The cloud at a step, which may lie between two recorded ones."""
        if (parent := self.still_parent(step)) is not None:
            return parent.at(step)
        before, after, share = _between(self.steps, step)
        positions = interpolate(self._frame(before), self._frame(after), share)
        older, newer, share = _between(self.steps[self._edge_places], step)
        old, new = self._scene(int(self._edge_places[older])), self._scene(int(self._edge_places[newer]))
        if old.guests or new.guests:
            scene, moved = _with_guests(old, new, share, positions)
        else:
            scene = replace(old, positions=positions, colors=_mixed(old.colors, new.colors, share))
            moved = (np.arange(len(old.ids)), np.arange(len(new.ids)))
        colors = np.concatenate((_faded(old.edge_colors, 1 - share), _faded(new.edge_colors, share)))
        rings = np.concatenate((_faded(old.halo_colors, 1 - share), _faded(new.halo_colors, share)))
        lit, ringed = colors[:, 3] > 0, rings[:, 3] > 0
        return replace(
            scene,
            edges=np.concatenate((moved[0][old.edges], moved[1][new.edges])).astype(np.int32)[lit],
            edge_colors=colors[lit],
            edge_shapes=np.concatenate((old.edge_shapes, new.edge_shapes))[lit],
            edge_kinds=np.concatenate((old.edge_kinds, new.edge_kinds))[lit],
            halos=np.concatenate((moved[0][old.halos], moved[1][new.halos])).astype(np.int32)[ringed],
            halo_colors=rings[ringed],
        )

    def plain(self, frame: Frame) -> Scene:
        """The points of a frame without edges and rings; all but what its hard edges join step back."""
        scene = build_scene(self.started, frame, self._theme, max_edges=2)
        none = np.empty(0, np.int64)
        return replace(
            scene,
            edges=scene.edges[none],
            edge_colors=scene.edge_colors[none],
            edge_shapes=scene.edge_shapes[none],
            edge_kinds=scene.edge_kinds[none],
            halos=scene.halos[none],
            halo_colors=scene.halo_colors[none],
        )

    def note(self, step: float) -> str:
        """What is to be said of the cloud: how many items of how many, and how it came to three dimensions."""
        return " · ".join(text for text in (self._items_text, self.projection(step)) if text)

    def projection(self, step: float) -> str:
        """How positions were made from more than three dimensions; empty for a 3-D net."""
        if (parent := self.still_parent(step)) is not None:
            return parent.projection(step)
        return self._frame(_between(self.steps, step)[0]).projection


def _with_guests(
    old: Scene, new: Scene, share: float, positions: NDArray[np.float32]
) -> tuple[Scene, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The sample at (S, 3) positions and the guests of two scenes, and where the points of each are among these.

    Guests fade with the edges that they came for, by shrinking: points are not transparent. One that both scenes have
    stays as large as it is and moves on a straight line.
    """
    sample = old.sample
    ids = np.union1d(old.ids[sample:], new.ids[sample:])
    guest_positions, weight = np.zeros((len(ids), 3), np.float32), np.zeros(len(ids), np.float32)
    guest_radii, guest_colors = np.zeros(len(ids), np.float32), np.zeros((len(ids), 3), np.uint8)
    guest_strata, moved = np.zeros(len(ids), np.int64), []
    for scene, its_share in ((old, np.float32(1 - share)), (new, np.float32(share))):
        place = np.searchsorted(ids, scene.ids[sample:])
        weight[place] += its_share
        guest_positions[place] += its_share * scene.positions[sample:]
        guest_radii[place] += its_share * scene.radii[sample:]
        guest_colors[place], guest_strata[place] = scene.colors[sample:], scene.strata[sample:]
        moved.append(np.concatenate((np.arange(sample), sample + place)))
    seen = weight > 0
    guest_positions[seen] /= weight[seen, None]
    scene = replace(
        old,
        positions=np.concatenate((positions, guest_positions)),
        colors=np.concatenate((_mixed(old.colors[:sample], new.colors[:sample], share), guest_colors)),
        radii=np.concatenate((old.radii[:sample], guest_radii)),
        ids=np.concatenate((old.ids[:sample], ids)),
        strata=np.concatenate((old.strata[:sample], guest_strata)),
        mined=np.concatenate((old.mined[:sample], np.ones(len(ids), np.bool_))),
        guests=len(ids),
    )
    return scene, (moved[0], moved[1])


def _spaced(steps: NDArray[np.int64], apart: float) -> NDArray[np.int64]:
    """Places of the first frame, and of each next one that is at least `apart` steps later."""
    places = [0]
    for place in range(1, len(steps)):
        if steps[place] - steps[places[-1]] >= apart:
            places.append(place)
    return np.array(places)


def _between(steps: NDArray[np.int64], step: float) -> tuple[int, int, float]:
    """The places before and after a step, and what share of the way from one to the other it has gone."""
    after = int(np.searchsorted(steps, step, side="right"))
    if after == 0:
        return 0, 0, 0.0
    if after == len(steps):
        return after - 1, after - 1, 0.0
    start, end = int(steps[after - 1]), int(steps[after])
    return after - 1, after, (step - start) / (end - start)


def _mixed(old: NDArray[np.uint8], new: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    mixed: NDArray[np.uint8] = np.round(old * np.float32(1 - share) + new * np.float32(share)).astype(np.uint8)
    return mixed


def _faded(colors: NDArray[np.uint8], weight: float) -> NDArray[np.uint8]:
    faded = colors.copy()
    faded[:, 3] = np.round(np.minimum(colors[:, 3] * EDGE_STRENGTH, 255) * weight)
    return faded
