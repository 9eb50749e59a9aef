"""Pictures as files, whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

from PyQt6.QtCore import QBuffer
from PyQt6.QtGui import QPixmap

from hnm_core.system.whole_files import whole_file

PICTURES = ("png", "jpg", "jpeg")
"""Kinds, as file names end."""


def write_picture(picture: QPixmap, path: Path, kind: str) -> None:
    """Write a picture of one of the kinds `PICTURES`. Raises `OSError`."""
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    if not picture.save(buffer, kind):
        raise OSError(errno.EINVAL, f"Qt writes no {kind} here", str(path))
    with whole_file(path) as part:
        part.write_bytes(buffer.data().data())
