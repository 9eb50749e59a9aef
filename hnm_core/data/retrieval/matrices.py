"""Reads embeddings without labels: one matrix of a file of any kind that people keep them in, and the ids beside it.

A `.npy` is read once, block by block, and never mapped: a mapped file that another program cuts short ends this one by
a signal, and one that is written to meanwhile changes what was looked through already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.base import Progress, report
from hnm_core.data.npz import named_arrays, read_array
from hnm_core.data.parquet import read_vectors
from hnm_core.data.retrieval.text_lines import lines
from hnm_core.data.tensors import named_in_pt, named_in_safetensors
from hnm_core.errors import InputError
from hnm_core.system import memory
from hnm_core.system.regular_files import open_regular

SUFFIXES = (".npy", ".npz", ".parquet", ".safetensors", ".pt")
ANY = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
BLOCK_BYTES = 64 << 20
NAMES = ("embeddings", "embedding", "vectors", "x", "emb", "features")
"""What the matrix is called in a file that has several, after the name of the side that is looked for."""
ID_SUFFIXES = (".txt", ".npy")


@dataclass(frozen=True, eq=False)
class Matrix:
    """Embeddings of the queries or the documents."""

    vectors: NDArray[np.float32]
    """(N, D) finite, not to be written to."""
    ids: list[str | int] | None
    """(N,) where the file has them."""
    zero: int
    """Rows of zeros, which are near to nothing."""


def read_matrix(path: Path, names: Sequence[str], progress: Progress | None = None) -> Matrix:
    """Read the matrix of a file: the only one, or that of the first of `names` that is there.

    Raises:
        InputError: a file of another kind or damaged; no matrix, or several and none of a usual name; NaN, infinity
            or no numbers.
        LoadCancelled: the progress callback returned False.
        OSError: it cannot be opened, or is no ordinary file.
    """
    match path.suffix.lower():
        case ".npy":
            with _npy(path) as rows:
                vectors, zero = _finite(rows, f"'{path}'", progress, path.name)
            return Matrix(vectors, None, zero)
        case ".parquet":
            values, ids = read_vectors(path, progress)
            where = f"'{path}'"
        case ".npz":
            with named_arrays(path) as (there, load):
                values, ids, where = _chosen(path, there, load, names)
        case ".safetensors":
            with named_in_safetensors(path) as (there, load):
                values, ids, where = _chosen(path, there, load, names)
        case ".pt":
            values, ids, where = _chosen(path, *named_in_pt(path), names)
        case _:
            raise InputError(f"'{path}' holds no embeddings: files of embeddings end in {ANY}.")
    vectors, zero = _finite(values, where, progress, path.name)
    if ids is not None and len(ids) != len(vectors):
        raise InputError(
            f"{where} has {checks.count(len(vectors), 'row')}, and there are {checks.count(len(ids), 'id')} beside it."
        )
    return Matrix(vectors, ids, zero)


def read_ids(path: Path) -> list[str | int]:
    """The ids of a file: a line of text each, or an array of text or whole numbers.

    Raises:
        InputError: it is of neither kind, or has an empty line before others.
        OSError: it cannot be opened, or is no ordinary file.
    """
    match path.suffix.lower():
        case ".npy":
            return _ids(read_array(path), f"'{path}'")
        case ".txt":
            found: list[str | int] = [line.strip() for _, line in lines(path)]
            while found and found[-1] == "":
                found.pop()
            if "" in found:
                raise InputError(f"'{path}' has no id in line {1 + found.index(''):,}; it must have one in each.")
            return found
    raise InputError(f"'{path}' is no file of ids: it must end in .txt, one id a line, or in .npy.")


class _Rows(Protocol):
    """A table of numbers that is had in blocks, each asked for once and in order; an array is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of an array."""

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """The next rows."""


@dataclass(frozen=True, eq=False)
class _RowsOfFile:
    """Those that a file holds one after the other from where it stands."""

    file: BufferedReader
    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        start, stop, _ = rows.indices(self.shape[0])
        width = self.shape[1]
        values = np.fromfile(self.file, self.dtype, (stop - start) * width)
        if values.size < (stop - start) * width:
            raise InputError(f"'{self.path}' is damaged: it has become shorter while it was read.")
        return values.reshape(-1, width)


@contextmanager
def _npy(path: Path) -> Iterator[_Rows]:
    """The table in a `.npy` file. Raises `InputError` where it is none, or holds Python objects."""
    with open_regular(path) as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, by_columns, dtype = read(file)
        except Exception as error:  # noqa: BLE001 - a damaged header breaks Python's own reader of literals in any way
            raise InputError(f"'{path}' is no .npy file, or it is damaged: {checks.reason(error)}.") from None
        start, there = file.tell(), os.fstat(file.fileno()).st_size
        if dtype.hasobject or by_columns or version[0] > 2 or 0 in shape or not shape:
            yield read_array(path)  # or says what is wrong with it
            return
        if there - start < int(np.prod(shape, dtype=object)) * dtype.itemsize:
            raise InputError(f"'{path}' is damaged: it ends before its {' x '.join(map(str, shape))} numbers do.")
        yield _RowsOfFile(file, path, shape, dtype)


def _chosen(
    path: Path, there: Sequence[str], load: Callable[[str], NDArray[Any]], names: Sequence[str]
) -> tuple[NDArray[Any], list[str | int] | None, str]:
    """The matrix among named arrays, its ids, and how messages call it."""
    usual = next((name for name in (*names, *NAMES) if name in there), None)
    others = [name for name in there if name not in ("ids", "id")]
    if usual is None and len(others) != 1:
        raise InputError(
            f"'{path}' has {checks.shown_names(there)}; embeddings are the only array of a file, or called "
            f"{', '.join(names)} or {NAMES[0]}."
        )
    chosen = usual or others[0]
    beside = (*(f"{name}_ids" for name in (chosen, chosen.removesuffix("s"), *names)), "ids", "id")
    ids = next((name for name in beside if name in there), None)
    return load(chosen), None if ids is None else _ids(load(ids), f"'{ids}' of '{path}'"), f"'{chosen}' of '{path}'"


def _ids(values: NDArray[Any], where: str) -> list[str | int]:
    if values.ndim != 1 or values.dtype.kind not in "iuUS":
        raise InputError(f"{where} holds {values.dtype} of the shape {values.shape}; ids are (N,) text or integers.")
    if values.dtype.kind == "S":
        try:
            values = np.char.decode(values, "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{where} holds ids that are no UTF-8 text.") from None
    found: list[str | int] = values.tolist()
    return found


def _finite(values: _Rows, where: str, progress: Progress | None, name: str) -> tuple[NDArray[np.float32], int]:
    """(N, D) finite float32, and how many rows are zero; the same array where it is that already."""
    if len(values.shape) != 2 or values.dtype.kind not in "fiu" or 0 in values.shape:
        raise InputError(
            f"{where} holds {values.dtype} of the shape {values.shape}; embeddings are (items, dimensions), real "
            "numbers, one row an item."
        )
    items, width = values.shape
    if isinstance(values, np.ndarray) and values.dtype == np.float32 and values.flags.c_contiguous:
        found, same = values, True
    else:
        memory.require(4 * items * width, f"{items:,} x {width:,} numbers of {where}", "give fewer rows or dimensions")
        found, same = np.empty((items, width), np.float32), False
    step, zero, bad, first = max(1, BLOCK_BYTES // (4 * width)), 0, 0, 0
    for start in range(0, items, step):
        report(progress, start, items, f"reading {name}")
        rows = slice(start, start + step)
        if not same:
            with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is told below
                found[rows] = values[rows]
        good = np.isfinite(found[rows]).all(axis=1)
        if not good.all():
            first = first if bad else start + int(np.argmin(good))
            bad += int(np.count_nonzero(~good))
        zero += int(np.count_nonzero(~found[rows].any(axis=1)))
    report(progress, items, items, f"reading {name}")
    if bad:
        raise InputError(
            f"{where} holds NaN, infinity or a number too large for 32 bits in row {first:,} (counted from 0), and "
            f"{bad:,} of {items:,} rows are like that; every number must be finite."
        )
    found.flags.writeable = False
    return found, zero
