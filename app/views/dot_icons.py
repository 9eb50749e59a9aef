"""Small icons of one colour, which say what a row is about.

Qt keeps a picture of every icon that it has painted, up to many megabytes. What is shown anew several times a second
therefore takes the same icon again.
"""

from __future__ import annotations

from PyQt6.QtGui import QColor, QIcon, QPixmap

from app.picture.theme import Rgb


class DotIcons:
    """Icons of `width` by `height` pixels, by default as high as wide; one for each colour."""

    def __init__(self, width: int, height: int | None = None) -> None:
        self._size = width, width if height is None else height
        self._made: dict[Rgb, QIcon] = {}

    def of(self, rgb: Rgb) -> QIcon:
        """The icon of a colour, always the same."""
        if rgb not in self._made:
            dot = QPixmap(*self._size)
            dot.fill(QColor(*rgb))
            self._made[rgb] = QIcon(dot)
        return self._made[rgb]
