"""Which points of a cloud have room for a picture beside them, and where these stand. No Qt.

What is shown stays as long as it may: a picture needs less room to stay than to come, and it keeps its side of the
point while nothing is in the way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera
from app.picture.edges import FALSE, HARD, SEMI_HARD
from app.picture.scene import Scene
from hnm_core.run.events import Frame
from hnm_core.run.shown import drawn_places

SIDE_PX, SMALL_SIDE_PX = 34.0, 28.0
"""Of a picture, in a pane and in a low one."""
MOST_EDGES, FEW_EDGES = 5, 3
"""Hardest edges that have pictures at both ends, likewise."""
LOW_PX, LOWEST_PX = 400, 200
"""Panes lower than these have small pictures; and none at edges, for they would cover the cloud."""
MOST = 30
"""Pictures in a pane."""
COME, STAY = 5, 9
"""A point has room for a picture where it and so many others at most are in the nine squares round it, of a picture's
size each: fewer for one that comes than for one that stays."""
MOST_COUNTED = 20_000
"""Of larger clouds some points are counted, and stand for the others."""
GRID_PX = 4
"""Pictures stand clear of each other in a grid of such cells."""
OFF_PX = 9.0
"""Between a point and its picture."""
SIDES = ((1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1), (1, 0), (-1, 0), (0, 1))
"""Where a picture may stand from its point, to the right and down; the first that is free."""

Box = tuple[float, float, float, float]
"""Left, top, width and height."""


class Thumbnail(NamedTuple):
    """A picture beside a point, in pixels."""

    item_id: int
    x: float
    y: float
    """The point"""
    left: float
    top: float
    """Corner of the picture"""
    side: int
    """Place in `SIDES`"""


def side_px(height: float) -> float:
    """How large pictures are in a pane of this height."""
    return SIDE_PX if height >= LOW_PX else SMALL_SIDE_PX


def most_edges(height: float) -> int:
    """How many of the hardest edges have pictures in a pane of this height."""
    return MOST_EDGES if height >= LOW_PX else FEW_EDGES if height >= LOWEST_PX else 0


def hardest_ends(scene: Scene, frame: Frame, most: int) -> list[int]:
    """Ids of both ends of the drawn edges whose negatives are hardest, at most so many, anchor first, each id once;
    none where what is drawn is easy, or nobody knows how hard it is."""
    if frame.separation is None or not len(scene.edges):
        return []
    telling = np.isin(scene.edge_kinds, (SEMI_HARD, HARD, FALSE))
    drawn = {tuple(edge) for edge in scene.edges[telling].tolist()}
    order = np.argsort(frame.separation, kind="stable")
    pairs = frame.triplets.reshape(-1, 3)[order][:, [0, 2]].astype(np.int64)
    places = drawn_places(scene.ids, scene.sample, pairs)
    ends: dict[int, None] = {}
    found: set[tuple[int, ...]] = set()
    for place in map(tuple, places.tolist()):
        if len(found) == most or len(found) == len(drawn):
            break
        if place in drawn and place not in found:
            found.add(place)
            ends |= dict.fromkeys(scene.ids[list(place)].tolist())
    return list(ends)


def roomy(scene: Scene, camera: Camera, width: float, height: float, shown: Collection[int]) -> list[int]:
    """Ids of drawn points that have room for a picture: those that have one (`shown`), then the nearest to the eye; at
    most `MOST`."""
    size = side_px(height)
    stride = -(-len(scene.ids) // MOST_COUNTED)
    places = np.arange(0, len(scene.ids), max(stride, 1))
    places = places[scene.radii[places] > 0]
    xs, ys, depths = camera.project(scene.positions[places], width, height)
    with np.errstate(invalid="ignore"):
        seen = (xs >= 0) & (xs < width) & (ys >= 0) & (ys < height)
    places, depths = places[seen], depths[seen]
    columns, rows = (xs[seen] // size).astype(np.int64) + 1, (ys[seen] // size).astype(np.int64) + 1
    counts = np.zeros((int(height // size) + 3, int(width // size) + 3), np.int64)
    np.add.at(counts, (rows, columns), stride)
    around = sum(np.roll(counts, (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1))
    others = np.asarray(around)[rows, columns] - stride
    ids = scene.ids[places]
    has = np.isin(ids, list(shown))
    fit = np.flatnonzero(np.where(has, others <= STAY, others <= COME))
    order = fit[np.lexsort((depths[fit], ~has[fit]))]
    chosen: list[int] = ids[order[:MOST]].tolist()
    return chosen


def placed(
    ids: Sequence[int],
    xy: NDArray[np.floating],
    width: float,
    height: float,
    taken: Sequence[Box] = (),
    before: Mapping[int, int] | None = None,
) -> list[Thumbnail]:
    """Where pictures stand that overlap neither each other nor what is `taken`; those without room are left out.

    Args:
        ids: of points, the most important first; those of `before` go first among equals as the caller orders them.
        xy: (len(ids), 2) where these are, in pixels; NaN behind the eye.
        width, height: of the pane.
        taken: what else is in the way, in pixels.
        before: of the points that had pictures, at which of `SIDES`.
    """
    before = before or {}
    size = side_px(height)
    free = np.ones((int(height) // GRID_PX + 1, int(width) // GRID_PX + 1), np.bool_)
    for box in taken:
        free[_cells(box, 0)] = False
    found: list[Thumbnail] = []
    for item_id, (x, y) in zip(ids, np.asarray(xy, np.float64).tolist(), strict=True):
        if len(found) == MOST or not (0 <= x < width and 0 <= y < height):
            continue
        sides = range(len(SIDES))
        for side in (*((before[item_id],) if item_id in before else ()), *sides):
            right, down = SIDES[side]
            left = x + right * (OFF_PX + size / 2) - size / 2
            top = y + down * (OFF_PX + size / 2) - size / 2
            inside = left >= 0 and top >= 0 and left + size <= width and top + size <= height
            margin = 0 if before.get(item_id) == side else GRID_PX
            if inside and free[_cells((left, top, size, size), margin)].all():
                free[_cells((left, top, size, size), 0)] = False
                found.append(Thumbnail(item_id, x, y, left, top, side))
                break
    return found


def _cells(box: Box, margin: float) -> tuple[slice, slice]:
    """Cells of the grid that a box touches, grown by a margin."""
    left, top, width, height = box
    return (
        slice(max(int(top - margin) // GRID_PX, 0), int(top + height + margin) // GRID_PX + 1),
        slice(max(int(left - margin) // GRID_PX, 0), int(left + width + margin) // GRID_PX + 1),
    )
