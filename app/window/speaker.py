"""Speaker's mode: clouds and timeline fill the screen, in larger letters, under a pointer that a hall can see."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QByteArray, QEvent, QObject, QPointF, QRectF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QCursor, QFont, QPainter, QPen, QPixmap, QPolygonF
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QWidget

from app.picture.theme import Rgb

LARGER = 1.45
HALO_PX = 64
HALO: Rgb = (255, 208, 0)
"""Seen on dark and on light ground, and not one of the classes."""


class SpeakerMode(QObject):
    """`left()` when it ends by itself, because the window is no longer full-screen.

    Args:
        hidden: what goes away beside the docks.
        enlarged: what is written in larger letters, all that is in it too.
        centre: what stays, both of them in it; over it the pointer has a halo.
    """

    left = pyqtSignal()

    def __init__(
        self, window: QMainWindow, *, hidden: Sequence[QWidget], enlarged: Sequence[QWidget], centre: QWidget
    ) -> None:
        super().__init__(window)
        self._window, self._hidden, self._enlarged, self._centre = window, hidden, enlarged, centre
        self._before: tuple[Qt.WindowState, QByteArray] | None = None
        self._taken: list[QWidget] = []
        for widget in (window, centre, *enlarged):
            widget.installEventFilter(self)

    @property
    def on(self) -> bool:
        """Whether the window is in speaker's mode."""
        return self._before is not None

    def set(self, on: bool) -> None:
        """Enter or leave it."""
        if on and not self.on:
            self._enter()
        elif not on and self.on:
            self._leave()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """The desktop ends a full screen in ways of its own; another experiment brings new panes, and words on top."""
        if event is not None and self.on:
            if watched is self._window and event.type() == QEvent.Type.WindowStateChange:
                state = self._window.windowState()
                if not state & (Qt.WindowState.WindowFullScreen | Qt.WindowState.WindowMinimized):
                    self.left.emit()
            elif event.type() == QEvent.Type.LayoutRequest:
                self._clear_away()
        return False

    def _enter(self) -> None:
        window = self._window
        self._before, self._taken = (window.windowState(), window.saveState()), []
        for dock in window.findChildren(QDockWidget):
            if not dock.isFloating():
                dock.hide()
        self._clear_away()
        self._centre.setCursor(halo(window.devicePixelRatioF()))
        window.setWindowState(window.windowState() | Qt.WindowState.WindowFullScreen)

    def _leave(self) -> None:
        assert self._before is not None
        (state, places), self._before = self._before, None
        self._centre.unsetCursor()
        for widget in self._written():
            widget.setFont(QFont())
        self._window.setWindowState(state)
        for widget in self._taken:
            widget.show()
        self._window.restoreState(places)

    def _clear_away(self) -> None:
        for widget in self._hidden:
            if not widget.isHidden():
                widget.hide()
                self._taken.append(widget)
        larger = QFont(self._window.font())
        larger.setPointSizeF(larger.pointSizeF() * LARGER)
        for widget in self._written():
            if widget.font().pointSizeF() < larger.pointSizeF():
                widget.setFont(larger)

    def _written(self) -> list[QWidget]:
        """All that has letters of its own: under a style sheet they do not come from the widget around."""
        return [inner for widget in self._enlarged for inner in (widget, *widget.findChildren(QWidget))]


def halo(scale: float) -> QCursor:
    """An arrow in a ring of light; `scale` is device pixels in a logical one."""
    size = round(HALO_PX * scale)
    picture = QPixmap(size, size)
    picture.setDevicePixelRatio(scale)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    middle = HALO_PX / 2
    ring = QRectF(4, 4, HALO_PX - 8, HALO_PX - 8)
    painter.setBrush(QColor(*HALO, 60))
    for color, width in ((QColor(0, 0, 0, 150), 5.0), (QColor(*HALO), 3.0)):
        painter.setPen(QPen(color, width))
        painter.drawEllipse(ring)
        painter.setBrush(Qt.BrushStyle.NoBrush)
    arrow = ((0, 0), (0, 19), (4.5, 15), (7.5, 22), (11, 20.5), (8, 14), (14, 14))
    painter.setPen(QPen(QColor(0, 0, 0), 1.4))
    painter.setBrush(QColor(255, 255, 255))
    painter.drawPolygon(QPolygonF([QPointF(middle + x, middle + y) for x, y in arrow]))
    painter.end()
    return QCursor(picture, HALO_PX // 2, HALO_PX // 2)
