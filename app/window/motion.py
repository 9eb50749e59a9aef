"""Whether things may move by themselves: what the user chose in the View menu, remembered, or what the desktop asks."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal

from app.window.desktop import Desktop
from app.window.settings import Settings

REDUCED, FULL = "reduced", "full"


class Motion(QObject):
    """`changed()`. Until it is chosen, `desktop` says it; without one things move."""

    changed = pyqtSignal()

    def __init__(self, settings: Settings, desktop: Desktop | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings, self._desktop = settings, desktop
        self._choice = settings.text("motion")
        if desktop is not None:
            desktop.changed.connect(self._on_desktop)

    @property
    def follows(self) -> bool:
        """Whether it is as the desktop asks."""
        return self._choice not in (REDUCED, FULL)

    @property
    def reduced(self) -> bool:
        """Whether no more moves than what is shown needs."""
        if self.follows:
            return self._desktop is not None and self._desktop.reduced
        return self._choice == REDUCED

    def reduce(self, reduced: bool) -> None:
        """Move no more than what is shown needs, or move again, whatever the desktop asks."""
        if reduced != self.reduced:
            self._keep(REDUCED if reduced else FULL)

    def follow(self, follows: bool) -> None:
        """Do as the desktop asks, now and whenever that changes, or stay as it is."""
        if follows != self.follows:
            self._keep("" if follows else REDUCED if self.reduced else FULL)

    def _keep(self, choice: str) -> None:
        self._choice = choice
        self._settings.keep("motion", choice)
        self.changed.emit()

    def _on_desktop(self) -> None:
        if self.follows:
            self.changed.emit()
