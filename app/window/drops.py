"""Files that are held anywhere over the window: says what a drop will do, refuses what cannot be opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QDropEvent
from PyQt6.QtWidgets import QMainWindow

from app.offers import Offer, offer
from app.panels.drop_overlay import DropOverlay
from app.picture.theme import Theme
from app.window.file_actions import dropped_files


class Drops(QObject):
    """Listens where the system speaks to the window, so that lines to type in get no files either.

    Args:
        take: is given the path that is let go, and the file with its labels, where that is let go with it.
        refuse: is told why nothing can be done with it, on systems that let go all the same.
        running: whether a run is on.
    """

    def __init__(
        self,
        window: QMainWindow,
        *,
        take: Callable[[Path, Path | None], object],
        refuse: Callable[[str], object],
        running: Callable[[], bool],
    ) -> None:
        super().__init__(window)
        self._window, self._take, self._refuse, self._running = window, take, refuse, running
        self._offer: Offer | None = None
        self.overlay = DropOverlay(window)

    def watch(self) -> None:
        """Begin, once the window has been shown: until then the system does not know it."""
        handle = self._window.windowHandle()
        if handle is not None:
            handle.installEventFilter(self)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.overlay.set_theme(theme)

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Everything that is dragged and is a file is dealt with here alone; text goes to the line it is dragged to."""
        if isinstance(event, QDropEvent):  # which entering and moving are, too
            data = event.mimeData()
            if self._offer is None or event.type() == QEvent.Type.DragEnter:
                urls = data is not None and data.hasUrls()
                self._offer = offer(dropped_files(data), running=self._running()) if urls else None
            return self._offer is not None and self._on_drag(event, self._offer)
        if event is not None and event.type() == QEvent.Type.DragLeave and self._offer is not None:
            self._end()
            return True
        return False

    def _on_drag(self, event: QDropEvent, offered: Offer) -> bool:
        event.setDropAction(Qt.DropAction.CopyAction)
        event.setAccepted(offered.accepted)
        if event.type() != QEvent.Type.Drop:
            self.overlay.say(offered.text, welcome=offered.accepted)
            return True
        self._end()
        if offered.accepted and offered.path is not None:
            self._take(offered.path, offered.labels)
        else:
            self._refuse(offered.text)
        return True

    def _end(self) -> None:
        self._offer = None
        self.overlay.hide()
