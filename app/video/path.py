"""The way of a film's camera: key frames, and how it eases from one to the next. Pure functions, no Qt."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.picture.camera import MAX_ELEVATION, Camera, Point, blend
from app.picture.camera_keys import KeyFrame
from app.video.template import Key

EASES: dict[str, Callable[[float], float]] = {
    "linear": lambda t: t,
    "in": lambda t: t * t,
    "out": lambda t: t * (2 - t),
    "in-out": lambda t: t * t * (3 - 2 * t),
}


@dataclass(frozen=True)
class Pose:
    """How a camera differs from one that frames the whole cloud."""

    turn: float = 0.0
    rise: float = 0.0
    zoom: float = 1.0
    near: float = 0.0

    def turned(self, base: Camera) -> Camera:
        """The direction alone."""
        rise = min(max(base.elevation + self.rise, -MAX_ELEVATION), MAX_ELEVATION) - base.elevation
        return base.orbited(self.turn, rise)

    def applied(self, framed: Camera, look: Point | None) -> Camera:
        """A camera that frames the whole cloud from this direction, moved to where this pose is."""
        if look is None or self.near <= 0:
            return framed.zoomed(self.zoom)
        x, y, z = (a + (b - a) * self.near for a, b in zip(framed.target, look, strict=True))
        moved = Camera(
            (x, y, z), framed.distance, framed.azimuth, framed.elevation, framed.fov, framed.center, framed.radius
        )
        return moved.zoomed(self.zoom)


def ease(share: float, how: str = "in-out") -> float:
    """A share of time as a share of the way."""
    return EASES[how](min(max(share, 0.0), 1.0))


def pose(keys: Sequence[Key], share: float) -> Pose:
    """The pose when a share of the scene has passed."""
    place = bisect_right([key.at for key in keys], share)
    if place == 0 or place == len(keys):
        key = keys[min(place, len(keys) - 1)]
        return Pose(key.turn, key.rise, key.zoom, key.near)
    a, b = keys[place - 1], keys[place]
    way = ease((share - a.at) / (b.at - a.at), b.ease)
    return Pose(
        a.turn + way * (b.turn - a.turn),
        a.rise + way * (b.rise - a.rise),
        math.exp(math.log(a.zoom) + way * (math.log(b.zoom) - math.log(a.zoom))),
        a.near + way * (b.near - a.near),
    )


def recorded(keys: Sequence[KeyFrame], step: float, framed: Camera) -> Camera:
    """The camera at a step, on the way between the key frames that the user took."""
    place = bisect_right([key.step for key in keys], step)
    if place == 0 or place == len(keys):
        return keys[min(place, len(keys) - 1)].seen_from(framed)
    a, b = keys[place - 1], keys[place]
    way = ease((step - a.step) / (b.step - a.step))
    return blend(a.seen_from(framed), b.seen_from(framed), way)
