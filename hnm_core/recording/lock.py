"""Tells a recording that is being written from one whose writer was killed: a file lock that dies with its process."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO

from hnm_core.recording.layout import LOCK_FILE

if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock(folder: Path) -> IO[bytes]:
    """Mark `folder` as being written until the returned file is closed. Raises `OSError` if somebody else has it."""
    file = (folder / LOCK_FILE).open("wb")
    try:
        _try_lock(file)
    except OSError:
        file.close()
        raise
    return file


def is_being_written(folder: Path) -> bool:
    """Whether a living process holds the lock of `folder`."""
    try:
        with (folder / LOCK_FILE).open("r+b") as file:
            _try_lock(file)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
