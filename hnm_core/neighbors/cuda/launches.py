"""The searches as functions of tensors: lists of the right size, grids, shared memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hnm_core.neighbors.cuda.best import LANES, capacity, smallest
from hnm_core.neighbors.cuda.kernels import Kernels
from hnm_core.relevance import Placed

_WARPS = 8
_THREADS = _WARPS * LANES
_ANCHORS = 32
"""Anchors of a block of `low_dim` and `hamming`: 8 warps with 4 each."""
_TILE = 256
"""Columns of `low_dim` in shared memory."""
_SHARED = 48 * 1024
"""Shared memory that every device gives a block without being asked for more."""
_SHARE = 4_096
"""Columns that a block should have at least; with fewer, joining the blocks' lists costs more than it saves."""
_SELECT_SHARE = 1_024
"""The same for a tile, of which a warp reads its share alone."""
WIDE = 8
"""What the width and the start of a tile must be a multiple of: `select` reads 16 bytes at a time, products want 8."""
_MEASURED_SHARE = 32
"""Columns that a warp of `measure` should have at least."""
_LIST_BYTES = 256 << 20
"""Lists in memory at once."""


class Anchors(NamedTuple):
    """Anchors with the ranges of places in the class-sorted bank that are relevant to them, which ascend.

    See `Placed`, which this is in 32 bits.
    """

    place: Tensor
    """(Q,) int32, -1 for an anchor that is no row."""
    low: Tensor
    """(Q,) int32."""
    high: Tensor
    """(Q,) int32."""
    line: Tensor
    """(Q,) int32, the anchor's line in what is known of anchors."""


def anchors(placed: Placed) -> Anchors:
    """Anchors as kernels take them, in 32 bits."""
    return Anchors(*(values.to(torch.int32) for values in placed))


