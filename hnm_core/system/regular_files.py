"""Files of other people's, opened only where they are regular ones. A named pipe waits for ever for somebody to write
into it, a device may have no end, and what a link leads to is known only once it is open.
"""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader
from pathlib import Path

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_AT_ONCE = 1 << 20
_READ_ONLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def open_regular(path: str | Path, limit: int | None = None) -> BufferedReader:
    """Open a file for reading bytes, at once whatever it is.

    Args:
        path: of the file; links are followed.
        limit: bytes that it may have; None is no limit.

    Raises:
        OSError: it cannot be opened, is no regular file, or is larger. `strerror` completes "cannot be read: ...".
    """
    _refuse_irregular(Path(path).stat(), path)  # looked at first: opening alone can move a tape or start a watchdog
    handle = os.open(path, _READ_ONLY)
    try:
        state = os.fstat(handle)
        _refuse_irregular(state, path)
        if limit is not None and state.st_size > limit:
            raise _too_large(path, limit)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_regular(path: str | Path, limit: int) -> bytes:
    """All bytes of a regular file. Raises `OSError` as `open_regular`, also where it turns out to be longer than it
    said, as some files of the system do."""
    with open_regular(path, limit) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise _too_large(path, limit)
    return content


def copy_regular(path: str | Path, target: Path, size: int | None = None) -> None:
    """Copy a regular file, or its first `size` bytes, into a new one, and have that on the disk. Raises `OSError` as
    `open_regular`, and where it cannot be written."""
    with open_regular(path) as source, target.open("xb") as copy:
        left = os.fstat(source.fileno()).st_size if size is None else size
        while left > 0 and (part := source.read(min(left, _AT_ONCE))):
            copy.write(part)
            left -= len(part)
        copy.flush()
        os.fsync(copy.fileno())


def _refuse_irregular(state: os.stat_result, path: str | Path) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(state.st_mode):
        kind = _KINDS.get(stat.S_IFMT(state.st_mode), "no file")
        raise OSError(errno.EINVAL, f"it is {kind}, and only regular files are read", str(path))


def _too_large(path: str | Path, limit: int) -> OSError:
    return OSError(errno.EFBIG, f"it is larger than {limit / 1e6:,.0f} MB", str(path))
