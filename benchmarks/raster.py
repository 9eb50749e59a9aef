"""How long the cloud renderer takes: milliseconds a tick on one thread, by the clock and of processor time.

    python benchmarks/raster.py [--repeat 40] [--json]

Every row draws the panes of one tick, one after the other, while the camera turns. Nothing else should run; where
something does, the processor time tells what the clock would say without it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app.camera import fit
from app.raster import Workspace, render, warm_up
from app.scene import EDGE_ALPHA, Scene, class_colors
from app.theme import DARK


@dataclass(frozen=True)
class Case:
    """What is drawn in one tick."""

    panes: int
    points: int
    edges: int
    width: int
    height: int
    supersample: int = 1


CASES = (
    Case(1, 1_800, 0, 500, 450),
    Case(1, 1_800, 1_000, 500, 450),
    Case(3, 1_800, 1_000, 500, 450),
    Case(6, 1_800, 1_000, 500, 300),
    Case(1, 5_000, 1_000, 950, 480),
    Case(2, 5_000, 1_000, 950, 480),
    Case(1, 20_000, 2_000, 950, 480),
    Case(1, 100_000, 2_000, 950, 480),
    Case(1, 1_000_000, 2_000, 950, 480),
    Case(1, 1_800, 1_000, 1_920, 1_080),
    Case(1, 1_800, 1_000, 1_920, 1_080, supersample=2),
)


def clusters(points: int, edges: int, seed: int = 0) -> Scene:
    """Ten classes as balls on a sphere; half of the edges within a class, half to any point (long ones)."""
    generator = np.random.default_rng(seed)
    centers = generator.normal(size=(10, 3))
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    labels = generator.integers(0, 10, points)
    positions = (centers[labels] + 0.22 * generator.normal(size=(points, 3))).astype(np.float32)
    starts, ends = generator.integers(0, points, edges), generator.integers(0, points, edges)
    by_class = np.argsort(labels, kind="stable")
    place = np.empty(points, np.int64)
    place[by_class] = np.arange(points)
    half = edges // 2
    ends[:half] = by_class[np.minimum(place[starts[:half]] + 1, points - 1)]
    colors = np.tile(np.array((*DARK.negative_edge, EDGE_ALPHA), np.uint8), (edges, 1))
    return Scene(
        positions=positions,
        colors=class_colors(labels, DARK),
        radii=np.ones(points, np.float32),
        edges=np.stack((starts, ends), 1).astype(np.int32),
        edge_colors=colors,
        ids=np.arange(points),
        strata=labels,
        mined=np.zeros(points, np.bool_),
    )


def measure(case: Case, repeat: int) -> tuple[float, float, float]:
    """Milliseconds of one tick: median and 95th percentile by the clock, median of processor time."""
    scenes = [clusters(case.points, case.edges, seed) for seed in range(case.panes)]
    cameras = [fit(scene.positions, case.width / case.height) for scene in scenes]
    workspaces = [Workspace() for _ in scenes]
    clock, processor = [], []
    for tick in range(repeat + 3):
        start, start_cpu = time.perf_counter(), time.thread_time()
        for scene, camera, workspace in zip(scenes, cameras, workspaces, strict=True):
            turned = camera.orbited(3.0 * tick, 0.0)
            options = {"supersample": case.supersample, "workspace": workspace}
            render(scene, turned, case.width, case.height, DARK, **options)
        clock.append((time.perf_counter() - start) * 1e3)
        processor.append((time.thread_time() - start_cpu) * 1e3)
    median, p95 = np.quantile(clock[3:], (0.5, 0.95))
    return float(median), float(p95), float(np.median(processor[3:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=40, help="ticks to measure")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of the table")
    arguments = parser.parse_args()
    warm_up()
    if not arguments.json:
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread used")
        columns = f"{'panes':>5} {'points':>9} {'edges':>6} {'size':>11} {'super':>5}"
        print(f"{columns} {'median ms':>9} {'p95 ms':>7} {'cpu ms':>7}")
    for case in CASES:
        median, p95, cpu = measure(case, max(arguments.repeat // (5 if case.points >= 100_000 else 1), 5))
        if arguments.json:
            times = {"median_ms": round(median, 2), "p95_ms": round(p95, 2), "cpu_ms": round(cpu, 2)}
            print(json.dumps({**vars(case), **times}))
        else:
            size = f"{case.width} x {case.height}"
            row = f"{case.panes:>5} {case.points:>9,} {case.edges:>6,} {size:>11} {case.supersample:>5}"
            print(f"{row} {median:>9.2f} {p95:>7.2f} {cpu:>7.2f}")


if __name__ == "__main__":
    main()
