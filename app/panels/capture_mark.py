"""The red mark that says that the window is being filmed, and for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PyQt6 import sip
from PyQt6.QtCore import QEvent, QObject, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPaintEngine, QPainter, QPaintEvent, QTransform
from PyQt6.QtWidgets import QWidget

RED = (229, 57, 53)
GAP_PX = 4
_IMAGE: Any = QImage


class CaptureMark(QWidget):
    """Stands in the upper right corner of its window, over everything; the film does not show it.

    As it lies over everything it is painted last, and then all that the window shows has been painted, but for the mark
    itself: that is when a picture of the window can be had without painting or copying anything.
    """

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window, self._words = window, ""
        self._look: Callable[[QImage, QTransform], None] | None = None
        self._unseen = False
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

    def look_below(self, look: Callable[[QImage, QTransform], None]) -> None:
        """Have what is due to be painted painted, and call `look` with the memory that the whole window is painted in,
        which is to be left as it is and is valid in this call only, and with where that has what lies at the mark's
        own coordinates. Not called where nothing is painted now (a window out of sight), or not in memory."""
        self._look = look
        try:
            self.repaint()
        finally:
            self._look = None

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """While this lasts it paints nothing."""
        self._unseen = True
        try:
            yield
        finally:
            self._unseen = False

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """It stays in its corner."""
        if watched is self._window and event is not None and event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        self.move(self._window.width() - self.width() - GAP_PX, GAP_PX)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if self._unseen:
            return
        painter = QPainter(self)
        engine = painter.paintEngine()
        if self._look is not None and engine is not None and engine.type() == QPaintEngine.Type.Raster:
            # That engine paints into images alone; the bindings know this one only as something to be painted on.
            device: Any = engine.paintDevice()
            image: Any = sip.cast(device, _IMAGE)
            self._look(image, painter.deviceTransform())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        high = self.height()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*RED))
        painter.drawRoundedRect(QRectF(self.rect()), high / 2, high / 2)
        painter.setBrush(QColor(255, 255, 255))
        painter.drawEllipse(QRectF(0.32 * high, 0.3 * high, 0.4 * high, 0.4 * high))
        painter.setPen(QColor(255, 255, 255))
        painter.drawText(self.rect().adjusted(high, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), self._words)
