"""The red mark that says that the window is being filmed, and for how long."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

RED = (229, 57, 53)
GAP_PX = 4


class CaptureMark(QWidget):
    """Stands in the upper right corner of its window, over everything; the film does not show it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window, self._words = window, ""
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        window.installEventFilter(self)
        self.hide()

    def say(self, seconds: float) -> None:
        """Being filmed for so long."""
        minutes, rest = divmod(int(seconds), 60)
        words = f"REC {minutes}:{rest:02d}"
        if words != self._words or self.isHidden():
            self._words = words
            self.setAccessibleName(f"The window is being filmed, {words[4:]}. V ends it.")
            metrics = self.fontMetrics()
            self.resize(metrics.horizontalAdvance("REC 00:00") + 2 * metrics.height() + 4, metrics.height() + 6)
            self._place()
            self.show()
            self.raise_()
            self.update()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """It stays in its corner."""
        if watched is self._window and event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        self.move(self._window.width() - self.width() - GAP_PX, GAP_PX)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        high = self.height()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*RED))
        painter.drawRoundedRect(QRectF(self.rect()), high / 2, high / 2)
        painter.setBrush(QColor(255, 255, 255))
        painter.drawEllipse(QRectF(0.32 * high, 0.3 * high, 0.4 * high, 0.4 * high))
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(self.rect().adjusted(high, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), self._words)
