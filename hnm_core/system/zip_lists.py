"""Zip files, which are damaged where nobody looks: the list at the end alone of all bytes has no checksum, and not all
that read the others compare theirs."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

_ENTRY = b"PK\x01\x02"
"""What the entry of a member begins with in the list."""
_MEMBER = b"PK\x03\x04"
"""What the first member begins with, and so the file; torch, too, knows it by that."""


def check_list(stored: zipfile.ZipFile) -> None:
    """Refuse a list in which one bit has made a member vanish that nobody then misses: its name is another than stands
    at the member itself, or its entry is taken for the comment of the one before; or that has two members of one name,
    of which readers see the last alone.

    Raises:
        BadZipFile: that is so.
        RuntimeError: a member is encrypted, or packed in a way that nobody knows.
    """
    seen: set[str] = set()
    for member in stored.infolist():
        if member.filename in seen:
            raise zipfile.BadZipFile(f"it holds '{member.filename}' twice")
        seen.add(member.filename)
        if _ENTRY in member.comment or _ENTRY in member.extra:
            raise zipfile.BadZipFile(f"its list of what it holds is damaged behind '{member.filename}'")
        stored.open(member).close()  # compares the names


def check_all(file: BinaryIO) -> None:
    """Compare every byte of an open zip file with its checksum, for those who will not; afterwards it stands at its
    beginning again. A file of another kind is left alone.

    Raises:
        BadZipFile: it is not as it was written.
        Exception: something else is, in any way.
    """
    begin = file.read(len(_MEMBER))
    if begin == _MEMBER:
        with zipfile.ZipFile(file) as stored:
            check_list(stored)
            if (wrong := stored.testzip()) is not None:
                raise zipfile.BadZipFile(f"'{wrong}' in it has another checksum, or was saved without one")
    file.seek(0)
