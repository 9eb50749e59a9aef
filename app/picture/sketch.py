"""A cloud in plain numpy, while the kernels of the renderer are compiled: flat discs, diamonds, thin lines, no light.

A first start has something to show from its first second on, and what moves moves. No Qt.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera
from app.picture.raster import Picture, default_point_px
from app.picture.scene import Scene
from app.picture.theme import Theme

LARGEST_PX = 12
LINE_SAMPLES = 32
"""Dots of which each line is made."""


def sketch(scene: Scene, camera: Camera, width: int, height: int, theme: Theme) -> Picture:
    """The points of `scene` as discs or diamonds and its edges as dotted lines below them; halos and trails are left
    out. Points and edges with a NaN or infinite end are left out too.

    Raises:
        ValueError: width or height below 1.
    """
    if width < 1 or height < 1:
        raise ValueError(f"cannot sketch {width} x {height} pixels")
    pixels, rows = _ground(width, height, theme), np.full((height, width), -1, np.int32)
    x, y, depth = camera.project(scene.positions, width, height)
    seen = np.isfinite(x) & np.isfinite(y) & np.isfinite(depth)
    _draw_lines(pixels, np.where(seen[:, None], np.stack((x, y), 1), np.nan), scene)
    seen &= scene.radii > 0
    far_first = np.flatnonzero(seen)[np.argsort(-depth[seen], kind="stable")]
    x, y, depth = x[far_first], y[far_first], depth[far_first]
    point_px = default_point_px(scene.sample, camera, width, height)
    sizes = np.clip(np.rint(scene.radii[far_first] * point_px * camera.distance / depth), 1, LARGEST_PX).astype(np.intp)
    inside = (x + sizes >= 0) & (x - sizes < width) & (y + sizes >= 0) & (y - sizes < height)
    far_first, x, y, sizes = far_first[inside], x[inside], y[inside], sizes[inside]
    across, down, owners = _discs(sizes)
    if scene.diamond_class >= 0:
        round_ones = scene.strata[far_first[owners]] != scene.diamond_class
        whole = round_ones | (np.abs(across) + np.abs(down) <= sizes[owners])
        across, down, owners = across[whole], down[whole], owners[whole]
    columns = np.floor(x).astype(np.intp)[owners] + across
    lines = np.floor(y).astype(np.intp)[owners] + down
    kept = (columns >= 0) & (columns < width) & (lines >= 0) & (lines < height)
    columns, lines, painted = columns[kept], lines[kept], far_first[owners[kept]]
    red, green, blue = scene.colors.T.astype(np.uint32)
    packed = 255 << 24 | red << 16 | green << 8 | blue
    pixels.view(np.uint32)[lines, columns, 0] = packed[painted]  # of several the last stays, which is the nearest
    rows[lines, columns] = painted
    return Picture(pixels, rows, len(far_first))


def _ground(width: int, height: int, theme: Theme) -> NDArray[np.uint8]:
    share = ((np.arange(height) + 0.5) / height)[:, None]
    colors = np.array(theme.cloud_top) * (1 - share) + np.array(theme.cloud_bottom) * share
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[:, :, :3] = np.rint(colors[:, ::-1]).astype(np.uint8)[:, None]
    return pixels


def _draw_lines(pixels: NDArray[np.uint8], places: NDArray[np.float64], scene: Scene) -> None:
    """Blend the edges of `scene` into `pixels`; `places` (N, 2) are NaN where a point is not seen."""
    along = np.linspace(0, 1, LINE_SAMPLES)[:, None, None]
    dots = places[scene.edges[:, 0]] * (1 - along) + places[scene.edges[:, 1]] * along
    height, width = pixels.shape[:2]
    with np.errstate(invalid="ignore"):
        kept = ((dots >= 0) & (dots < (width, height))).all(-1)
    columns, lines = np.floor(dots[kept]).astype(np.intp).T
    colors = scene.edge_colors[np.nonzero(kept)[1]].astype(np.float64)
    alpha = colors[:, 3:] / 255
    pixels[lines, columns, :3] = np.rint(pixels[lines, columns, :3] * (1 - alpha) + colors[:, 2::-1] * alpha)


def _discs(sizes: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Pixels of discs of these radii round their middles: across, down, and whose each is, disc after disc."""
    side = np.arange(-LARGEST_PX, LARGEST_PX + 1)
    square = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    away = (square**2).sum(1)
    inner_first = square[np.argsort(away, kind="stable")]
    counts = np.searchsorted(np.sort(away), sizes**2, side="right")
    owners = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    return inner_first[place, 1], inner_first[place, 0], owners
