"""Rows in cells: a class is a cell; wide classes are split by k-means, and where there are too many they share cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core import kernels
from hnm_core.neighbors.kdtree import use_torch_threads

_ITERATIONS = 5
_SAMPLED = 32
"""Rows to a centre that k-means looks at."""
_CHUNK = 65_536
_LANES = 16
_WIDE = 4
"""A class is split from so many times the usual size of a cell on."""


@dataclass(frozen=True)
class Cells:
    """Rows in an order in which both cells and classes are contiguous ranges.

    A cell holds rows of one class, or whole classes, never a part of one class and rows of another.
    """

    order: NDArray[np.int64]
    """(N,) slot -> sorted place of the bank."""
    start: NDArray[np.int64]
    """(K + 1,) the rows of cell c stand in slots start[c] .. start[c + 1] - 1."""
    center: NDArray[np.float64]
    """(K, D) mean of each cell."""
    class_low: NDArray[np.int64]
    """(C,) first slot of each class."""
    class_high: NDArray[np.int64]
    """(C,) slot after its last."""
    own_low: NDArray[np.int64]
    """(C,) first cell that holds nothing but the class."""
    own_high: NDArray[np.int64]
    """(C,) cell after the last such; equal to `own_low` where the class shares a cell."""
    split: int
    """Classes that were split."""
    merged: int
    """Classes that share a cell with others."""

    def __len__(self) -> int:
        return len(self.start) - 1


def usual_cells(rows: int) -> int:
    """Cells at which finding them and searching a few of them cost about the same."""
    return max(1, min(round(4 * rows**0.5), rows // 64))


def make_cells(points: NDArray[np.float32], offsets: NDArray[np.int64], seed: int) -> Cells:
    """Cells of points (N, D), which are sorted by class: class c has rows offsets[c] .. offsets[c + 1] - 1."""
    rows, classes = len(points), len(offsets) - 1
    sizes = np.diff(offsets)
    usual = usual_cells(rows)
    target = -(-rows // usual)
    class_mean = _means(points, np.arange(rows), offsets, np.zeros((classes, points.shape[1])))
    middle = (class_mean * sizes[:, None]).sum(0) / rows
    source = np.random.default_rng(seed)
    small = sizes < target
    if classes <= 2 * usual or small.sum() < 2:
        small[:] = False
    cell_of_place = np.empty(rows, np.int64)
    own_low, own_high = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    cells = split = 0
    parts = np.where(sizes >= _WIDE * target, -(-sizes // target), 1)
    for label in np.flatnonzero(~small):
        low, high = offsets[label], offsets[label + 1]
        own_low[label] = cells
        if parts[label] == 1:
            cell_of_place[low:high] = cells
            cells += 1
        else:
            cell = _kmeans(points, np.arange(low, high), middle, int(parts[label]), source)
            used, cell = np.unique(cell, return_inverse=True)
            cell_of_place[low:high] = cells + cell
            cells += len(used)
            split += 1
        own_high[label] = cells
    if small.any():
        groups = max(1, round(int(sizes[small].sum()) / target))
        means = class_mean[small].astype(np.float32)
        used, group = np.unique(_kmeans(means, np.arange(len(means)), middle, groups, source), return_inverse=True)
        group_of_class = np.zeros(classes, np.int64)
        group_of_class[small] = cells + group
        of_small = np.repeat(small, sizes)
        cell_of_place[of_small] = np.repeat(group_of_class, sizes)[of_small]
        cells += len(used)
    order = np.argsort(cell_of_place, kind="stable")
    start = np.zeros(cells + 1, np.int64)
    np.cumsum(np.bincount(cell_of_place, minlength=cells), out=start[1:])
    slot = np.empty(rows, np.int64)
    slot[order] = np.arange(rows)
    # A split class begins where its first cell does, which need not hold its first row.
    class_low = np.where(own_high > own_low, start[own_low], slot[offsets[:-1]])
    center = _means(points, order, start, np.zeros((cells, points.shape[1])))
    return Cells(order, start, center, class_low, class_low + sizes, own_low, own_high, split, int(small.sum()))


def _kmeans(
    points: NDArray[np.float32],
    rows: NDArray[np.int64],
    middle: NDArray[np.float64],
    parts: int,
    source: np.random.Generator,
) -> NDArray[np.int64]:
    """(R,) the part of each of the rows; some parts may be empty."""
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
    return found


def _nearest(points: NDArray[np.float32], center: NDArray[np.float64]) -> NDArray[Any]:
    from hnm_core.neighbors.routing import nearest_centers

    padding = -len(center) % _LANES
    columns = np.ascontiguousarray(np.pad(center, ((0, padding), (0, 0))).T, np.float32)
    half = np.full(columns.shape[1], np.inf, np.float32)
    half[: len(center)] = 0.5 * np.square(center.astype(np.float32).astype(np.float64)).sum(1)
    found = np.empty(len(points), np.int32)
    with kernels.launch_lock:
        use_torch_threads()
        nearest_centers(np.ascontiguousarray(points), np.arange(len(points)), columns, half, found)
    return found


def _means(
    points: NDArray[np.float32], rows: NDArray[np.int64], start: NDArray[np.int64], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Means of segments, added up in one order whatever the number of threads; an empty one keeps its mean."""
    from hnm_core.neighbors.routing import segment_means

    with kernels.launch_lock:
        use_torch_threads()
        segment_means(points, rows, start, means)
    return means
