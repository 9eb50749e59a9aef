"""The list at the end of a zip file, which alone of all its bytes has no checksum."""

from __future__ import annotations

import zipfile

_ENTRY = b"PK\x01\x02"
"""What the entry of a member begins with in the list."""


def check_list(stored: zipfile.ZipFile) -> None:
    """Refuse a list in which one bit has made a member vanish that nobody then misses: its name is another than stands
    at the member itself, or its entry is taken for the comment of the one before.

    Raises:
        BadZipFile: that is so.
        RuntimeError: a member is encrypted, or packed in a way that nobody knows.
    """
    for member in stored.infolist():
        if _ENTRY in member.comment or _ENTRY in member.extra:
            raise zipfile.BadZipFile(f"its list of what it holds is damaged behind '{member.filename}'")
        stored.open(member).close()  # compares the names
