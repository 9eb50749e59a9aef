"""The user's own data, in files of the kinds of `hnm_core.spec.data_files`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import Dataset, Progress
from hnm_core.data.options import FileOptions
from hnm_core.errors import InputError
from hnm_core.spec.data_files import ANY_DATA_SUFFIX, DATA_FORMATS, DataFormat, data_format
from hnm_core.system import memory, paths

BLOCK_ROWS = 65_536


def build(options: FileOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """Read `options.path`; the ending says how. The seed changes nothing.

    Raises:
        InputError: the file is missing, no file, unreadable, of an unknown kind, or does not hold what it must; one
            sentence that names it.
        LoadCancelled: the progress callback returned False.
    """
    path, kind = _data_file(options.path)
    beside = {"labels": options.labels} if options.labels else {}
    if beside and not kind.labels_beside:
        raise InputError(f"'{path}' holds its labels itself; labels = '{options.labels}' is for vectors alone.")
    if options.label_separator:
        beside["separator"] = options.label_separator
    if options.label_columns:
        if not kind.named_columns:
            tables = ", ".join(known.suffix for known in DATA_FORMATS if known.named_columns)
            raise InputError(f"'{path}' is no table; label_columns = '{options.label_columns}' is for {tables}.")
        if beside:
            raise InputError(
                f"label_columns = '{options.label_columns}' says where the labels are; leave out "
                f"{'labels' if options.labels else 'label_separator'}."
            )
        beside["label_columns"] = options.label_columns
    try:
        memory.require(path.stat().st_size, f"'{path}'", "read a part of it")
        dataset: Dataset = kind.load()(path, progress, **beside)
    except MemoryError:
        raise InputError(f"'{path}' does not fit into the memory.") from None
    except OSError as error:
        raise InputError(f"'{error.filename or path}' cannot be read: {paths.why(error)}.") from None
    return dataclasses.replace(dataset, x=standardized(dataset.x)) if options.standardize else dataset


def standardized(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Every feature with mean 0 and deviation 1; one that is the same for every item becomes 0.

    Args:
        x: (N, D), finite.
    """
    blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, len(x), BLOCK_ROWS)]  # no float64 copy of all
    mean = np.mean(x, axis=0, dtype=np.float64)
    squares = sum(np.square(x[rows] - mean).sum(axis=0) for rows in blocks)
    varies = x.min(axis=0) < x.max(axis=0)  # of a constant, rounding leaves a deviation that is not quite 0
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, squares / len(x), 1.0)), 0.0)
    result = np.empty_like(x)
    for rows in blocks:
        result[rows] = (x[rows] - mean) * scale
    return result


def _data_file(name: str) -> tuple[Path, DataFormat]:
    """The path of a regular file, with ~ resolved, and its kind. Raises `InputError` when there is none."""
    path = paths.path_of(name)
    match paths.kind(path):
        case "missing":
            raise InputError(f"There is no file '{name}'.")
        case "folder":
            raise InputError(f"'{path}' is a folder; give the path of a {ANY_DATA_SUFFIX} file.")
        case "other":
            raise InputError(f"'{path}' is no ordinary file; give the path of a {ANY_DATA_SUFFIX} file.")
    kind = data_format(path)
    if kind is None:
        ending = f"ends in '{path.suffix}'" if path.suffix else "has no ending"
        *known, last = (f"{each.suffix} ({each.holds})" for each in DATA_FORMATS)
        raise InputError(f"'{path}' {ending}; data files are {', '.join(known)} or {last}.")
    return path, kind
