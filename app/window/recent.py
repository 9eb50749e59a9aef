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
        self._opened = _read(settings.text("recent"))

    @property
    def paths(self) -> list[Path]:
        """At most `MOST`; some may be gone by now."""
        return list(self._opened)

    def labels_of(self, path: Path) -> Path | None:
        """The file with the labels of vectors, where they were opened with one."""
        return self._opened.get(path)

    def note(self, path: Path, labels: Path | None = None) -> None:
        """A file was opened, vectors with their `labels` in another."""
        opened = {path.absolute(): None if labels is None else labels.absolute()}
        opened |= {other: its for other, its in self._opened.items() if other not in opened}
        self._keep(dict(list(opened.items())[:MOST]))

    def clear(self) -> None:
        """Forget all of them."""
        self._keep({})

    def _keep(self, opened: dict[Path, Path | None]) -> None:
        self._opened = opened
        stored = [str(path) if labels is None else [str(path), str(labels)] for path, labels in opened.items()]
        self._settings.keep("recent", json.dumps(stored))
        self.changed.emit()


class RecentMenu(QMenu):
    """The list as a menu. What is gone is grey and says so.

    Args:
        take: opens the path that is chosen, with the file of its labels or None.
        actions: the actions of the table, for the one that clears the list.
    """

    def __init__(
        self,
        recent: Recent,
        take: Callable[[Path, Path | None], object],
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
            labels = self._recent.labels_of(path)
            action.setToolTip(plain_tip(str(path) if labels is None else f"{path}\nlabels: {labels}"))
            action.triggered.connect(lambda _checked=False, path=path, labels=labels: self._take(path, labels))
            self.addAction(action)
        self.addSeparator()
        self.addAction(self._clear)

    def _show_state(self) -> None:
        self.setEnabled(bool(self._recent.paths))
        self._clear.setEnabled(bool(self._recent.paths))


def _read(text: str) -> dict[Path, Path | None]:
    """The paths in a setting, with those of labels; what is none is left out, for anybody may edit the file."""
    try:
        stored = json.loads(text or "[]")
    except ValueError:
        return {}
    opened: dict[Path, Path | None] = {}
    for entry in stored if isinstance(stored, list) else []:
        match entry:
            case str(path):
                opened[Path(path)] = None
            case [str(path), str(labels)]:
                opened[Path(path)] = Path(labels)
    return dict(list(opened.items())[:MOST])
