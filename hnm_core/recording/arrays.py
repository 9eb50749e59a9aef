"""The arrays of the shown items: one `.npy` file each, which may hold anything when it is read."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording import disk
from hnm_core.recording.layout import RUN_FILE, TRUE_LABELS_FILE
from hnm_core.run.events import RunStarted

_MAX_HEADER = 4096
"""Bytes before the numbers of such a file; numpy writes 128."""

Arrays = dict[str, bytes]
"""Files of arrays by name."""


def arrays_of(started: RunStarted) -> Arrays:
    """The arrays of the shown items, one `.npy` each."""
    arrays = {"labels.npy": started.labels, "ids.npy": started.ids, "held_out.npy": started.held_out}
    if started.groups is not None:
        arrays["groups.npy"] = started.groups
    if started.true_labels is not None:
        arrays[TRUE_LABELS_FILE] = started.true_labels
    files = {}
    for name, array in arrays.items():
        file = io.BytesIO()
        np.save(file, array)
        files[name] = file.getvalue()
    return files


def write_arrays(folder: Path, arrays: Arrays) -> None:
    """Put them on the disk, their names still to be synced: without `run.json` nobody reads them. Raises `OSError`."""
    for name, data in arrays.items():
        with disk.create(folder / name) as file:
            file.write(data)
            disk.sync(file, length_alone=False)


def read_array(path: Path, kind: type[np.generic], most: int, checksum: str | None) -> NDArray[Any]:
    """A one-dimensional array of up to `most` entries from a file that may hold anything. Pickles are never loaded."""
    if not path.is_file():
        raise InputError(f"The recording '{path.parent}' is incomplete: {path.name} is missing.")
    try:
        if path.stat().st_size > _MAX_HEADER + most * np.dtype(kind).itemsize:
            raise ValueError(f"it is larger than {most:,} entries are")
        # Mapping the file compares the length its header claims with the length it has, before anything is allocated.
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        if checksum is not None and f"{zlib.crc32(path.read_bytes()):08x}" != checksum:
            raise ValueError(f"its checksum is not that in {RUN_FILE}")
    except Exception as error:
        raise InputError(f"'{path}' is damaged: {error or type(error).__name__}.") from error
    if array.ndim != 1 or array.dtype != np.dtype(kind) or not len(array):
        raise InputError(f"'{path}' is damaged: it must hold one row of {np.dtype(kind).name} values.")
    array.flags.writeable = False
    return array
