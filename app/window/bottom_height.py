"""The height of the docks below the clouds: a window that was low for a while gives it back when it grows again."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtWidgets import QApplication, QDockWidget, QMainWindow

SHARE = 0.25
"""Of the height of the window, until the user drags the border above them."""


class BottomHeight(QObject):
    """Remembers how high the user wants `docks` to be, as a share of `window`: what was dragged, not what a low window
    left of it."""

    def __init__(self, window: QMainWindow, docks: Sequence[QDockWidget]) -> None:
        super().__init__(window)
        self._window, self._docks = window, docks
        self.share = SHARE
        self._height = window.height()  # of the window, when the docks were last looked at
        window.installEventFilter(self)
        for dock in docks:
            dock.installEventFilter(self)

    def regain(self) -> None:
        """Make the docks as high as they are wanted, where they are lower."""
        below = [dock for dock in self._docks if self._is_below(dock)]
        wanted = round(self.share * self._window.height())
        if below and max(dock.height() for dock in below) < wanted:
            self._window.resizeDocks(below, [wanted] * len(below), Qt.Orientation.Vertical)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Qt lays a window's docks out before the window itself hears of its new size."""
        if event is not None and event.type() == QEvent.Type.Resize:
            height = self._window.height()
            if watched is self._window:
                grown, self._height = height > self._height, height
                if grown:
                    self.regain()
            elif isinstance(watched, QDockWidget) and height == self._height and self._dragged(watched):
                # Docks with tabs below them are lower by these.
                self.share = max(dock.height() for dock in self._docks if self._is_below(dock)) / height
        return super().eventFilter(watched, event)

    def shows(self, dock: QDockWidget) -> bool:
        """Whether a dock stands there, and not behind another one as a tab."""
        return self._is_below(dock) and not dock.visibleRegion().isEmpty()

    def _is_below(self, dock: QDockWidget) -> bool:
        area = self._window.dockWidgetArea(dock)
        return dock.isVisible() and not dock.isFloating() and area == Qt.DockWidgetArea.BottomDockWidgetArea

    def _dragged(self, dock: QDockWidget) -> bool:
        return self._is_below(dock) and bool(QApplication.mouseButtons() & Qt.MouseButton.LeftButton)
