"""Products of 32 anchors with 32 points at a time, for numba kernels: in bfloat16 by `amx`, in float32 by `fma`.

Which of them multiplies is decided by the kind of the packed arrays, int16 or float32, when a kernel is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from hnm_core import simd
from hnm_core.neighbors.cpu import amx, fma

SIDE = 32
"""Anchors and points that are multiplied at once."""


def steps(dim: int, *, coarse: bool) -> int:
    """Steps in which so many coordinates are multiplied."""
    return -(-dim // amx.SIDE) if coarse else dim


def examples() -> list[NDArray[Any]]:
    """One block of one step in each precision that this machine has, to compile kernels with."""
    kinds = [True, False] if amx.available() else [False]
    return [room(SIDE, 1, coarse=coarse) for coarse in kinds]


def room(count: int, dim: int, *, coarse: bool) -> NDArray[Any]:
    """Room for so many rows of so many coordinates, packed by `put`; zeros, which is what fills it up. By torch, which
    puts arrays on the lines of the cache: kernels read lines."""
    wide, kind = (dim + -dim % amx.SIDE, torch.int16) if coarse else (dim, torch.float32)
    packed: NDArray[Any] = torch.zeros((count + -count % SIDE) * wide, dtype=kind).numpy()
    return packed


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


def rounded(kind: Any, value: Any, sign: Any) -> Any:
    """The float32 `value` as an array like `kind` holds it, times `sign`; and as a float32, without it."""


def put(line: Any, dim: Any, group: Any, i: Any, as_points: Any, packed: Any) -> None:
    """Write the `dim` elements of a line as the i-th row of a group of 32.

    float32 lies with 32 rows of a coordinate side by side, anchors and points alike: [group, coordinate, row]. bfloat16
    lies as `amx` loads its tiles, 32 coordinates a step: anchors [group, step, two halves, 16 rows, 32 coordinates],
    points [group, step, two halves, 16 pairs of coordinates, 16 rows, 2].
    """


@overload(rounded)
def _rounded(kind: Any, value: Any, sign: Any) -> Any:
    return _rounded_bfloat16 if kind.dtype == types.int16 else _rounded_float32


@overload(put)
def _put(line: Any, dim: Any, group: Any, i: Any, as_points: Any, packed: Any) -> Any:
    return _put_bfloat16 if packed.dtype == types.int16 else _put_float32


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


def _rounded_bfloat16(kind: Any, value: Any, sign: Any) -> Any:
    bits = simd.bits(value)
    # To the nearest, of two as near the even one.
    bits = (bits + np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1))) & np.int32(-0x10000)
    kept = simd.number(bits)
    return np.int16(simd.bits(kept * sign) >> np.int32(16)), kept


def _rounded_float32(kind: Any, value: Any, sign: Any) -> Any:
    return value * sign, value


def _put_bfloat16(line: Any, dim: Any, group: Any, i: Any, as_points: Any, packed: Any) -> None:
    steps = (dim + amx.SIDE - 1) // amx.SIDE
    half, row = i // 16, i % 16
    for axis in range(dim):
        step, inside = axis // amx.SIDE, axis % amx.SIDE
        at = (group * steps + step) * amx.STEP + half * (amx.STEP // 2)
        at += inside // 2 * 32 + row * 2 + inside % 2 if as_points else row * 32 + inside
        packed[at] = line[axis]


def _put_float32(line: Any, dim: Any, group: Any, i: Any, as_points: Any, packed: Any) -> None:
    for axis in range(dim):
        packed[(group * dim + axis) * SIDE + i] = line[axis]
