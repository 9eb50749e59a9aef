"""What approximate searches missed: of each lane how much, and the worst one by one with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from PyQt6.QtCore import QRectF, QSignalBlocker, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QTabBar,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.history.missed import LaneMissed, Missed, missed
from app.picture.missed_edges import MissedPair, end_colors
from app.picture.theme import DARK, Theme
from app.plain import Label, plain_tip
from app.style import css, mix
from app.views.bucket_line import BucketLine
from app.views.dot_icons import DotIcons
from app.views.elided_label import ElidedLabel
from app.views.sparkline import draw_sparkline
from hnm_core.run.events import RunStarted
from hnm_core.run.history import RunHistory
from hnm_core.run.item_texts import in_sight
from hnm_core.run.shown import item_words, places_of, text_of
from hnm_core.words import significant

COLUMNS = ("Anchor", "True nearest", "Returned", "Farther by", "Why")
ITEMS = 3
"""So many columns, the first, each name an item."""
FARTHER, WHY = COLUMNS.index("Farther by"), COLUMNS.index("Why")
WIDTHS = (50, 102, 84, 92)
WIDE_WIDTHS = (54, 132, 132, 112)
TEXT_SHARE = 0.7
"""Of the width, for items that are texts."""
WIDE_PX, NARROW_PX, NARROWEST_PX, LOW_PX = 600, 460, 340, 190
"""From this width on distances stand beside the items; below this one by how much farther what was returned is stands
in the tooltip alone, and below the next one the reason below the list alone; below this height there is no hint while
no row is the current one."""
EMPTY = "What an approximate search misses is listed here: train a lane that has one, such as 'lsh' or 'routed'."
TIP = (
    "With each measurement the miner's search is asked about a fixed probe, and an exact one beside it. Listed are "
    "anchors whose true nearest negative was not returned, the worst first. Click one, or choose it with the arrow "
    "keys and Enter, to see it in the lane's cloud."
)
ROW = Qt.ItemDataRole.UserRole
SCROLLED_PX = 28
"""Margins, and the bar by which the rows are scrolled."""
SPARK_PX = 56
LINE_PX = 20
GAP = 10


class MissesView(QWidget):
    """A tab a lane. `chosen(anchor)` when a row is pressed or entered; `pair_changed(lane, MissedPair)` when what is to
    be seen of it is another one, `pair_changed("", None)` when that is nothing any more."""

    chosen = pyqtSignal(int)
    pair_changed = pyqtSignal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._dots, self._lines = DARK, DotIcons(9), DotIcons(12, 3)
        self._told: object = None  # what the lanes were made of
        self._lanes: list[LaneMissed] = []
        self._started: RunStarted | None = None
        self._chosen: tuple[str, int] | None = None  # lane and anchor
        self._filled: object = None  # what the rows were made of
        self.tabs, self.line, self.filling, self.tree = QTabBar(), LaneLine(), BucketLine(), QTreeWidget()
        self.tabs.setAccessibleName("Lane")
        self.tabs.setExpanding(False)
        self.tabs.setDrawBase(False)
        self.tabs.setUsesScrollButtons(True)
        self.tabs.currentChanged.connect(lambda _place: self._fill())
        self._build_tree()
        self.note, self.detail, self.how = Label(EMPTY), ElidedLabel(), ElidedLabel()
        self.note.setWordWrap(True)
        self.note.setAlignment(Qt.AlignmentFlag.AlignCenter)
        for label in (self.detail, self.how):
            label.setMinimumWidth(20)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.setSpacing(2)
        for widget in (self.tabs, self.line, self.filling, self.how, self.tree, self.detail, self.note):
            layout.addWidget(widget, 1 if widget in (self.tree, self.note) else 0)
        self.set_theme(DARK)
        self.show_history(RunHistory())

    def _build_tree(self) -> None:
        tree = self.tree
        tree.setColumnCount(len(COLUMNS))
        tree.setHeaderLabels(list(COLUMNS))
        tree.setAccessibleName("Missed negatives")
        tree.setAccessibleDescription("Enter shows the chosen one in its lane's cloud")
        tree.setRootIsDecorated(False)
        tree.setUniformRowHeights(True)
        tree.setAllColumnsShowFocus(True)
        tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        tree.setMinimumHeight(40)
        tree.itemPressed.connect(lambda item, _column: self._choose(item))  # a click ends on what a new measure brought
        tree.itemActivated.connect(lambda item, _column: self._choose(item))
        tree.currentItemChanged.connect(lambda item, _before: self._tell(item))
        header = tree.header()
        if header is not None:
            header.setMinimumSectionSize(40)
            header.setStretchLastSection(True)
            header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
            header.setToolTip(TIP)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = self.line.theme = self.filling.theme = theme
        for label in (self.note, self.detail, self.how):
            label.setStyleSheet(f"color: {css(theme.muted)};")
        self.tabs.setStyleSheet(
            f"QTabBar::tab {{ padding: 2px 8px; border: 0; border-bottom: 2px solid transparent;"
            f" color: {css(theme.muted)}; background: transparent; }}"
            f"QTabBar::tab:selected {{ color: {css(theme.text)}; border-bottom-color: {css(theme.accent)}; }}"
            f"QTabBar::tab:focus {{ background: {css(mix(theme.panel, theme.accent, 0.25))}; }}"
        )
        self.tree.setStyleSheet(
            f"QTreeWidget {{ background: {css(theme.panel)}; border: 0; }}"
            f"QHeaderView::section {{ background: {css(theme.panel)}; color: {css(theme.muted)}; border: 0;"
            f" border-bottom: 1px solid {css(theme.grid)}; padding: 2px 3px; }}"
        )
        header = self.tree.headerItem()
        for column, colour in zip((1, 2), end_colors(theme), strict=True):
            if header is not None:
                header.setIcon(column, self._lines.of(colour))  # the colour of the edge in the cloud
        self._show_tabs()

    def show_history(
        self,
        history: RunHistory,
        upto_step: int | None = None,
        step_of: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """What was missed when it was measured last, up to a lane's step in `step_of`, or up to a step; None is now.
        Costs nothing while that stays."""
        upto = {name: step_of.get(name, upto_step) for name in history.lanes}
        newest = [
            (
                name,
                (last := lane.misses_at(upto[name])) and last.step,
                lane.rows(upto[name]) > 0,
                lane.search_words(upto[name]),
                len(lane.metric("used_recall", upto[name])[1]),
            )
            for name, lane in history.lanes.items()
        ]
        told = (id(history.started), newest, [change.step for change in history.changes], upto)
        if told == self._told:
            return
        self._told = told
        before = [lane.lane for lane in self._lanes]
        self._lanes, self._started = missed(history, upto_step, step_of), history.started
        if before != [lane.lane for lane in self._lanes]:
            with QSignalBlocker(self.tabs):
                first = next((lane.place for lane in self._lanes if lane.tag in ("", "...")), 0)
                self._make_tabs(first)
        self._show_tabs()
        self._follow()

    def forget(self) -> None:
        """Nothing is chosen any more."""
        if self._chosen is not None:
            self._chosen = None
            self.tree.setCurrentItem(None)
            self.pair_changed.emit("", None)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """As much in the rows as there is room for."""
        super().resizeEvent(event)
        if event is not None and _room(event.size()) != _room(event.oldSize()):
            self._fill()
        self._share_columns()

    def _make_tabs(self, current: int) -> None:
        for place in reversed(range(self.tabs.count())):
            self.tabs.removeTab(place)
        for lane in self._lanes:
            self.tabs.addTab(lane.lane)
        self.tabs.setCurrentIndex(current)

    def _show_tabs(self) -> None:
        for place, lane in enumerate(self._lanes):
            self.tabs.setTabIcon(place, self._dots.of(self._theme.lane(lane.place)))
            self.tabs.setTabText(place, f"{lane.lane}  {lane.short}")
            self.tabs.setTabToolTip(place, f"{lane.lane}: {lane.summary}")
        self._fill()

    def _fill(self) -> None:
        """The lane of the current tab. The current row stays, where it is still there."""
        place = self.tabs.currentIndex()
        lane = self._lanes[place] if 0 <= place < len(self._lanes) else None
        self.tabs.setVisible(lane is not None)
        listed = lane is not None and not lane.note and bool(lane.rows)
        self.tree.setVisible(listed)
        self.line.setVisible(lane is not None and not lane.note)
        self.note.setVisible(not listed)
        self.line.show_lane(lane)
        self.filling.show_lane(lane)
        self.how.setText("" if lane is None else lane.how)
        self.filling.setVisible(lane is not None and lane.buckets is not None)
        if lane is None:
            self.note.setText(EMPTY)
        elif not listed:
            words = f"{lane.lane} {lane.note or 'missed none of the nearest negatives ' + lane.when}."
            self.note.setText("\n".join(filter(None, (words, lane.search if lane.note else ""))))
        wide = self.width() >= WIDE_PX
        self.tree.setColumnHidden(FARTHER, self.width() < NARROW_PX)
        self.tree.setColumnHidden(WHY, self.width() < NARROWEST_PX)
        rows = lane.rows if lane is not None else ()
        self._share_columns()
        filled = lane and (lane.lane, lane.step, len(rows)), id(self._started), wide, self._theme
        if filled != self._filled:  # else what the user points at stays, however many steps pass
            self._filled = filled
            self._fill_tree(rows, wide)
        self._tell(self.tree.currentItem())

    def _share_columns(self) -> None:
        """Numbers as wide as they are, texts as wide as there is room; all three items where there is little."""
        widths = [*(WIDE_WIDTHS if self.width() >= WIDE_PX else WIDTHS)]
        room = self.width() - SCROLLED_PX
        texts = self._started is not None and bool(self._started.texts)
        if texts or sum(widths[:ITEMS]) > room:
            share = 1.0 if self.tree.isColumnHidden(WHY) else TEXT_SHARE
            widths[:ITEMS] = [max(40, int(share * room / ITEMS))] * ITEMS
        for column, width in enumerate(widths):
            self.tree.setColumnWidth(column, width)

    def _fill_tree(self, rows: Sequence[Missed], wide: bool) -> None:
        row = self._row(self.tree.currentItem())
        bar = self.tree.verticalScrollBar()
        scrolled = bar.value() if bar is not None else 0
        self.tree.clear()
        for each in rows:
            item = self._item(each, wide)
            if row is not None and each.anchor == row.anchor:
                self.tree.setCurrentItem(item)
        if bar is not None:
            bar.setValue(scrolled)

    def _item(self, row: Missed, wide: bool) -> QTreeWidgetItem:
        near, far = (f" at {significant(d)}" if wide else "" for d in (row.nearest_distance, row.found_distance))
        texts = (
            self._short(row.anchor),
            f"{self._short(row.nearest)}{near}",
            f"{self._short(row.found)}{far}" if row.found >= 0 else "nothing",
            row.farther if row.found >= 0 else "",
            row.why,
        )
        item = QTreeWidgetItem(self.tree, list(texts))
        item.setData(0, ROW, row)
        for column, colour in zip((1, 2), end_colors(self._theme), strict=True):
            item.setForeground(column, QColor(*colour))
        returned = f"returned {self._named(row.found)} at {significant(row.found_distance)}"
        tip = (
            f"anchor {self._named(row.anchor)}",
            f"true nearest {self._named(row.nearest)} at {significant(row.nearest_distance)}",
            f"{returned}, {row.farther} farther" if row.found >= 0 else "nothing returned",
            row.why,
            row.details,
        )
        for column in range(len(COLUMNS)):
            item.setToolTip(column, plain_tip("\n".join(filter(None, tip))))
        return item

    def _named(self, item: int) -> str:
        """For example "123 (class 7)", or the id and the text in the user's files; the id alone where nothing more is
        known."""
        started = self._started
        if started is None:
            return str(item)
        told = text_of(started, item)
        if told is not None:
            return f"{in_sight(told.name)} ({in_sight(told.text)})"
        place = int(places_of(started.ids, np.array([item]))[0])
        if place < 0:
            return str(item)
        return f"{item} ({item_words(started, item, int(started.labels[place]))})"

    def _short(self, item: int) -> str:
        """Its id, or where it has one that in the user's files, and the text."""
        told = None if self._started is None else text_of(self._started, item)
        return str(item) if told is None else f"{in_sight(told.name)} · {in_sight(told.text)}"

    def _tell(self, item: QTreeWidgetItem | None) -> None:
        """The reason of the current row in full, for its column may be narrow."""
        row = self._row(item)
        words = "Enter or a click shows one in the cloud." if row is None else row.why or row.farther
        self.detail.setVisible(self.tree.isVisibleTo(self) and (row is not None or self.height() >= LOW_PX))
        # In a low panel what is said of all rows gives way to what is said of the current one.
        self.how.setVisible(bool(self.how.text()) and (row is None or self.height() >= LOW_PX))
        self.detail.setText(words)
        self.detail.setToolTip("" if item is None else item.toolTip(0))

    def _follow(self) -> None:
        """Show what is chosen as it is now; where the anchor is no longer among the misses, nothing."""
        if self._chosen is None:
            return
        name, anchor = self._chosen
        rows = [row for lane in self._lanes if lane.lane == name for row in lane.rows if row.anchor == anchor]
        if rows:
            self.pair_changed.emit(name, _pair(rows[0]))
        else:
            self.forget()

    def _choose(self, item: QTreeWidgetItem) -> None:
        row, place = self._row(item), self.tabs.currentIndex()
        if row is not None:
            self._chosen = self._lanes[place].lane, row.anchor
            self.pair_changed.emit(self._lanes[place].lane, _pair(row))
            self.chosen.emit(row.anchor)

    @staticmethod
    def _row(item: QTreeWidgetItem | None) -> Missed | None:
        row: Missed | None = None if item is None else item.data(0, ROW)
        return row


