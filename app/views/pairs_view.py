"""Who is mined against whom: a matrix of classes for each lane, and the pairs that are mined most in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QIcon, QResizeEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.history.class_axis import class_axis
from app.history.class_pair_words import caption, cell_text, pair_text, part_text, share_text
from app.history.class_pairs import ClassPairs, Ranked, class_pairs, ranked
from app.history.words import shared_and_own
from app.picture.theme import DARK, Theme
from app.plain import Label, plain_tip
from app.style import css
from app.views.amount_bar import AmountBar
from app.views.dot_icons import DotIcons
from app.views.elided_label import ElidedLabel
from app.views.pair_matrix import PairMatrix
from app.views.pair_painter import Shown
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import class_name, has_several_labels
from hnm_core.spec.registry import is_over_documents

OVER_DOCUMENTS = "Queries and documents have no classes, so there are no pairs of these."
EMPTY = "Which classes are mined against which appears here, once a lane has mined."
RUNS = "anchor ↓ negative →"
BY_RAREST = "rarest labels"
TIP = (
    "Rows: classes of anchors; columns: classes of their negatives. Click a cell, or go to it with the arrow keys and "
    "press Return, to select the points of both classes and draw only the edges between them. The diagonal is empty: a "
    "negative is of another class than its anchor, and positives are not counted. A mark in a corner: some of these "
    "negatives truly are of the anchor's class."
)
COLUMNS = ("Pair", "Share", "Hard")
MOST_ROWS = 40
LEAST_LIST_PX, MOST_LIST_PX = 176, 260
"""Width of the list. It takes what the matrices leave; where not all classes have a row, at least the lesser one."""
LEAST_MATRIX_PX = 48
"""But a matrix is no smaller than this for the list's sake,"""
LEAST_TOLD = 0.1
"""unless all of them hold less than this share of what was mined: then the list tells more, and takes their place."""
MOST_SLACK = 0.6
"""The strongest colour stands for as large a share as there has been, until all are below this part of it."""
WIDE_LIST_PX = 200
"""A narrower list does not say how many were hard; its tips do."""
LIST_GAP = 8
LEAST_SIDE_PX = 96
"""Words stand beside the matrices where these leave so much room and there is no list, else over them."""
NARROW_PX = 420
"""Below this width there is no scale of the colours; the tip of each cell has its share."""
PAIR = Qt.ItemDataRole.UserRole


