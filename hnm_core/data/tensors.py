"""Reads `.pt` and `.safetensors` files: dictionaries of tensors. Never runs code from a file."""

from __future__ import annotations

import math
import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import arrays, checks, json_text
from hnm_core.data.base import Dataset, Progress
from hnm_core.errors import InputError
from hnm_core.system import memory
from hnm_core.system.regular_files import open_regular
from hnm_core.system.zip_lists import check_all

LARGEST_HEADER = 100_000_000
"""Bytes; what the format allows."""

_KINDS = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def read_pt(path: Path, progress: Progress | None = None, separator: str = "") -> Dataset:
    """Read a dictionary of tensors, and of lists of labels, that `torch.save` wrote; see `arrays.dataset_of`.

    Raises:
        InputError: no such file, more than plain tensors in it, or not the ones that are needed.
        LoadCancelled: the progress callback returned False.
    """
    return arrays.dataset_of(path.name, str(path), *named_in_pt(path), progress, separator)


def named_in_pt(path: Path) -> tuple[list[str], Callable[[str], NDArray[Any]]]:
    """The names in a dictionary that `torch.save` wrote, and what gives an array by its name. Raises `InputError` as
    `read_pt`."""
    import torch

    try:
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about formats it may not read: it reads this one, or raises
            memory.require(os.fstat(file.fileno()).st_size, f"'{path}'", "read a part of it")
            check_all(file)
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"'{path}' holds more than plain tensors, or is damaged; it is not loaded because it could run code. Write "
            'torch.save({"x": x, "y": y}, path).'
        ) from None
    except (OSError, MemoryError, InputError):
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file breaks the unpickler in any way it likes
        raise InputError(f"'{path}' is no .pt file, or it is damaged: {checks.reason(error)}.") from None
    if not isinstance(loaded, dict):
        raise InputError(
            f"'{path}' holds a {type(loaded).__name__}; it must be a dictionary of tensors x (items, features) and "
            "y (items,)."
        )
    there = {str(name): value for name, value in loaded.items()}

    def load(name: str) -> NDArray[Any]:
        value = there[name]
        if isinstance(value, torch.Tensor):
            value = value.detach()
            try:
                return (value.float() if value.dtype == torch.bfloat16 else value).resolve_conj().numpy()
            except (TypeError, RuntimeError):  # sparse, quantized, without numbers, or of 8 bits
                kind = f"{value.dtype}, {value.layout}".replace("torch.", "")
                raise InputError(
                    f"'{name}' of '{path}' is a tensor that numpy cannot have ({kind}); save it dense and in float32."
                ) from None
        try:
            made = np.array(value)
        except ValueError:
            made = np.array(None)
        if made.dtype.kind == "O":
            raise InputError(f"'{name}' of '{path}' is a {type(value).__name__}; it must be a tensor or a list.")
        return made

    return list(there), load


def read_safetensors(path: Path, progress: Progress | None = None, separator: str = "") -> Dataset:
    """Read the tensors of a `.safetensors` file; see `arrays.dataset_of`.

    Raises:
        InputError: the file is none, damaged, or lacks a tensor that is needed.
        LoadCancelled: the progress callback returned False.
    """
    with named_in_safetensors(path) as (names, load):
        return arrays.dataset_of(path.name, str(path), names, load, progress, separator)


@contextmanager
def named_in_safetensors(path: Path) -> Iterator[tuple[list[str], Callable[[str], NDArray[Any]]]]:
    """The names in such a file, and what gives an array by its name. Raises `InputError` as `read_safetensors`."""
    with open_regular(path) as file:
        header = _header(file, path)

        def load(name: str) -> NDArray[Any]:
            return _tensor(file, path, name, header)

        yield list(header.tensors), load


def look_at_safetensors(path: Path) -> None:
    """Refuse a file that lacks features or labels, by its header. Raises `InputError`."""
    with open_regular(path) as file:
        arrays.choose(list(_header(file, path).tensors), str(path))


class _Header(NamedTuple):
    tensors: dict[str, Any]
    """What is said of each"""
    start: int
    """Where their numbers begin, in bytes"""
    size: int
    """Bytes of numbers that are there"""


def _header(file: BinaryIO, path: Path) -> _Header:
    damaged = InputError(f"'{path}' is no .safetensors file, or it is damaged.")
    there = os.fstat(file.fileno()).st_size - 8
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(LARGEST_HEADER, there):
        raise damaged
    try:
        tensors = json_text.parsed(file.read(length))
    except json_text.SaidTwiceError as error:
        raise InputError(
            f"'{path}' names '{checks.shown(str(error))}' twice, with values of its own each time."
        ) from None
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(tensors, dict):
        raise damaged
    tensors.pop("__metadata__", None)
    return _Header(tensors, 8 + length, there - length)


def _tensor(file: BinaryIO, path: Path, name: str, header: _Header) -> NDArray[Any]:
    damaged = InputError(f"'{name}' of '{path}' is damaged.")
    told = header.tensors[name]
    try:
        kind, shape, (low, high) = told["dtype"], [int(side) for side in told["shape"]], told["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise damaged from None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InputError(f"'{name}' of '{path}' holds {checks.shown(str(kind))}; it must hold real numbers.")
    dtype = np.dtype(_KINDS[kind])
    if not (isinstance(low, int) and isinstance(high, int)) or min(shape, default=0) < 0:
        raise damaged
    if not 0 <= low <= high <= header.size or high - low != math.prod(shape) * dtype.itemsize:
        raise damaged
    memory.require(high - low, f"'{name}' of '{path}'", "read a part of it, or the file is damaged")
    file.seek(header.start + low)
    values = np.fromfile(file, dtype, math.prod(shape))
    if values.size != math.prod(shape):  # it has become shorter meanwhile
        raise damaged
    values = values.reshape(shape)
    if kind == "BF16":
        return (values.astype("<u4") << 16).view("<f4")
    return values
