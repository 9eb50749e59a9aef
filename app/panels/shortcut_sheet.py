"""All keys on one sheet, in groups."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QPoint, QSize, Qt
from PyQt6.QtGui import QKeyEvent, QShowEvent
from PyQt6.QtWidgets import QDialog, QFrame, QGridLayout, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from app.panels.keys import KeyGroup
from app.picture.theme import Theme
from app.plain import Label
from app.style import css, mix

COLUMNS = 3
BETWEEN_PX = 8
AROUND_PX = 40


class ShortcutSheet(QDialog):
    """Shows `groups` in columns; Esc or ? closes it."""

    def __init__(self, groups: Sequence[KeyGroup], theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        cap = mix(theme.panel, theme.text, 0.1)
        self.setStyleSheet(
            f"QLabel#key {{ background: {css(cap)}; border: 1px solid {css(theme.grid)}; border-radius: 4px;"
            " padding: 1px 6px; }"
            f"QLabel#group {{ font-weight: 600; color: {css(theme.accent)}; padding-top: 6px; }}"
        )
        sheet = QWidget()
        columns = QHBoxLayout(sheet)
        columns.setSpacing(34)
        for part in in_columns(groups, COLUMNS):
            columns.addLayout(_column(part))
        columns.setSizeConstraint(QHBoxLayout.SizeConstraint.SetMinAndMaxSize)
        self._sheet = sheet
        scroll = QScrollArea()
        scroll.setWidget(sheet)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setAccessibleName("Keys and what they do")
        layout = QVBoxLayout(self)
        layout.addWidget(scroll)
        scroll.setFocus()

    def showEvent(self, event: QShowEvent | None) -> None:
        """As large as all that is on the sheet, in the style that it has only now; no larger than the window."""
        super().showEvent(event)
        wanted, parent = self._sheet.sizeHint() + QSize(46, 30), self.parentWidget()
        if parent is not None:
            wanted = wanted.boundedTo(parent.size() - QSize(AROUND_PX, AROUND_PX))
            self.move(parent.mapToGlobal(parent.rect().center()) - QPoint(wanted.width() // 2, wanted.height() // 2))
        self.resize(wanted)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """The key that opened the sheet closes it."""
        if event is not None and event.text() == "?":
            self.close()
        else:
            super().keyPressEvent(event)


def in_columns(groups: Sequence[KeyGroup], count: int) -> list[list[KeyGroup]]:
    """The groups in their order in at most `count` columns, the longest of which is as short as can be."""
    heights = [len(group.rows) + 2 for group in groups]
    for most in range(max(heights, default=0), sum(heights) + 1):
        columns: list[list[KeyGroup]] = [[]]
        room = most
        for group, height in zip(groups, heights, strict=True):
            if height > room:
                columns.append([])
                room = most
            columns[-1].append(group)
            room -= height
        if len(columns) <= count:
            return columns
    return [list(groups)]


def _column(groups: Sequence[KeyGroup]) -> QGridLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(12)
    grid.setVerticalSpacing(4)
    row = 0
    for group in groups:
        title = Label(group.title)
        title.setObjectName("group")
        grid.addWidget(title, row, 0, 1, 2)
        for keys, does in group.rows:
            row += 1
            key = Label(keys)
            key.setObjectName("key")
            grid.addWidget(key, row, 0, Qt.AlignmentFlag.AlignLeft)
            grid.addWidget(Label(does), row, 1)
        row += 1
        grid.setRowMinimumHeight(row, BETWEEN_PX)
        row += 1
    grid.setRowStretch(row, 1)
    grid.setColumnStretch(1, 1)
    return grid
