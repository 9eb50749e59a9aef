"""Planes that cut a cloud, as outlines: where each meets the box round the points. No Qt."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

_CORNERS = np.array(list(itertools.product((0, 1), repeat=3)))
_EDGES = [(a, b) for a, b in itertools.combinations(range(8), 2) if np.abs(_CORNERS[a] - _CORNERS[b]).sum() == 1]
"""The twelve edges of a box, by its corners."""


def outlines(planes: NDArray[np.float64], positions: NDArray[np.floating]) -> list[NDArray[np.float64]]:
    """The polygon, (K, 3) corners in order, K 3 to 6, in which each plane that meets it cuts the box round the cloud.

    Args:
        planes: (4 P,) normal x, y, z and offset of each, end to end: a point x of it has normal @ x = offset.
        positions: (N, 3) of the cloud; what is not finite is left out.
    """
    finite = positions[np.isfinite(positions).all(1)].astype(np.float64)
    if not len(finite):
        return []
    low, high = finite.min(0), finite.max(0)
    corners = low + _CORNERS * (high - low)
    cut = (_outline(plane, corners) for plane in planes.reshape(-1, 4))
    return [polygon for polygon in cut if polygon is not None]


def _outline(plane: NDArray[np.float64], corners: NDArray[np.float64]) -> NDArray[np.float64] | None:
    normal, side = plane[:3], corners @ plane[:3] - plane[3]
    points = [
        corners[a] + (corners[b] - corners[a]) * (side[a] / (side[a] - side[b]))
        for a, b in _EDGES
        if (side[a] > 0) != (side[b] > 0)
    ]
    if len(points) < 3:
        return None
    polygon = np.array(points)
    across = np.eye(3)[np.argmin(np.abs(normal))]
    right = np.cross(normal, across)
    from_middle = polygon - polygon.mean(0)
    turn = np.arctan2(from_middle @ np.cross(normal, right), from_middle @ right)
    return polygon[np.argsort(turn)]
