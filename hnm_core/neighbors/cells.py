"""Rows in cells: a class is a cell; wide classes are split by k-means, small ones share cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.launching import launching

_ITERATIONS = 5
_SAMPLED = 32
"""Rows to a centre that k-means looks at."""
_CHUNK = 65_536
_LANES = 16
_WIDE = 4
"""A class is split from so many times the usual size of a cell on."""


@dataclass(frozen=True)
class Cells:
    """Rows in the order of their cells; a cell holds rows of one class, or of any classes that are too small."""

    order: NDArray[np.int64]
    """(N,) slot -> sorted place of the bank."""
    start: NDArray[np.int64]
    """(K + 1,) the rows of cell c stand in slots start[c] .. start[c + 1] - 1."""
    center: NDArray[np.float64]
    """(K, D) mean of each cell."""
    owner: NDArray[np.int32]
    """(K,) the class of the rows of a cell, -1 where there are several."""
    own_low: NDArray[np.int64]
    """(C,) first cell that holds nothing but the class."""
    own_high: NDArray[np.int64]
    """(C,) cell after the last such; equal to `own_low` where the class shares cells."""
    split: int
    """Classes that were split."""
    pooled: int
    """Classes that share cells."""

    def __len__(self) -> int:
        return len(self.start) - 1


def usual_cells(rows: int) -> int:
    """Cells at which finding them and searching a few of them cost about the same."""
    return max(1, min(round(4 * math.sqrt(rows)), rows // 64))


def make_cells(points: NDArray[np.float32], offsets: NDArray[np.int64], seed: int) -> Cells:
    """Cells of points (N, D), which are sorted by class: class c has rows offsets[c] .. offsets[c + 1] - 1."""
    rows, classes = len(points), len(offsets) - 1
    sizes = np.diff(offsets)
    usual = usual_cells(rows)
    target = -(-rows // usual)
    class_mean = _means(points, np.arange(rows), offsets, np.zeros((classes, points.shape[1])))
    middle = (class_mean * sizes[:, None]).sum(0) / rows
    source = np.random.default_rng(seed)
    small = _too_small(sizes, target, usual)
    parts = np.where(sizes >= _WIDE * target, -(-sizes // target), 1)
    cell_of_place = np.empty(rows, np.int64)
    own_low, own_high = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    owner: list[int] = []
    for label in np.flatnonzero(~small):
        low, high = offsets[label], offsets[label + 1]
        own_low[label] = len(owner)
        cell, used = np.zeros(1, np.int64), 1
        if parts[label] > 1:
            cell, used = _kmeans(points, np.arange(low, high), middle, int(parts[label]), source)
        cell_of_place[low:high] = len(owner) + cell
        owner += [int(label)] * used
        own_high[label] = len(owner)
    if small.any():
        pool = np.flatnonzero(np.repeat(small, sizes))
        count = min(int(small.sum()), max(round(len(pool) / target), usual // 2))
        cell, used = _kmeans(points, pool, middle, count, source)
        cell_of_place[pool] = len(owner) + cell
        owner += [-1] * used
    order = np.argsort(cell_of_place, kind="stable")
    start = np.zeros(len(owner) + 1, np.int64)
    np.cumsum(np.bincount(cell_of_place, minlength=len(owner)), out=start[1:])
    center = _means(points, order, start, np.zeros((len(owner), points.shape[1])))
    split = int(((parts > 1) & ~small).sum())
    return Cells(order, start, center, np.array(owner, np.int32), own_low, own_high, split, int(small.sum()))


def _too_small(sizes: NDArray[np.int64], target: int, usual: int) -> NDArray[np.bool_]:
    """(C,) which classes share cells: all under a quarter of the usual size, all under it where there are many."""
    small: NDArray[np.bool_] = sizes < (target if len(sizes) > 2 * usual else target / 4)
    return small if small.sum() > 1 else np.zeros_like(small)


def _kmeans(
    points: NDArray[np.float32],
    rows: NDArray[np.int64],
    middle: NDArray[np.float64],
    parts: int,
    source: np.random.Generator,
) -> tuple[NDArray[np.int64], int]:
    """(R,) the part of each of the rows, and how many parts there are: at most as many as asked for."""
    sample = np.sort(source.permutation(len(rows))[: _SAMPLED * parts])
    seen = (points[rows[sample]] - middle).astype(np.float32)
    center = seen[source.permutation(len(seen))[:parts]].astype(np.float64)
    for _ in range(_ITERATIONS):
        part = _nearest(seen, center)
        start = np.zeros(len(center) + 1, np.int64)
        np.cumsum(np.bincount(part, minlength=len(center)), out=start[1:])
        center = _means(seen, np.argsort(part, kind="stable"), start, center)
    found = np.empty(len(rows), np.int64)
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        found[first : first + _CHUNK] = _nearest((points[chunk] - middle).astype(np.float32), center)
    used, part = np.unique(found, return_inverse=True)
    return part, len(used)


def _nearest(points: NDArray[np.float32], center: NDArray[np.float64]) -> NDArray[Any]:
    from hnm_core.neighbors.cpu.routing_kernels import nearest_centers

    padding = -len(center) % _LANES
    columns = np.ascontiguousarray(np.pad(center, ((0, padding), (0, 0))).T, np.float32)
    half = np.full(columns.shape[1], np.inf, np.float32)
    half[: len(center)] = 0.5 * np.square(center.astype(np.float32).astype(np.float64)).sum(1)
    found = np.empty(len(points), np.int32)
    with launching():
        nearest_centers(np.ascontiguousarray(points), np.arange(len(points)), columns, half, found)
    return found


def _means(
    points: NDArray[np.float32], rows: NDArray[np.int64], start: NDArray[np.int64], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Means of segments, added up in one order whatever the number of threads; an empty one keeps its mean."""
    from hnm_core.neighbors.cpu.routing_kernels import segment_means

    with launching():
        segment_means(points, rows, start, means)
    return means
