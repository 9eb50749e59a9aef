"""Reads `.npz` and `.npy` files. Never unpickles anything."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import arrays, checks
from hnm_core.data.base import Dataset, Progress
from hnm_core.errors import InputError
from hnm_core.system import memory
from hnm_core.system.regular_files import open_regular
from hnm_core.system.zip_lists import check_list


def read_npz(path: Path, progress: Progress | None = None, separator: str = "") -> Dataset:
    """Read the arrays of a file of `numpy.savez`, see `hnm_core.data.arrays.dataset_of`.

    Raises:
        InputError: the file is no `.npz`, damaged, lacks an array, or an array is not what it must be.
        LoadCancelled: the progress callback returned False.
    """
    with named_arrays(path) as (names, load):
        return arrays.dataset_of(path.name, str(path), names, load, progress, separator)


@contextmanager
def named_arrays(path: Path) -> Iterator[tuple[list[str], Callable[[str], NDArray[Any]]]]:
    """The names in a file of `numpy.savez`, and what gives an array by its name. Raises `InputError` as `read_npz`."""
    with _opened(path) as file:
        yield file.files, lambda name: _array(file, name, path)


def look(path: Path) -> None:
    """Refuse an archive that lacks features or labels, by the list at its end. Raises `InputError`."""
    with _opened(path) as file:
        arrays.choose(file.files, str(path))


def read_array(path: Path) -> NDArray[Any]:
    """The array of a `.npy` file. Raises `InputError` where it is none, or holds Python objects."""
    try:
        with open_regular(path) as raw:
            memory.require(os.fstat(raw.fileno()).st_size, f"'{path}'", "read a part of it")
            value = np.lib.format.read_array(raw, allow_pickle=False)
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"'{path}' is larger than the memory, or it is damaged.") from None
    except Exception as error:
        if isinstance(error, OSError):
            raise
        if "allow_pickle" in str(error):
            raise InputError(f"'{path}' {_OBJECTS}") from None
        raise InputError(f"'{path}' is no .npy file, or it is damaged: {checks.reason(error)}.") from None
    return value


_OBJECTS = (
    "holds Python objects, which are never loaded because they can run code. Save plain numbers of one shape, or text "
    'as numpy.array(labels, dtype="U").'
)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The archive. Raises `InputError` where it is none."""
    with open_regular(path) as raw:  # ours, because numpy leaves a damaged file open
        if not zipfile.is_zipfile(raw):
            raise InputError(f"'{path}' is no .npz file, or it is damaged; write one with numpy.savez(path, x=x, y=y).")
        raw.seek(0)
        try:
            file = np.load(raw, allow_pickle=False)
            check_list(file.zip)
            if len(set(file.files)) < len(file.files):  # with and without the ending .npy
                raise ValueError("it holds two arrays of one name")
        except Exception as error:  # noqa: BLE001 - a damaged archive breaks zipfile in any way it likes
            raise InputError(f"'{path}' is no .npz file, or it is damaged: {checks.reason(error)}.") from None
        with file:
            yield file


def _array(file: Any, name: str, path: Path) -> NDArray[Any]:
    try:
        there = file.zip.getinfo(f"{name}.npy" if f"{name}.npy" in file.zip.namelist() else name)
        memory.require(there.file_size, f"'{name}' of '{path}'", "read a part of it, or the file is damaged")
        value = file[name]
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"'{name}' of '{path}' is larger than the memory, or the file is damaged.") from None
    except Exception as error:  # noqa: BLE001 - as above, and numpy's own errors
        if "allow_pickle" in str(error):
            raise InputError(f"'{name}' of '{path}' {_OBJECTS}") from None
        raise InputError(f"'{name}' of '{path}' is damaged: {checks.reason(error)}.") from None
    if not isinstance(value, np.ndarray):
        raise InputError(f"'{name}' of '{path}' is no numpy array.")
    return value
