"""Products of rows in bytes, in the vector registers of x86-64 with AVX2, for numba kernels.

Rows are rounded to a multiple of a step of their own, at most `MOST` of them, so that a byte holds each coordinate and
sums of four products fit into sixteen bits. A processor without matrix units makes twice as many of such products as of
float32. Rows lie 32 together, four coordinates of each side by side: [group, coordinates / 4, 32 rows, 4]. Those of
points are stored from 0 on, as `MOST` + 1 more than they are.
"""

from __future__ import annotations

import platform
from functools import lru_cache
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numpy.typing import NDArray

from hnm_core.simd import intrinsic

SIDE = 32
"""Rows that are packed together."""
MOST = 63
"""The largest multiple of a step."""
COORDINATES = 8
"""The number of coordinates is filled up to a multiple of it."""
ANCHORS, POINTS = 4, 16
"""How many are multiplied at once."""
_LEAST = np.float32(1e-30)
"""A row without a larger coordinate has bytes of 0: a step that much smaller would not be told exactly."""
_FOUR = 4
_LINE = _FOUR * SIDE

_I8, _I16, _I32, _I64, _F32 = (*(ir.IntType(bits) for bits in (8, 16, 32, 64)), ir.FloatType())
_LANES = 8
_BYTES, _SHORTS = ir.VectorType(_I8, 4 * _LANES), ir.VectorType(_I16, 2 * _LANES)
_INTS, _FLOATS = ir.VectorType(_I32, _LANES), ir.VectorType(_F32, _LANES)


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether numba compiles for a processor that has the instructions."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    settings = vars(numba.config)
    if settings["CPU_FEATURES"]:
        return "+avx2" in settings["CPU_FEATURES"].split(",")
    if settings["CPU_NAME"]:
        return settings["CPU_NAME"] in _WITH_AVX2
    return bool(llvmlite.binding.get_host_cpu_features().get("avx2"))


_WITH_AVX2 = frozenset(("haswell", "broadwell", "skylake", "znver1", "znver2", "znver3", "x86-64-v3"))
"""Names by which numba is told to compile for one."""


def room(count: int, width: int) -> NDArray[np.uint8]:
    """Room for so many rows of so many coordinates, filled up to whole groups and steps."""
    return np.zeros((count + -count % SIDE) * (width + -width % COORDINATES), np.uint8)


@njit(cache=True, nogil=True, parallel=True)
def pack(rows: Any, which: Any, width: Any, above: Any, packed: Any, step: Any, total: Any, lost: Any) -> None:
    """Round rows and pack them.

    Args:
        rows: (N, >= width) float32.
        which: (R,) int64, the rows to take; negative ones stay zeros.
        width: coordinates, the first of each row.
        above: what is added to each byte: `MOST` + 1 for points, 0 for anchors.
        packed: see `room`.
        step: (R,) float32, written: what a byte counts.
        total: (R,) float32, written: the sum of the bytes, without what is added.
        lost: (R,) float64, written: the length of what rounding takes from a row.
    """
    for place in prange(len(which)):
        if which[place] >= 0:
            _pack_row(rows[which[place]], place, width, above, packed, step, total, lost)


