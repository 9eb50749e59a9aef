"""Kernels that make of rows what products need, in one pass: rounded about the mean, packed, and what that costs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core.neighbors.cpu import blocks

SIDE = blocks.SIDE
_ANY_ORDER = {"reassoc"}
"""Sums in vectors. They end up in bounds, and rows that are equal are added up alike."""


class Sums(NamedTuple):
    """What is known of each of R rows about the mean c, in float64."""

    norm: Any
    """(R,) the length of x - c."""
    lost: Any
    """(R,) the length of what rounding takes from it."""
    term: Any
    """(R,) the product of x - c with c."""
    rest: Any
    """(R,) the squares of the coordinates behind those that are multiplied."""
    key: Any
    """(R,) a number that is the same for rows that are equal in what is multiplied."""


@njit(cache=True, nogil=True, parallel=True)
def center_rows(
    rows: Any, which: Any, dim: Any, center: Any, uneven: Any, sign: Any, as_points: Any, packed: Any, sums: Any
) -> None:  # fmt: skip
    """Center rows, round them to what `packed` holds, and pack them as `blocks` has anchors or points.

    Args:
        rows: (N, D') float32.
        which: (R,) int64, the rows to take; what is negative fills up with zeros.
        dim: coordinates that are multiplied, the first of D'.
        center: (dim,) float64.
        uneven: (dim,) float64, what `Sums.key` counts coordinates with.
        sign: float32 that packed rows are multiplied with.
        as_points: whether to pack points, not anchors.
        packed: int16 or float32, zeros where rows have none; empty where only sums are wanted.
        sums: see there.
    """
    for group in prange((len(which) + SIDE - 1) // SIDE):
        # A function of its own: writes into a tuple's arrays right here would be taken for dead code.
        _center_group(group, rows, which, dim, center, uneven, sign, as_points, packed, sums)


@njit(cache=True, nogil=True)
def _center_group(
    group: Any, rows: Any, which: Any, dim: Any, center: Any, uneven: Any, sign: Any, as_points: Any, packed: Any,
    sums: Any,
) -> None:  # fmt: skip
    line = np.zeros(dim, packed.dtype)
    for i in range(SIDE):
        place = group * SIDE + i
        row = which[place] if place < len(which) else np.int64(-1)
        if row >= 0:
            norm, lost, term, key = _center_row(rows[row], dim, center, uneven, sign, line)
            sums.norm[place], sums.lost[place], sums.term[place], sums.key[place] = norm, lost, term, key
            sums.rest[place] = _rest(rows[row], dim)
            if len(packed):
                blocks.put(line, dim, group, i, as_points, packed)


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def _center_row(row: Any, dim: Any, center: Any, uneven: Any, sign: Any, line: Any) -> Any:
    """Write the row as it is multiplied to `line`. Returns norm, lost, term and key."""
    squares = lost = term = key = np.float64(0)
    for axis in range(dim):
        value = np.float64(row[axis]) - center[axis]
        line[axis], kept = blocks.rounded(line, np.float32(value), sign)
        gone = value - np.float64(kept)
        squares += value * value
        lost += gone * gone
        term += value * center[axis]
        key += value * uneven[axis]
    return np.sqrt(squares), np.sqrt(lost), term, key


@njit(cache=True, nogil=True, fastmath=_ANY_ORDER)
def _rest(row: Any, dim: Any) -> Any:
    total = np.float64(0)
    for axis in range(dim, len(row)):
        total += np.float64(row[axis]) * np.float64(row[axis])
    return total


@njit(cache=True, nogil=True, parallel=True)
def differing(rows: Any, found: Any) -> None:
    """Write to found (N,) whether each of rows (N, D) differs from the one before; the first counts as the same."""
    found[0] = False
    for place in prange(1, len(rows)):
        found[place] = _differ(rows[place], rows[place - 1])


@njit(cache=True, nogil=True)
def _differ(left: Any, right: Any) -> Any:
    axis = 0
    while axis < len(left) and left[axis] == right[axis]:
        axis += 1
    return axis < len(left)


def no_sums(count: int) -> Sums:
    """Room for so many rows; 0 where nothing is written."""
    return Sums(*(np.zeros(count) for _ in Sums._fields))


def warm_up() -> None:
    """Compile: both precisions."""
    rows, which, numbers = np.zeros((2, 16), np.float32), np.arange(2), np.ones(1)
    for packed in blocks.examples():  # of one coordinate
        center_rows(rows, which, 1, numbers, numbers, np.float32(1), True, packed, no_sums(2))
    differing(rows, np.empty(2, np.bool_))


__all__ = ["Sums", "center_rows", "differing", "no_sums", "numba", "warm_up"]
