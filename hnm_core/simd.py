"""Vectors of sixteen elements, float32 or counts, for numba kernels.

The compiler does not vectorise the short loops of a search by itself, so these few operations spell them out.
They become LLVM vector instructions, which exist for every processor (two AVX2 registers, four of NEON, ...). A mask is
a uint32 with one bit for each element. Offsets count elements of a C-contiguous array and are not checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.extending import models, register_model

intrinsic: Any = extending.intrinsic
"""Typed as anything, because it takes away the first argument of what it decorates."""

ELEMENTS = 16
ALL = (1 << ELEMENTS) - 1

_INDEX = ir.IntType(32)
_FLOATS = ir.VectorType(ir.FloatType(), ELEMENTS)
_SHORTS = ir.VectorType(ir.IntType(16), ELEMENTS)
_SHORT_PAIR = ir.VectorType(ir.IntType(16), 2 * ELEMENTS)
_DOUBLES = ir.VectorType(ir.DoubleType(), ELEMENTS)
_INTS = ir.VectorType(ir.IntType(32), ELEMENTS)
_COUNTS = ir.VectorType(ir.IntType(64), ELEMENTS)
_KEY_ELEMENTS = 8
_KEYS = ir.VectorType(ir.IntType(64), _KEY_ELEMENTS)


class _Float32x16(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Float32x16")


@register_model(_Float32x16)
class _Float32x16Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _FLOATS)


class _Int64x16(types.Type):
    def __init__(self) -> None:
        super().__init__(name="Int64x16")


@register_model(_Int64x16)
class _Int64x16Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _COUNTS)


_vector: Any = _Float32x16()
_counts: Any = _Int64x16()


@intrinsic
def load(_typing: Any, array: Any, offset: Any) -> Any:
    """load(array, offset) -> vector of the 16 float32 from `offset` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _load(builder, _pointer(context, builder, signature, args, _FLOATS), 4)

    return _vector(array, types.intp), codegen


@intrinsic
def load_bfloat16(_typing: Any, array: Any, offset: Any) -> Any:
    """load_bfloat16(int16 array, offset) -> vector of the 16 numbers whose bfloat16 bits these are."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = _load(builder, _pointer(context, builder, signature, args, _SHORTS), 2)
        high = builder.shl(builder.zext(bits, _INTS), ir.Constant(_INTS, [16] * ELEMENTS))
        return builder.bitcast(high, _FLOATS)

    return _vector(array, types.intp), codegen


@intrinsic
def prefetch(_typing: Any, array: Any, offset: Any) -> Any:
    """prefetch(array, offset): ask for the cache line of this element, which need not be there."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        bytes_kind, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        name = "llvm.prefetch.p0i8"
        kind = ir.FunctionType(ir.VoidType(), [bytes_kind, word, word, word])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        flags = [ir.Constant(word, 0), ir.Constant(word, 3), ir.Constant(word, 1)]
        builder.call(function, [builder.bitcast(builder.gep(data, [args[1]]), bytes_kind), *flags])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@intrinsic
def store(_typing: Any, array: Any, offset: Any, vector: Any) -> Any:
    """store(array, offset, vector): write the 16 float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, signature, args, _FLOATS)).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, _vector), codegen


@intrinsic
def splat(_typing: Any, value: Any) -> Any:
    """splat(float32) -> vector with this value in every element."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return spread(builder, args[0], _FLOATS)

    return _vector(types.float32), codegen


