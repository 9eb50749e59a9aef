"""One missed negative in a cloud: the edge to the true nearest and the edge to what was returned instead. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera, fit
from app.picture.edges import NEGATIVE
from app.picture.scene import Scene
from app.picture.theme import Rgb, Theme

TRUE_WORDS, RETURNED_WORDS = "true nearest", "returned"
WIDTH = 3.0
"""Of both edges, as a factor of the usual one; they are seen through all points."""
OTHERS = 0.3
"""What is left of the opacity of the other edges."""
ROOM = 1.7
"""How much farther off the eye stays than it must to have all three points in the picture."""
NEAREST = 0.12
"""And it comes no nearer than this share of the distance from which the whole cloud is seen."""


@dataclass(frozen=True)
class MissedPair:
    """Dataset ids of an anchor, its true nearest negative, and what was returned instead, -1 for nothing."""

    anchor: int
    nearest: int
    found: int

    @property
    def items(self) -> tuple[int, ...]:
        """The anchor and the ends."""
        return self.anchor, *(item for item, _ in self.ends)

    @property
    def ends(self) -> tuple[tuple[int, str], ...]:
        """The ends of its edges, with what each is."""
        both = (self.nearest, TRUE_WORDS), (self.found, RETURNED_WORDS)
        return both if self.found >= 0 else both[:1]


def end_colors(theme: Theme) -> tuple[Rgb, Rgb]:
    """Of the edge to the true nearest, and of that to what was returned."""
    return theme.true_edge, theme.returned_edge


def with_pair(scene: Scene, theme: Theme, pair: MissedPair) -> Scene:
    """The scene with the edges of a missed negative on top of all others, a ring round their ends, and the other edges
    paler. An end that is not drawn has no edge."""
    anchor = scene.place_of(pair.anchor)
    ends = [
        (place, color)
        for (item, _), color in zip(pair.ends, end_colors(theme), strict=False)
        if (place := scene.place_of(item)) >= 0
    ]
    if anchor < 0 or not ends:
        return scene
    places = np.array([(anchor, place) for place, _ in ends], np.int32)
    colors = np.array([(*color, 255) for _, color in ends], np.uint8)
    pale = scene.edge_colors.copy()
    pale[:, 3] = (pale[:, 3] * OTHERS).astype(np.uint8)
    mined = scene.mined.copy()
    mined[places] = True
    return replace(
        scene,
        edges=np.concatenate((scene.edges, places)),
        edge_colors=np.concatenate((pale, colors)),
        edge_kinds=np.concatenate((scene.edge_kinds, np.full(len(places), NEGATIVE, np.int8))),
        edge_shapes=np.concatenate((scene.edge_shapes, np.full((len(places), 2), (WIDTH, 1.0), np.float32))),
        halos=np.concatenate((scene.halos, places[:, 1])),
        halo_colors=np.concatenate((scene.halo_colors, colors)),
        mined=mined,
    )


def not_drawn(scene: Scene, pair: MissedPair) -> str:
    """Which of its three items are not among the points, in words; empty where all are."""
    named = (pair.anchor, "anchor"), *pair.ends
    absent = [f"{words} {item}" for item, words in named if scene.place_of(item) < 0]
    return f"not among these points: {', '.join(absent)}" if absent else ""


def flown_to(scene: Scene, pair: MissedPair, aspect: float, free: float, whole: Camera) -> Camera | None:
    """A camera that looks at the anchor and both ends from the side of `whole`, which frames the cloud; None where the
    anchor or the true nearest is not drawn, or has no finite place.

    Args:
        scene: the cloud.
        pair: what to look at.
        aspect: width of the picture by its height.
        free: share of the height that the three may take.
        whole: says from where to look, and how near is near.
    """
    places = [scene.place_of(item) for item in pair.items]
    if min(places[:2]) < 0:
        return None
    points: NDArray[np.float32] = scene.positions[[place for place in places if place >= 0]]
    if not np.isfinite(points).all():
        return None
    close = fit(points, aspect / free, whole)
    distance = max(ROOM * close.distance / free, NEAREST * whole.distance)
    return replace(whole, target=close.target, distance=distance)
