"""What a study came to, as a table that stays beside the window until it is closed."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QGuiApplication, QIcon
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.plain import Label
from app.training.studies import Table

AROUND_PX, ROW_PX = 50, 25
MOST_ROWS = 18


class ResultCard(QDialog):
    """Shows a table under a title, with words; Copy puts all of it on the clipboard, Esc closes it."""

    def __init__(self, title: str, table: Table, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(title)
        self._table = table
        self.words = Label("\n".join(table.words))
        self.words.setWordWrap(True)
        self.words.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.grid = _grid(title, table)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.copy = self.buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        if self.copy is not None:
            self.copy.setToolTip("The table and what is said of it, as text with tabs")
            self.copy.clicked.connect(self._copy)
        self.buttons.rejected.connect(self.close)
        close = self.buttons.button(QDialogButtonBox.StandardButton.Close)
        if close is not None:
            close.setIcon(QIcon())
        layout = QVBoxLayout(self)
        layout.addWidget(self.words)
        layout.addWidget(self.grid, 1)
        layout.addWidget(self.buttons)
        self._fit()
        self.grid.setFocus()

    @property
    def text(self) -> str:
        """All of it, cells parted by tabs."""
        rows = (self._table.columns, *self._table.rows)
        return "\n".join((self.windowTitle(), *self._table.words, "", *("\t".join(row) for row in rows)))

    def _copy(self) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text)

    def _fit(self) -> None:
        """As large as the table, no larger than the window."""
        grid = self.grid
        side = grid.verticalHeader()
        row = side.defaultSectionSize() if side is not None else ROW_PX
        width = sum(grid.columnWidth(column) for column in range(grid.columnCount())) + AROUND_PX
        height = (min(grid.rowCount(), MOST_ROWS) + 1) * row + self.words.sizeHint().height() + 2 * AROUND_PX
        wanted = QSize(max(width, 420), height)
        parent = self.parentWidget()
        self.resize(wanted if parent is None else wanted.boundedTo(parent.size() - QSize(AROUND_PX, AROUND_PX)))


def _grid(title: str, table: Table) -> QTableWidget:
    grid = QTableWidget(len(table.rows), len(table.columns))
    grid.setHorizontalHeaderLabels(list(table.columns))
    grid.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    grid.setTabKeyNavigation(False)
    grid.setAccessibleName(title)
    side, head = grid.verticalHeader(), grid.horizontalHeader()
    if side is not None:
        side.hide()
        side.setDefaultSectionSize(ROW_PX)
    for row, texts in enumerate(table.rows):
        for column, text in enumerate(texts):
            item = QTableWidgetItem(text)
            if column:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            grid.setItem(row, column, item)
    if head is not None:
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    grid.resizeColumnsToContents()
    return grid
