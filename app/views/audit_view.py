"""The table of an audit, in place of curves: nothing is trained, so there is nothing to draw over steps."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from app.picture.theme import DARK, Theme
from app.style import css
from app.views.dot_icons import DotIcons
from app.views.elided_label import ElidedLabel
from hnm_core.run.auditing import COLUMNS, cells
from hnm_core.run.history import RunHistory
from hnm_core.run.results import Results

EXPLANATION = "No network: what each miner would take from the items as they are."


class AuditView(QWidget):
    """A row a lane: what would be mined, how hard, how much of it false, and approximate beside exact."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._dots = DARK, DotIcons(10)
        self.note = ElidedLabel(EXPLANATION)
        self.note.setMinimumWidth(20)  # curves share this one's place, and may be narrow
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setHorizontalHeaderLabels(list(COLUMNS))
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setShowGrid(False)
        self.table.setAccessibleName("Audit")
        for column, tip in enumerate(COLUMNS.values()):
            item = self.table.horizontalHeaderItem(column)
            if item is not None:
                item.setToolTip(tip)
        header, side = self.table.horizontalHeader(), self.table.verticalHeader()
        if header is not None and side is not None:
            header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
            for column in map(
                list(COLUMNS).index, ("lane", "mined", "semi-hard", "missing", "mine ms")
            ):  # the others are short
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
            header.setMinimumSectionSize(30)
            side.hide()
            side.setDefaultSectionSize(24)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 2)
        layout.setSpacing(2)
        layout.addWidget(self.note)
        layout.addWidget(self.table, 1)
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.note.setStyleSheet(f"color: {css(theme.muted)};")
        self.table.setStyleSheet(
            f"QTableWidget {{ background: {css(theme.panel)}; border: 0; }}"
            f"QHeaderView::section {{ background: {css(theme.panel)}; color: {css(theme.muted)}; border: 0;"
            f" border-bottom: 1px solid {css(theme.grid)}; padding: 3px; }}"
        )

    def show_history(self, history: RunHistory, upto_step: int | None = None) -> None:
        """The table as it stood at a step, None for now."""
        results = Results(history).lanes(upto_step)
        self.table.setRowCount(len(results))
        for row, result in enumerate(results):
            for column, text in enumerate(cells(result)):
                item = self.table.item(row, column)
                if item is None:
                    item = QTableWidgetItem()
                    self.table.setItem(row, column, item)
                item.setText(text)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                else:
                    item.setIcon(self._dots.of(self._theme.lane(row)))
