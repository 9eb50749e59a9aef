"""The cloud renderer: shaded spheres, diamonds and antialiased edges into an image, on the CPU, in compiled kernels.
No Qt.

One picture is made in passes, each a kernel below: ground, floor, which sphere covers which pixel (a depth buffer),
light and shade, eye-dome lighting, smooth rims, edges and rings (tested against that depth), and for a supersampled
picture the reduction. Depth is kept as 1 / distance (0 = nothing there): it is linear along a line on the screen and
needs no sentinel infinity.

Kernels release the GIL, run on one thread and use only + - * / and square roots, so that a picture has the same bytes
on every run and every processor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera, Point
from app.picture.raster_kernels import (
    FLOOR_LINES,
    FLOOR_PIECES,
    Bytes,
    Doubles,
    Floats,
    Pixels,
    Rows,
    cover,
    depth_range,
    draw_halos,
    draw_lines,
    faded_colors,
    fill_ground,
    lay_floor,
    project,
    reduce,
    shade,
    shade_by_depth,
    smooth_rims,
    to_yuv,
)
from app.picture.scene import Scene
from app.picture.theme import DARK, Rgb, Theme

RASTER_KERNELS = "app.picture.raster"
"""Name of this module for `hnm_core.kernels.ready` and `compile_now`."""

REFERENCE_PX = 450.0
"""Sizes below are in pixels of a picture whose smaller side is this long, and grow with it."""

EDGE_PX = 1.1
FLOOR_PX = 1.0
HALO_PX = 1.6
TRAIL_PX, TRAIL_THROUGH = 1.7, 0.5
"""Width of the way that a point went, and how much of it is seen where points lie before it."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A rendered cloud."""

    pixels: NDArray[np.uint8]
    """(H, W, 4) blue, green, red, 255: Qt's RGB32 and ffmpeg's bgra. Overwritten by the next use of the workspace."""
    rows: Rows
    """(H, W) row of the point seen in each pixel, -1 where there is none. Overwritten as well."""
    points_in_view: int
    """Points of which at least a part may be inside the picture."""


@dataclass(eq=False)
class Workspace:
    """Arrays that are used again from picture to picture. One per view and thread."""

    pixels: Pixels = field(default_factory=lambda: np.empty((0, 0), np.uint32))
    extents: Rows = field(default_factory=lambda: np.empty((0, 2), np.int32))
    rims: Rows = field(default_factory=lambda: np.empty(0, np.int32))
    smooth: Pixels = field(default_factory=lambda: np.empty(0, np.uint32))
    depth: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))
    rows: Rows = field(default_factory=lambda: np.empty((0, 0), np.int32))
    small_pixels: Pixels = field(default_factory=lambda: np.empty((0, 0), np.uint32))
    small_rows: Rows = field(default_factory=lambda: np.empty((0, 0), np.int32))
    points: Floats = field(default_factory=lambda: np.empty((0, 4), np.float32))
    floor_lines: Doubles = field(default_factory=lambda: np.empty((2 * FLOOR_LINES * FLOOR_PIECES, 6)))
    floor_colors: Doubles = field(default_factory=lambda: np.empty((2 * FLOOR_LINES * FLOOR_PIECES, 5)))

    def sized(self, height: int, width: int, supersample: int, count: int) -> None:
        """Make the arrays fit a picture and a number of points; does nothing when they do already."""
        full = (height * supersample, width * supersample)
        if self.pixels.shape != full:
            self.pixels = np.empty(full, np.uint32)
            self.depth, self.rows = np.zeros(full, np.float32), np.full(full, -1, np.int32)
            self.extents = np.tile(np.array((full[1], 0), np.int32), (full[0], 1))
            self.rims, self.smooth = np.empty(full[0] * full[1], np.int32), np.empty(full[0] * full[1], np.uint32)
        if supersample > 1 and self.small_pixels.shape != (height, width):
            self.small_pixels = np.empty((height, width), np.uint32)
            self.small_rows = np.empty((height, width), np.int32)
        if len(self.points) != count:
            self.points = np.empty((count, 4), np.float32)


