"""A kernel that lists points so that each is followed by the nearest that is left."""

from __future__ import annotations

from typing import Any

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip


@njit(cache=True, nogil=True, parallel=True)
def chain(points: Any, order: Any, cell: int) -> None:
    """Reorder `order` (C,) int32, rows of points (C, D) float32, within each `cell` of its places."""
    for which in prange((len(order) + cell - 1) // cell):
        _chain_cell(points, order[which * cell : (which + 1) * cell])


@njit(cache=True, nogil=True)
def _chain_cell(points: Any, order: Any) -> None:
    dim = points.shape[1]
    for place in range(1, len(order)):
        at, nearest, least = points[order[place - 1]], place, np.float32(np.inf)
        for other in range(place, len(order)):
            there, squared = points[order[other]], np.float32(0)
            for axis in range(dim):
                gap = at[axis] - there[axis]
                squared += gap * gap
            if squared < least:
                nearest, least = other, squared
        order[place], order[nearest] = order[nearest], order[place]


def warm_up() -> None:
    """Compile."""
    chain(np.zeros((3, 2), np.float32), np.arange(3, dtype=np.int32), 2)


__all__ = ["chain", "numba", "warm_up"]
