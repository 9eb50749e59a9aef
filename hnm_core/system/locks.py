"""Locks on open files. They end with the process that holds them, however it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def try_lock(handle: int, *, shared: bool = False) -> None:
        """Lock an open file until it is closed. Raises `OSError` if somebody else has it; here nobody shares."""
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def try_lock(handle: int, *, shared: bool = False) -> None:
        """Lock an open file until it is closed. Raises `OSError` if somebody else has it, who does not share."""
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


@contextmanager
def claimed(path: Path) -> Iterator[bool]:
    """Whether the lock file `path` is ours until the block ends; with it the file goes. Where the file system knows no
    locks nobody can be told from another, and it is ours. Raises `OSError` where the file cannot be made."""
    handle = _claim(path)
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        if sys.platform == "win32":  # what is open cannot be deleted there
            os.close(handle)
        with suppress(OSError):
            path.unlink()
        if sys.platform != "win32":
            os.close(handle)


def _claim(path: Path) -> int | None:
    how = os.O_RDWR | os.O_CREAT
    for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        how |= getattr(os, flag, 0)
    while True:
        handle = os.open(path, how, 0o666)
        try:
            try_lock(handle)
            if os.path.samestat(os.fstat(handle), path.lstat()):
                return handle
        except (BlockingIOError, PermissionError):
            os.close(handle)
            return None
        except FileNotFoundError:
            pass
        except OSError:  # no locks here
            return handle
        os.close(handle)  # its owner was just done with it, and deleted it
