"""Who is at a recording. Both marks die with the process that made them, however it ends.

Whoever writes one holds a lock on a file in it. Whoever shows or renders one holds the folder itself, which leaves no
trace there; many can at once, and while one does nobody may throw the folder away.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hnm_core.recording.layout import LOCK_FILE
from hnm_core.system.locks import try_lock

_IDS = "ids.npy"

_TRIES, _TRY_AGAIN_S = 5, 0.01


def _open_folder(folder: Path) -> int:
    if sys.platform == "win32":  # a folder cannot be opened there; but one that holds an open file stays where it is
        return os.open(folder / _IDS, os.O_RDONLY)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def lock(folder: Path) -> IO[bytes]:
    """Mark `folder` as being written until the returned file is closed. Raises `OSError` if somebody else has it."""
    file = os.fdopen(_open_lock_file(folder, os.O_RDWR | os.O_CREAT), "r+b")
    try:
        _lock(file.fileno())
    except OSError:
        file.close()
        raise
    return file


def is_being_written(folder: Path) -> bool:
    """Whether a living process holds the lock of `folder`."""
    try:
        handle = _open_lock_file(folder, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    except PermissionError:
        return True  # somebody else's; who knows
    except OSError:
        return False
    try:
        try_lock(handle, shared=True)  # shared: two that ask at once do not take each other for a writer
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _lock(handle: int, *, shared: bool = False) -> None:
    """Try some times: whoever only asks has the lock for a moment. Raises `OSError` if it stays somebody else's."""
    for _ in range(_TRIES):
        with suppress(OSError):
            return try_lock(handle, shared=shared)
        time.sleep(_TRY_AGAIN_S)
    return try_lock(handle, shared=shared)


def _open_lock_file(folder: Path, how: int) -> int:
    """A handle of the lock file; never of what a link of that name leads to, nor of a pipe, which would wait."""
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        how |= getattr(os, flag, 0)
    handle = os.open(folder / LOCK_FILE, how, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, f"{LOCK_FILE} is no file", str(folder))
    return handle


class Held:
    """A recording that is shown: it stays where it is as long as this object does."""

    def __init__(self, folder: Path) -> None:
        """Where that cannot be said, as on some network drives, nothing is held and nothing is wrong."""
        try:
            handle = _open_folder(folder)
        except OSError:
            return
        self._close = weakref.finalize(self, os.close, handle)
        try:
            if sys.platform != "win32":
                _lock(handle, shared=True)
        except OSError:
            self._close()


@contextmanager
def nobody_at(folder: Path) -> Iterator[bool]:
    """Whether nobody writes, shows or renders `folder`; if so, nobody begins to show it before this ends."""
    if sys.platform == "win32":
        yield not is_being_written(folder)  # moving it away fails where it is shown
        return
    try:
        handle = _open_folder(folder)
    except OSError:
        yield False
        return
    try:
        try:
            _lock(handle)  # a program that lists recordings, or looks into one, has it for a moment
            there = os.path.samestat(os.fstat(handle), folder.lstat())  # not moved away while we opened it
        except OSError:
            there = False
        yield there and not is_being_written(folder)
    finally:
        os.close(handle)
