"""Where a lane finds its hardest negatives: the two classes between which most of them lie, and where these are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.history.moments import named
from app.picture.camera import Camera, Point, fit
from app.picture.scene import Scene
from app.picture.theme import Theme
from app.video.film import Film
from hnm_core.run.shown import class_name, drawn_items, has_several_labels, query_label

FRAMES = 24
"""So many frames are looked at, evenly through the run."""

BACK = 0.7
"""How far the points of other classes step back."""


@dataclass(frozen=True, eq=False)
class Region:
    """Two classes."""

    classes: tuple[int, int]
    hard: int
    """Hard and semi-hard negatives between them, in the frames that were looked at"""
    total: int
    """Between all classes"""
    names: tuple[str, str]
    """What they are called"""
    text: str

    def middles(self, film: Film, step: float) -> NDArray[np.float32]:
        """(2, 3) where the two classes are at a step."""
        positions, labels = film.positions(step), film.started.labels
        middles = np.stack([np.nanmedian(positions[labels == label], axis=0) for label in self.classes])
        return np.nan_to_num(middles.astype(np.float32))

    def middle(self, film: Film, step: float) -> Point:
        """Half way between the two classes at a step."""
        x, y, z = self.middles(film, step).mean(axis=0).tolist()
        return x, y, z

    def zoom(self, film: Film, step: float, framed: Camera, aspect: float) -> float:
        """How many times nearer than `framed` a camera may be that still has both classes in the picture."""
        inside = np.isin(film.started.labels, self.classes)
        return max(framed.distance / fit(film.positions(step)[inside], aspect, framed).distance, 1.0)

    def alone(self, scene: Scene, theme: Theme, share: float) -> Scene:
        """The scene with the points of other classes and what joins them stepped back, the more the larger `share`."""
        inside = np.isin(scene.strata, self.classes)
        ground = (np.array(theme.cloud_top, np.float32) + np.array(theme.cloud_bottom, np.float32)) / 2
        colors = scene.colors.astype(np.float32)
        colors[~inside] += (ground - colors[~inside]) * np.float32(BACK * share)
        edges, halos = scene.edge_colors.copy(), scene.halo_colors.copy()
        left = 1 - BACK * share
        outer = ~inside[scene.edges].all(1)
        edges[outer, 3] = (edges[outer, 3] * left).astype(np.uint8)
        outer = ~inside[scene.halos]
        halos[outer, 3] = (halos[outer, 3] * left).astype(np.uint8)
        return replace(scene, colors=colors.round().astype(np.uint8), edge_colors=edges, halo_colors=halos)


def hardest_region(film: Film) -> Region | None:
    """The pair of classes with most hard and semi-hard negatives; None where a run does not tell how hard they are, or
    has queries and documents: there all lie between the same two."""
    if query_label(film.started) >= 0:
        return None
    counts = Counter[tuple[int, int]]()
    labels = film.started.labels
    places = np.unique(np.linspace(0, len(film.steps) - 1, FRAMES).round().astype(int))
    for step in film.steps[places].tolist():
        frame = film.frame_at(step)
        if frame.separation is None or frame.hardness is None:
            continue
        drawn = drawn_items(film.started, frame)
        ends = drawn.places_of(frame.triplets.reshape(-1, 3).astype(np.int64))
        known = (ends[:, 0] >= 0) & (ends[:, 2] >= 0) & (frame.separation <= max(frame.hardness.margin, 0.0))
        pairs = np.sort(drawn.labels[ends[known][:, (0, 2)]], axis=1)
        counts.update(map(tuple, pairs.tolist()))
    counts = Counter({pair: n for pair, n in counts.items() if all((labels == label).any() for label in pair)})
    if not counts:
        return None
    (a, b), hard = counts.most_common(1)[0]
    total = sum(counts.values())
    names = class_name(film.started, a), class_name(film.started, b)
    one, others = ("label", "rarest labels") if has_several_labels(film.started) else ("class", "classes")
    first, second = (f"{one} {name}" if name.isdigit() else name for name in names)
    text = f"No two {others} give {named(film.lane)} more hard negatives than {first} and {second}."
    return Region((a, b), hard, total, (first, second), text)
