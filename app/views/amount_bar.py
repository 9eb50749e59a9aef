"""What the colours of amounts stand for: a bar from none to the most."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.picture.ramp import amount_colors
from app.picture.theme import DARK, Theme

BAR_PX = 56
GAP = 5


class AmountBar(QWidget):
    """For example: 0, a bar, 8.3 %."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._most = DARK, ""
        small = self.font()
        small.setPointSizeF(max(6.5, 0.85 * small.pointSizeF()))
        self.setFont(small)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def show_most(self, most: str) -> None:
        """What the strongest colour stands for."""
        if most != self._most:
            self._most = most
            self.setToolTip(f"Share of a lane's mined pairs: nothing to {most}, the same in all lanes")
            self.setAccessibleName(f"Colours: 0 to {most} of a lane's mined pairs")
            self.updateGeometry()
            self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self.font())
        texts = sum(metrics.horizontalAdvance(text) + GAP for text in ("0", self._most))
        return QSize(texts + BAR_PX + 2, metrics.height() + 2)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        metrics, box = painter.fontMetrics(), QRectF(self.rect())
        left = metrics.horizontalAdvance("0") + GAP
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        painter.setPen(QColor(*self._theme.muted))
        painter.drawText(box, middle, "0")
        painter.drawText(box.adjusted(left + BAR_PX + GAP, 0, 0, 0), middle, self._most)
        colors = amount_colors(np.linspace(0, 1, BAR_PX), self._theme)
        for step, (red, green, blue) in enumerate(colors.tolist()):
            painter.fillRect(QRectF(left + step, box.center().y() - 4, 1, 9), QColor(red, green, blue))
        painter.setPen(QColor(*self._theme.grid))
        painter.drawRect(QRectF(left - 0.5, box.center().y() - 4.5, BAR_PX, 9))
        painter.end()
