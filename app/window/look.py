"""Light or dark: what the user chose, or what the desktop is."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QApplication

from app import style
from app.picture.theme import Theme, theme
from app.window.settings import Settings


class Look(QObject):
    """The theme of the whole program. `changed(Theme)` after the application has taken it up."""

    changed = pyqtSignal(object)

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.theme: Theme = theme(settings.text("theme") or style.system_theme())
        self._apply()  # before there are widgets, which would all have to be polished anew
        hints = QGuiApplication.styleHints()
        if hints is not None:
            hints.colorSchemeChanged.connect(self._on_system_theme)

    def set(self, chosen: Theme) -> None:
        """Give everything the look of a theme, until the window is closed."""
        self.theme = chosen
        self._apply()
        self.changed.emit(chosen)

    def _apply(self) -> None:
        app = QApplication.instance()
        if isinstance(app, QApplication):
            style.apply(app, self.theme)

    def toggle(self) -> None:
        """Light becomes dark, dark becomes light, and stays so."""
        self.set(theme("light" if self.theme.name == "dark" else "dark"))
        self._settings.keep("theme", self.theme.name)

    def follow_system(self) -> None:
        """Take the desktop's look, now and whenever it changes."""
        self._settings.keep("theme", "")
        self.set(theme(style.system_theme()))

    def _on_system_theme(self) -> None:
        if not self._settings.text("theme"):
            self.set(theme(style.system_theme()))
