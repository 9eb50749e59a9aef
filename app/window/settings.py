"""What the window remembers between two starts: one ini file in the user's configuration folder, or nothing at all."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QByteArray, QSettings

from hnm_core.system import user_folders


def data_dir() -> Path:
    """The user's data folder of this program: recordings and reports."""
    return user_folders.data_folder()


class Settings:
    """Text and window geometry by name. Without a `path` nothing is read and nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._store = QSettings(str(path), QSettings.Format.IniFormat) if path is not None else None

    @classmethod
    def of_the_user(cls) -> Settings:
        """The settings file of the person who runs the program."""
        return cls(user_folders.settings_folder() / "window.ini")

    def text(self, name: str, default: str = "") -> str:
        """The text stored under `name`."""
        value = self._store.value(name) if self._store is not None else None
        return value if isinstance(value, str) else default

    def blob(self, name: str) -> QByteArray | None:
        """The bytes stored under `name`; None when there are none."""
        value = self._store.value(name) if self._store is not None else None
        return value if isinstance(value, QByteArray) else None

    def keep(self, name: str, value: str | QByteArray) -> None:
        """Store a value. A folder that cannot be written to is no reason to fail: the value is then forgotten."""
        if self._store is not None:
            self._store.setValue(name, value)
