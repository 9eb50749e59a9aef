"""Which point the user looks at and which came before, which points are selected, and which are drawn: one choice for
all panes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from app.picture.selection import NONE, Selection
from app.stage.panes import PaneGrid
from hnm_core.run.events import RunStarted
from hnm_core.run.told_labels import having

LONGEST_HISTORY = 200


class Choice(QObject):
    """Ids are those of the data set, so a choice holds in every pane. `changed` when another point is looked at, or
    other points are selected."""

    changed = pyqtSignal()

    def __init__(self, panes: PaneGrid, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._panes = panes
        self._started: RunStarted | None = None
        self.item_id = -1
        """The point that is looked at; -1 for none."""
        self.selection = Selection()
        self._before: list[int] = []
        panes.point_clicked.connect(self.pick)
        panes.points_outlined.connect(self.select)
        panes.keys.classes.class_chosen.connect(self.isolate_class)
        panes.keys.classes.class_zoomed.connect(self.zoom_to_class)

    def begin(self, started: RunStarted | None) -> None:
        """Another run, or none: no point, and none before."""
        self._started, self._before = started, []
        self._show(-1, Selection())

    @property
    def ids(self) -> NDArray[np.int64]:
        """What is selected: many points, or the one that is looked at."""
        if len(self.selection.ids) or self.item_id < 0:
            return self.selection.ids
        return np.array([self.item_id])

    def pick(self, item_id: int) -> None:
        """Look at a point, -1 for none; others are no longer selected."""
        if item_id != self.item_id or len(self.selection.ids) or self.selection.pair is not None:
            self._leave(item_id, self.selection.select(NONE))

    def back(self) -> None:
        """Look at the point before; where there was none, nothing happens."""
        if self._before:
            self._show(self._before.pop(), self.selection.select(NONE))

    def select(self, ids: NDArray[np.int64], add: bool) -> None:
        """These points are selected, with `add` beside those that are already; none of them is looked at alone."""
        self._leave(-1, self.selection.select(np.union1d(self.ids, ids) if add else ids))

    def select_pair(self, anchor: int, negative: int) -> None:
        """The points of two classes are selected, and only edges from anchors of the one to negatives of the other are
        drawn; where that is so already, nothing is selected."""
        if self._started is None:
            return
        pair = anchor, negative
        if self.selection.pair == pair:
            self._leave(-1, self.selection.select(NONE))
            return
        guests = [frame.guests for frame in self._panes.frames if frame.guests is not None]
        ids = np.concatenate([self._started.ids, *(some.ids for some in guests)])
        labels = np.concatenate([self._started.labels, *(some.labels for some in guests)])
        self._leave(-1, self.selection.select_pair(ids, labels, pair))

    def invert(self) -> None:
        """Those that are drawn and not selected are selected."""
        if self._started is not None:
            started = self._started
            chosen = self.selection.select(self.ids).invert(started.ids, started.labels, started.several)
            self._leave(-1, chosen)

    def isolate(self) -> None:
        """Draw what is selected alone."""
        if len(self.ids):
            self._show(self.item_id, self.selection.isolate(self.ids))

    def isolate_class(self, label: int, add: bool = False) -> None:
        """Draw one class alone, or what has one label, or all again where it is alone; with `add` beside those that are
        drawn."""
        self._show(self.item_id, self.selection.isolate_class(label, add=add))

    def zoom_to_class(self, label: int) -> None:
        """Draw one class alone, or what has one label, and look at it from near by."""
        started = self._started
        if started is not None:
            self._show(self.item_id, Selection(classes=frozenset({label})))
            self._panes.zoom_to(started.ids[having(started.several, started.ids, started.labels, {label})])

    def hide(self) -> None:
        """Draw what is selected no longer."""
        if len(self.ids):
            self._leave(-1, self.selection.hide(self.ids))

    def show_all(self) -> None:
        """Draw every point."""
        self._show(self.item_id, self.selection.show_all())

    def zoom(self) -> None:
        """Look at what is selected from near by, or at what is drawn where nothing is selected."""
        if len(self.ids):
            self._panes.zoom_to(self.ids)
        elif self._started is not None:
            started = self._started
            self._panes.zoom_to(started.ids[self.selection.drawn(started.ids, started.labels, started.several)])

    def clear(self) -> None:
        """Select nothing and look at nothing; where that is so already, draw every point and the edges of all
        classes."""
        if len(self.ids):
            self.pick(-1)
        else:
            self.show_all()

    def _leave(self, item_id: int, selection: Selection) -> None:
        """Show something else, and remember what is looked at now."""
        if self.item_id >= 0 and item_id != self.item_id:
            self._before = [*self._before, self.item_id][-LONGEST_HISTORY:]
        self._show(item_id, selection)

    def _show(self, item_id: int, selection: Selection) -> None:
        self.item_id, self.selection = item_id, selection
        self._panes.select(item_id if item_id >= 0 else None)
        self._panes.set_selection(selection)
        self.changed.emit()
