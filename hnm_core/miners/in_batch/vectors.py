"""Eight negatives at a time, for numba kernels: which of them qualify, their columns, and long lists written to memory.

The compiler turns a loop that keeps some of its values into one step a value; these operations spell out vectors, as
`hnm_core.simd` does. A mask is an int64 with one bit for each of the eight. Offsets count elements of C-contiguous
arrays and are not checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from hnm_core.simd import intrinsic, spread

ELEMENTS = 8

_WIDE = ir.IntType(64)
_COLUMNS = ir.VectorType(_WIDE, ELEMENTS)
_BYTES = ir.VectorType(ir.IntType(8), ELEMENTS)


def set_bits() -> NDArray[np.uint8]:
    """(256 * 8,) the set bits of every mask, ascending, then zeros."""
    table = np.zeros((1 << ELEMENTS, ELEMENTS), np.uint8)
    for mask, row in enumerate(table):
        bits = [bit for bit in range(ELEMENTS) if mask >> bit & 1]
        row[: len(bits)] = bits
    return table.reshape(-1)


@intrinsic
def qualifying(
    _typing: Any, first: Any, start: Any, second: Any, beside: Any, base: Any, low: Any, high: Any
) -> Any:  # fmt: skip
    """Mask of the elements i where low < first[start + i] + second[beside + i] - base <= high.

    `first` and `second` are of the precision of the other numbers; `second` may be None, for 0.
    """
    number = first.dtype
    kind = ir.VectorType(ir.FloatType() if number == types.float32 else ir.DoubleType(), ELEMENTS)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def load(array: int, place: int) -> Any:
            data = context.make_array(signature.args[array])(context, builder, args[array]).data
            vector = builder.load(builder.bitcast(builder.gep(data, [args[place]]), kind.as_pointer()))
            vector.align = number.bitwidth // 8
            return vector

        value = load(0, 1)
        if not isinstance(second, types.NoneType):
            value = builder.fadd(value, load(2, 3))
        value = builder.fsub(value, spread(builder, args[4], kind))
        over = builder.fcmp_ordered("<", spread(builder, args[5], kind), value)
        up_to = builder.fcmp_ordered("<=", value, spread(builder, args[6], kind))
        return builder.zext(builder.bitcast(builder.and_(over, up_to), ir.IntType(ELEMENTS)), _WIDE)

    return types.int64(first, types.intp, second, types.intp, number, number, number), codegen


@intrinsic
def how_many(_typing: Any, mask: Any) -> Any:
    """how_many(mask) -> its number of set bits."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.int64), codegen


@intrinsic
def write_columns(_typing: Any, line: Any, place: Any, column: Any, table: Any, mask: Any) -> Any:
    """Write column + i for the bits i of the mask to line[place], line[place + 1], ... (int64).

    All of line[place : place + 8] is written, with `column` behind the last bit. `table` is `set_bits()`.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        line_data, table_data = (
            context.make_array(signature.args[array])(context, builder, args[array]).data for array in (0, 3)
        )
        row = builder.gep(table_data, [builder.mul(args[4], ir.Constant(_WIDE, ELEMENTS))])
        bits = builder.load(builder.bitcast(row, _BYTES.as_pointer()))
        bits.align = 1
        columns = builder.add(builder.zext(bits, _COLUMNS), spread(builder, args[2], _COLUMNS))
        target = builder.bitcast(builder.gep(line_data, [args[1]]), _COLUMNS.as_pointer())
        builder.store(columns, target).align = 8
        return context.get_dummy_value()

    return types.void(line, types.intp, types.intp, table, types.int64), codegen


@intrinsic
def stream_value(_typing: Any, line: Any, place: Any, value: Any) -> Any:
    """Write the int64 `value` to line[place : place + 8], which must be one line of the cache, past the caches."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _stream(context, builder, signature, args, spread(builder, args[2], _COLUMNS))
        return context.get_dummy_value()

    return types.void(line, types.intp, types.int64), codegen


@intrinsic
def stream(_typing: Any, line: Any, place: Any, source: Any, start: Any) -> Any:
    """Write source[start : start + 8] (int64) to line[place : place + 8], as `stream_value` does."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[2])(context, builder, args[2]).data
        values = builder.load(builder.bitcast(builder.gep(data, [args[3]]), _COLUMNS.as_pointer()))
        values.align = 8
        _stream(context, builder, signature, args, values)
        return context.get_dummy_value()

    return types.void(line, types.intp, source, types.intp), codegen


@intrinsic
def streamed(_typing: Any) -> Any:
    """streamed(): what was written past the caches is there for other threads, too."""

    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


def _stream(context: Any, builder: Any, signature: Any, args: Any, values: Any) -> None:
    data = context.make_array(signature.args[0])(context, builder, args[0]).data
    store = builder.store(values, builder.bitcast(builder.gep(data, [args[1]]), _COLUMNS.as_pointer()))
    store.align = 8 * ELEMENTS
    store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
