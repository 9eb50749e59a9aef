"""Which colour is which band of hardness."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.history.hardness_words import BAND_WORDS
from app.picture.edges import EASY, HARD, SEMI_HARD, kind_colors
from app.picture.theme import DARK, Theme

BAND_KINDS = (HARD, SEMI_HARD, EASY)
"""Which kinds of edges the bands are: they have the same colours."""
BOX, GAP = 9, 10
"""Pixels of a square, and between entries."""


class BandKey(QWidget):
    """A square and a name for each, as many as there is room for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        small = self.font()
        small.setPointSizeF(max(6.5, small.pointSizeF() * 0.85))
        self.setFont(small)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(f"Bands: {', '.join(BAND_WORDS)}")
        self.setToolTip("The colours are those of the mined pairs in the clouds")

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetricsF(self.font())
        words = sum(BOX + 4 + metrics.horizontalAdvance(word) for word in BAND_WORDS)
        return QSize(int(9 + words + GAP * (len(BAND_WORDS) - 1)), int(metrics.height()) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter, metrics = QPainter(self), QFontMetricsF(self.font())
        x, middle = 8.0, self.height() / 2
        for word, kind in zip(BAND_WORDS, BAND_KINDS, strict=True):
            width = BOX + 4 + metrics.horizontalAdvance(word)
            if x + width > self.width():
                return
            painter.fillRect(QRectF(x, middle - BOX / 2, BOX, BOX), QColor(*kind_colors(self._theme)[kind]))
            painter.setPen(QColor(*self._theme.text))
            painter.drawText(QPointF(x + BOX + 4, middle - metrics.height() / 2 + metrics.ascent()), word)
            x += width + GAP
