"""The files that were opened last: data, configurations and recordings, remembered from one start to the next."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QMenu, QWidget

from app.plain import plain_tip
from app.window.settings import Settings
from hnm_core.system import paths

MOST = 10


class Recent(QObject):
    """The newest first. `changed()` when the list has."""

    changed = pyqtSignal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._paths = _read(settings.text("recent"))

    @property
    def paths(self) -> list[Path]:
        """At most `MOST`; some may be gone by now."""
        return list(self._paths)

    def note(self, path: Path) -> None:
        """A file was opened."""
        path = path.absolute()
        self._keep([path, *(other for other in self._paths if other != path)][:MOST])

    def clear(self) -> None:
        """Forget all of them."""
        self._keep([])

    def _keep(self, paths: list[Path]) -> None:
        self._paths = paths
        self._settings.keep("recent", json.dumps([str(path) for path in paths]))
        self.changed.emit()


class RecentMenu(QMenu):
    """The list as a menu. What is gone is grey and says so.

    Args:
        take: opens the path that is chosen.
        actions: the actions of the table, for the one that clears the list.
    """

    def __init__(
        self,
        recent: Recent,
        take: Callable[[Path], object],
        actions: Mapping[str, QAction],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Open recent", parent)
        self.setToolTipsVisible(True)
        self._recent, self._take, self._clear = recent, take, actions["clear_recent"]
        self.aboutToShow.connect(self.fill)
        recent.changed.connect(self._show_state)
        self._show_state()

    def fill(self) -> None:
        """Look again which of the files are there."""
        self.clear()
        for path in self._recent.paths:
            there = paths.at_a_glance(path) != "missing"
            name = path.name.replace("&", "&&")
            action = QAction(name if there else f"{name} (gone)", self)
            action.setEnabled(there)
            action.setToolTip(plain_tip(str(path)))
            action.triggered.connect(lambda _checked=False, path=path: self._take(path))
            self.addAction(action)
        self.addSeparator()
        self.addAction(self._clear)

    def _show_state(self) -> None:
        self.setEnabled(bool(self._recent.paths))
        self._clear.setEnabled(bool(self._recent.paths))


def _read(text: str) -> list[Path]:
    """The paths in a setting; what is none is left out, for anybody may edit the file."""
    try:
        stored = json.loads(text or "[]")
    except ValueError:
        return []
    return [Path(path) for path in stored if isinstance(path, str)][:MOST] if isinstance(stored, list) else []
