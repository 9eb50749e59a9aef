"""What approximate searches missed: for each lane how many, and the worst one by one with the reason."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QModelIndex, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QPainter
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.history.missed import LaneMissed, Missed, missed
from app.picture.missed_edges import RETURNED_WORDS, TRUE_WORDS, MissedPair, end_colors
from app.picture.theme import DARK, Theme
from app.style import css, mix
from app.views.sparkline import draw_sparkline
from hnm_core.run.events import RunStarted
from hnm_core.run.history import RunHistory
from hnm_core.words import significant

COLUMNS = ("Anchor", "True nearest", "Returned", "Farther by", "Why")
WIDTHS = (76, 132, 132, 108)
EMPTY = "What an approximate search misses is listed here: train a lane that has one, such as 'lsh' or 'routed'."
TIP = (
    "With each measurement the miner's search is asked about a fixed probe, and an exact one beside it. Listed are "
    "anchors whose true nearest negative was not returned, the worst first."
)
MISSED_ROLE, LANE_ROLE = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1
SPARK_PX = 56
LANE_ROW_PX = 24
GAP = 10


class MissesView(QWidget):
    """`chosen(lane, MissedPair)` when a row is clicked or entered; `chosen("", None)` when what was chosen is gone."""

    chosen = pyqtSignal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self._shown: object = None
        self._chosen: tuple[str, int] | None = None  # lane and anchor
        self.note = QLabel()
        self.note.setToolTip(TIP)
        self.note.setMinimumWidth(20)
        self.tree = QTreeWidget()
        self.tree.setColumnCount(len(COLUMNS))
        self.tree.setHeaderLabels(list(COLUMNS))
        self.tree.setAccessibleName("Missed negatives")
        self.tree.setAccessibleDescription("Enter shows the chosen one in its lane's cloud")
        self.tree.setUniformRowHeights(False)
        self.tree.setIndentation(14)
        self.tree.setAllColumnsShowFocus(True)
        self.tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.tree.setItemDelegateForColumn(0, _LaneRows(self.tree))
        self.tree.itemClicked.connect(lambda item, _column: self._choose(item))
        self.tree.itemActivated.connect(lambda item, _column: self._choose(item))
        header = self.tree.header()
        if header is not None:
            header.setMinimumSectionSize(40)
            header.setStretchLastSection(True)
            for column, width in enumerate(WIDTHS):
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.Interactive)
                header.resizeSection(column, width)
        self.empty = QLabel(EMPTY)
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 2)
        layout.setSpacing(2)
        for widget, stretch in ((self.note, 0), (self.tree, 1), (self.empty, 1)):
            layout.addWidget(widget, stretch)
        self.set_theme(DARK)
        self.show_history(RunHistory())

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        for label in (self.note, self.empty):
            label.setStyleSheet(f"color: {css(theme.muted)};")
        true, returned = (
            f"<span style='color:{css(colour)}'>━━</span> {words}"
            for colour, words in zip(end_colors(theme), (TRUE_WORDS, RETURNED_WORDS), strict=True)
        )
        self.note.setText(f"not returned, the worst first &nbsp;&nbsp; {true} &nbsp; {returned}")
        self.tree.setStyleSheet(
            f"QTreeWidget {{ background: {css(theme.panel)}; border: 0; }}"
            f"QHeaderView::section {{ background: {css(theme.panel)}; color: {css(theme.muted)}; border: 0;"
            f" border-bottom: 1px solid {css(theme.grid)}; padding: 2px 3px; }}"
        )
        self._shown = None

    def show_history(self, history: RunHistory, upto_step: int | None = None) -> None:
        """What was missed when it was measured last, up to a step; None is now. Costs nothing while that stays."""
        newest = [
            (name, (last := lane.misses_at(upto_step)) and last.step, len(lane) > 0, tuple(lane.turns))
            for name, lane in history.lanes.items()
        ]
        wanted = (id(history.started), newest, upto_step is None or len(history.told), self._theme.name)
        if wanted == self._shown:
            return
        self._shown = wanted
        lanes = missed(history, upto_step)
        self.empty.setVisible(not lanes)
        for widget in (self.tree, self.note):
            widget.setVisible(bool(lanes))
        self._fill(lanes, history.started)
        self._follow(lanes)

    def forget(self) -> None:
        """Nothing is chosen any more."""
        if self._chosen is not None:
            self._chosen = None
            self.tree.setCurrentItem(None)
            self.chosen.emit("", None)

    def _fill(self, lanes: list[LaneMissed], started: RunStarted | None) -> None:
        """All rows anew; what was folded stays so, and the current row, where it is still there."""
        folded = {item.text(0) for item in self._lane_items() if item.childCount() and not item.isExpanded()}
        current = self._key(self.tree.currentItem())
        bar = self.tree.verticalScrollBar()
        scrolled = bar.value() if bar is not None else 0
        self.tree.clear()
        for lane in lanes:
            top = QTreeWidgetItem(self.tree)
            top.setFirstColumnSpanned(True)
            top.setText(0, lane.lane)
            top.setData(0, LANE_ROLE, (lane, self._theme))
            top.setData(0, Qt.ItemDataRole.AccessibleTextRole, f"{lane.lane}: {lane.summary}")
            top.setToolTip(0, f"{lane.lane}: {lane.summary}")
            for row in lane.rows:
                self._add(top, row, started)
            top.setExpanded(lane.lane not in folded)
        for item in self._items():
            if current is not None and self._key(item) == current:
                self.tree.setCurrentItem(item)
        if bar is not None:
            bar.setValue(scrolled)

    def _add(self, top: QTreeWidgetItem, row: Missed, started: RunStarted | None) -> None:
        texts = (
            str(row.anchor),
            f"{row.nearest} at {significant(row.nearest_distance)}",
            f"{row.found} at {significant(row.found_distance)}" if row.found >= 0 else "nothing",
            row.farther if row.found >= 0 else "",
            row.why,
        )
        item = QTreeWidgetItem(top, list(texts))
        item.setData(0, MISSED_ROLE, row)
        for column, colour in zip((1, 2), end_colors(self._theme), strict=True):
            item.setForeground(column, QColor(*colour))
        named = [f"{what} {number}" + _class_of(started, number) for what, number in _items_of(row)]
        tip = "\n".join(filter(None, (", ".join(named), row.why, row.details)))
        for column in range(len(COLUMNS)):
            item.setToolTip(column, tip)

    def _follow(self, lanes: list[LaneMissed]) -> None:
        """Show what is chosen as it is now; where the anchor is no longer among the misses, nothing."""
        if self._chosen is None:
            return
        lane, anchor = self._chosen
        rows = [row for each in lanes if each.lane == lane for row in each.rows if row.anchor == anchor]
        if rows:
            self.chosen.emit(lane, _pair(rows[0]))
        else:
            self.forget()

    def _choose(self, item: QTreeWidgetItem) -> None:
        row, top = item.data(0, MISSED_ROLE), item.parent()
        if row is not None and top is not None:
            self._chosen = top.text(0), row.anchor
            self.chosen.emit(top.text(0), _pair(row))

    def _lane_items(self) -> list[QTreeWidgetItem]:
        items = (self.tree.topLevelItem(place) for place in range(self.tree.topLevelItemCount()))
        return [item for item in items if item is not None]

    def _items(self) -> list[QTreeWidgetItem]:
        below = [top.child(place) for top in self._lane_items() for place in range(top.childCount())]
        return self._lane_items() + [item for item in below if item is not None]

    @staticmethod
    def _key(item: QTreeWidgetItem | None) -> tuple[str, int] | None:
        """What a row is about: a lane, and an anchor or -1."""
        if item is None:
            return None
        row, top = item.data(0, MISSED_ROLE), item.parent()
        return (item.text(0), -1) if row is None or top is None else (top.text(0), row.anchor)


class _LaneRows(QStyledItemDelegate):
    """Paints the row of a lane: its colour and name, how much was missed, recall and regret over time."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        told = index.data(LANE_ROLE)
        if painter is None or told is None:
            super().paint(painter, option, index)
            return
        lane, theme = told
        painter.save()
        box = QRectF(option.rect)
        if option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_HasFocus):
            painter.fillRect(box, QColor(*mix(theme.panel, theme.accent, 0.25)))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*theme.lane(lane.place)))
        painter.drawEllipse(QRectF(box.left() + 2, box.center().y() - 4.5, 9, 9))
        left = box.left() + 16
        bold = QFont(option.font)
        bold.setWeight(QFont.Weight.DemiBold)
        painter.setFont(bold)
        name_px = min(painter.fontMetrics().horizontalAdvance(lane.lane), 0.4 * box.width())
        left = _text(painter, box, left, lane.lane, name_px, theme.text)
        painter.setFont(option.font)
        curves = [] if lane.note else [("recall", lane.recall), ("regret", lane.regret)]
        for words, values in curves:
            if values is None or not len(values):
                continue
            text = f"{words} {significant(float(values[-1]))}"
            width = painter.fontMetrics().horizontalAdvance(text)
            if left + width + SPARK_PX + GAP > box.right():
                break
            left = _text(painter, box, left, text, width, theme.text) - GAP + 5
            spark = QRectF(left, box.top() + 5, SPARK_PX, box.height() - 10)
            draw_sparkline(painter, spark, np.asarray(values), theme.lane(lane.place))
            left += SPARK_PX + GAP
        _text(painter, box, left, lane.summary, box.right() - left - 4, theme.muted)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        size = super().sizeHint(option, index)
        return QSize(size.width(), LANE_ROW_PX) if index.data(LANE_ROLE) is not None else size


def _text(painter: QPainter, box: QRectF, left: float, text: str, width: float, colour: tuple[int, int, int]) -> float:
    """Text from `left` on, cut where it is wider than `width`; returns where the next may begin."""
    painter.setPen(QColor(*colour))
    metrics = painter.fontMetrics()
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(width) + 1)
    painter.drawText(
        QRectF(left, box.top(), max(width + 2, 0), box.height()), int(Qt.AlignmentFlag.AlignVCenter), shown
    )
    return left + metrics.horizontalAdvance(shown) + GAP


def _pair(row: Missed) -> MissedPair:
    return MissedPair(row.anchor, row.nearest, row.found)


def _items_of(row: Missed) -> list[tuple[str, int]]:
    found = [("returned", row.found)] if row.found >= 0 else []
    return [("anchor", row.anchor), ("true nearest", row.nearest), *found]


def _class_of(started: RunStarted | None, item: int) -> str:
    """For example " (class 7)"; empty where the item is not among the shown ones."""
    if started is None:
        return ""
    place = int(np.searchsorted(started.ids, item))
    if place >= len(started.ids) or started.ids[place] != item:
        return ""
    return f" (class {started.class_names[int(started.labels[place])]})"