class LaneLine(QWidget):
    """How much a lane missed, its recall and its regret over time, in one line."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self._lane: LaneMissed | None = None
        self.setFixedHeight(LINE_PX)
        self.setToolTip(
            "hardness regret: how much farther the nearest returned negative is than the nearest, on average"
        )

    def sizeHint(self) -> QSize:
        return QSize(300, LINE_PX)

    def show_lane(self, lane: LaneMissed | None) -> None:
        """Another lane, or the same at another step."""
        self._lane = lane
        self.setAccessibleName("" if lane is None else f"{lane.lane}: {lane.summary}")
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        lane, theme, box = self._lane, self.theme, QRectF(self.rect())
        if lane is None or lane.note:
            return
        painter = QPainter(self)
        left = _text(painter, box, 2, lane.count, box.width() - 6, theme.text)
        for words, values in (("recall", lane.recall), ("regret", lane.regret)):
            if values is None or not len(values):
                continue
            text = f"{words} {significant(float(values[-1]))}"
            width = painter.fontMetrics().horizontalAdvance(text)
            if left + width + SPARK_PX + GAP > box.right():
                break
            left = _text(painter, box, left, text, width, theme.text) - GAP / 2
            spark = QRectF(left, box.top() + 4, SPARK_PX, box.height() - 8)
            draw_sparkline(painter, spark, values, theme.lane(lane.place))
            left += SPARK_PX + GAP
        _text(painter, box, left, lane.when, box.right() - left - 4, theme.muted)
        painter.end()


def _text(painter: QPainter, box: QRectF, left: float, text: str, width: float, colour: tuple[int, int, int]) -> float:
    """Text from `left` on, cut where it is wider than `width`; returns where the next may begin."""
    painter.setPen(QColor(*colour))
    metrics = painter.fontMetrics()
    shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(width) + 1)
    painter.drawText(
        QRectF(left, box.top(), max(width + 2, 0), box.height()), int(Qt.AlignmentFlag.AlignVCenter), shown
    )
    return left + metrics.horizontalAdvance(shown) + GAP


def _room(size: QSize) -> tuple[bool, ...]:
    return *(size.width() >= px for px in (WIDE_PX, NARROW_PX, NARROWEST_PX)), size.height() >= LOW_PX


def _pair(row: Missed) -> MissedPair:
    return MissedPair(row.anchor, row.nearest, row.found)
