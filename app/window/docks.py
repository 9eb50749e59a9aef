"""Where things stand around the clouds: the form on the left, curves and times below, or where the user put them."""

from __future__ import annotations

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QMenu, QWidget

from app.panels.experiment_form import ExperimentForm
from app.stage.stage import Stage
from app.window.settings import Settings

FORM_WIDTH = 270
VERSION = 1
"""Of the set of docks: a layout that was kept with another set is not restored, for it has no place for all of them."""
CURVES_TITLE, AUDIT_TITLE = "Loss and quality", "Audit: what would be mined"


class Docks:
    """Puts the form and the charts of `stage` around the centre of `window`; `menu` shows and hides them."""

    def __init__(self, window: QMainWindow, menu: QMenu, form: ExperimentForm, stage: Stage) -> None:
        self._window, self._menu = window, menu
        self._placed = False
        left, bottom = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
        window.setDockNestingEnabled(True)
        window.setCorner(Qt.Corner.BottomLeftCorner, left)
        self._form = self._dock("Experiment", "experiment", form, left)
        self._curves = self._dock(CURVES_TITLE, "curves", stage.charts, bottom)
        stage.charts.currentChanged.connect(self._name_chart)
        self._timing = self._dock("Time of a step", "timing", stage.timing, bottom)
        window.splitDockWidget(self._curves, self._timing, Qt.Orientation.Horizontal)
        self._misses = self._dock("Missed", "misses", stage.misses, bottom)
        window.tabifyDockWidget(self._timing, self._misses)
        self._timing.raise_()
        form.setMinimumWidth(FORM_WIDTH)

    def restore(self, settings: Settings, *, keep_size: bool = False) -> None:
        """Put the window and its docks where they were the last time; the window itself stays with `keep_size`."""
        geometry, state = settings.blob("geometry"), settings.blob("docks")
        if geometry is not None and not keep_size:
            self._window.restoreGeometry(geometry)
        self._placed = state is not None and self._window.restoreState(state, VERSION)

    def keep(self, settings: Settings) -> None:
        """Remember where the window and its docks are."""
        settings.keep("geometry", self._window.saveGeometry())
        settings.keep("docks", self._window.saveState(VERSION))

    def place(self) -> None:
        """When the window is shown for the first time and nothing was restored: share the room among the docks."""
        if not self._placed:
            self._placed = True
            QTimer.singleShot(0, self._share_room)

    def _share_room(self) -> None:
        """The form as wide as it needs, the curves a quarter of the height and wider than the times beside them."""
        window, charts = self._window, [self._curves, self._timing]
        window.resizeDocks([self._form], [max(FORM_WIDTH, min(320, window.width() // 4))], Qt.Orientation.Horizontal)
        window.resizeDocks(charts, [window.height() // 4] * 2, Qt.Orientation.Vertical)
        window.resizeDocks(charts, [600, 400], Qt.Orientation.Horizontal)

    def _dock(self, title: str, name: str, content: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self._window)
        dock.setObjectName(name)
        dock.setWidget(content)
        self._window.addDockWidget(area, dock)
        self._menu.addAction(dock.toggleViewAction())
        return dock

    def _name_chart(self, place: int) -> None:
        self._curves.setWindowTitle(AUDIT_TITLE if place else CURVES_TITLE)