class PairsView(QWidget):
    """`pair_chosen(anchor, negative)`: a pair of classes was clicked or entered; `cleared()`: none shall be chosen."""

    pair_chosen = pyqtSignal(int, int)
    cleared = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._dots = DARK, DotIcons(8)
        self._started: RunStarted | None = None
        self._frames: tuple[Frame, ...] = ()
        self._places: dict[str, int] = {}
        self._made: dict[int, ClassPairs] = {}  # by the id of a frame in `_frames`
        self._axis: NDArray[np.int64] | None = None
        self._cut = False  # whether not all classes have a row
        self._told = 1.0  # at most such a share of a lane's pairs is in its matrix
        self._most = 0.0
        self._caption = ""
        self._own_words: tuple[str, ...] = ()  # of the name of each class
        self.title, self.bar = ElidedLabel(), AmountBar()
        self.title.setMinimumWidth(20)
        self.title.setToolTip(TIP)
        self.side = Label()
        self.side.setWordWrap(True)
        self.side.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.side.setToolTip(TIP)
        self.order_box = QCheckBox("label order")
        self.order_box.setAccessibleName("Classes in the order of their labels")
        self.order_box.setToolTip(
            "Classes in the order of their labels; else those that are mined together side by side"
        )
        self.order_box.toggled.connect(lambda _on: self._show())
        self.clear_button = QPushButton("Clear")
        self.clear_button.setToolTip("Draw the edges of all classes again, and select nothing (Esc)")
        self.clear_button.setFlat(True)
        self.clear_button.clicked.connect(self.cleared)
        self.clear_button.hide()
        self.matrix, self.list = PairMatrix(), QTreeWidget()
        self.matrix.pair_chosen.connect(self.pair_chosen)
        self.matrix.pointed.connect(self._tell)
        self._build_list()
        head = QHBoxLayout()
        head.setContentsMargins(2, 0, 2, 0)
        head.addWidget(self.title, 1)
        for control in (self.clear_button, self.bar, self.order_box):
            head.addWidget(control)
        self._body = body = QHBoxLayout()
        body.setSpacing(LIST_GAP)
        for widget in (self.matrix, self.list, self.side):  # they ask for no room, so that the panel may be narrow
            widget.setMinimumWidth(1)
            widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
            body.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 2)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addLayout(body, 1)
        self.setMinimumSize(160, 80)
        self.set_theme(DARK)
        self._show()

    def _build_list(self) -> None:
        tree = self.list
        tree.setColumnCount(len(COLUMNS))
        tree.setHeaderLabels(list(COLUMNS))
        tree.setAccessibleName("Pairs of classes that are mined most")
        tree.setAccessibleDescription("Return draws the edges of the chosen one alone")
        tree.setRootIsDecorated(False)
        tree.setIndentation(0)
        tree.setUniformRowHeights(True)
        tree.setAllColumnsShowFocus(True)
        tree.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        tree.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        tree.setMouseTracking(True)
        tree.itemEntered.connect(self._tip)
        tree.itemClicked.connect(lambda item, _column: self._choose(item))
        tree.itemActivated.connect(lambda item, _column: self._choose(item))
        header = tree.header()
        if header is not None:
            header.setStretchLastSection(True)
            header.setToolTip("Pairs of classes that are the largest share of what their lane mined")

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        for label in (self.title, self.side):
            label.setStyleSheet(f"color: {css(theme.muted)};")
        self.list.setStyleSheet(
            f"QTreeWidget {{ background: {css(theme.panel)}; border: 0; }}"
            f"QHeaderView::section {{ background: {css(theme.panel)}; color: {css(theme.muted)}; border: 0;"
            f" border-bottom: 1px solid {css(theme.grid)}; padding: 2px 3px; }}"
        )
        self.matrix.set_theme(theme)
        self.bar.set_theme(theme)
        self._show()

    def show_run(self, started: RunStarted | None, lanes: Sequence[str], frames: Sequence[Frame]) -> None:
        """What the frames that are shown tell of their last steps; a picture that is the same costs nothing.

        Args:
            started: the run; None for none.
            lanes: all of them, in lane order.
            frames: at most one a lane.
        """
        places = {lane: place for place, lane in enumerate(lanes)}
        same = len(frames) == len(self._frames) and all(map(_is, frames, self._frames))
        if same and started is self._started and places == self._places:
            return
        if started is not self._started:
            self._axis, self._most, self._made = None, 0.0, {}
            shared, self._own_words = shared_and_own(started.class_names if started is not None else ())
            self.list.setHeaderLabels([shared or COLUMNS[0], *COLUMNS[1:]])
        self._started, self._frames, self._places = started, tuple(frames), places
        before = self._made if started is not None else {}
        self._made = {
            id(frame): before.get(id(frame)) or class_pairs(started, frame) for frame in frames if started is not None
        }
        self._show()

    def set_chosen(self, pair: tuple[int, int] | None) -> None:
        """Mark the pair of classes whose edges alone are drawn; None for none."""
        self.matrix.set_chosen(pair)
        self.clear_button.setVisible(pair is not None)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._share_room()

    def _show(self) -> None:
        started = self._started
        lanes = sorted(self._made.values(), key=lambda pairs: self._places.get(pairs.lane, len(self._places)))
        told = [pairs for pairs in lanes if pairs.total]
        over_documents = started is not None and is_over_documents(started.config.data.name)
        if started is None or not told or over_documents:
            message = EMPTY if not lanes else "No lane has mined negatives at this moment."
            message = OVER_DOCUMENTS if over_documents else message
            self.matrix.show_lanes((), np.empty(0, np.int64), 0, str, 1.0, message)
            self.list.clear()
            self._say("")
            self._share_room()
            return
        labels = max(int(max(pairs.anchor.max(), pairs.negative.max())) for pairs in told)
        classes = max(len(started.class_names), labels + 1)
        self._axis = class_axis(told, classes, self._axis, by_label=self.order_box.isChecked())
        self._cut, self._told = len(self._axis) < classes, max(pairs.share_of(self._axis) for pairs in told)
        greatest = max(float(pairs.mined[0]) / pairs.total for pairs in told)
        if greatest > self._most or greatest < MOST_SLACK * self._most:
            self._most = greatest

        def name(label: int) -> str:
            return class_name(started, label)

        shown = [Shown(pairs, self._theme.lane(self._places.get(pairs.lane, 0))) for pairs in lanes]
        self.matrix.show_lanes(shown, self._axis, classes, name, self._most)
        self.bar.show_most(share_text(self._most))
        by = BY_RAREST if has_several_labels(started) else ""
        self._say(" · ".join(filter(None, (RUNS, by, caption(told, self._axis, classes), part_text(told)))))
        self._list(ranked(told, MOST_ROWS), {pairs.lane: pairs for pairs in told})
        self._share_room()

    def _share_room(self) -> None:
        """Between the matrices and the list."""
        inside = self.width() - 12
        left_over = int(inside - self.matrix.room_taken(inside) - LIST_GAP)
        beside_list = self.matrix.side(inside - LIST_GAP - LEAST_LIST_PX)
        readable = beside_list >= min(LEAST_MATRIX_PX, self.matrix.side(inside))
        spares = self._cut and (readable or self._told < LEAST_TOLD)
        seen = bool(self.list.topLevelItemCount()) and (spares or left_over >= LEAST_LIST_PX)
        alone = seen and not readable and left_over < LEAST_LIST_PX
        width = inside if alone else min(max(left_over, LEAST_LIST_PX), MOST_LIST_PX)
        beside = not seen and bool(self._caption) and LEAST_SIDE_PX <= left_over < inside
        self.side.setVisible(beside)
        taken = width if seen else left_over if beside else 0
        for place, share in enumerate((inside - LIST_GAP - taken, taken, taken)):
            self._body.setStretch(place, max(share, 1))
        self.title.setText("" if beside else self.side.text())
        self.bar.setVisible(bool(self.list.topLevelItemCount()) and inside >= NARROW_PX)
        self.list.setVisible(seen)
        self.matrix.setHidden(alone)
        narrow = width < WIDE_LIST_PX
        self.list.setColumnHidden(2, narrow)
        self.list.setColumnWidth(0, width - (64 if narrow else 110))
        self.list.setColumnWidth(1, 48)

    def _list(self, found: Sequence[Ranked], lanes: Mapping[str, ClassPairs]) -> None:
        """In what classes do not share of their names, which stands in the header: the list is narrow."""
        tree, known = self.list, self._own_words

        def name(label: int) -> str:
            return known[label] if label < len(known) else str(label)

        while tree.topLevelItemCount() > len(found):
            tree.takeTopLevelItem(tree.topLevelItemCount() - 1)
        dots = {lane: self._dot(lane) for lane in lanes}
        for row, pair in enumerate(found):
            item = tree.topLevelItem(row) or QTreeWidgetItem(tree)
            hard = f"{pair.counts.hard:,}" if lanes[pair.lane].hard_known else ""
            words = pair_text(name(pair.anchor), name(pair.negative))
            for column, text in enumerate((words, share_text(pair.share), hard)):
                item.setText(column, text)
            item.setIcon(0, dots[pair.lane])
            item.setData(0, PAIR, pair)

    def _dot(self, lane: str) -> QIcon:
        return self._dots.of(self._theme.lane(self._places.get(lane, 0)))

    def _tip(self, item: QTreeWidgetItem) -> None:
        """Worked out when the pointer comes: rows change twice a second."""
        pair, started = item.data(0, PAIR), self._started
        told = next((pairs for pairs in self._made.values() if pairs.lane == pair.lane), None)
        if told is None or started is None:
            return
        text = f"{pair.lane} · {cell_text(told, pair.anchor, pair.negative, lambda label: class_name(started, label))}"
        for column in range(len(COLUMNS)):
            item.setToolTip(column, plain_tip(text))

    def _choose(self, item: QTreeWidgetItem) -> None:
        pair: Ranked = item.data(0, PAIR)
        self.pair_chosen.emit(pair.anchor, pair.negative)

    def _say(self, text: str) -> None:
        self._caption = text
        self._tell("")

    def _tell(self, text: str) -> None:
        """What is pointed at, in place of the caption."""
        self.side.setText(text or self._caption)
        self.title.setText("" if self.side.isVisibleTo(self) else self.side.text())


def _is(one: Frame, other: Frame) -> bool:
    return one is other