@njit(cache=True, nogil=True)
def _pack_row(row: Any, place: Any, width: Any, above: Any, packed: Any, step: Any, total: Any, lost: Any) -> None:
    largest = np.float32(0)
    for axis in range(width):
        largest = max(largest, abs(row[axis]))
    one = largest / np.float32(MOST) if largest > _LEAST else np.float32(1)
    wide = (width + COORDINATES - 1) // COORDINATES * COORDINATES
    start = place // SIDE * SIDE * wide + place % SIDE * _FOUR
    count, gone = 0, np.float64(0)
    for axis in range(width):
        byte = min(max(int(np.rint(row[axis] / one)), -MOST), MOST)
        away = np.float64(row[axis]) - np.float64(one) * byte
        gone += away * away
        count += byte
        packed[start + axis // _FOUR * _LINE + axis % _FOUR] = np.uint8((byte + above) & 0xFF)
    step[place], total[place], lost[place] = one, np.float32(count), np.sqrt(gone)


@intrinsic
def multiply(
    _typing: Any, anchors: Any, anchor: Any, points: Any, point: Any, pairs: Any, ends: Any, line: Any, starts: Any,
    place: Any, columns: Any, sums: Any, at: Any,
) -> Any:  # fmt: skip
    """Write the sums of ANCHORS times POINTS packed rows, a row of 32 for each anchor.

    A sum is, of what is known of anchor i, and of point j,

        (bytes_i . bytes_j + shift_i) step_i step_j + left_i left_j + bias_j.

    Args:
        anchors: packed, and `anchor` the place of the first byte of the first.
        points: packed, and `point` the same.
        pairs: steps of two times four coordinates.
        ends: (3, R) float32, step, left and shift of each anchor, and `line` the first of them.
        starts: (3, N) float32, step, left and bias of each point, and `place` the first of them.
        columns: R and N as (2,) int64.
        sums: float32, and `at` the place of the first.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(which: int) -> Any:
            return context.make_array(signature.args[which])(context, builder, args[which]).data

        def number(value: int) -> Any:
            return ir.Constant(_I64, value)

        def at_place(base: Any, kind: Any, *offsets: Any) -> Any:
            for offset in offsets:
                base = builder.gep(base, [offset])
            return builder.bitcast(base, kind.as_pointer())

        def load(base: Any, kind: Any, *offsets: Any, align: int) -> Any:
            value = builder.load(at_place(base, kind, *offsets))
            value.align = align
            return value

        def call(name: str, kind: Any, *given: Any) -> Any:
            made = ir.FunctionType(kind, [each.type for each in given])
            function = builder.module.globals.get(name) or ir.Function(builder.module, made, name)
            return builder.call(function, given)

        def spread(value: Any, vector: Any) -> Any:
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(_I32, 0))
            zeros = ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), zeros)

        left, right = pointer(0), pointer(2)
        ones = ir.Constant(_SHORTS, [1] * 2 * _LANES)
        halves = range(POINTS // _LANES)
        totals = [
            [cgutils.alloca_once_value(builder, ir.Constant(_INTS, [0] * _LANES)) for _ in halves]
            for _ in range(ANCHORS)
        ]
        with cgutils.for_range(builder, args[4]) as loop:
            first = builder.mul(loop.index, number(2 * _LINE))
            again = builder.add(first, number(_LINE))
            columns_of = [
                [load(right, _BYTES, args[3], moved, number(4 * _LANES * half), align=1) for half in halves]
                for moved in (first, again)
            ]
            for i, slots in enumerate(totals):
                lines = [
                    builder.bitcast(spread(load(left, _I32, args[1], moved, number(_FOUR * i), align=1), _INTS), _BYTES)
                    for moved in (first, again)
                ]
                for half, slot in enumerate(slots):
                    both = [
                        call("llvm.x86.avx2.pmadd.ub.sw", _SHORTS, columns_of[part][half], lines[part])
                        for part in range(2)
                    ]
                    wide = call("llvm.x86.avx2.pmadd.wd", _INTS, builder.add(*both), ones)
                    builder.store(builder.add(builder.load(slot), wide), slot)
        ends_at, starts_at, sums_at = pointer(5), pointer(7), pointer(10)
        sizes = pointer(9)
        rows_count = builder.load(sizes)
        points_count = builder.load(builder.gep(sizes, [number(1)]))

        def of_points(field: int, half: int) -> Any:
            moved = builder.mul(points_count, number(field))
            return load(starts_at, _FLOATS, moved, args[8], number(_LANES * half), align=4)

        def of_anchor(field: int, i: int) -> Any:
            moved = builder.mul(rows_count, number(field))
            return spread(load(ends_at, _F32, moved, args[6], number(i), align=4), _FLOATS)

        known = [[of_points(field, half) for field in range(3)] for half in halves]
        for i, slots in enumerate(totals):
            step, rest, shift = (of_anchor(field, i) for field in range(3))
            for half, slot in enumerate(slots):
                own_step, own_rest, bias = known[half]
                value = builder.fadd(builder.sitofp(builder.load(slot), _FLOATS), shift)
                value = builder.fmul(builder.fmul(value, step), own_step)
                value = builder.fadd(value, builder.fadd(builder.fmul(rest, own_rest), bias))
                where = at_place(sums_at, _FLOATS, args[11], number(SIDE * i + _LANES * half))
                builder.store(value, where).align = 4
        return context.get_dummy_value()

    kinds = (
        anchors, types.intp, points, types.intp, types.intp, ends, types.intp, starts, types.intp, columns, sums,
        types.intp,
    )  # fmt: skip
    return types.void(*kinds), codegen


def warm_up() -> None:
    """Compile."""
    if available():
        floats, counts = np.zeros((1, COORDINATES), np.float32), np.zeros(1)
        one, total = np.zeros(1, np.float32), np.zeros(1, np.float32)
        pack(floats, np.zeros(1, np.int64), COORDINATES, 0, room(1, COORDINATES), one, total, counts)
