"""float32 products in the vector registers of any processor, for numba kernels.

The sums of a block of anchors and points stay in registers while coordinate after coordinate is multiplied and added.
Offsets count elements of C-contiguous arrays.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils

from hnm_core.simd import ELEMENTS, intrinsic, spread

SIDE = 32
"""Rows that are packed together."""


def _has_wide_registers() -> bool:
    settings = vars(numba.config)
    if settings["CPU_FEATURES"]:
        return "+avx512f" in settings["CPU_FEATURES"].split(",")
    if settings["CPU_NAME"]:
        return False
    return bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))


WIDE = _has_wide_registers()
"""Whether sixteen float32 fit into one register, of which there are thirty-two."""
ANCHORS, POINTS = (8, 32) if WIDE else (4, 16)
"""How many are multiplied at once: their sums and the factors fit into the registers."""

_FLOATS = ir.VectorType(ir.FloatType(), ELEMENTS)


@intrinsic
def multiply(
    _typing: Any,
    anchors: Any,
    anchor: Any,
    points: Any,
    point: Any,
    dim: Any,
    bias: Any,
    first: Any,
    sums: Any,
    at: Any,
) -> Any:
    """Write the sums of ANCHORS times POINTS packed rows, a row of 32 for each anchor.

    Args:
        anchors: packed float32, and `anchor` the place of the first coordinate of the first.
        points: packed float32, and `point` the same.
        dim: coordinates.
        bias: float32, and `first` the place of what the sums of the first point begin with.
        sums: float32, and `at` the place of the first.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = [context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 2, 5, 7)]
        vectors = range(POINTS // ELEMENTS)

        def place(pointer: Any, *offsets: Any) -> Any:
            for offset in offsets:
                pointer = builder.gep(pointer, [offset])
            return builder.bitcast(pointer, _FLOATS.as_pointer())

        def number(value: int) -> Any:
            return ir.Constant(ir.IntType(64), value)

        def load(pointer: Any) -> Any:
            value = builder.load(pointer)
            value.align = 4
            return value

        starts = [load(place(data[2], args[6], number(ELEMENTS * v))) for v in vectors]
        totals = [[cgutils.alloca_once_value(builder, value) for value in starts] for _ in range(ANCHORS)]
        name = "llvm.fmuladd.v16f32"
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
        fused = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        with cgutils.for_range(builder, args[4]) as loop:
            moved = builder.mul(loop.index, number(SIDE))
            right = [load(place(data[1], args[3], moved, number(ELEMENTS * v))) for v in vectors]
            for i, line in enumerate(totals):
                one = builder.load(builder.gep(data[0], [builder.add(builder.add(args[1], moved), number(i))]))
                left = spread(builder, one, _FLOATS)
                for slot, factor in zip(line, right, strict=True):
                    builder.store(builder.call(fused, [left, factor, builder.load(slot)]), slot)
        for i, line in enumerate(totals):
            for v, slot in enumerate(line):
                builder.store(builder.load(slot), place(data[3], args[8], number(SIDE * i + ELEMENTS * v))).align = 4
        return context.get_dummy_value()

    return types.void(anchors, types.intp, points, types.intp, types.intp, bias, types.intp, sums, types.intp), codegen
