"""Questions about paths of the user's, and names that are no text.

What `pathlib` raises where it is asked about a name that is too long, or about what lies in a closed folder, becomes
one sentence; what takes a path that the user has just named asks here. Where nobody waits for an answer, as in a list
of recent files, `at_a_glance` is asked. What is to be read is not asked about first: `regular_files` opens it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from hnm_core.errors import InputError

Kind = Literal["file", "folder", "other", "missing"]
"""other: a device, a pipe, a socket."""

_ESCAPED = re.compile(r"\\x([89a-f][0-9a-f])")


def kind(path: str | Path) -> Kind:
    """What is there, at the end of links.

    Raises:
        InputError: that cannot be found out: a name that is too long, a closed folder, a damaged disk.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (OSError, ValueError) as error:  # a zero byte in it is a ValueError
        raise InputError(f"'{path}' cannot be looked at: {why(error)}.") from None
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def at_a_glance(path: str | Path) -> Kind:
    """What is there, at the end of links; "missing" where that cannot be found out."""
    try:
        return kind(path)
    except InputError:
        return "missing"


def exists(path: str | Path) -> bool:
    """Whether anything is there. Raises `InputError` as `kind`."""
    return kind(path) != "missing"


def is_file(path: str | Path) -> bool:
    """Whether an ordinary file is there. Raises `InputError` as `kind`."""
    return kind(path) == "file"


def is_folder(path: str | Path) -> bool:
    """Whether a folder is there. Raises `InputError` as `kind`."""
    return kind(path) == "folder"


def why(error: Exception) -> str:
    """What the system says, without the path, which it repeats."""
    return getattr(error, "strerror", None) or str(error)


def text_of(path: str | Path) -> str:
    r"""A path as text that can be printed, stored and read back: a byte that is no text becomes `\xff`."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def path_of(text: str) -> Path:
    """The path that `text_of` was given, with ~ resolved.

    Raises:
        InputError: ~ of somebody who is not known, or as `kind`.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise InputError(f"'{text}' cannot be looked at: {error}.") from None
    if not _ESCAPED.search(text) or exists(path):
        return path
    raw = _ESCAPED.sub(lambda found: bytes.fromhex(found[1]).decode("utf-8", "surrogateescape"), str(path))
    return Path(raw)


def refuse_replacing(out: Path, read: Iterable[str], *, made: bool = False) -> None:
    """See to it that nothing that is read is written over.

    Args:
        out: the file to be written.
        read: what is read, by path; an empty text is none, and a name that no path has does no harm.
        made: whether `out` was written by the same command before, so that it may lie in a folder that is read.

    Raises:
        InputError: `out` is one of these files, or is in one of these folders and was not made.
    """
    if not exists(out):
        return
    for path in map(path_of, filter(None, read)):
        inside = is_folder(path) and not made and out.resolve().is_relative_to(path.resolve())
        if inside or (exists(path) and out.samefile(path)):
            raise InputError(f"'{out}' is part of what is read and would be written over; give another name.")
