"""Whether things may move by themselves: what the user chose in the View menu, remembered."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal

from app.window.settings import Settings


class Motion(QObject):
    """`changed(reduced)`. Qt does not tell what the desktop prefers, so until it is chosen things move."""

    changed = pyqtSignal(bool)

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.reduced = settings.text("motion") == "reduced"

    def reduce(self, reduced: bool) -> None:
        """Move no more than what is shown needs, or move again."""
        if reduced != self.reduced:
            self.reduced = reduced
            self._settings.keep("motion", "reduced" if reduced else "")
            self.changed.emit(reduced)