def default_point_px(count: int, camera: Camera, width: float, height: float) -> float:
    """Radius in pixels of a point at the camera's target: large enough to see, small enough to tell `count` apart.

    Points grow by the root of the magnification, so that zooming in both enlarges them and draws them apart.
    """
    unit = min(width, height) / REFERENCE_PX
    magnification = min(max(3.5 * camera.radius / camera.distance, 0.1), 30.0)
    radius: float = unit * min(max(4.4 * (1800 / max(count, 1)) ** 0.36, 1.0), 9.0) * math.sqrt(magnification)
    return radius


def render(
    scene: Scene,
    camera: Camera,
    width: int,
    height: int,
    theme: Theme,
    *,
    point_px: float | None = None,
    supersample: int = 1,
    workspace: Workspace | None = None,
) -> Picture:
    """The scene as `camera` sees it.

    `point_px` is the radius of a point at the camera's target, in pixels of the picture; nearer ones are larger.
    `supersample` renders every pixel as so many squared. Points and edges with a NaN or infinite end are left out.

    Raises:
        ValueError: width, height or supersample below 1.
    """
    if width < 1 or height < 1 or supersample < 1:
        raise ValueError(f"cannot render {width} x {height} pixels, supersampled {supersample}")
    work = workspace or Workspace()
    work.sized(height, width, supersample, len(scene.ids))
    full_width, full_height = width * supersample, height * supersample
    unit, least = supersample * min(width, height) / REFERENCE_PX, 0.8 * supersample
    point_px = float(point_px or default_point_px(scene.sample, camera, width, height))

    right, up, forward = camera.axes()
    view = np.concatenate((right, up, forward, camera.target))
    lens = np.array((full_width / 2, full_height / 2, camera.focal_px(full_height), camera.distance))
    ground = np.array((theme.cloud_top, theme.cloud_bottom), np.float64)
    # Fresh arrays, as kernels are compiled for writable ones only and frames are read-only.
    positions, radii = np.array(scene.positions, np.float32), np.array(scene.radii, np.float32)
    if scene.diamond_class >= 0:
        radii[scene.strata == scene.diamond_class] *= -1

    fill_ground(work.pixels, work.depth, work.rows, work.extents, ground)
    lines, line_colors = _floor_lines(camera.center, camera.radius, theme.grid, work)
    # Nothing covers the floor, for nothing is drawn yet, and it fades by itself.
    shapes = np.tile((max(FLOOR_PX * unit, least) / 2, 1.0), (len(lines), 1))
    draw_lines(work.pixels, work.depth, lines, line_colors, shapes, view, lens, 1e30, 1e30)
    in_view = project(positions, radii, view, lens, point_px * supersample, work.points)
    near, far = depth_range(work.points)
    colors = faded_colors(work.points, np.array(scene.colors, np.uint8), ground, full_height, near, far)
    cover(work.depth, work.rows, work.extents, work.points, np.float32(lens[2]))
    shade(work.pixels, work.rows, work.extents, work.points, colors)
    shade_by_depth(work.pixels, work.depth, work.extents, max(1, round(unit)))
    smooth_rims(work.pixels, work.depth, work.rows, work.extents, work.points, work.rims, work.smooth)
    if len(scene.trails):
        shapes = np.tile((max(TRAIL_PX * unit, least) / 2, TRAIL_THROUGH), (len(scene.trails), 1))
        lines, line_colors = np.array(scene.trails), np.array(scene.trail_colors)
        draw_lines(work.pixels, work.depth, lines, line_colors, shapes, view, lens, near, far)
    if len(scene.edges):
        ends = np.array(scene.edges)
        lines = np.concatenate((positions[ends[:, 0]], positions[ends[:, 1]]), axis=1).astype(np.float64)
        line_colors = np.concatenate((scene.edge_colors, scene.edge_colors[:, 3:]), axis=1).astype(np.float64)
        shapes = np.array(scene.edge_shapes, np.float64)
        shapes[:, 0] *= max(EDGE_PX * unit, least) / 2
        draw_lines(work.pixels, work.depth, lines, line_colors, shapes, view, lens, near, far)
    if len(scene.halos):
        draw_halos(
            work.pixels,
            work.depth,
            work.points,
            np.array(scene.halos),
            np.array(scene.halo_colors, np.float64),
            max(HALO_PX * unit, least),
            np.float32(lens[2]),
        )
    pixels, rows = work.pixels, work.rows
    if supersample > 1:
        reduce(work.pixels, work.rows, supersample, work.small_pixels, work.small_rows)
        pixels, rows = work.small_pixels, work.small_rows
    return Picture(pixels.view(np.uint8).reshape(height, width, 4), rows, int(in_view))