def at_once(k: int) -> int:
    """How many anchors to search in one call, to bound the memory of their lists."""
    return max(_ANCHORS, _lists_that_fit(k) // _ANCHORS * _ANCHORS)


def low_dim_best(
    kernels: Kernels, points: Tensor, queries: Tensor, order: Tensor, anchors: Anchors, k: int, *, farthest: bool
) -> Tensor:
    """(Q, k) keys of the nearest rows of other classes, or of the farthest other rows of the class.

    A key's score is the squared distance, negative for the farthest; its row is that of the caller.

    Args:
        points: (D, N) float32, up to 9 coordinates by axis, sorted by class.
        queries: (A, D) float32, the same rows as anchors, or vectors.
        order: (N,) int32, place to row.
    """
    dim, count = points.shape
    shares = _shares(kernels, len(anchors.place), count, k)
    keys = _lists(anchors, shares, k)
    kernels.launch(
        "low_dim",
        f"{'farthest' if farthest else 'nearest'}_{dim}",
        (-(-len(anchors.place) // _ANCHORS), shares),
        _THREADS,
        _TILE * dim * 4,
        [points, queries, count, order, *anchors, len(anchors.place), k, keys.shape[2], keys],
    )
    return smallest(keys, k)


def codes_best(kernels: Kernels, codes: Tensor, asked: Tensor, anchors: Anchors, k: int) -> Tensor:
    """(Q, k) keys of the rows of other classes with the fewest differing bits; a key's row is a place.

    Args:
        codes: (W, N) int64, up to 64 words of packed bits, sorted by class.
        asked: (W, A) int64, the same of the anchors.
    """
    words, count = codes.shape
    room = _SHARED // 8 // words - _ANCHORS
    tile = min(_TILE, room // LANES * LANES)
    shares = _shares(kernels, len(anchors.place), count, k)
    keys = _lists(anchors, shares, k)
    kernels.launch(
        "hamming",
        "nearest_codes",
        (-(-len(anchors.place) // _ANCHORS), shares),
        _THREADS,
        words * (_ANCHORS + tile) * 8,
        [
            codes,
            words,
            count,
            asked,
            asked.shape[1],
            anchors.line,
            anchors.low,
            anchors.high,
            len(anchors.place),
            tile,
            k,
            keys.shape[2],
            keys,
        ],
    )
    return smallest(keys, k)


def measure(
    kernels: Kernels,
    points: Tensor,
    queries: Tensor,
    order: Tensor,
    anchors: Anchors,
    chosen: Tensor,
    *,
    product: bool,
    farthest: bool,
) -> Tensor:
    """(Q, M) keys of chosen columns: the exact score and the caller's row, unsorted, `NO_KEY` where none was chosen.

    A score is the squared distance from differences, or the negative product from float64; negated for the farthest.

    Args:
        points: (N, D) float32, sorted by class.
        queries: (A, D) float32, the same rows as anchors, or vectors.
        order: (N,) int32, place to row.
        chosen: (Q, M) int64, keys or places, -1 or `NO_KEY` where there is none.
    """
    count, width = chosen.shape
    chosen = chosen.contiguous()
    keys = torch.empty_like(chosen)
    blocks = -(-count // _WARPS)
    shares = max(1, min(kernels.blocks // blocks, width // _MEASURED_SHARE))
    kernels.launch(
        "measure",
        "measure_products" if product else "measure_distances",
        (blocks, shares),
        _THREADS,
        0,
        [points, queries, points.shape[1], order, anchors.line, chosen, int(farthest), count, width, keys],
    )
    return keys


class TileSelect:
    """The k best columns of each anchor from tiles of products that come one after the other."""

    def __init__(self, kernels: Kernels, anchors: Anchors, k: int, columns: int, *, farthest: bool) -> None:
        """`columns`: the width of a tile, at most."""
        self._kernels, self._anchors, self._k, self._farthest = kernels, anchors, k, farthest
        blocks = -(-len(anchors.place) // _WARPS)
        fit = _lists_that_fit(k) // len(anchors.place)
        self._shares = max(1, min(kernels.blocks // blocks, columns // _SELECT_SHARE, fit))
        self._keys = _lists(anchors, self._shares, k)
        device = anchors.place.device
        self._limits = torch.empty((len(anchors.place), self._shares), dtype=torch.int64, device=device)
        self._counts = torch.empty((len(anchors.place), self._shares), dtype=torch.int32, device=device)

    def add(
        self, tile: Tensor, columns: int, terms: Tensor | None, factor: int, first: int, *, begins: bool, ends: bool
    ) -> None:
        """Take the columns `first` .. `first + columns - 1` with scores terms + factor * tile.

        Args:
            tile: (>= Q, W) float32 or int32, contiguous, W >= columns a multiple of `WIDE`; the rest is for nothing.
            terms: (>= W,) of the same type, or None for zeros.
            begins, ends: whether this is the first tile, the last tile.
        """
        if tile.shape[1] % WIDE or not tile.is_contiguous() or (terms is not None and len(terms) < tile.shape[1]):
            raise ValueError(f"a tile of shape {tuple(tile.shape)} cannot be read {WIDE} numbers at a time")
        whole = tile.dtype == torch.int32
        self._kernels.launch(
            "select",
            "select_int" if whole else "select_float",
            (-(-len(self._anchors.place) // _WARPS), self._shares),
            _THREADS,
            0,
            [
                tile,
                tile.shape[1],
                terms,
                factor if whole else float(factor),
                first,
                columns,
                self._anchors.place,
                self._anchors.low,
                self._anchors.high,
                int(self._farthest),
                len(self._anchors.place),
                self._k,
                self._keys.shape[2],
                int(begins),
                int(ends),
                self._limits,
                self._counts,
                self._keys,
            ],
        )

    def best(self) -> Tensor:
        """(Q, k) keys after the last tile; a key's row is a place."""
        return smallest(self._keys, self._k)


def _shares(kernels: Kernels, anchors: int, columns: int, k: int) -> int:
    """Into how many shares to cut the columns, so that few anchors keep the device busy as well."""
    blocks = -(-anchors // _ANCHORS)
    return max(1, min(kernels.blocks // blocks, columns // _SHARE, _lists_that_fit(k) // anchors))


def _lists_that_fit(k: int) -> int:
    return _LIST_BYTES // (capacity(k) * 8)


def _lists(anchors: Anchors, shares: int, k: int) -> Tensor:
    return torch.empty((len(anchors.place), shares, capacity(k)), dtype=torch.int64, device=anchors.place.device)