def _elementwise(operation: Callable[[Any, Any, Any], Any]) -> Any:
    @intrinsic
    def apply(_typing: Any, left: Any, right: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return operation(builder, args[0], args[1])

        return _vector(_vector, _vector), codegen

    return apply


add = _elementwise(lambda builder, left, right: builder.fadd(left, right))
subtract = _elementwise(lambda builder, left, right: builder.fsub(left, right))
multiply = _elementwise(lambda builder, left, right: builder.fmul(left, right))
minimum = _elementwise(lambda builder, left, right: _smaller(builder, left, right))
maximum = _elementwise(lambda builder, left, right: _larger(builder, left, right))


@intrinsic
def less(_typing: Any, left: Any, right: Any) -> Any:
    """less(vector, vector) -> mask of the elements where left < right."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _mask(builder, builder.fcmp_ordered("<", args[0], args[1]))

    return types.uint32(_vector, _vector), codegen


@intrinsic
def within(_typing: Any, array: Any, offset: Any, low: Any, high: Any) -> Any:
    """within(int32 array, offset, low, high) -> mask of the 16 elements in low .. high, both included."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = _load(builder, _pointer(context, builder, signature, args, _INTS), 4)
        above = builder.icmp_signed(">=", values, spread(builder, args[2], _INTS))
        below = builder.icmp_signed("<=", values, spread(builder, args[3], _INTS))
        return _mask(builder, builder.and_(above, below))

    return types.uint32(array, types.intp, types.int32, types.int32), codegen


@intrinsic
def lowest(_typing: Any, mask: Any) -> Any:
    """lowest(mask) -> number of its lowest set bit; the mask must not be 0."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        place = builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))
        return builder.zext(place, ir.IntType(64))

    return types.int64(types.uint32), codegen


@intrinsic
def above(_typing: Any, array: Any, offset: Any, floors: Any, place: Any) -> Any:
    """above(array, offset, floors, place) -> mask of the 32 float32 from `offset` on that are over floors[place]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pair = ir.VectorType(ir.FloatType(), 2 * ELEMENTS)
        values = _load(builder, _pointer(context, builder, signature, args, pair), 4)
        data = context.make_array(signature.args[2])(context, builder, args[2]).data
        floor = spread(builder, builder.load(builder.gep(data, [args[3]])), pair)
        return builder.bitcast(builder.fcmp_ordered(">", values, floor), ir.IntType(32))

    return types.uint32(array, types.intp, floors, types.intp), codegen


@intrinsic
def bits(_typing: Any, number: Any) -> Any:
    """bits(float32) -> its bits, int32."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], _INDEX)

    return types.int32(types.float32), codegen


@intrinsic
def number(_typing: Any, bits: Any) -> Any:
    """number(int32) -> the float32 with these bits."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


@intrinsic
def count(_typing: Any, mask: Any) -> Any:
    """count(mask) -> its number of set bits."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.zext(builder.ctpop(args[0]), ir.IntType(64))

    return types.int64(types.uint32), codegen


@intrinsic
def no_counts(_typing: Any) -> Any:
    """no_counts() -> sixteen counts of 0."""

    def codegen(_context: Any, _builder: Any, _signature: Any, _args: Any) -> Any:
        return ir.Constant(_COUNTS, [0] * ELEMENTS)

    return _counts(), codegen


@intrinsic
def add_differing_bits(_typing: Any, counts: Any, codes: Any, offset: Any, word: Any) -> Any:
    """add_differing_bits(counts, uint64 codes, offset, word) -> counts + bits of codes[offset : offset + 16] ^ word."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[1])(context, builder, args[1]).data
        pointer = builder.bitcast(builder.gep(data, [args[2]]), _COUNTS.as_pointer())
        differing = builder.xor(_load(builder, pointer, 8), spread(builder, args[3], _COUNTS))
        count_bits = _count_bits(builder.module)
        return builder.add(args[0], builder.call(count_bits, [differing]))

    return _counts(_counts, codes, types.intp, types.uint64), codegen


@intrinsic
def counts_below(_typing: Any, counts: Any, limit: Any) -> Any:
    """counts_below(counts, int64 limit) -> mask of the counts under the limit."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return _mask(builder, builder.icmp_signed("<", args[0], spread(builder, args[1], _COUNTS)))

    return types.uint32(_counts, types.int64), codegen


@intrinsic
def shorts_below(_typing: Any, array: Any, offset: Any, limit: Any) -> Any:
    """shorts_below(int16 array, offset, int64 limit) -> mask of the 32 elements from `offset` on under the limit."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = _load(builder, _pointer(context, builder, signature, args, _SHORT_PAIR), 2)
        limit = spread(builder, builder.trunc(args[2], ir.IntType(16)), _SHORT_PAIR)
        return builder.bitcast(builder.icmp_signed("<", values, limit), ir.IntType(32))

    return types.uint32(array, types.intp, types.int64), codegen


@intrinsic
def shorts_within(_typing: Any, array: Any, offset: Any, reach: Any, limit: Any) -> Any:
    """shorts_within(int16 array, offset, int16 reach, int64 limit) -> mask of the 32 elements under limit + reach."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = _load(builder, _pointer(context, builder, signature, args, _SHORT_PAIR), 2)
        place = _pointer(context, builder, signature, [args[2], args[1]], _SHORT_PAIR, which=2)
        limit = spread(builder, builder.trunc(args[3], ir.IntType(16)), _SHORT_PAIR)
        bound = builder.add(_load(builder, place, 2), limit)
        return builder.bitcast(builder.icmp_signed("<", values, bound), ir.IntType(32))

    return types.uint32(array, types.intp, reach, types.int64), codegen


@intrinsic
def store_shorts(_typing: Any, array: Any, offset: Any, counts: Any) -> Any:
    """store_shorts(int16 array, offset, counts): write the 16 counts, which must be under 2^15."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _pointer(context, builder, signature, args, _SHORTS)
        builder.store(builder.trunc(args[2], _SHORTS), pointer).align = 2
        return context.get_dummy_value()

    return types.void(array, types.intp, _counts), codegen


@intrinsic
def store_counts(_typing: Any, array: Any, offset: Any, counts: Any) -> Any:
    """store_counts(int64 array, offset, counts): write the 16 counts."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, signature, args, _COUNTS)).align = 8
        return context.get_dummy_value()

    return types.void(array, types.intp, _counts), codegen


def _folded(operation: Callable[[Any, Any, Any], Any]) -> Any:
    @intrinsic
    def fold(_typing: Any, vector: Any) -> Any:
        def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _fold(builder, args[0], operation)

        return types.float32(_vector), codegen

    return fold


total = _folded(lambda builder, left, right: builder.fadd(left, right))
"""total(vector) -> float32 sum of the elements, halves first, so always in the same order."""
least = _folded(lambda builder, left, right: _smaller(builder, left, right))
"""least(vector) -> the smallest element."""
most = _folded(lambda builder, left, right: _larger(builder, left, right))
"""most(vector) -> the largest element."""


@intrinsic
def dot(_typing: Any, left: Any, start: Any, right: Any, other: Any, count: Any) -> Any:
    """dot(float32 array, offset, float32 array, offset, count) -> float64 product of `count` elements, in sixteens."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums = cgutils.alloca_once_value(builder, ir.Constant(_DOUBLES, [0.0] * ELEMENTS))
        steps = builder.udiv(args[4], ir.Constant(args[4].type, ELEMENTS))
        with cgutils.for_range(builder, steps) as loop:
            moved = builder.mul(loop.index, ir.Constant(loop.index.type, ELEMENTS))
            factors = []
            for array, offset in ((0, 1), (2, 3)):
                data = context.make_array(signature.args[array])(context, builder, args[array]).data
                place = builder.gep(data, [builder.add(args[offset], moved)])
                pointer = builder.bitcast(place, _FLOATS.as_pointer())
                factors.append(builder.fpext(_load(builder, pointer, 4), _DOUBLES))
            builder.store(builder.fadd(builder.load(sums), builder.fmul(*factors)), sums)
        return _fold(builder, builder.load(sums), lambda at, left, right: at.fadd(left, right))

    return types.float64(left, types.intp, right, types.intp, types.intp), codegen


def _pushing(array_kind: Any, vector: Any, compare: str) -> Any:
    """One step of inserting into an ascending list, for as many entries from `offset` on as the vector has elements.

    list[i] becomes max(list[i - 1], min(list[i], value)), without a branch. As many entries before must be readable.
    """
    size = vector.count

    @intrinsic
    def push(_typing: Any, array: Any, offset: Any, value: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            test = getattr(builder, compare)
            place = _pointer(context, builder, signature, args, vector)
            before = builder.sub(args[1], ir.Constant(args[1].type, size))
            align = 64 // size
            old = _load(builder, place, align)
            # Both loads are aligned with earlier stores: a load across two of them would wait for the memory.
            lower = _load(builder, _pointer(context, builder, signature, [args[0], before], vector), align)
            one_on = ir.Constant(ir.VectorType(_INDEX, size), list(range(size - 1, 2 * size - 1)))
            moved = builder.shuffle_vector(lower, old, one_on)
            new = spread(builder, args[2], vector)
            new = builder.select(test("<", old, new), old, new)
            new = builder.select(test(">", moved, new), moved, new)
            builder.store(new, place).align = align
            return context.get_dummy_value()

        return types.void(array, types.intp, array_kind), codegen

    return push


push_key = _pushing(types.int64, _KEYS, "icmp_signed")
"""push_key(int64 array, offset, int64): eight entries."""
push_float = _pushing(types.float32, _FLOATS, "fcmp_ordered")
"""push_float(float32 array, offset, float32): sixteen entries."""


def _count_bits(module: Any) -> Any:
    name = "llvm.ctpop.v16i64"
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(_COUNTS, [_COUNTS]), name)


def _pointer(context: Any, builder: Any, signature: Any, args: Any, vector: Any, *, which: int = 0) -> Any:
    """Where a vector begins: args are an array, which is the kernel's argument `which`, and an offset."""
    data = context.make_array(signature.args[which])(context, builder, args[0]).data
    return builder.bitcast(builder.gep(data, [args[1]]), vector.as_pointer())


def _load(builder: Any, pointer: Any, align: int) -> Any:
    value = builder.load(pointer)
    value.align = align
    return value


def spread(builder: Any, scalar: Any, vector: Any) -> Any:
    """Code for a vector of this type with a scalar in every element."""
    undefined = ir.Constant(vector, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_INDEX, vector.count), [0] * vector.count))


def _fold(builder: Any, vector: Any, operation: Callable[[Any, Any, Any], Any]) -> Any:
    """One number from the elements, halves first."""
    width = ELEMENTS
    while width > 1:
        width //= 2
        undefined = ir.Constant(vector.type, ir.Undefined)
        low = ir.Constant(ir.VectorType(_INDEX, width), list(range(width)))
        high = ir.Constant(ir.VectorType(_INDEX, width), list(range(width, 2 * width)))
        vector = operation(
            builder, builder.shuffle_vector(vector, undefined, low), builder.shuffle_vector(vector, undefined, high)
        )
    return builder.extract_element(vector, ir.Constant(_INDEX, 0))


def _smaller(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", left, right), left, right)


def _larger(builder: Any, left: Any, right: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", left, right), left, right)


def _mask(builder: Any, vector: Any) -> Any:
    return builder.zext(builder.bitcast(vector, ir.IntType(ELEMENTS)), ir.IntType(32))
