"""Where a cloud is looked at from: a camera that turns round a target, and how it is fitted and moved. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]

MAX_ELEVATION = 89.0
"""Degrees; straight above there is no telling which way is up."""

MIN_RADIUS = 1e-3
"""A cloud smaller than this is shown as the speck it is, instead of being blown up to fill the window."""

MAX_RADIUS = 1e12
"""Larger clouds are not framed in full, so that all sums stay finite."""

MARGIN = 1.06
"""The fitted ball fills the picture up to this factor."""


@dataclass(frozen=True)
class Camera:
    """A perspective camera that looks at `target` from `distance`; +z is up. Angles are in degrees."""

    target: Point = (0.0, 0.0, 0.0)
    distance: float = 4.0
    azimuth: float = 35.0
    """Direction of the eye round +z, 0 = from +x, 90 = from +y."""
    elevation: float = 22.0
    """Height of the eye above the horizon."""
    fov: float = 35.0
    """Full vertical angle of view."""
    center: Point = (0.0, 0.0, 0.0)
    """Middle of the ball that the camera was fitted to; the floor lies under it. Unlike `target` it is never panned."""
    radius: float = 1.0
    """Radius of that ball."""

    def orbited(self, d_azimuth: float, d_elevation: float) -> Camera:
        """Turned round the target by so many degrees; never over the top."""
        elevation = min(max(self.elevation + d_elevation, -MAX_ELEVATION), MAX_ELEVATION)
        return replace(self, azimuth=(self.azimuth + d_azimuth) % 360.0, elevation=elevation)

    def zoomed(self, factor: float) -> Camera:
        """`factor` times nearer to the target (2 = twice as large), within sensible bounds."""
        low, high = 1e-3 * self.radius, 1e3 * self.radius
        return replace(self, distance=min(max(self.distance / factor, low), high))

    def panned(self, dx_px: float, dy_px: float, height_px: float) -> Camera:
        """Moved sideways so that the target follows a pointer that went `dx_px` right and `dy_px` down."""
        scale = self.distance / self.focal_px(height_px)
        right, up, _ = self.axes()
        x, y, z = np.asarray(self.target) + (dy_px * up - dx_px * right) * scale
        return replace(self, target=(float(x), float(y), float(z)))

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Unit vectors in world coordinates: to the right, up, and forward (into the picture)."""
        azimuth, elevation = math.radians(self.azimuth), math.radians(self.elevation)
        ca, sa, ce, se = math.cos(azimuth), math.sin(azimuth), math.cos(elevation), math.sin(elevation)
        return np.array((-sa, ca, 0.0)), np.array((-ca * se, -sa * se, ce)), np.array((-ca * ce, -sa * ce, -se))

    def focal_px(self, height_px: float) -> float:
        """Pixels per unit of x / depth in a picture `height_px` high."""
        return 0.5 * height_px / math.tan(math.radians(self.fov) / 2)

    def project(
        self, positions: NDArray[np.floating], width: float, height: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Where (N, 3) positions fall in a picture: x and y in pixels from the top left corner, and depth.

        The middle of the picture is (width / 2, height / 2). Depth is the distance along the line of sight; where it
        is not positive the point lies behind the eye and x, y are NaN.
        """
        right, up, forward = self.axes()
        relative = np.asarray(positions, np.float64) - np.asarray(self.target)
        depth = relative @ forward + self.distance
        scale = np.full_like(depth, np.nan)
        np.divide(self.focal_px(height), depth, out=scale, where=depth > 0)
        return width / 2 + relative @ right * scale, height / 2 - relative @ up * scale, depth


def fit(positions: NDArray[np.floating], aspect: float = 1.0, like: Camera | None = None) -> Camera:
    """A camera that frames (N, 3) positions in a picture of `aspect` = width / height, from the direction of `like`.

    The frame is a ball, so it does not change while the camera turns. It holds 98 % of the points and follows the
    last 2 % only so far that one stray point does not shrink all others. Rows with a NaN or infinity are left out;
    an empty cloud gets the unit ball, a collapsed one a ball of `MIN_RADIUS`.
    """
    like = like or Camera()
    center, radius = _ball(np.asarray(positions, np.float64).reshape(-1, 3))
    half = math.radians(like.fov) / 2
    half = min(half, math.atan(math.tan(half) * max(aspect, 1e-2)))
    return replace(like, target=center, center=center, radius=radius, distance=MARGIN * radius / math.sin(half))


def lowered(camera: Camera, height: float, top: float, bottom: float) -> Camera:
    """The fitted `camera` with its ball in the middle of what labels leave of a picture `height` pixels high.

    Labels cover `top` and `bottom` pixels. The ball moves down, by a quarter of the height at most, and shrinks only
    as far as it would else leave the picture; one that lies clear of the labels stays where it is.
    """
    focal = camera.focal_px(height)
    ball = focal * camera.radius / math.sqrt(max(camera.distance**2 - camera.radius**2, 1e-12 * camera.distance**2))
    down = min((top - bottom) / 2, height / 4)
    if down <= 0 or height / 2 - ball >= top:
        return camera
    away = camera.distance * max(1.0, ball / (height / 2 - down))
    return moved_down(replace(camera, distance=away), height, down)


def snug(
    positions: NDArray[np.floating], aspect: float, like: Camera, free: float = 1.0, turn: float = 180.0
) -> Camera:
    """As `fit`, as near as the cloud's outline allows while the camera turns round it at its elevation.

    A flat or a long cloud fills a picture that its ball would leave empty. `free` is the share of the height that the
    cloud may take, `turn` how many degrees to either side the camera may turn with all of the cloud in the picture.
    """
    camera = fit(positions, aspect, like)
    finite = np.asarray(positions, np.float64).reshape(-1, 3)
    finite = np.clip(finite[np.isfinite(finite).all(1)], -MAX_RADIUS, MAX_RADIUS) - np.array(camera.center)
    if not len(finite):
        return camera
    around, along = np.hypot(finite[:, 0], finite[:, 1]), finite[:, 2]
    half, wide = math.tan(math.radians(like.fov) / 2), math.tan(math.radians(like.fov) / 2) * max(aspect, 1e-2)
    ahead, up = math.sin(math.radians(like.elevation)), math.cos(math.radians(like.elevation))
    # The angle between a point's direction and the eye's, from 0 to pi: its least and its largest on the way.
    apart = np.arctan2(finite[:, 1], finite[:, 0]) - math.radians(like.azimuth)
    apart = np.abs((apart + math.pi) % (2 * math.pi) - math.pi)
    least, most = np.maximum(apart - math.radians(turn), 0.0), np.minimum(apart + math.radians(turn), math.pi)
    # How far off the eye must be for each point to stay in the picture all the way, sideways and up and down.
    worst = np.clip(math.atan(1 / (wide * max(up, 1e-9))), least, most)
    needed = around * (np.sin(worst) / wide + np.cos(worst) * up) + along * ahead
    for side in (-1.0, 1.0):
        for near in (around * np.cos(least), around * np.cos(most)):
            needed = np.maximum(needed, side * (along * up - near * ahead) / (half * free) + near * up + along * ahead)
    bulk = float(np.quantile(needed, 0.98))
    distance = MARGIN * min(float(needed.max()), 1.12 * bulk)
    return replace(camera, distance=max(distance, 1.5 * MIN_RADIUS, 1e-3 * camera.radius))


def moved_down(camera: Camera, height: float, down: float) -> Camera:
    """What is looked at `down` pixels below the middle of a picture `height` pixels high, and stays there while the
    camera turns."""
    ahead, up = math.sin(math.radians(camera.elevation)), math.cos(math.radians(camera.elevation))
    rise = down * camera.distance / (camera.focal_px(height) * max(up, 0.3))
    x, y, z = camera.target  # what is looked at rises along z, so that all stays in place while the camera turns
    return replace(camera, target=(x, y, z + rise), distance=camera.distance - rise * ahead)


def _ball(positions: NDArray[np.float64]) -> tuple[Point, float]:
    positions = positions[np.isfinite(positions).all(1)]
    if len(positions) == 0:
        return (0.0, 0.0, 0.0), 1.0
    positions = np.clip(positions, -MAX_RADIUS, MAX_RADIUS)
    low, high = np.quantile(positions, (0.02, 0.98), axis=0)
    center = (low + high) / 2
    from_center = np.linalg.norm(positions - center, axis=1)
    bulk = float(np.quantile(from_center, 0.98))
    x, y, z = (float(value) for value in center)
    return (x, y, z), min(max(min(float(from_center.max()), 1.12 * bulk), MIN_RADIUS), MAX_RADIUS)


def blend(a: Camera, b: Camera, t: float) -> Camera:
    """A share `t` of the way from `a` to `b`: places on a straight line, sizes by ratio, angles the short way."""
    t = min(max(t, 0.0), 1.0)
    if t == 0.0:
        return a
    if t == 1.0:
        return b
    turn = (b.azimuth - a.azimuth + 180.0) % 360.0 - 180.0
    return Camera(
        target=_between(a.target, b.target, t),
        distance=a.distance ** (1 - t) * b.distance**t,
        azimuth=(a.azimuth + t * turn) % 360.0,
        elevation=a.elevation + t * (b.elevation - a.elevation),
        fov=a.fov + t * (b.fov - a.fov),
        center=_between(a.center, b.center, t),
        radius=a.radius ** (1 - t) * b.radius**t,
    )


def followed(
    camera: Camera, wanted: Camera, seconds: float, half_life: float = 0.35, slack: float = math.inf
) -> Camera:
    """`camera` after gliding towards `wanted` for `seconds`; half of the way is gone every `half_life` seconds.

    The glide does not depend on the frame rate. Within a thousandth of the goal it arrives, so that a still cloud is
    not painted again for ever. A camera that looks past the ball of `wanted`, or from too near, by more than about
    `slack` (a share of the radius, and of the distance) hurries, so that it does not lose a cloud that moves fast.
    """
    near = 1e-3 * wanted.radius
    apart = max(abs(x - y) for x, y in zip(camera.target + camera.center, wanted.target + wanted.center, strict=True))
    sizes = max(abs(camera.distance / wanted.distance - 1), abs(camera.radius / wanted.radius - 1))
    turned = max(abs((wanted.azimuth - camera.azimuth + 180) % 360 - 180), abs(wanted.elevation - camera.elevation))
    if apart < near and sizes < 1e-3 and turned < 0.02 and camera.fov == wanted.fov:
        return wanted
    off = max(math.dist(camera.target, wanted.target) / wanted.radius, math.log(wanted.distance / camera.distance), 0.0)
    left, pull = 0.5 ** (seconds / half_life), (off / slack) ** 2
    # What is left of the way x, where its rate of decay is 1 + (x / slack)^2 times that of the half-life.
    return blend(camera, wanted, 1 - left / math.sqrt(1 + pull * (1 - left**2)))


def _between(a: Point, b: Point, t: float) -> Point:
    x, y, z = (p + t * (q - p) for p, q in zip(a, b, strict=True))
    return x, y, z
