"""What the colours of a column mean: a bar from its lowest to its highest value, the same for all clouds."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QLinearGradient, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.picture.scene import SCALE
from app.picture.theme import DARK, Theme

BAR, GAP, MARGIN = 120, 6, 10


class ColorScale(QWidget):
    """The name of a column, its lowest value, the bar, its highest value."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        small = self.font()
        small.setPointSizeF(max(7.0, 0.9 * small.pointSizeF()))
        self.setFont(small)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._theme = DARK
        self.texts = ("", "", "")
        """Name, lowest, highest"""
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def show_range(self, name: str, low: float, high: float) -> None:
        """Colours of this column go from `low` to `high`; what lies beyond has the colours of the ends."""
        self.texts = name, lowest, highest = name, f"{low:.3g}", f"{high:.3g}"
        self.setToolTip(f"Colours of {name}, the same in all clouds: {lowest} to {highest}; grey: no value")
        self.setAccessibleName(f"Colours of {name} go from {lowest} to {highest}")
        self.updateGeometry()
        self.setVisible(True)
        self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self.font())
        text = sum(metrics.horizontalAdvance(part) + GAP for part in self.texts)
        return QSize(text + BAR + 2 * MARGIN, metrics.height() + 6)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        metrics, left = painter.fontMetrics(), float(MARGIN)
        middle = int(Qt.AlignmentFlag.AlignVCenter)
        for place, text in enumerate(self.texts):
            if place == 2:
                bar = QRectF(left, self.height() / 2 - 4, BAR, 8)
                gradient = QLinearGradient(QPointF(bar.left(), 0), QPointF(bar.right(), 0))
                for stop, rgb in enumerate(SCALE):
                    gradient.setColorAt(stop / (len(SCALE) - 1), QColor(*rgb))
                painter.fillRect(bar, gradient)
                left = bar.right() + GAP
            width = metrics.horizontalAdvance(text)
            painter.setPen(QColor(*(self._theme.text if place == 0 else self._theme.muted)))
            painter.drawText(QRectF(left, 0, width + 2, self.height()), middle, text)
            left += width + GAP
