"""Frames the clouds of all lanes at one scale through a whole scene, as near as their outlines allow, without a jump.

The outlines are measured before the first picture is drawn, from where the camera will stand by then. The distance is
the largest that any moment near by needs, smoothed; so what grows fast stays in the picture, and nothing trembles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import MAX_RADIUS, MIN_RADIUS, Camera, fit

Positions = NDArray[np.float32]

MOST_KEYS = 110
"""Moments of a scene at which clouds are measured."""
CALM = 0.016
"""Width of the camera's memory and foresight, as a share of the scene."""
REACH = 0.028
"""How near by a moment is whose cloud must fit, likewise."""
FILL = 0.93
"""Share of a pane that the outline may take."""
STRAY, SLACK = 0.985, 1.18
"""The outline holds so many of the points, and follows the others by so much at most."""


@dataclass(frozen=True)
class View:
    """How clouds are looked at, at a share of the scene."""

    direction: Camera
    """Azimuth, elevation and angle of view"""
    aspect: float
    """Width by height of a pane"""
    top: float = 0.0
    """Share of the pane's height that labels cover at its top, and which the cloud leaves free if it can"""
    foot: float = 0.0
    """Likewise at its bottom"""


class Framing:
    """Where each lane's camera stands at each share of a scene."""

    def __init__(
        self,
        tracks: Sequence[Callable[[float], Positions | None]],
        view: Callable[[float], View],
        pictures: int,
    ) -> None:
        """`tracks`: of each lane where its points are at a share of the scene, None where it has none."""
        self._view = view
        self._shares = np.linspace(0, 1, max(min(pictures, MOST_KEYS), 2))
        centers = np.full((len(tracks), len(self._shares), 3), np.nan)
        radii = np.full((len(tracks), len(self._shares)), np.nan)
        needed = np.full((len(tracks), len(self._shares)), np.nan)
        for number, share in enumerate(self._shares.tolist()):
            seen = view(share)
            for lane, track in enumerate(tracks):
                positions = track(share)
                if positions is None:
                    continue
                ball = fit(positions, seen.aspect, seen.direction)
                centers[lane, number], radii[lane, number] = ball.center, ball.radius
                needed[lane, number] = needed_distance(positions, ball, seen)
        self._centers = [_filled(lane) for lane in centers]
        self._log_radii = np.log(_filled(_largest(radii)))
        self._log_needed = _largest_near(np.log(_filled(_largest(needed))), round(REACH * len(self._shares)))

    def camera(self, lane: int, share: float) -> Camera:
        """The camera of a lane: a smooth function of the share of the scene that has passed."""
        seen = self._view(share)
        weights = np.exp(-0.5 * ((self._shares - share) / CALM) ** 2)
        weights /= weights.sum()
        x, y, z = (float(value) for value in weights @ self._centers[lane])
        radius, distance = (math.exp(float(weights @ logs)) for logs in (self._log_radii, self._log_needed))
        camera = replace(seen.direction, target=(x, y, z), center=(x, y, z), radius=radius, distance=distance)
        return _lowered(camera, seen.top - seen.foot)


def needed_distance(positions: Positions, ball: Camera, seen: View) -> float:
    """How far the eye must be from the middle of the ball for the outline of (N, 3) positions to fill a pane."""
    finite = np.asarray(positions, np.float64)
    finite = np.clip(finite[np.isfinite(finite).all(1)], -MAX_RADIUS, MAX_RADIUS) - np.array(ball.center)
    if not len(finite):
        return ball.distance
    right, up, forward = seen.direction.axes()
    half = math.tan(math.radians(seen.direction.fov) / 2) * FILL
    across, along, ahead = finite @ right, finite @ up, finite @ forward
    sideways = np.abs(across) / (half * max(seen.aspect, 1e-2)) - ahead
    upright = np.abs(along) / (half * (1 - seen.top - seen.foot)) - ahead
    distances = np.maximum(sideways, upright)
    bulk = float(np.quantile(distances, STRAY))
    distance = min(float(distances.max()), SLACK * bulk) if bulk > 0 else float(distances.max())
    return max(distance, 2 * MIN_RADIUS, 0.5 * ball.radius)


def _lowered(camera: Camera, by: float) -> Camera:
    """What is looked at stands in the middle of what labels leave of a pane: `by` is how much more of its height they
    cover at the top than at the bottom."""
    if by == 0:
        return camera
    _, up, _ = camera.axes()
    rise = by / 2 * camera.distance * 2 * math.tan(math.radians(camera.fov) / 2)
    x, y, z = np.array(camera.target) + up * rise
    return replace(camera, target=(float(x), float(y), float(z)))


def _largest(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) largest over lanes of (L, K), NaN where no lane has one."""
    known: NDArray[np.float64] = np.where(np.isfinite(values), values, -np.inf).max(axis=0)
    known[np.isinf(known)] = np.nan
    return known


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that are not known are as the next that is, or the last; 1 where none is."""
    known = np.isfinite(values) if values.ndim == 1 else np.isfinite(values).all(1)
    if not known.any():
        return np.ones_like(values)
    places = np.flatnonzero(known)
    return values[places[np.minimum(np.searchsorted(places, np.arange(len(values))), len(places) - 1)]]


def _largest_near(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    padded = np.pad(values, reach, mode="edge")
    largest: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    return largest
