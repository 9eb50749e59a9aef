"""Why an approximate search did not return a true nearest negative, as plain numbers: one class for each way to search.

M is how many misses are told of.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CodesDiffer:
    """Codes of bits were compared, and the true nearest negative's was not among the most similar."""

    bits: int
    """Of a code."""
    candidates: int
    """So many of the most similar codes were measured exactly."""
    differing: NDArray[np.int64]
    """(M,) bits in which the two codes differ"""
    rank: NDArray[np.int64]
    """(M,) place of the true nearest among the anchor's negatives by the bits that differ, from 1;
    of equally similar ones by their place in the bank"""
    negatives: NDArray[np.int64]
    """(M,) how many negatives the anchor has"""
    mask: NDArray[np.uint8]
    """(M, ceil(bits / 8)) which bits differ, eight to a number, the lowest first"""

    def __post_init__(self) -> None:
        """Raises `ValueError` where a mask is not as wide as a code."""
        _check_width(self.mask, self.bits)


@dataclass(frozen=True, eq=False)
class TablesPart:
    """Rows were hashed into the buckets of several tables, and only those of an anchor's buckets compared."""

    tables: int
    probes: int
    """Further buckets that were searched in each table, beside the anchor's own."""
    bits: int
    """Of the key of a bucket."""
    cap: int
    """Most rows that were looked at in a bucket."""
    shared: NDArray[np.uint8]
    """(M, ceil(tables / 8)) in which tables the two share a bucket, eight to a number, the lowest first"""
    probed: NDArray[np.uint8]
    """likewise in which the true nearest negative's bucket was searched, its own or a further one. Where there is one,
    the bucket held more than `cap` rows, and this was not among them."""
    differing: NDArray[np.int64]
    """(M,) fewest bits in which their keys differ in any table"""

    def __post_init__(self) -> None:
        """Raises `ValueError` where a mask has not a place for each table."""
        for mask in (self.shared, self.probed):
            _check_width(mask, self.tables)


@dataclass(frozen=True, eq=False)
class CellUnvisited:
    """Only the nearest of many cells were searched; a cell is a class, a part of a wide one, or several small ones."""

    cells: int
    visited: int
    """So many of the nearest cells an anchor searched."""
    label: NDArray[np.int64]
    """(M,) class of the true nearest negative"""
    rank: NDArray[np.int64]
    """(M,) place of its cell among the anchor's, nearest first, from 1"""


@dataclass(frozen=True, eq=False)
class Buckets:
    """How a search that hashes has filled its buckets, and how many rows it then compares."""

    used: int
    """Buckets of the first table that hold a row; of a search that compares whole codes, beginnings of codes."""
    largest: int
    """Rows in the fullest."""
    histogram: NDArray[np.int64]
    """Number of buckets with 1, 2, 3-4, 5-8, 9-16, ... rows."""
    compared_mean: float
    """Rows that an anchor of the probe was compared with exactly, on average."""
    compared_p95: float
    planes: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    """(4 P,) by which planes the first bits cut a 3-D embedding, end to end: normal x, y, z and offset, where points x
    of a plane have normal @ x = offset. Empty in other dimensions."""

    def __post_init__(self) -> None:
        """Raises `ValueError` where the arrays are of another shape, or hold what cannot be."""
        if not len(self.histogram) or self.histogram.min() < 0 or self.histogram.max() == 0:
            raise ValueError("a histogram of buckets counts at least one")
        if len(self.planes) % 4 or not np.isfinite(self.planes).all():
            raise ValueError("planes come in fours of finite numbers")


def occupied(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The histogram of `Buckets` of the sizes of buckets, each at least 1."""
    return np.bincount(np.ceil(np.log2(sizes)).astype(np.int64))


Reason = CodesDiffer | TablesPart | CellUnvisited
"""Every way to miss that a search can tell of."""


def packed(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(M, ceil(n / 8)) of (M, n) flags, as the masks above."""
    return np.packbits(flags, axis=1, bitorder="little")


def unpacked(mask: NDArray[np.uint8], count: int) -> NDArray[np.bool_]:
    """(M, count) flags of a mask."""
    return np.unpackbits(mask, axis=1, bitorder="little", count=count).astype(np.bool_)


def _check_width(mask: NDArray[np.uint8], count: int) -> None:
    if mask.ndim != 2 or mask.shape[1] != -(-count // 8):
        raise ValueError(f"a mask of {count} has the shape {mask.shape}")
