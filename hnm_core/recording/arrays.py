"""The arrays of the shown items: one `.npy` file each, which may hold anything when it is read."""

from __future__ import annotations

import errno
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording import disk
from hnm_core.recording.layout import RUN_FILE, SEVERAL_FILES, TEXTS_FILE, TRUE_LABELS_FILE
from hnm_core.recording.texts import text_lines
from hnm_core.run.events import RunStarted, frozen
from hnm_core.system.paths import why
from hnm_core.system.regular_files import read_regular

_MAX_HEADER = 4096
"""Bytes before the numbers of such a file; numpy writes 128."""

Arrays = dict[str, bytes]
"""Files of arrays by name."""


def arrays_of(started: RunStarted) -> Arrays:
    """The arrays of the shown items, one `.npy` each, and their texts where they have any."""
    arrays = {"labels.npy": started.labels, "ids.npy": started.ids, "held_out.npy": started.held_out}
    if started.groups is not None:
        arrays["groups.npy"] = started.groups
    if started.true_labels is not None:
        arrays[TRUE_LABELS_FILE] = started.true_labels
    if started.several is not None:
        arrays |= zip(SEVERAL_FILES, (started.several.ids, started.several.labels), strict=True)
    files = {}
    for name, array in arrays.items():
        file = io.BytesIO()
        np.save(file, array)
        files[name] = file.getvalue()
    if started.texts:
        files[TEXTS_FILE] = text_lines(started.texts)
    return files


def write_arrays(folder: Path, arrays: Arrays) -> None:
    """Put them on the disk, their names still to be synced: without `run.json` nobody reads them. Raises `OSError`."""
    for name, data in arrays.items():
        with disk.create(folder / name) as file:
            file.write(data)
            disk.sync(file, length_alone=False)


def read_array(path: Path, kind: type[np.generic], most: int, checksum: str | None) -> NDArray[Any]:
    """A one-dimensional array of up to `most` entries from a file that may hold anything. Pickles are never loaded."""
    try:
        data = read_regular(path, _MAX_HEADER + most * np.dtype(kind).itemsize)
        if checksum is not None and f"{zlib.crc32(data):08x}" != checksum:
            raise ValueError(f"its checksum is not that in {RUN_FILE}")
        array = array_in(data)
    except FileNotFoundError:
        raise InputError(f"The recording '{path.parent}' is incomplete: {path.name} is missing.") from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise InputError(f"'{path}' is damaged: it is larger than {most:,} entries are.") from None
        raise InputError(f"'{path}' cannot be read: {why(error)}.") from error
    except Exception as error:
        raise InputError(f"'{path}' is damaged: {error or type(error).__name__}.") from error
    if array.ndim != 1 or array.dtype != np.dtype(kind) or not len(array):
        raise InputError(f"'{path}' is damaged: it must hold one row of {np.dtype(kind).name} values.")
    return array


def array_in(data: bytes) -> NDArray[Any]:
    """The array of the bytes of a `.npy` file, read-only. Nothing is allocated for what the file only claims to hold,
    and pickles are never loaded. Raises `ValueError` where it is none, or of another length than it says."""
    head = io.BytesIO(data)
    version = npy.read_magic(head)
    if version not in ((1, 0), (2, 0)):
        raise ValueError("it is stored in a way that nobody here writes")
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, kind = read_header(head)
    if kind.hasobject or kind.itemsize * int(np.prod(shape, dtype=object)) != len(data) - head.tell():
        raise ValueError("it is not of the size that it says")
    array = np.frombuffer(data, kind, offset=head.tell())
    return frozen(array.reshape(shape, order="F" if fortran else "C"))
