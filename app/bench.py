"""`bench render`: how long the cloud renderer takes to draw one tick. The other subjects are the engine's."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from hnm_core.cli import bench_commands

if TYPE_CHECKING:
    from app.picture.scene import Scene
    from hnm_core.bench.table import Case, Row, Settings

TICKS = 40
_FILL = 4
"""Bytes of a pixel."""


class Picture(NamedTuple):
    """What is drawn in one tick: so many panes of so many points and edges."""

    panes: int
    points: int
    edges: int
    width: int
    height: int
    supersample: int = 1


PICTURES = (
    Picture(1, 1_800, 0, 500, 450),
    Picture(1, 1_800, 1_000, 500, 450),
    Picture(3, 1_800, 1_000, 500, 450),
    Picture(6, 1_800, 1_000, 500, 300),
    Picture(1, 5_000, 1_000, 950, 480),
    Picture(2, 5_000, 1_000, 950, 480),
    Picture(1, 20_000, 2_000, 950, 480),
    Picture(1, 100_000, 2_000, 950, 480),
    Picture(1, 1_000_000, 2_000, 950, 480),
    Picture(1, 1_800, 1_000, 1_920, 1_080),
    Picture(1, 1_800, 1_000, 1_920, 1_080, supersample=2),
)


def command() -> Callable[..., None]:
    """`bench` with all subjects."""
    return bench_commands.command({**bench_commands.SUBJECTS, "render": cases})


def cases(settings: Settings) -> list[Case]:
    """A row for each picture; no peer draws the same."""
    from hnm_core.bench.table import Case

    pictures = PICTURES[:2] if settings.quick else PICTURES
    return [Case("raster", _size(picture), partial(measure, picture, settings)) for picture in pictures]


def measure(picture: Picture, settings: Settings) -> Row:
    """Median time of a tick while the camera turns; panes are drawn one after the other, on one thread."""
    import numpy as np

    from app.picture.camera import fit
    from app.picture.raster import Workspace, render, warm_up
    from app.picture.theme import DARK
    from hnm_core.bench.limits import limits
    from hnm_core.bench.table import Bound, Result, Row
    from hnm_core.system.peak import Peak

    warm_up()
    scenes = [clusters(picture.points, picture.edges, seed) for seed in range(picture.panes)]
    width, height = picture.width, picture.height
    cameras = [fit(scene.positions, width / height) for scene in scenes]
    seconds, processor = [], []
    ticks = max(5, settings.repeat) if settings.quick or picture.points >= 100_000 else TICKS
    with Peak() as peak:
        workspaces = [Workspace() for _ in scenes]
        for tick in range(ticks + 3):
            start, start_processor = time.perf_counter(), time.thread_time()
            for scene, camera, workspace in zip(scenes, cameras, workspaces, strict=True):
                turned = camera.orbited(3.0 * tick, 0.0)
                render(scene, turned, width, height, DARK, supersample=picture.supersample, workspace=workspace)
            seconds.append(time.perf_counter() - start)
            processor.append(time.thread_time() - start_processor)
    median, late = np.quantile(seconds[3:], (0.5, 0.95))
    check = f"p95 {1e3 * late:.1f} ms, processor {1e3 * np.median(processor[3:]):.1f} ms"
    ours = Result("hnm raster", float(median), ticks, check=check, peak_mb=peak.megabytes)
    drawn = picture.panes * width * height * picture.supersample**2 * _FILL
    read = picture.panes * picture.points * 16
    share = (drawn + read) / limits(settings.threads, quick=settings.quick).copied / float(median)
    return Row(
        "render",
        "raster",
        _size(picture),
        ours,
        (),
        Bound("arithmetic of discs and lines; copying pixels and points", share),
    )


def clusters(points: int, edges: int, seed: int = 0) -> Scene:
    """Ten classes as balls on a sphere; half of the edges hard, within a class, half easy and long."""
    import numpy as np

    from app.picture.edges import EASY, HARD, Edges, edge_colors, edge_shapes, halos
    from app.picture.scene import Scene, class_colors
    from app.picture.theme import DARK

    source = np.random.default_rng(seed)
    centers = source.normal(size=(10, 3))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    labels = source.integers(0, 10, points)
    positions = (centers[labels] + 0.22 * source.normal(size=(points, 3))).astype(np.float32)
    starts, ends = source.integers(0, points, edges), source.integers(0, points, edges)
    by_class = np.argsort(labels, kind="stable")
    place = np.empty(points, np.int64)
    place[by_class] = np.arange(points)
    half = edges // 2
    ends[:half] = by_class[np.minimum(place[starts[:half]] + 1, points - 1)]
    kinds = np.where(np.arange(edges) < half, HARD, EASY).astype(np.int8)
    drawn = Edges(
        np.stack((starts, ends), 1).astype(np.int32),
        kinds,
        np.ones(edges, np.float32),
        np.ones(edges, np.float32),
        edges,
    )
    ringed, ring_colors = halos(drawn, DARK)
    return Scene(
        positions=positions,
        colors=class_colors(labels, DARK),
        radii=np.ones(points, np.float32),
        edges=drawn.places,
        edge_colors=edge_colors(drawn, DARK, -1),
        edge_shapes=edge_shapes(drawn, -1),
        edge_kinds=drawn.kinds,
        halos=ringed,
        halo_colors=ring_colors,
        ids=np.arange(points),
        strata=labels,
        mined=np.zeros(points, np.bool_),
    )


def _size(picture: Picture) -> str:
    panes = f"{picture.panes} pane{'s' if picture.panes > 1 else ''}"
    size = f"{panes} of {picture.points:,} points, {picture.edges:,} edges, {picture.width} x {picture.height}"
    return f"{size} x {picture.supersample}^2" if picture.supersample > 1 else size
