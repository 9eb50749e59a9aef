"""The user's own data: `.npz`, `.csv` and `.parquet` files."""

from __future__ import annotations

import dataclasses
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import Dataset, Progress
from hnm_core.data.csv_table import read_csv
from hnm_core.data.npz import read_npz
from hnm_core.data.options import FileOptions
from hnm_core.data.parquet import read_parquet
from hnm_core.errors import InputError

READERS = {".npz": read_npz, ".csv": read_csv, ".parquet": read_parquet}
BLOCK_ROWS = 65_536


def build(options: FileOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """Read `options.path`; the ending says how. The seed changes nothing.

    Raises:
        InputError: the file is missing, no file, unreadable, of an unknown kind, or does not hold what it must; one
            sentence that names it.
        LoadCancelled: the progress callback returned False.
    """
    path = _data_file(options.path)
    try:
        dataset = READERS[path.suffix.lower()](path, progress)
    except MemoryError:
        raise InputError(f"'{path}' does not fit into the memory.") from None
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error}.") from None
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


def _data_file(name: str) -> Path:
    """The path of a regular file of a known kind, with ~ resolved. Raises `InputError` when there is none."""
    try:
        path = Path(name).expanduser()
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"There is no file '{name}'.") from None
    except (OSError, RuntimeError, ValueError) as error:  # ~ of an unknown user is a RuntimeError, a zero byte the last
        raise InputError(f"'{name}' cannot be read: {error}.") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"'{path}' is a folder; give the path of a .npz, .csv or .parquet file.")
    if not stat.S_ISREG(mode):
        raise InputError(f"'{path}' is no ordinary file; give the path of a .npz, .csv or .parquet file.")
    if path.suffix.lower() not in READERS:
        kind = f"ends in '{path.suffix}'" if path.suffix else "has no ending"
        raise InputError(
            f"'{path}' {kind}; data files are .npz (arrays x and y), .csv or .parquet (each with a column 'label')."
        )
    return path
