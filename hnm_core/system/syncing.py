"""Having on the disk what was written, as far as a system and its disks can."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOT_POSSIBLE = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES)
"""What systems say that cannot sync such a thing; there is nothing better to be had then."""


@contextmanager
def where_possible() -> Iterator[None]:
    """Within, that a thing cannot be synced is no error. Raises `OSError` for all others."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_POSSIBLE:
            raise


def sync_path(path: Path) -> None:
    """Wait until a file that somebody else writes is on the disk. Raises `OSError`."""
    with where_possible():
        handle = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)  # else it refuses there
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where a system can: not on Windows. Raises `OSError`."""
    if sys.platform != "win32":
        sync_path(path)
