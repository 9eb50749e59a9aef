"""Where the names of classes stand over a cloud: at the median of their points, clear of each other. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera
from app.picture.scene import Scene

MOST_NAMES = 20
"""Of more classes none is named: the names would hide the cloud."""
FARTHEST_ALPHA = 0.35
GAP_PX = 2.0
SHIFTS = (0.0, -1.0, 1.0, -2.0, 2.0)
"""By how many heights a name may move up or down to stand clear of those before it."""


class Cluster(NamedTuple):
    """The points of one class, or of one group where colours are those of groups."""

    name: str
    center: tuple[float, float, float]
    """Median of its drawn points, coordinate by coordinate"""


class Name(NamedTuple):
    """A name in a picture."""

    text: str
    x: float
    y: float
    """Its middle, in pixels"""
    alpha: float
    """0..1: what is far behind is fainter"""


def clusters(scene: Scene, names: Sequence[str]) -> list[Cluster]:
    """The classes of the drawn points, or their groups; none where there are more than `MOST_NAMES`."""
    keys = scene.strata if scene.groups is None else scene.groups
    drawn = (scene.radii > 0) & np.isfinite(scene.positions).all(1)
    found = np.unique(keys[drawn])
    if len(found) > MOST_NAMES:
        return []
    made = []
    for key in found.tolist():
        x, y, z = np.median(scene.positions[drawn & (keys == key)], axis=0).tolist()
        name = f"group {key}" if scene.groups is not None else names[key] if key < len(names) else str(key)
        made.append(Cluster(name, (x, y, z)))
    return made


def placed(
    shown: Sequence[Cluster],
    camera: Camera,
    width: float,
    height: float,
    size_of: Callable[[str], tuple[float, float]],
) -> list[Name]:
    """Names that are in the picture and have room, the nearest first. `size_of` tells the width and height of a text
    in pixels."""
    if not shown:
        return []
    centers: NDArray[np.float64] = np.array([cluster.center for cluster in shown])
    xs, ys, depths = camera.project(centers, width, height)
    near, far = camera.distance - camera.radius, camera.distance + camera.radius
    taken: list[tuple[float, float, float, float]] = []
    names = []
    for place in np.argsort(depths, kind="stable").tolist():
        x, y, depth = float(xs[place]), float(ys[place]), float(depths[place])
        if not (np.isfinite(x) and np.isfinite(y)) or not (0 <= x < width and 0 <= y < height):
            continue
        wide, high = size_of(shown[place].name)
        for shift in SHIFTS:
            box = (x - wide / 2, y + shift * (high + GAP_PX) - high / 2, wide, high)
            if not any(_overlap(box, other) for other in taken):
                behind = min(max((depth - near) / max(far - near, 1e-12), 0.0), 1.0)
                names.append(Name(shown[place].name, x, box[1] + high / 2, 1 - (1 - FARTHEST_ALPHA) * behind))
                taken.append(box)
                break
    return names


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return (
        one[0] < other[0] + other[2] + GAP_PX
        and other[0] < one[0] + one[2] + GAP_PX
        and one[1] < other[1] + other[3] + GAP_PX
        and other[1] < one[1] + one[3] + GAP_PX
    )
