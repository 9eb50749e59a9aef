"""The inspector: one point in every lane, side by side, and a line to find it by its id or its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PyQt6.QtCore import QEvent, QObject, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.history.finding import Match
from app.history.inspection import Facts, Inspection
from app.history.inspection_words import SUMMARY_TITLES, TextOf, sections, summary
from app.picture.theme import DARK, Rgb, Theme
from app.plain import Label, plain_tip
from app.style import css
from app.training.looking import Looked, labels_text
from app.views.dot_icons import DotIcons
from app.views.inspector_data import ItemData
from app.views.inspector_lists import InspectorLists

NOTHING = "Click a point in a cloud, or press / and type its id, its text or the name of its class or of a label."
MOST_ROWS_SEEN = 6
"""So many matches are seen without scrolling."""
MATCH_MARGIN = 30
"""Pixels of a match's line that are the frame's and the scroll bar's."""
MATCH_ROLE = int(Qt.ItemDataRole.UserRole)


class InspectorView(QWidget):
    """`find` says what fits a text, `nothing_fits` what to say where nothing does.

    `point_chosen(id)`, `class_chosen(label)`, `back_asked()`.
    """

    point_chosen = pyqtSignal(int)
    class_chosen = pyqtSignal(int)
    back_asked = pyqtSignal()

    def __init__(
        self, find: Callable[[str], Sequence[Match]], nothing_fits: Callable[[], str], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._find, self._nothing_fits, self._theme = find, nothing_fits, DARK
        self._item_id = -1
        self.line = QLineEdit()
        self.line.setPlaceholderText("Find a point: id, text, class or label")
        self.line.setAccessibleName("Find a point by its id, its text, its class or a label")
        self.line.setClearButtonEnabled(True)
        self.line.textChanged.connect(self._fill)
        self.line.returnPressed.connect(self._take_match)
        self.line.installEventFilter(self)
        self.matches = QListWidget()
        self.matches.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.matches.setAccessibleName("What fits the text")
        self.matches.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # it would hide the only row
        self.matches.itemClicked.connect(self._take_match)
        self.matches.hide()
        self.title, self.about = Label(), Label()
        for label in (self.title, self.about):
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.data = ItemData()
        self.summary = _summary_table()
        self.lists = InspectorLists()
        self.lists.point_chosen.connect(self.point_chosen)
        self.lists.back_asked.connect(self.back_asked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 4)
        layout.setSpacing(5)
        for widget in (self.line, self.matches, self.title, self.about, self.data, self.summary):
            layout.addWidget(widget)
        layout.addWidget(self.lists, 1)
        layout.addStretch(0)
        self.setMinimumWidth(220)
        self.set_theme(DARK)
        self.show_nothing()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._dots = DotIcons(8)
        self._theme = theme
        self.title.setStyleSheet(f"font-weight: 600; color: {css(theme.text)};")
        self.about.setStyleSheet(f"color: {css(theme.muted)};")
        self.summary.setStyleSheet(
            f"QTableWidget {{ background: transparent; border: 0; color: {css(theme.text)}; }}"
            f"QHeaderView::section {{ background: {css(theme.window)}; color: {css(theme.muted)}; border: 0;"
            f" border-bottom: 1px solid {css(theme.grid)}; padding: 2px; }}"
        )
        self.lists.set_theme(theme)
        self.data.set_theme(theme)

    def focus_search(self) -> None:
        """Ready to be typed into."""
        self.line.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.line.selectAll()

    def show_nothing(self, words: str = NOTHING) -> None:
        """No point is looked at."""
        self._item_id = -1
        self.title.setText("")
        self.title.hide()
        self.about.setText(words)
        self.summary.hide()
        self.lists.hide()
        self.lists.show_lists((), (), {}, anew=True)

    def show_data(self, looked: Looked | None) -> None:
        """What the data tell of the point; None while that is not known."""
        self.data.show_item(looked)

    def show_point(
        self,
        facts: Facts,
        lanes: Sequence[Inspection],
        class_rgb: Mapping[str, Rgb],
        text_of: TextOf = lambda _item_id: None,
    ) -> None:
        """A point in every lane. `class_rgb`: the colours of classes by name; `text_of`: see `sections`."""
        anew, self._item_id = facts.item_id != self._item_id, facts.item_id
        if facts.name:
            self.title.setText(f"{facts.class_name.capitalize()} {facts.name}")
        else:
            kind = facts.class_name if facts.over_documents else facts.words
            self.title.setText(f"Point {facts.item_id} · {kind}")
        self.title.show()
        notes = []
        if facts.true_class:
            wrong = facts.true_class != facts.class_name
            notes.append(f"truly {facts.true_class}, so its label is wrong" if wrong else "its label is true")
        if facts.over_documents:
            notes.append("not trained on" if facts.held_out else "trained on")
        else:
            notes.append("held out of training, so it is never mined" if facts.held_out else "trained on")
        labels = "" if facts.labels is None else labels_text(facts.labels)
        self.about.setText("\n".join(filter(None, (facts.text, labels, " · ".join(notes)))))
        self._show_summary(lanes)
        self.lists.show()
        self.lists.show_lists([lane.lane for lane in lanes], sections(lanes, text_of), class_rgb, anew=anew)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        if event.key() == Qt.Key.Key_Backspace:
            self.back_asked.emit()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Arrow keys move in the list of matches while the line keeps the focus; without a text, into the lists, and
        Backspace goes back. Esc takes the text away first."""
        if watched is not self.line or not isinstance(event, QKeyEvent):
            return False
        if event.key() == Qt.Key.Key_Escape and self.line.text():
            if event.type() == QEvent.Type.KeyPress:
                self.line.clear()
            event.accept()  # so that it is no shortcut of the window's
            return True
        return event.type() == QEvent.Type.KeyPress and self._moved_by(event.key())

    def _moved_by(self, key: int) -> bool:
        """What a key does in the line beside writing; whether it does anything."""
        moves: dict[int, int] = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
        if key in moves and self.matches.count():
            row = self.matches.currentRow() + moves[key]
            self.matches.setCurrentRow(min(max(row, 0), self.matches.count() - 1))
        elif key == Qt.Key.Key_Down and not self.lists.isHidden():
            self.lists.setFocus(Qt.FocusReason.TabFocusReason)
        elif key == Qt.Key.Key_Backspace and not self.line.text():
            self.back_asked.emit()
        else:
            return False
        return True

    def _fill(self, text: str) -> None:
        found = self._find(text) if text.strip() else []
        self.matches.clear()
        metrics, room = self.matches.fontMetrics(), self.line.width() - MATCH_MARGIN
        for match in found:
            item = QListWidgetItem(metrics.elidedText(match.text, Qt.TextElideMode.ElideRight, room))
            item.setToolTip(plain_tip(match.text))
            item.setData(MATCH_ROLE, match)
            self.matches.addItem(item)
        if text.strip() and not found:
            item = QListWidgetItem(self._nothing_fits())
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.matches.addItem(item)
        self.matches.setCurrentRow(0 if found else -1)
        self.matches.setVisible(bool(text.strip()))
        rows = min(self.matches.count(), MOST_ROWS_SEEN)
        self.matches.setFixedHeight(rows * max(self.matches.sizeHintForRow(0), 16) + 6)

    def _take_match(self) -> None:
        item = self.matches.currentItem()
        match = item.data(MATCH_ROLE) if item is not None else None
        if not isinstance(match, Match):
            return
        self.line.clear()
        if match.label >= 0:
            self.class_chosen.emit(match.label)
        else:
            self.point_chosen.emit(match.item_id)
            self.lists.setFocus(Qt.FocusReason.TabFocusReason)

    def _show_summary(self, lanes: Sequence[Inspection]) -> None:
        table = self.summary
        table.setRowCount(len(lanes))
        for row, lane in enumerate(lanes):
            for column, text in enumerate((lane.lane, *summary(lane))):
                item = table.item(row, column)
                if item is None:
                    item = QTableWidgetItem()
                    item.setFlags(Qt.ItemFlag.ItemIsEnabled)
                    table.setItem(row, column, item)
                item.setText(text)
                if column:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                else:
                    item.setIcon(self._dots.of(self._theme.lane(row)))
                    item.setToolTip(lane.lane)
        table.show()
        header = table.horizontalHeader()
        height = header.sizeHint().height() if header is not None else 20
        table.setFixedHeight(height + sum(table.rowHeight(row) for row in range(len(lanes))) + 2)


def _summary_table() -> QTableWidget:
    """A line a lane, always in sight however narrow the dock is."""
    table = QTableWidget(0, 1 + len(SUMMARY_TITLES))
    table.setHorizontalHeaderLabels(["lane", *SUMMARY_TITLES])
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setShowGrid(False)
    table.setAccessibleName("The point in each lane")
    for column, tip in enumerate(SUMMARY_TITLES.values(), 1):
        item = table.horizontalHeaderItem(column)
        if item is not None:
            item.setToolTip(tip)
            item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    first = table.horizontalHeaderItem(0)
    if first is not None:
        first.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    across, down = table.horizontalHeader(), table.verticalHeader()
    if across is not None and down is not None:
        across.setMinimumSectionSize(34)
        across.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        across.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        down.hide()
        down.setDefaultSectionSize(20)
    return table
