"""Says over the whole window what will happen to files that are held over it."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QWidget

from app.picture.theme import DARK, Theme
from app.style import mix

EDGE_PX, CORNER_PX, ROOM_PX = 14, 12, 560
VEIL_ALPHA = 150


class DropOverlay(QWidget):
    """Lies over `window` while files are held over it."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._theme, self._welcome = DARK, True
        self.text = ""
        self.setMouseTracking(True)
        self.setAccessibleName("What a drop will do")
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme

    def say(self, text: str, *, welcome: bool) -> None:
        """Lie over the window with `text`. `welcome`: it will be done; else it says why not."""
        self.text, self._welcome = text, welcome
        self.setAccessibleDescription(text)
        window = self.parentWidget()
        assert window is not None
        self.setGeometry(window.rect())
        self.raise_()
        self.show()
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """While something is dragged there are no such events: it was let go elsewhere."""
        self.hide()

    def event(self, event: QEvent | None) -> bool:
        """Neither are there keys or clicks."""
        if event is not None and event.type() in (QEvent.Type.MouseButtonPress, QEvent.Type.KeyPress):
            self.hide()
        return super().event(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """A veil, a dashed frame, and the words on a plate in the middle."""
        theme, painter = self._theme, QPainter(self)
        lit = theme.accent if self._welcome else theme.warning
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), QColor(*mix(theme.cloud_bottom, lit, 0.12), VEIL_ALPHA))
        pen = QPen(QColor(*lit), 3, Qt.PenStyle.DashLine if self._welcome else Qt.PenStyle.SolidLine)
        painter.setPen(pen)
        frame = QRectF(self.rect()).adjusted(EDGE_PX, EDGE_PX, -EDGE_PX, -EDGE_PX)
        painter.drawRoundedRect(frame, CORNER_PX, CORNER_PX)
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 1.5)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        room = QRectF(0, 0, min(ROOM_PX, self.width() - 6 * EDGE_PX), self.height() - 6 * EDGE_PX)
        words = painter.boundingRect(room, flags, self.text)
        words.moveCenter(QRectF(self.rect()).center())
        painter.setPen(QPen(QColor(*lit), 1))
        painter.setBrush(QColor(*theme.panel))
        painter.drawRoundedRect(words.adjusted(-28, -20, 28, 20), CORNER_PX, CORNER_PX)
        painter.setPen(QColor(*theme.text))
        painter.drawText(words, flags, self.text)
