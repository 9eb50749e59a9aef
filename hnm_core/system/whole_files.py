"""Files and folders that are written whole or not at all: first beside their place, then moved into it. What is moved
stays there: its name is on the disk too, so that what it was made of can go."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hnm_core.system.locks import try_lock
from hnm_core.system.syncing import sync_folder, sync_path

_TRIES, _TRY_AGAIN_S = 50, 0.01

_CREATE = os.O_RDWR | os.O_CREAT
for _flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
    _CREATE |= getattr(os, _flag, 0)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path to write to. When the block ends well, what was written takes the place of `path`; otherwise it is gone,
    and what was there before stays. Where `path` is a link, what it leads to is replaced.

    Raises:
        OSError: it cannot be written; `strerror` says why, also where another program is writing it just now.
    """
    target = _target(path)
    part = target.with_name(f"{target.name}.part")
    handle = -1
    try:
        handle = _claim(part)
        yield part
        if sys.platform == "win32":  # what is open cannot be moved there
            os.close(handle)
            handle = -1
        else:
            os.fsync(handle)
        put(part, target)
    except BaseException:
        if handle >= 0:
            part.unlink(missing_ok=True)
        else:
            _sweep(part)
        raise
    finally:
        if handle >= 0:
            os.close(handle)
    sync_folder(target.parent)


def put(part: Path, target: Path) -> None:
    """Put a file in the place of another in one go. On Windows that waits for whoever reads the other just now."""
    for _ in range(_TRIES if sys.platform == "win32" else 0):
        with suppress(PermissionError):
            part.replace(target)
            return
        time.sleep(_TRY_AGAIN_S)
    part.replace(target)


def write_whole(path: Path, text: str) -> None:
    """Write a file of text in UTF-8. Raises `OSError` as `whole_file`."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to write files into. When the block ends well, it takes the place of `path`, which must not be there or
    be empty; otherwise it is gone with all that is in it.

    Raises:
        OSError: it cannot be written; `strerror` says why, also where another program is writing it just now.
    """
    part, lock = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.lock")
    handle = _claim(lock)
    try:
        shutil.rmtree(part, ignore_errors=True)  # of a killed program
        part.mkdir()
        yield part
        _sync_all(part)
        with suppress(FileNotFoundError):
            path.rmdir()  # only where it is empty
        put(part, path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)
    sync_folder(path.parent)


def check_writable(path: Path) -> None:
    """Raises `OSError` where `whole_file` would; nothing changes."""
    with suppress(_NothingToWrite), whole_file(path):
        raise _NothingToWrite


def _sync_all(folder: Path) -> None:
    """Have all that is in a folder on the disk, before its name is: a power cut must not leave empty files under it."""
    for place, _, names in os.walk(folder):
        for name in names:
            sync_path(Path(place, name))
        sync_folder(Path(place))


class _NothingToWrite(Exception):  # noqa: N818  no error
    pass


def _target(path: Path) -> Path:
    """What `path` leads to, which need not be there."""
    target = Path(os.path.realpath(path))
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe, and only regular files are written", str(path))
    return target


def _claim(part: Path) -> int:
    """A handle of the file with its lock, which one that was left by a killed program does not hinder."""
    while True:
        handle = os.open(part, _CREATE, 0o666)
        ours = False
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "what lies at its place is no file", str(part))
            if sys.platform != "win32":  # a lock there would keep out the one who writes, too
                try_lock(handle)
            ours = _is_still_there(handle, part)  # otherwise its owner was just done with it
            if ours:
                return handle
        except BlockingIOError:
            raise OSError(errno.EBUSY, "another program is writing it just now", str(part)) from None
        finally:
            if not ours:
                os.close(handle)


def _sweep(part: Path) -> None:
    """Delete the file unless somebody writes it: Ctrl+C may come between its making and our knowing of it."""
    with suppress(OSError):
        handle = os.open(part, _CREATE & ~os.O_CREAT)
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode):
                try_lock(handle)
                part.unlink()
        finally:
            os.close(handle)


def _is_still_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
