"""Products of 32 anchors with 32 points at a time, for numba kernels: in bfloat16 by `amx`, in float32 by `fma`.

Which of them multiplies is decided by the kind of the packed arrays, int16 or float32, when a kernel is compiled.
"""

from __future__ import annotations

from typing import Any

import torch
from numba import types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.neighbors.cpu import amx, fma

SIDE = 32
"""Anchors and points that are multiplied at once."""


def steps(dim: int, *, coarse: bool) -> int:
    """Steps in which so many coordinates are multiplied."""
    return -(-dim // amx.SIDE) if coarse else dim


def pack_anchors(rows: Tensor, *, coarse: bool) -> NDArray[Any]:
    """Rows (R, D) of any float as a kernel wants its anchors, filled up with zeros to whole blocks."""
    return amx.pack_anchors(_filled(rows.bfloat16(), amx.SIDE)) if coarse else fma.pack(_filled(rows.float(), 1))


def pack_points(rows: Tensor, *, coarse: bool) -> NDArray[Any]:
    """Rows (R, D) of any float as a kernel wants its points, filled up with zeros to whole blocks."""
    return amx.pack_points(_filled(rows.bfloat16(), amx.SIDE)) if coarse else fma.pack(_filled(rows.float(), 1))


def _filled(rows: Tensor, unit: int) -> Tensor:
    return pad(rows, (0, -rows.shape[1] % unit, 0, -len(rows) % SIDE))


def examples() -> list[NDArray[Any]]:
    """One block of one step in each precision that this machine has, to compile kernels with."""
    kinds = [True, False] if amx.available() else [False]
    return [pack_points(torch.zeros(SIDE, 1, dtype=torch.float32), coarse=coarse) for coarse in kinds]


_LAYOUT = amx.layout()


def begin(packed: Any) -> None:
    """Before a thread's first `multiply` with such arrays."""


def multiply(
    anchors: Any, group: Any, points: Any, block: Any, steps: Any, bias: Any, first: Any, sums: Any, offset: Any
) -> None:  # fmt: skip
    """Write, from sums[offset] on, a row of 32 for each anchor of a group: products with a block of points, and bias.

    Args:
        anchors: packed.
        group: which 32 of them.
        points: packed.
        block: which 32 of them.
        steps: see `steps`.
        bias: float32.
        first: the place of 32 of them, what the sums of the points begin with.
        sums: float32.
        offset: where the first row begins in `sums`; rows that begin with a line of the cache are written fastest.
    """


def end(packed: Any) -> None:
    """After a thread's last `multiply`."""


@overload(begin)
def _begin(packed: Any) -> Any:
    return _configure if packed.dtype == types.int16 else _nothing


@overload(end)
def _end(packed: Any) -> Any:
    return _release if packed.dtype == types.int16 else _nothing


@overload(multiply)
def _multiply(
    anchors: Any, group: Any, points: Any, block: Any, steps: Any, bias: Any, first: Any, sums: Any, offset: Any
) -> Any:
    return _multiply_bfloat16 if anchors.dtype == types.int16 else _multiply_float32


def _multiply_bfloat16(
    anchors: Any, group: Any, points: Any, block: Any, steps: Any, bias: Any, first: Any, sums: Any, offset: Any
) -> None:
    amx.start(bias, first)
    for step in range(steps):
        amx.multiply(anchors, (group * steps + step) * amx.STEP, points, (block * steps + step) * amx.STEP)
    amx.finish(sums, offset)


def _multiply_float32(
    anchors: Any, group: Any, points: Any, block: Any, steps: Any, bias: Any, first: Any, sums: Any, offset: Any
) -> None:
    anchor, point = group * steps * SIDE, block * steps * SIDE
    for i in range(0, SIDE, fma.ANCHORS):
        for j in range(0, SIDE, fma.POINTS):
            fma.multiply(anchors, anchor + i, points, point + j, steps, bias, first + j, sums, offset + i * SIDE + j)


def _configure(packed: Any) -> Any:
    amx.configure(_LAYOUT)


def _release(packed: Any) -> Any:
    amx.release()


def _nothing(packed: Any) -> Any:
    pass
