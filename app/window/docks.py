"""Where things stand around the clouds: the form on the left, curves and times below, or where the user put them."""

from __future__ import annotations

import re
from itertools import pairwise

from PyQt6.QtCore import Qt, QTimer
from PyQt6.QtWidgets import QDockWidget, QMainWindow, QMenu, QWidget

from app.panels.experiment_form import ExperimentForm
from app.stage.stage import Stage
from app.views.inspector_view import InspectorView
from app.window.bottom_height import SHARE, BottomHeight
from app.window.settings import Settings

FORM_WIDTH = 270
VERSION = 3
"""Of the set of docks: a layout that was kept with another set is not restored, for it has no place for all of them."""
THREE_CHARTS_PX = 1500
"""Windows of this width have room for three charts side by side."""
INSPECTOR_WIDTH, PAIRS_WIDTH = 330, 560
LEAST_CHART_PX = 290
"""What stands beside the curves is no narrower than this when the inspector or a review comes, where curves can spare
it."""
CLOSED = "inspector_closed"
"""Setting: the user closed the inspector, so a click in a cloud no longer opens it."""
CURVES_TITLE, AUDIT_TITLE = "Loss and quality", "Audit: what would be mined"


class Docks:
    """Puts the form and the charts of `stage` around the centre of `window`; `menu` shows and hides them.
    `review` stands over the inspector while there is one."""

    def __init__(self, window: QMainWindow, menu: QMenu, form: ExperimentForm, stage: Stage, review: QWidget) -> None:
        self._window, self._menu = window, menu
        self._placed = False
        left, bottom = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.BottomDockWidgetArea
        window.setDockNestingEnabled(True)
        window.setCorner(Qt.Corner.BottomLeftCorner, left)
        self._form = self._dock("Experiment", "experiment", form, left)
        self._curves = self._dock(CURVES_TITLE, "curves", stage.charts, bottom)
        stage.charts.currentChanged.connect(self._name_chart)
        self._timing = self._dock("Step time", "timing", stage.timing, bottom)
        self._hardness = self._dock("Hardness", "hardness", stage.hardness, bottom)
        self._misses = self._dock("Missed", "misses", stage.misses, bottom)
        self._pairs = self._dock("Class pairs", "pairs", stage.pairs, bottom)
        window.splitDockWidget(self._curves, self._hardness, Qt.Orientation.Horizontal)
        window.tabifyDockWidget(self._hardness, self._timing)
        window.tabifyDockWidget(self._timing, self._misses)
        window.tabifyDockWidget(self._misses, self._pairs)
        self._hardness.raise_()
        form.setMinimumWidth(FORM_WIDTH)
        window.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self._inspector = self._dock(
            "Inspector", "inspector", stage.inspecting.view, Qt.DockWidgetArea.RightDockWidgetArea
        )
        self._inspector.hide()
        self._review = self._dock("Doubtful labels", "review", review, Qt.DockWidgetArea.RightDockWidgetArea, False)
        window.tabifyDockWidget(self._inspector, self._review)
        self._review.hide()
        self._reviews, self._of_pairs = False, False
        self._inspect_clicks = True
        self._inspector.visibilityChanged.connect(self._on_inspector)
        stage.choice.changed.connect(lambda: self._show_choice(stage.choice.item_id))
        self._below = [self._curves, self._hardness, self._timing, self._misses, self._pairs]
        self._bottom = BottomHeight(window, self._below)
        self._built = window.saveState()

    def search(self) -> None:
        """Open the inspector, ready to be searched."""
        self._open_inspector()
        view = self._inspector.widget()
        assert isinstance(view, InspectorView)
        view.focus_search()

    def show_review(self, shown: bool, of_pairs: bool = False) -> None:
        """Whether there is a review to be seen, and whether it is one of pairs, whose texts need room."""
        self._reviews, self._of_pairs = shown, of_pairs
        self._review.setVisible(shown)
        if not shown:
            return
        self._review.setWindowTitle("Doubtful pairs" if of_pairs else "Doubtful labels")
        self._review.raise_()
        width = min(PAIRS_WIDTH, self._window.width() // 3) if of_pairs else INSPECTOR_WIDTH
        if self._review.width() < width:
            self._window.resizeDocks([self._review], [width], Qt.Orientation.Horizontal)
        QTimer.singleShot(0, self._share_charts)

    def restore(self, settings: Settings, *, keep_size: bool = False) -> None:
        """Put the window and its docks where they were the last time; the window itself stays with `keep_size`."""
        geometry, state = settings.blob("geometry"), settings.blob("docks")
        if geometry is not None and not keep_size:
            self._window.restoreGeometry(geometry)
        self._placed = state is not None and self._window.restoreState(state, VERSION)
        self._review.hide()  # it is of a run that is not shown yet
        share = settings.text("bottom_share")
        self._bottom.share = float(share) if re.fullmatch(r"0\.\d+", share) else SHARE
        self._inspect_clicks = not settings.text(CLOSED)

    def keep(self, settings: Settings) -> None:
        """Remember where the window and its docks are."""
        settings.keep("geometry", self._window.saveGeometry())
        settings.keep("docks", self._window.saveState(VERSION))
        settings.keep("bottom_share", f"{min(self._bottom.share, 0.9):.4f}")
        settings.keep(CLOSED, "" if self._inspect_clicks else "yes")

    def place(self) -> None:
        """When the window is shown for the first time: share the room among the docks, or what was restored of it."""
        QTimer.singleShot(0, self._bottom.regain if self._placed else self._share_room)
        self._placed = True

    def reset(self) -> None:
        """Everything as on the first start: all docks shown, in their places, with their shares of the room."""
        self._window.restoreState(self._built)
        self.show_review(self._reviews, self._of_pairs)
        self._bottom.share = SHARE
        QTimer.singleShot(0, self._share_room)

    def _share_room(self) -> None:
        """The form as wide as it needs, the curves a quarter of the height and wider than what is beside them: the
        histograms and the times, as tabs where there is no room for both."""
        window, charts, widths = self._window, [self._curves, self._hardness], [600, 400]
        if window.width() >= THREE_CHARTS_PX:
            charts, widths = [*charts, self._timing], [600, 520, 420]
            for dock in (*charts[1:], self._misses, self._pairs):
                window.removeDockWidget(dock)  # tabs are split off each other by nothing less
            for before, dock in pairwise(charts):
                window.splitDockWidget(before, dock, Qt.Orientation.Horizontal)
                dock.show()
            window.tabifyDockWidget(self._timing, self._misses)
            window.tabifyDockWidget(self._misses, self._pairs)
            self._misses.show()
            self._pairs.show()
            self._timing.raise_()
        window.resizeDocks([self._form], [max(FORM_WIDTH, min(320, window.width() // 4))], Qt.Orientation.Horizontal)
        window.resizeDocks(charts, [round(SHARE * window.height())] * len(charts), Qt.Orientation.Vertical)
        window.resizeDocks(charts, widths, Qt.Orientation.Horizontal)

    def _show_choice(self, item_id: int) -> None:
        """The first point that is chosen opens the inspector, unless the user has closed it."""
        if item_id >= 0 and self._inspect_clicks and not self._reviews and self._inspector.isHidden():
            self._open_inspector()

    def _open_inspector(self) -> None:
        hidden = self._inspector.isHidden()
        self._inspector.show()
        self._inspector.raise_()
        if hidden and self._inspector.width() < INSPECTOR_WIDTH:
            self._window.resizeDocks([self._inspector], [INSPECTOR_WIDTH], Qt.Orientation.Horizontal)
        if hidden:
            QTimer.singleShot(0, self._share_charts)

    def _share_charts(self) -> None:
        """The curves give of their width to what stands beside them and has become too narrow, as far as they can."""
        if (layout := self._window.layout()) is not None:
            layout.activate()  # else the docks are still as wide as before the inspector came
        curves, spare = self._curves, self._curves.width() - LEAST_CHART_PX
        missing = {dock: LEAST_CHART_PX - dock.width() for dock in self._below if self._bottom.shows(dock)}
        missing = {dock: px for dock, px in missing.items() if px > 0}
        if curves in missing or not missing or not self._bottom.shows(curves):
            return
        part = min(1.0, spare / sum(missing.values()))
        widths = [dock.width() + round(part * px) for dock, px in missing.items()]
        rest = curves.width() + sum(dock.width() for dock in missing) - sum(widths)
        self._window.resizeDocks([curves, *missing], [rest, *widths], Qt.Orientation.Horizontal)

    def _on_inspector(self, _seen: bool) -> None:
        if self._window.isVisible():  # else it is the window that goes
            self._inspect_clicks = not self._inspector.isHidden()

    def _dock(
        self, title: str, name: str, content: QWidget, area: Qt.DockWidgetArea, listed: bool = True
    ) -> QDockWidget:
        dock = QDockWidget(title, self._window)
        dock.setObjectName(name)
        dock.setWidget(content)
        self._window.addDockWidget(area, dock)
        if listed:
            self._menu.addAction(dock.toggleViewAction())
        return dock

    def _name_chart(self, place: int) -> None:
        self._curves.setWindowTitle(AUDIT_TITLE if place else CURVES_TITLE)
