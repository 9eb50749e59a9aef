"""Lines of the user's text files, gzipped or not, in bounded memory. What is no UTF-8 is refused with its place."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from hnm_core.data import checks
from hnm_core.data.base import Progress, report
from hnm_core.errors import InputError
from hnm_core.system import memory
from hnm_core.system.regular_files import open_regular

LONGEST_LINE = 16 << 20
"""Bytes: a document of 3 million words, or of 1,000 long passages."""
AT_ONCE = 64 << 20
"""Bytes after which the memory is looked at again: a gzipped file does not say how long it is."""
TAKES = 2
"""Times its bytes that text takes at most while it is read: as bytes, then as text."""

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_GZIP = b"\x1f\x8b"


def lines(path: Path, progress: Progress | None = None) -> Iterator[tuple[int, str]]:
    """Each line with its number, counted from 1; its end of line is left on.

    Raises:
        InputError: a line that is no UTF-8 text or too long, a damaged archive, or more than the memory holds.
        LoadCancelled: the progress callback returned False.
        OSError: the file cannot be opened, or is no ordinary one.
    """
    with open_regular(path) as raw:
        total, number, left = os.fstat(raw.fileno()).st_size, 0, 0
        with _unzipped(raw, path) as file:
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                left -= len(line)
                if len(line) > LONGEST_LINE:
                    raise InputError(
                        f"'{path}', line {number}, is longer than {LONGEST_LINE / 1e6:,.0f} MB; it must be text with "
                        "one record a line."
                    )
                if left < 0:
                    left = AT_ONCE
                    memory.require(TAKES * AT_ONCE, f"all of '{path}'", "read a part of it")
                    report(progress, min(raw.tell(), total), total, f"reading {path.name}")
                yield number, _decoded(line, number, path)
        report(progress, total, total, f"reading {path.name}")


def first_line(path: Path) -> str:
    """The first line that holds anything, without its end; empty where there is none. Raises as `lines`."""
    return next((line.rstrip("\r\n") for _, line in lines(path) if line.strip()), "")


@contextmanager
def _unzipped(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """The file, or what is packed in it: its first bytes say which, not its name."""
    zipped = raw.read(2) == _GZIP
    raw.seek(0)
    if not zipped:
        yield raw
        return
    try:
        with gzip.GzipFile(fileobj=raw) as file:
            yield cast("IO[bytes]", file)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"'{path}' is a damaged gzip file: {checks.reason(error)}.") from None


def _decoded(line: bytes, number: int, path: Path) -> str:
    if number == 1:
        if line.startswith(_UTF16):
            raise InputError(f"'{path}' is UTF-16 text; save it as UTF-8.")
        line = line.removeprefix(_BOM)
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"'{path}', line {number}, byte {error.start + 1} (0x{line[error.start]:02x}) is no UTF-8 text; save the "
            "file as UTF-8 (of latin-1: iconv -f latin1 -t utf-8 OLD > NEW)."
        ) from None
    if "\0" in text:
        raise InputError(
            f"'{path}', line {number}, byte {line.index(0) + 1} is a zero byte, which no text holds; save the file as "
            "UTF-8 text."
        )
    return text
