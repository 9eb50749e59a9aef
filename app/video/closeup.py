"""One anchor, its positive and the negative that was mined for it, seen from near: what mining is about."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from app.history.moments import named
from app.picture.camera import Camera, blend, fit
from app.picture.edges import HARD, POSITIVE, SEMI_HARD, kind_colors
from app.picture.scene import Scene
from app.picture.theme import Theme
from app.video.callouts import callouts
from app.video.canvas import Canvas
from app.video.film import Film
from app.video.layout import Box
from app.video.path import ease
from hnm_core.run.events import Frame
from hnm_core.run.shown import drawn_items

ROOM = 1.9
"""How much farther off the eye stays than it must to have all three points in the picture."""
NEAREST = 0.3
"""And it comes no nearer than this share of the distance from which the whole cloud is seen."""
WIDTH = 2.6
LEAST_GAP = 0.08
"""Two of the three points are no nearer to each other, as a share of the size of the cloud."""
GOOD_SIZE = 0.8
"""The longest way between them is best about so long, likewise."""
LEAST_RATIO = 0.4
"""And the shortest way between them is at least this share of the longest, where there are such."""
SWING = 26.0
"""Degrees that the camera turns meanwhile."""
BACK, SMALLER = 0.5, 0.4
"""How far the other points step back meanwhile, and how much smaller they become: before the three may lie many."""


@dataclass(frozen=True, eq=False)
class CloseUp:
    """A mined triplet in a scene of its own."""

    lane: str
    step: int
    scene: Scene
    places: tuple[int, int, int]
    """Of anchor, positive and negative in the scene"""
    negative_color: tuple[int, int, int]
    question: str
    answer: str

    def direction(self) -> Camera:
        """From where the three points are seen farthest apart, at the usual height."""
        points = self.scene.positions[list(self.places)].astype(np.float64)

        def apart(camera: Camera) -> float:
            right, up, _ = camera.axes()
            xs, ys = points @ right, points @ up
            return min(math.hypot(xs[a] - xs[b], ys[a] - ys[b]) for a, b in ((0, 1), (0, 2), (1, 2)))

        return max((Camera(azimuth=float(turn)) for turn in range(0, 360, 10)), key=apart)

    def camera(self, whole: Camera, aspect: float, share: float) -> Camera:
        """From the whole cloud to the three points."""
        points = self.scene.positions[list(self.places)]
        close = fit(points, aspect, whole)
        distance = max(ROOM * close.distance, NEAREST * whole.distance)
        near = replace(whole, target=close.target, distance=distance)
        return blend(whole, near, _way(share)).orbited(SWING * (ease(share) - 0.5), 0)

    def seen(self, theme: Theme, share: float) -> Scene:
        """The scene as the eye comes near, the other points out of the way of the three."""
        scene, way = self.scene, np.float32(_way(share))
        others = np.ones(len(scene.radii), np.bool_)
        others[list(self.places)] = False
        ground = (np.array(theme.cloud_top, np.float32) + np.array(theme.cloud_bottom, np.float32)) / 2
        colors, radii = scene.colors.astype(np.float32), scene.radii.copy()
        colors[others] += (ground - colors[others]) * (BACK * way)
        radii[others] *= 1 - SMALLER * way
        return replace(scene, colors=colors.round().astype(np.uint8), radii=radii)

    def labels(self, canvas: Canvas, box: Box, camera: Camera, share: float) -> None:
        """What the three points are, in words beside them, one after the other."""
        points = self.scene.positions[list(self.places)]
        xs, ys, _ = camera.project(points, box.width, box.height)
        colors = (canvas.theme.text, kind_colors(canvas.theme)[POSITIVE], self.negative_color)
        shown = [ease((share - 0.18 - 0.16 * place) / 0.1) for place in range(3)]
        callouts(canvas, box, xs, ys, list(zip(("anchor", "positive", "negative"), colors, shown, strict=True)))

    def caption(self, share: float) -> tuple[str, float]:
        """The sentence at a share of the scene, and how much of it is seen."""
        fade = 0.06
        if share < 0.46:
            return self.question, min(max(min(share / fade, (0.46 - share) / fade), 0.0), 1.0)
        return self.answer, min(max((share - 0.46) / fade, 0.0), 1.0)


def _way(share: float) -> float:
    """How far the eye has come."""
    return ease((share - 0.12) / 0.55)


def close_up(film: Film, step: float, theme: Theme) -> CloseUp | None:
    """The hardest mined triplet of the frame at a step whose three ends are drawn; None where there is none."""
    frame = film.frame_at(step)
    place = _hardest(film, frame)
    if place is None or frame.separation is None:
        return None
    scene = film.plain(frame)
    anchor, positive, negative = (scene.place_of(int(item)) for item in frame.triplets[place])
    separation = float(frame.separation[place])
    kind = HARD if separation <= 0 else SEMI_HARD
    color = kind_colors(theme)[kind]
    colors = np.array([(*kind_colors(theme)[POSITIVE], 255), (*color, 255)], np.uint8)
    text = np.array([(*theme.text, 255)], np.uint8)
    scene = replace(
        scene,
        edges=np.array([(anchor, positive), (anchor, negative)], np.int32),
        edge_colors=colors,
        edge_kinds=np.array([POSITIVE, kind], np.int8),
        edge_shapes=np.full((2, 2), (WIDTH, 1.0), np.float32),
        halos=np.array([anchor, positive, negative], np.int32),
        halo_colors=np.concatenate((text, colors)),
    )
    told = f"{abs(separation):#.2g}".rstrip(".")
    answer = (
        f"{named(film.lane)} picks one that is {told} nearer than the positive: a hard negative."
        if separation <= 0
        else f"{named(film.lane)} picks one that is {told} farther than the positive, within the margin: semi-hard."
    )
    question = "Which negative should this anchor be pushed away from?"
    return CloseUp(film.lane, frame.step, scene, (anchor, positive, negative), color, question, answer)


def _hardest(film: Film, frame: Frame) -> int | None:
    """Row of the triplet to show: hard or semi-hard, whose three points are drawn apart from each other."""
    triplets = frame.triplets.reshape(-1, 3).astype(np.int64)
    if frame.separation is None or not len(triplets):
        return None
    drawn = drawn_items(film.started, frame)
    ends = drawn.places_of(triplets)
    margin = frame.hardness.margin if frame.hardness is not None else 0.0
    fits = (ends >= 0).all(1) & (frame.separation <= max(margin, 0.0)) & np.isfinite(frame.separation)
    points = np.append(drawn.positions, np.full((1, 3), np.nan, np.float32), 0)[ends]
    gaps = np.stack([np.linalg.norm(points[:, a] - points[:, b], axis=1) for a, b in ((0, 1), (0, 2), (1, 2))], 1)
    with np.errstate(invalid="ignore"):
        size = float(np.nanmedian(np.abs(drawn.positions - np.nanmedian(drawn.positions, axis=0)))) or 1.0
        # In the picture, too, the negative must be what the sentence says, and all three must be told apart.
        agrees = np.where(frame.separation <= 0, gaps[:, 1] <= gaps[:, 0], gaps[:, 1] > gaps[:, 0])
        fits &= agrees & (gaps.min(1) > LEAST_GAP * size)
        crowded = gaps.min(1) < LEAST_RATIO * gaps.max(1)
    rows = np.flatnonzero(fits)
    # Those that are told apart first, then hard ones, then those of a size that is seen well.
    with np.errstate(divide="ignore"):
        odd = np.abs(np.log(gaps[rows].max(1) / (GOOD_SIZE * size)))
    return int(rows[np.lexsort((odd, frame.separation[rows] > 0, crowded[rows]))[0]]) if len(rows) else None
