"""A list to choose from, searched by typing any part of a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PyQt6.QtCore import QEvent, QModelIndex, QObject, QSortFilterProxyModel, Qt, pyqtSignal
from PyQt6.QtGui import QFocusEvent, QFont, QKeyEvent, QStandardItemModel, QWheelEvent
from PyQt6.QtWidgets import QComboBox, QCompleter

from app.panels.line_edit import LineEdit


class ComboBox(QComboBox):
    """A combo box that lets the wheel scroll the form, and shrinks.

    `reasons`, if set, is asked before anybody chooses which entries cannot be, by text, and why: they are greyed out.
    """

    reasons: Callable[[], Mapping[str, str]] | None = None
    refused = pyqtSignal(str)
    """A sentence, when what was typed is no entry that can be chosen. The choice stays as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.search: LineEdit | None = None
        """What is typed into, once `make_searchable` was called."""
        self._what = ""
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(4)
        self.setMaxVisibleItems(24)
        self._headings: set[int] = set()
        self._tips: dict[int, str] = {}

    def add_heading(self, text: str) -> None:
        """A title that cannot be chosen, above the entries that follow."""
        self.addItem(text)
        self._headings.add(self.count() - 1)
        self._enable(self.count() - 1, enabled=False)
        font = QFont(self.font())
        font.setBold(True)
        self.setItemData(self.count() - 1, font, Qt.ItemDataRole.FontRole)

    def add(self, text: str, value: Any, tip: str = "") -> None:
        """An entry; below a heading it is indented by none, so that typing its first letters finds it."""
        self.addItem(text, value)
        self._tips[self.count() - 1] = tip
        if tip:
            self.setItemData(self.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)

    def show_reasons(self) -> None:
        """Grey out what cannot be chosen; the reason becomes its tooltip. The present choice stays as it is."""
        reasons = self.reasons() if self.reasons is not None else {}
        for place in range(self.count()):
            if place not in self._headings:
                reason = reasons.get(self.itemText(place), "") if place != self.currentIndex() else ""
                self._enable(place, enabled=not reason)
                self.setItemData(place, reason or self._tips.get(place) or None, Qt.ItemDataRole.ToolTipRole)

    def is_enabled(self, text: str) -> bool:
        """Whether an entry can be chosen."""
        model = self.model()
        assert isinstance(model, QStandardItemModel)
        item = model.item(self.findText(text))
        return item is not None and item.isEnabled()

    def _enable(self, place: int, *, enabled: bool) -> None:
        model = self.model()
        item = model.item(place) if isinstance(model, QStandardItemModel) else None
        if item is not None and item.isEnabled() != enabled:
            item.setEnabled(enabled)

    def make_searchable(self, what: str) -> None:
        """Let any part of a name be typed; what fits is listed below. `what` the entries are is for the sentences."""
        self._what = what
        self.search = LineEdit()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setLineEdit(self.search)
        entries = _Entries(self._headings, self)
        entries.setSourceModel(self.model())
        completer = QCompleter(entries, self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setMaxVisibleItems(12)
        self.setCompleter(completer)
        self.search.installEventFilter(self)
        self.currentIndexChanged.connect(lambda _: self._show_choice())
        self._show_choice()

    def entries_like(self, typed: str) -> list[str]:
        """The entries meant by `typed`: the one of that name, else those that hold it."""
        wanted = typed.strip().lower()
        names = [self.itemText(place) for place in range(self.count()) if place not in self._headings]
        exact = [name for name in names if name.lower() == wanted]
        return exact or [name for name in names if wanted and wanted in name.lower()]

    def _take_typed(self) -> None:
        """Choose what was typed if it can mean only one thing; else say so."""
        if self.search is None or not self.search.pending:
            return
        typed, found = self.search.text().strip(), self.entries_like(self.search.text())
        kept = self.itemText(self.currentIndex())
        self._show_choice()
        if len(found) == 1 and self.is_enabled(found[0]):
            self.setCurrentIndex(self.findText(found[0]))
            self.activated.emit(self.currentIndex())
        elif len(found) == 1:
            self.refused.emit(f"{self.itemData(self.findText(found[0]), Qt.ItemDataRole.ToolTipRole)}")
        elif found:
            some = ", ".join(found[:4]) + (" and others" if len(found) > 4 else "")
            self.refused.emit(f"'{typed[:40]}' fits {some}: type more of the name. '{kept}' stays.")
        elif typed:
            self.refused.emit(f"There is no {self._what} called '{typed[:40]}'; '{kept}' stays.")

    def _hide_list(self) -> None:
        completer = self.completer()
        popup = completer.popup() if completer is not None else None
        if popup is not None:
            popup.hide()

    def _show_choice(self) -> None:
        if self.search is not None:
            self.search.put(self.itemText(self.currentIndex()))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """A click on the name opens the list, as it does where nothing can be typed."""
        if event is not None and watched is self.search:
            if event.type() == QEvent.Type.MouseButtonPress:
                self.setFocus(Qt.FocusReason.MouseFocusReason)
                return True
            if event.type() == QEvent.Type.MouseButtonRelease:  # opened by the press, the release would close it
                self.showPopup()
                return True
        return super().eventFilter(watched, event)

    @property
    def _searching(self) -> bool:
        """Whether something is typed that is not yet chosen."""
        return self.search is not None and self.search.pending

    def event(self, event: QEvent | None) -> bool:
        """Escape takes back what is typed, whatever the window does with it elsewhere."""
        override = event is not None and event.type() == QEvent.Type.ShortcutOverride
        if override and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape and self._searching:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is not None and event.key() == Qt.Key.Key_Escape and self.search is not None and self.search.pending:
            self._hide_list()
            self._show_choice()
            self.search.selectAll()
            return
        if event is not None and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._take_typed()  # before Qt does, which would also take a heading
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        elsewhere = (Qt.FocusReason.PopupFocusReason, Qt.FocusReason.ActiveWindowFocusReason)
        if event is not None and event.reason() not in elsewhere:
            self._take_typed()
        super().focusOutEvent(event)

    def showPopup(self) -> None:
        self.show_reasons()
        super().showPopup()

    def hidePopup(self) -> None:
        super().hidePopup()
        if self.search is not None and self.isVisible():  # a form that is hidden closes its lists as well
            self.search.selectAll()  # so that typing after a look at the list searches

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        self.show_reasons()
        super().focusInEvent(event)
        if self.search is not None and not self.search.pending:
            self.search.selectAll()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            event.ignore()


class _Entries(QSortFilterProxyModel):
    """The entries of a combo box without its headings."""

    def __init__(self, headings: set[int], parent: QObject) -> None:
        super().__init__(parent)
        self._headings = headings

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        return row not in self._headings
