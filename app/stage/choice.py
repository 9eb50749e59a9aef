"""Which point the user looks at, and which came before: one choice for all panes."""

from __future__ import annotations

from PyQt6.QtCore import QObject, pyqtSignal

from app.stage.panes import PaneGrid

LONGEST_HISTORY = 200


class Choice(QObject):
    """Ids are those of the data set, so a choice holds in every pane. `changed` when another point is looked at."""

    changed = pyqtSignal()

    def __init__(self, panes: PaneGrid, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._panes = panes
        self.item_id = -1
        """The point that is looked at; -1 for none."""
        self._before: list[int] = []

    def pick(self, item_id: int) -> None:
        """Look at a point, -1 for none."""
        if item_id != self.item_id:
            if self.item_id >= 0:
                self._before = [*self._before, self.item_id][-LONGEST_HISTORY:]
            self._show(item_id)

    def back(self) -> None:
        """Look at the point before; where there was none, nothing happens."""
        if self._before:
            self._show(self._before.pop())

    def clear(self) -> None:
        """Look at none."""
        self.pick(-1)

    def forget(self) -> None:
        """Another run: no point, and none before."""
        self._before = []
        self._show(-1)

    def _show(self, item_id: int) -> None:
        self.item_id = item_id
        self._panes.select(item_id if item_id >= 0 else None)
        self.changed.emit()
