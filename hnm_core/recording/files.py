"""The files of a recording as bytes, which may hold anything: read in pieces, up to the first that is not right."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.system.paths import why
from hnm_core.system.regular_files import open_regular

Parsed = TypeVar("Parsed")

Judge = Callable[[NDArray[Any], int], int]
"""How many of these records, from the first on, are right; the second argument is the place of the first one."""

_PIECE = 1 << 20
"""Bytes read at a time: what is worked out of them finds them in a processor's cache."""
_MAX_LINE = 16 << 20


def stamp(path: Path) -> tuple[int, int]:
    """Changes when the file is replaced, or gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def size_of(path: Path) -> int:
    """Bytes of a file; none where it is missing, or no regular file."""
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return state.st_size if stat.S_ISREG(state.st_mode) else 0


def read_records(path: Path, dtype: np.dtype[Any], start: int, count: int) -> NDArray[Any]:
    """`count` records from record `start` on. Raises `InputError` if the file has become shorter."""
    if count <= 0:
        return np.zeros(0, dtype)
    return next(record_pieces(path, dtype, start, count, count))


def record_pieces(
    path: Path, dtype: np.dtype[Any], start: int, count: int, at_once: int | None = None
) -> Iterator[NDArray[Any]]:
    """`count` records from record `start` on, `at_once` at a time, or as many as a cache holds. All pieces lie at one
    place in memory, so each is gone when the next one comes. Raises `InputError` if the file has become shorter."""
    at_once = at_once or max(1, _PIECE // dtype.itemsize)
    if count <= 0:
        return
    try:
        with open_regular(path) as file:
            file.seek(start * dtype.itemsize)
            room = np.empty(min(at_once, count), dtype)
            for done in range(0, count, at_once):
                piece = room[: count - done]
                if file.readinto(piece.view(np.uint8).data) < piece.nbytes:
                    raise InputError(f"'{path}' is damaged: it has become shorter while it was read.")
                piece.flags.writeable = False
                yield piece
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {why(error)}.") from error


def right_records(path: Path, dtype: np.dtype[Any], start: int, size: int, judge: Judge) -> Iterator[NDArray[Any]]:
    """The records from `start` on in the first `size` bytes of a file, piece by piece, as `record_pieces`, up to the
    first that is not right."""
    for records in record_pieces(path, dtype, start, size // dtype.itemsize - start):
        right = judge(records, start)
        if right:
            yield records[:right]
        if right < len(records):
            return
        start += right


@dataclass
class Lines:
    """The lines of a file, as far as they are right."""

    path: Path
    read: int = 0
    """Bytes of these lines."""
    count: int = 0
    rest: int = 0
    """Bytes that follow them."""
    damaged: bool = False
    """Whether these are no line that is just being written, or was when its writer was killed."""

    def more(self, parse: Callable[[bytes, int], Parsed]) -> Iterator[Parsed]:
        """What `parse` makes of the lines that have come since; it gets a line and its place, and raises `ValueError`
        for one that is not right, at which reading ends."""
        size, self.damaged = size_of(self.path), False
        for line in _lines(self.path, self.read, size):
            try:
                if line is None:
                    raise ValueError("no line")
                parsed = parse(line, self.count)
            except (ValueError, RecursionError):
                self.damaged = True
                break
            assert line is not None
            self.read += len(line) + 1
            self.count += 1
            yield parsed
        self.rest = max(0, size - self.read)


def _lines(path: Path, start: int, size: int) -> Iterator[bytes | None]:
    """The whole lines from byte `start` to byte `size`; None, and the end, for what can be none."""
    if start >= size:
        return
    with open_regular(path) as file:
        file.seek(start)
        left, begun = size - start, b""
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            *whole, begun = (begun + piece).split(b"\n")
            yield from whole
            if b"\0" in begun or len(begun) > _MAX_LINE:
                yield None
                return
