"""The way that a few points went through the frames so far, as lines that fade into the past. No Qt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.picture.scene import Scene
from hnm_core.run.shown import drawn_places

MOST_TRAILS = 20
MOST_CORNERS = 240
"""A longer way is drawn through so many of its frames, evenly chosen, the newest among them."""
OLDEST_ALPHA, NEWEST_ALPHA = 12.0, 235.0


def with_trails(scene: Scene, ids: NDArray[np.int64], paths: NDArray[np.float32]) -> Scene:
    """The scene with the ways of the points with these (K,) ids, which stood at (F, K, 3) `paths` in the frames so far,
    and lead to where the scene has them. A point that is not drawn has none."""
    places = drawn_places(scene.ids, scene.sample, ids)
    there = np.append(scene.radii > 0, False)[places]
    places, paths = places[there], paths[:, there]
    ways = np.concatenate((thinned_out(paths), scene.positions[places][None]))
    if len(ways) < 2 or not len(places):
        return scene
    lines = np.concatenate((ways[:-1], ways[1:]), axis=2).transpose(1, 0, 2).reshape(-1, 6).astype(np.float64)
    alpha = np.linspace(OLDEST_ALPHA, NEWEST_ALPHA, len(ways))
    ramp = np.tile(np.stack((alpha[:-1], alpha[1:]), 1), (len(places), 1))
    rgb = np.repeat(scene.colors[places], len(ways) - 1, axis=0).astype(np.float64)
    return replace(scene, trails=lines, trail_colors=np.concatenate((rgb, ramp), 1))


def thinned_out(paths: NDArray[np.float32]) -> NDArray[np.float32]:
    """At most `MOST_CORNERS` of the frames of (F, K, 3) paths, the first and the last among them."""
    if len(paths) <= MOST_CORNERS:
        return paths
    return paths[np.linspace(0, len(paths) - 1, MOST_CORNERS).round().astype(np.int64)]
