"""Standard output and error as users have them: full, closed, in any encoding, or a terminal that has gone away.

What cannot be written to standard output is told once, by `OutputError`; standard error is for people to read, and if
it cannot be written nothing depends on it.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import TextIO

LOOK_ALIKES = {"→": "->", "–": "-", "—": "-", "·": "|", "×": "x", "±": "+-", "…": "...", "≥": ">=", "≤": "<=", "µ": "u"}
"""What stands for signs of ours in an encoding that lacks them; others are shown by their numbers."""

_ESCAPED = range(0xDC80, 0xDD00)
"""How Python keeps the bytes of a name that are no text in the encoding of names."""


class OutputError(OSError):
    """Standard output cannot be written."""


class _Output(io.RawIOBase):
    """Bytes to a file descriptor; `failed` is told what was wrong, and raises or does not."""

    def __init__(self, handle: int, failed: Callable[[OSError], None], *, closed: bool) -> None:
        self._handle, self._failed, self._closed = handle, failed, closed
        self._terminal = os.isatty(handle)
        self.dropped = False
        """Whether what comes is thrown away."""

    def fileno(self) -> int:
        return self._handle

    def isatty(self) -> bool:
        return self._terminal

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # whatever a buffered writer hands over
        if self.dropped:
            return len(view)
        try:
            if self._closed:
                raise OSError(errno.EBADF, "it is closed")
            return self._written(view)
        except OSError as error:
            if not (self._terminal and error.errno == errno.EIO):  # it was closed, so nobody reads any more
                self._failed(error)
            return len(view)

    def _written(self, data: memoryview) -> int:
        while True:
            try:
                return os.write(self._handle, data)
            except BlockingIOError:  # somebody who shares it wants no waiting; we have to
                select.select([], [self._handle], [])


def install() -> None:
    """Replace `sys.stdout` and `sys.stderr`; descriptors that are closed are opened on nothing, so that no file of ours
    becomes standard output by chance."""
    if sys.platform == "win32":  # a console there is no file of bytes
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=_SHOWN)
        return
    closed = _open_closed()
    sys.stdout = _stream(1, sys.stdout, _refuse, closed=1 in closed)
    sys.stderr = _stream(2, sys.stderr, lambda _error: None, closed=2 in closed)


def drop_output() -> None:
    """Send standard output nowhere from now on, also what still waits to be written."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Output):
        raw.dropped = True
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _refuse(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise error
    raise OutputError(error.errno, error.strerror or str(error)) from None


def _open_closed() -> set[int]:
    closed = set()
    for handle in range(3):
        try:
            os.fstat(handle)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free is this one
            closed.add(handle)
    return closed


def _stream(handle: int, before: TextIO | None, failed: Callable[[OSError], None], *, closed: bool) -> TextIO:
    raw = _Output(handle, failed, closed=closed)
    terminal = raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=before.encoding if before is not None else "utf-8",
        errors=_SHOWN if terminal else _PIPED,
        line_buffering=terminal or handle == 2,
    )


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_sign, error.object[error.start : error.end])), error.end


def _readable_or_raw(error: UnicodeError) -> tuple[str | bytes, int]:
    """A name of a file goes to another program as it is, even where it is no text."""
    if isinstance(error, UnicodeEncodeError) and ord(error.object[error.start]) in _ESCAPED:
        return bytes([ord(error.object[error.start]) - 0xDC00]), error.start + 1
    return _readable(error)


def _sign(sign: str) -> str:
    return LOOK_ALIKES.get(sign) or sign.encode("ascii", "backslashreplace").decode()


_SHOWN, _PIPED = "hnm-lab-shown", "hnm-lab-piped"
codecs.register_error(_SHOWN, _readable)
codecs.register_error(_PIPED, _readable_or_raw)
