"""bfloat16 products on the matrix units of recent Intel processors (AMX), for numba kernels.

The units hold eight tiles of 16 rows of 64 bytes. Tiles 0 to 3 collect the products of 32 anchors with 32 points, 4 and
5 take the anchors, 6 and 7 the points, 32 coordinates at a time. Between `configure` and `release` a kernel calls
`start`, `multiply` for each 32 coordinates, and `finish`. Offsets count elements of C-contiguous arrays.

Intel, "Architecture Instruction Set Extensions Programming Reference", chapter on AMX.
"""

from __future__ import annotations

import ctypes
import platform
from functools import lru_cache
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from hnm_core.simd import intrinsic

SIDE = 32
"""Anchors and points that are multiplied at once, and coordinates of one step."""
STEP = SIDE * SIDE
"""Elements of one step of 32 rows, in a packed array."""

_BYTE, _WIDE = ir.IntType(8), ir.IntType(64)
_BYTES = _BYTE.as_pointer()
_TILE_BYTES = 1024
_ROW_BYTES = 64
_SYS_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether the processor has the units, numba compiles for them, and the system lets this process use them."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return False
    settings = vars(numba.config)
    if settings["CPU_NAME"] or settings["CPU_FEATURES"]:
        return False  # numba was told to compile for another processor
    features = llvmlite.binding.get_host_cpu_features()
    if not (features.get("amx-tile") and features.get("amx-bf16")):
        return False
    # Linux hands out the registers of the tiles, 8 KiB for each thread, only to processes that ask for them.
    return bool(ctypes.CDLL(None).syscall(_SYS_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA) == 0)


def layout() -> NDArray[np.uint8]:
    """The configuration for `configure`: eight tiles of 16 rows of 64 bytes."""
    config = np.zeros(64, np.uint8)
    config[0] = 1  # the only palette there is
    config[16:32] = np.tile([_ROW_BYTES, 0], 8)
    config[48:56] = 16
    return config


@intrinsic
def configure(_typing: Any, config: Any) -> Any:
    """configure(uint8 array) -> this thread's tiles are laid out so."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = _pointer(context, builder, signature.args[0], args[0], _offset(0))
        _call(builder, "ldtilecfg", start)
        return context.get_dummy_value()

    return types.void(config), codegen


@intrinsic
def release(_typing: Any) -> Any:
    """release() -> the tiles are given back; without it every switch of threads would save them."""

    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def start(_typing: Any, bias: Any, offset: Any) -> Any:
    """start(float32 array, offset): the 32 numbers from `offset` on are what each anchor's 32 sums begin with."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left = _pointer(context, builder, signature.args[0], args[0], args[1])
        right = _moved(builder, left, _ROW_BYTES)
        for tile, place in enumerate((left, right, left, right)):
            _load(builder, tile, place, 0)  # a stride of 0: the same sixteen numbers in every row
        return context.get_dummy_value()

    return types.void(bias, types.intp), codegen


@intrinsic
def multiply(_typing: Any, anchors: Any, anchor: Any, points: Any, point: Any) -> Any:
    """multiply(anchors, offset, points, offset): add the products of 32 coordinates of packed int16 arrays."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left = _pointer(context, builder, signature.args[0], args[0], args[1])
        right = _pointer(context, builder, signature.args[2], args[2], args[3])
        _load(builder, 4, left, _ROW_BYTES)
        _load(builder, 6, right, _ROW_BYTES)
        _load(builder, 7, _moved(builder, right, _TILE_BYTES), _ROW_BYTES)
        _load(builder, 5, _moved(builder, left, _TILE_BYTES), _ROW_BYTES)
        for tile, (half, other) in enumerate(((4, 6), (4, 7), (5, 6), (5, 7))):
            _call(builder, "tdpbf16ps", _number(tile), _number(half), _number(other))
        return context.get_dummy_value()

    return types.void(anchors, types.intp, points, types.intp), codegen


@intrinsic
def finish(_typing: Any, sums: Any, offset: Any) -> Any:
    """finish(float32 array, offset): write the sums, a row of 32 for each anchor."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        corner = _pointer(context, builder, signature.args[0], args[0], args[1])
        row = 4 * SIDE
        for tile, place in enumerate((0, _ROW_BYTES, 16 * row, 16 * row + _ROW_BYTES)):
            _call(builder, "tilestored64", _number(tile), _moved(builder, corner, place), _offset(row))
        return context.get_dummy_value()

    return types.void(sums, types.intp), codegen


def _number(value: int) -> Any:
    return ir.Constant(_BYTE, value)


def _offset(value: int) -> Any:
    return ir.Constant(_WIDE, value)


def _moved(builder: Any, pointer: Any, count: int) -> Any:
    return builder.gep(pointer, [_offset(count)])


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _BYTES)


def _load(builder: Any, tile: int, pointer: Any, stride: int) -> None:
    _call(builder, "tileloadd64", _number(tile), pointer, _offset(stride))


def _call(builder: Any, name: str, *args: Any) -> None:
    module, name = builder.module, f"llvm.x86.{name}"
    kind = ir.FunctionType(ir.VoidType(), [arg.type for arg in args])
    builder.call(module.globals.get(name) or ir.Function(module, kind, name), args)
