"""The files of a recording as bytes: how long, which records, which whole lines. What is missing or shrinks is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError


def stamp(path: Path) -> tuple[int, int]:
    """Changes when the file is replaced."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def size_of(path: Path) -> int:
    """Bytes of a file. Raises `InputError` where it is missing."""
    if not path.is_file():
        raise InputError(f"The recording '{path.parent}' is incomplete: {path.name} is missing.")
    return path.stat().st_size


def read_records(path: Path, dtype: np.dtype[Any], start: int, count: int) -> NDArray[Any]:
    """`count` records from record `start` on. Raises `InputError` if the file has become shorter."""
    try:
        with path.open("rb") as file:
            file.seek(start * dtype.itemsize)
            data = file.read(count * dtype.itemsize)
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error}.") from error
    if len(data) < count * dtype.itemsize:
        raise InputError(f"'{path}' is damaged: it has become shorter while it was read.")
    return np.frombuffer(data, dtype, count)


def new_lines(path: Path, start: int) -> tuple[list[bytes], int, int]:
    """The whole lines from byte `start` on, the byte after them, and how many bytes follow that are no line yet."""
    size = size_of(path)
    with path.open("rb") as file:
        file.seek(start)
        text = file.read(max(0, size - start))
    whole, newline, torn = text.rpartition(b"\n")
    return whole.split(b"\n") if newline else [], start + len(whole) + len(newline), len(torn)
