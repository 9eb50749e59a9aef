"""Which colour is which class, where the points of the clouds are coloured by a few classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.picture.scene import class_colors
from app.picture.theme import DARK, Theme

DOT, GAP = 8, 5
"""Pixels of a dot, and between it and its name."""
MARGIN = 10


class ClassKey(QWidget):
    """A dot and a name for each class, in one line. Takes no room where there are more classes than plain colours."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        small = self.font()
        small.setPointSizeF(max(7.0, 0.9 * small.pointSizeF()))
        self.setFont(small)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._theme = DARK
        self.names: tuple[str, ...] = ()
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def show_classes(self, names: Sequence[str]) -> None:
        """The names of classes 0, 1, ...; none, or more than there are plain colours, hides the key."""
        self.names = tuple(names) if len(names) <= len(self._theme.classes) else ()
        listed = ", ".join(self.names)
        self.setToolTip(f"Colours of the classes {listed}; items held out of training are paler")
        self.setAccessibleName(f"Classes: {listed}")
        self.setVisible(bool(self.names))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(80, QFontMetrics(self.font()).height() + 6)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        metrics = painter.fontMetrics()
        room = (self.width() - 2 * MARGIN) / max(1, len(self.names)) - DOT - 3 * GAP
        fits = sum(metrics.horizontalAdvance(name) + DOT + 3 * GAP for name in self.names) <= self.width() - 2 * MARGIN
        left, middle = float(MARGIN), self.height() / 2
        colors = class_colors(np.arange(len(self.names)), self._theme).tolist()
        for name, color in zip(self.names, colors, strict=True):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(*color))
            painter.drawEllipse(QPointF(left + DOT / 2, middle), DOT / 2, DOT / 2)
            shown = name if fits else metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(room))
            left += DOT + GAP
            painter.setPen(QColor(*self._theme.muted))
            width = metrics.horizontalAdvance(shown)
            painter.drawText(QRectF(left, 0, width + 2, self.height()), int(Qt.AlignmentFlag.AlignVCenter), shown)
            left += width + 2 * GAP
