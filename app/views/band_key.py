"""Which colour is which band of hardness."""

from __future__ import annotations

import math

from PyQt6.QtCore import QPointF, QRectF, QSize
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.history.hardness_words import BAND_WORDS
from app.picture.edges import EASY, HARD, SEMI_HARD, kind_colors
from app.picture.theme import DARK, Theme

BAND_KINDS = (HARD, SEMI_HARD, EASY)
"""Which kinds of edges the bands are: they have the same colours."""
BOX = 9
"""Pixels of a square."""
LEFT = 8.0
"""Pixels before the first."""
WORDINGS = (
    (BAND_WORDS, 10.0),
    (BAND_WORDS, 5.0),
    (tuple(word.split("-")[0] for word in BAND_WORDS), 5.0),
    (tuple(word[0] for word in BAND_WORDS), 5.0),
    (("",) * len(BAND_WORDS), 3.0),
)
"""The words beside the squares, and pixels between entries, from the longest to none: the first that has room is taken,
for of three colours a key must tell three."""


class BandKey(QWidget):
    """A square and a name for each, the name as long as there is room for."""

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

    @property
    def words(self) -> tuple[str, ...]:
        """What stands beside the squares in the room that there is now."""
        return self._wording()[0]

    def sizeHint(self) -> QSize:
        return self._size(*WORDINGS[0])

    def minimumSizeHint(self) -> QSize:
        return self._size(*WORDINGS[-1])

    def _size(self, words: tuple[str, ...], gap: float) -> QSize:
        metrics = QFontMetricsF(self.font())
        entries = sum(self._width_of(word) for word in words)
        return QSize(math.ceil(LEFT + entries + gap * (len(words) - 1)), int(metrics.height()) + 2)

    def _width_of(self, word: str) -> float:
        return BOX + (4 + QFontMetricsF(self.font()).horizontalAdvance(word) if word else 0)

    def _wording(self) -> tuple[tuple[str, ...], float]:
        fits = (wording for wording in WORDINGS if self._size(*wording).width() <= self.width())
        return next(fits, WORDINGS[-1])

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter, metrics = QPainter(self), QFontMetricsF(self.font())
        words, gap = self._wording()
        x, middle = LEFT, self.height() / 2
        for word, kind in zip(words, BAND_KINDS, strict=True):
            painter.fillRect(QRectF(x, middle - BOX / 2, BOX, BOX), QColor(*kind_colors(self._theme)[kind]))
            painter.setPen(QColor(*self._theme.text))
            painter.drawText(QPointF(x + BOX + 4, middle - metrics.height() / 2 + metrics.ascent()), word)
            x += self._width_of(word) + gap