def warm_up() -> None:
    """Call every kernel once on a tiny scene, so that each is compiled into the cache."""
    scene = Scene(
        positions=np.array(((0, 0, 0), (0.5, 0, 0)), np.float32),
        colors=np.full((2, 3), 128, np.uint8),
        radii=np.ones(2, np.float32),
        edges=np.array(((0, 1),), np.int32),
        edge_colors=np.full((1, 4), 128, np.uint8),
        edge_shapes=np.ones((1, 2), np.float32),
        edge_kinds=np.zeros(1, np.int8),
        ids=np.arange(2),
        strata=np.zeros(2, np.int64),
        mined=np.ones(2, np.bool_),
        halos=np.zeros(1, np.int32),
        halo_colors=np.full((1, 4), 128, np.uint8),
    )
    picture = render(scene, Camera(), 8, 8, DARK, supersample=2)
    yuv(picture.pixels.view(np.uint32)[..., 0], 0, 0, (8, 8), *(np.empty((8, 8), np.uint8) for _ in range(3)))


def yuv(pixels: Pixels, left: int, top: int, size: tuple[int, int], luma: Bytes, blue: Bytes, red: Bytes) -> None:
    """Write a part of a picture for an encoder of videos, as BT.709 in limited range with half as many values of chroma
    each way, without a copy of the picture.

    Args:
        pixels: (H, W) 0x..RRGGBB; contiguous.
        left: its first column.
        top: its first row.
        size: width and height of the part, both even.
        luma: (height, >= width), written.
        blue: (height / 2, >= width / 2) Cb, written.
        red: (height / 2, >= width / 2) Cr, written.

    Raises:
        ValueError: the part reaches beyond the picture, or a plane is too small.
    """
    width, height = size
    inside = 0 <= left <= pixels.shape[1] - width and 0 <= top <= pixels.shape[0] - height
    planes = ((luma, 1), (blue, 2), (red, 2))
    if not inside or any(p.shape[0] < height // n or p.shape[1] < width // n for p, n in planes):
        raise ValueError(f"no {width} x {height} pixels at {left}, {top} of {pixels.shape[1]} x {pixels.shape[0]}")
    seen = pixels.view()
    seen.flags.writeable = False  # what a screen shows may not be written, and a kernel is compiled for one kind
    to_yuv(seen, left, top, luma, blue, red, width, height)


def _floor_lines(center: Point, radius: float, color: Rgb, work: Workspace) -> tuple[Doubles, Doubles]:
    """A grid under the ball that the camera was fitted to, fading outwards: (L, 6) ends, (L, 5) r, g, b, alpha at each.

    The lines are 2 ** k apart. Every second one fades as the ball grows, until the next k takes over unnoticed.
    """
    scale = math.log2(max(radius, 1e-30) / 2.5)
    step = 2.0 ** math.floor(scale)
    odd_alpha = 1 - (scale - math.floor(scale))
    grey = np.array(color, np.float64)
    count = lay_floor(*center, radius, step, odd_alpha, grey, work.floor_lines, work.floor_colors)
    return work.floor_lines[:count], work.floor_colors[:count]
