"""The sentences of a film, each from when to when, to be edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from PyQt6.QtCore import QLocale, Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QStyledItemDelegate,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.video.clock import Caption

HEADINGS = ("From (s)", "To (s)", "Sentence")
NEW = "A sentence of your own."
NEW_S = 3.0
LONGEST = 200
ROWS = 4


class CaptionsTable(QWidget):
    """`edited()`: the user has changed something; `captions` says how it is now, `own` whether it is the user's.
    `chosen(seconds)`: a sentence was gone to, which is said from then on. Times shown are of the film, those of
    `captions` of the run's scene.
    """

    edited = pyqtSignal()
    chosen = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._captions: tuple[Caption, ...] = ()
        self._offset, self._seconds, self._now = 0.0, 1.0, 0.0
        self._filling = False
        self.own = False
        """Whether the sentences are the user's; else those that are found"""
        self.table = QTableWidget(0, len(HEADINGS))
        self.table.setHorizontalHeaderLabels(HEADINGS)
        self.table.setItemDelegate(_Seconds(self.table))
        self.table.setAccessibleName("Captions of the video")
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setTabKeyNavigation(False)
        self.table.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked
            | QAbstractItemView.EditTrigger.EditKeyPressed
            | QAbstractItemView.EditTrigger.AnyKeyPressed
        )
        header, rows = self.table.horizontalHeader(), self.table.verticalHeader()
        assert header is not None and rows is not None
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        rows.hide()
        self.table.setFixedHeight(header.sizeHint().height() + ROWS * rows.defaultSectionSize() + 4)
        self.table.itemChanged.connect(self._changed)
        self.table.itemSelectionChanged.connect(self._selected)
        self.add_button = _button("Add", "A sentence of your own, from the picture in sight on")
        self.remove_button = _button("Remove", "Take the chosen sentence away")
        self.found_button = _button("As found", "Back to the sentences that were found in the run")
        self.add_button.clicked.connect(self._add)
        self.remove_button.clicked.connect(self._remove)
        self.found_button.clicked.connect(self._forget)
        buttons = QVBoxLayout()
        for button in (self.add_button, self.remove_button, self.found_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table, 1)
        layout.addLayout(buttons)
        self._enable()

    @property
    def captions(self) -> tuple[Caption, ...]:
        """The sentences, in order; those without words are none."""
        return tuple(sorted((one for one in self._captions if one.text), key=lambda one: one.start))

    def set_now(self, seconds: float) -> None:
        """Which time of the film is in sight."""
        self._now = seconds

    def show_found(self, captions: Sequence[Caption], offset: float, seconds: float) -> None:
        """The run's scene begins `offset` seconds after the film and is so many long. Sentences that are found replace
        those that were; the user's stay, at the same share of the scene."""
        longer = seconds / self._seconds
        if self.own:
            captions = [replace(one, start=longer * one.start, end=longer * one.end) for one in self._captions]
        moved = (offset, seconds) != (self._offset, self._seconds)
        self._offset, self._seconds = offset, seconds
        if tuple(captions) != self._captions or moved:
            self._captions = tuple(captions)
            self._fill()
        self._enable()
        if self.own and longer != 1.0:
            self.edited.emit()

    def _fill(self) -> None:
        self._filling = True
        row = self.table.currentRow()
        self.table.setRowCount(len(self._captions))
        for place, caption in enumerate(self._captions):
            for column, value in enumerate((caption.start + self._offset, caption.end + self._offset, caption.text)):
                item = QTableWidgetItem()
                item.setData(Qt.ItemDataRole.EditRole, round(value, 2) if isinstance(value, float) else value)
                self.table.setItem(place, column, item)
        self.table.setCurrentCell(min(row, len(self._captions) - 1), 2)
        self._filling = False

    def _changed(self, item: QTableWidgetItem) -> None:
        if self._filling:
            return
        caption, value = self._captions[item.row()], item.data(Qt.ItemDataRole.EditRole)
        if item.column() == 2:
            self._put(item.row(), replace(caption, text=" ".join(str(value).split())[:LONGEST]))
            return
        at = min(max(float(value) - self._offset, 0.0), self._seconds)
        if item.column() == 0:
            length = caption.end - caption.start
            end = caption.end if caption.end > at else min(at + length, self._seconds)
            self._put(item.row(), replace(caption, start=at, end=end))
        else:
            self._put(item.row(), replace(caption, end=max(at, caption.start)))

    def _put(self, row: int, caption: Caption) -> None:
        captions = list(self._captions)
        captions[row] = caption
        self._take(captions)

    def _add(self) -> None:
        start = min(max(self._now - self._offset, 0.0), max(self._seconds - 1.0, 0.0))
        added = Caption(start, min(start + NEW_S, self._seconds), NEW, "look")
        self._take(sorted([*self._captions, added], key=lambda one: one.start))
        row = self._captions.index(added)
        self.table.setFocus()
        self.table.setCurrentCell(row, 2)
        if (item := self.table.item(row, 2)) is not None:
            self.table.editItem(item)

    def _remove(self) -> None:
        row = self.table.currentRow()
        if 0 <= row < len(self._captions):
            self._take([one for place, one in enumerate(self._captions) if place != row])

    def _take(self, captions: Sequence[Caption]) -> None:
        self.own = True
        self._captions = tuple(captions)
        self._fill()
        self._enable()
        self.edited.emit()

    def _forget(self) -> None:
        self.own = False
        self._enable()
        self.edited.emit()

    def _selected(self) -> None:
        self._enable()
        row = self.table.currentRow()
        if not self._filling and 0 <= row < len(self._captions):
            caption = self._captions[row]
            self.chosen.emit(self._offset + (caption.start + caption.end) / 2)

    def _enable(self) -> None:
        self.remove_button.setEnabled(bool(self.table.selectedItems()))
        self.found_button.setEnabled(self.own)


class _Seconds(QStyledItemDelegate):
    """Times to the hundredth; words as they are."""

    def displayText(self, value: Any, locale: QLocale) -> str:
        return f"{value:.2f}" if isinstance(value, float) else super().displayText(value, locale)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    return button
