"""The lists of the inspector: a column a lane, and under it what was mined and what lies near, point by point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from PyQt6.QtCore import QModelIndex, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetrics, QKeyEvent, QPainter, QResizeEvent
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QScrollBar,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from app.history.inspection_words import Cell, Section
from app.history.words import shared_and_own
from app.picture.edges import FALSE, HARD, SEMI_HARD, kind_colors
from app.picture.theme import DARK, Rgb, Theme
from app.plain import plain_tip
from app.style import css, mix
from app.views.dot_icons import DotIcons

LEAST_COLUMN_PX = 88
"""Where more lanes stand side by side than that leaves room for, the lists scroll sideways."""
ONE_LINE_FROM_PX = 190
"""In narrower columns the note of a cell stands below its text."""
DOT_PX = 8
PAD_PX = 5
CELL_ROLE = int(Qt.ItemDataRole.UserRole)

_BAND_KINDS = {"hard": HARD, "semi_hard": SEMI_HARD, "false": FALSE}


class InspectorLists(QTableWidget):
    """Arrow keys walk from point to point, `point_chosen(id)` on Enter or a click; `back_asked` on Backspace."""

    point_chosen = pyqtSignal(int)
    back_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 0, parent)
        self._theme, self._dots = DARK, DotIcons(DOT_PX)
        self._class_rgb: Mapping[str, Rgb] = {}
        self._own_words: Mapping[str, str] = {}
        """Of each class name what the others do not say too"""
        self._shown: tuple[tuple[str, ...], tuple[Section, ...]] = ((), ())
        self._sections: list[str] = []
        """Of each row the title of its section"""
        self.setItemDelegate(_CellPainter(self))
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setTabKeyNavigation(False)
        self.setAccessibleName("What was mined with the point and what lies near it, by lane")
        across, down = self.horizontalHeader(), self.verticalHeader()
        assert across is not None and down is not None
        across.setMinimumSectionSize(LEAST_COLUMN_PX)
        across.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        across.setHighlightSections(False)
        down.hide()
        self.cellClicked.connect(self._on_click)
        self.set_theme(DARK)

    @property
    def theme(self) -> Theme:
        """Colours of the cells."""
        return self._theme

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.setStyleSheet(
            f"QTableWidget {{ background: {css(theme.panel)}; border: 0; outline: 0; }}"
            f"QHeaderView::section {{ background: {css(theme.panel)}; color: {css(theme.muted)}; border: 0;"
            f" border-bottom: 1px solid {css(theme.grid)}; padding: 3px {PAD_PX}px; }}"
        )
        for column in range(self.columnCount()):
            self._paint_header(column)

    def show_lists(
        self, lanes: Sequence[str], sections: Sequence[Section], class_rgb: Mapping[str, Rgb], *, anew: bool
    ) -> None:
        """The lists of a point. `anew`: it is another one, so the first of its points is the current cell; else the
        current cell stays on the point it is on, as long as that is listed."""
        if class_rgb.keys() != self._class_rgb.keys():
            self._own_words = dict(zip(class_rgb, shared_and_own(tuple(class_rgb))[1], strict=True))
        self._class_rgb = class_rgb
        wanted = (tuple(lanes), tuple(sections))
        if wanted == self._shown and not anew:
            return
        before, scrolled = self._where(), _at(self.verticalScrollBar())
        self._shown = wanted
        self.clearSpans()
        self.setColumnCount(len(lanes))
        for column, lane in enumerate(lanes):
            self.setHorizontalHeaderItem(column, QTableWidgetItem(lane))
            self._paint_header(column)
        self.setRowCount(sum(1 + section.rows for section in sections))
        self._sections = []
        for section in sections:
            self._put(len(self._sections), 0, Cell(section.title), title=True)
            if len(lanes) > 1:
                self.setSpan(len(self._sections), 0, 1, len(lanes))
            first = len(self._sections) + 1
            for column, cells in enumerate(section.columns):
                for place in range(section.rows):
                    self._put(first + place, column, cells[place] if place < len(cells) else Cell(""))
            self._sections += [section.title] * (1 + section.rows)
        self._size_rows()
        self._go_to(None if anew else before)
        bar = self.verticalScrollBar()
        if bar is not None:
            bar.setValue(0 if anew else scrolled)

    def class_colour(self, name: str) -> Rgb | None:
        """The colour of a class in the clouds, None where classes have none."""
        return self._class_rgb.get(name)

    def in_short(self, cell: Cell) -> str:
        """A cell's text where there is no room for the whole: without the words that all names of classes share."""
        name = cell.class_name
        return cell.text.replace(name, self._own_words.get(name, name)) if name else cell.text

    def fitted(self, cell: Cell, fits: Callable[[str], bool]) -> str:
        """As much of an item's text as `fits`, but at least its id: the dot before it has the colour of its class. What
        is told by a text comes whole, to be cut."""
        if cell.is_text:
            return cell.text
        return next(filter(fits, (cell.text, self.in_short(cell))), str(cell.item_id))

    def cell(self, row: int, column: int) -> Cell:
        """What stands in a place; an empty cell where nothing does."""
        item = self.item(row, column)
        cell = item.data(CELL_ROLE) if item is not None else None
        return cell if isinstance(cell, Cell) else Cell("")

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._on_click(self.currentRow(), self.currentColumn())
        elif event.key() == Qt.Key.Key_Backspace:
            self.back_asked.emit()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._size_rows()

    def _on_click(self, row: int, column: int) -> None:
        item_id = self.cell(row, column).item_id
        if item_id >= 0:
            self.point_chosen.emit(item_id)

    def _put(self, row: int, column: int, cell: Cell, *, title: bool = False) -> None:
        item = QTableWidgetItem(" ".join(part for part in (cell.text, cell.note) if part))
        item.setData(CELL_ROLE, cell)
        item.setToolTip(plain_tip(cell.tip))
        listed = cell.item_id >= 0
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable if listed else Qt.ItemFlag.NoItemFlags)
        if title:
            font = item.font()
            font.setBold(True)
            item.setFont(font)
        self.setItem(row, column, item)

    def _size_rows(self) -> None:
        line = QFontMetrics(self.font()).height()
        wide = self.columnCount() == 0 or self.columnWidth(0) >= ONE_LINE_FROM_PX
        for row in range(self.rowCount()):
            title = self.columnSpan(row, 0) > 1 or (self.cell(row, 0).item_id < 0 and not self._lists(row))
            self.setRowHeight(row, line + 8 if title or wide else 2 * line + 7)

    def _lists(self, row: int) -> bool:
        return any(self.cell(row, column).item_id >= 0 for column in range(self.columnCount()))

    def _where(self) -> tuple[int, int, str, int] | None:
        """The current row and column, the section and the point there; None where nothing is current."""
        row, column = self.currentRow(), self.currentColumn()
        return (row, column, self._sections[row], self.cell(row, column).item_id) if row >= 0 else None

    def _go_to(self, before: tuple[int, int, str, int] | None) -> None:
        """Make the cell current that stands nearest to where the same point was, or the first."""
        listed = [
            (row, column, self._sections[row], self.cell(row, column).item_id)
            for row in range(self.rowCount())
            for column in range(self.columnCount())
            if self.cell(row, column).item_id >= 0
        ]
        if not listed:
            return
        row, column = listed[0][:2]
        if before is not None:
            was_row, was_column, was_section, was_id = before
            row, column = min(
                listed,
                key=lambda at: (at[2:] != (was_section, was_id), at[1] != was_column, abs(at[0] - was_row)),
            )[:2]
        self.setCurrentCell(row, column)

    def _paint_header(self, column: int) -> None:
        item = self.horizontalHeaderItem(column)
        if item is not None:
            item.setIcon(self._dots.of(self._theme.lane(column)))
            item.setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)


def _at(bar: QScrollBar | None) -> int:
    return bar.value() if bar is not None else 0


def shortened(note: str, fits: Callable[[str], bool]) -> str:
    """As many of the last words of a note as fit, at least one: the band, its first word, is told by a mark too."""
    words = note.split()
    while len(words) > 1 and not fits(" ".join(words)):
        del words[0]
    return " ".join(words)


class _CellPainter(QStyledItemDelegate):
    """A dot in the colour of the class, the point, and muted beside or below it how hard it is."""

    def __init__(self, lists: InspectorLists) -> None:
        super().__init__(lists)
        self._lists = lists

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        assert painter is not None
        cell, theme = self._lists.cell(index.row(), index.column()), self._lists.theme
        painter.save()
        painter.setClipRect(option.rect)
        if cell.item_id < 0:
            self._paint_words(painter, option, index, cell, theme)
        else:
            self._paint_point(painter, option, cell, theme)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(LEAST_COLUMN_PX, 20)

    def _paint_words(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex, cell: Cell, theme: Theme
    ) -> None:
        bold = index.data(Qt.ItemDataRole.FontRole)
        font = painter.font()
        font.setBold(bold is not None and bold.bold())
        painter.setFont(font)
        painter.setPen(QColor(*(theme.text if font.bold() else theme.muted)))
        room = QRectF(option.rect).adjusted(PAD_PX, 0, -PAD_PX, -1)
        text = QFontMetrics(font).elidedText(cell.text or cell.note, Qt.TextElideMode.ElideRight, int(room.width()))
        side = Qt.AlignmentFlag.AlignBottom if font.bold() else Qt.AlignmentFlag.AlignVCenter
        painter.drawText(room, int(side | Qt.AlignmentFlag.AlignLeft), text)

    def _paint_point(self, painter: QPainter, option: QStyleOptionViewItem, cell: Cell, theme: Theme) -> None:
        room = QRectF(option.rect)
        focused = bool(option.state & QStyle.StateFlag.State_HasFocus)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(room, QColor(*mix(theme.panel, theme.accent, 0.32 if focused else 0.16)))
        if focused:
            painter.setPen(QColor(*theme.accent))
            painter.drawRect(room.adjusted(0.5, 0.5, -1, -1))
        metrics = QFontMetrics(painter.font())
        one_line = room.width() >= ONE_LINE_FROM_PX
        inner = room.adjusted(PAD_PX, 1, -PAD_PX, -1)
        top = inner if one_line else QRectF(inner.left(), inner.top(), inner.width(), inner.height() / 2)
        left = self._dot(painter, top, self._lists.class_colour(cell.class_name))
        note_width = metrics.horizontalAdvance(cell.note) + DOT_PX + PAD_PX if one_line else 0
        painter.setPen(QColor(*theme.text))
        words = QRectF(left, top.top(), max(inner.right() - left - note_width, 10), top.height())
        text = self._lists.fitted(cell, lambda text: metrics.horizontalAdvance(text) <= words.width())
        elided = Qt.TextElideMode.ElideRight if cell.is_text else Qt.TextElideMode.ElideMiddle
        text = metrics.elidedText(text, elided, int(words.width()))
        painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), text)
        if not cell.note:
            return
        at = inner.right() - note_width if one_line else inner.left()
        below = QRectF(at, top.top() if one_line else top.bottom(), inner.right() - at, top.height())
        band = _BAND_KINDS.get(cell.band)
        at = self._dot(painter, below, None if band is None else kind_colors(theme)[band], square=True)
        note = QRectF(at, below.top(), below.right() - at, below.height())
        painter.setPen(QColor(*theme.muted))
        flags = Qt.AlignmentFlag.AlignVCenter | (
            Qt.AlignmentFlag.AlignRight if one_line else Qt.AlignmentFlag.AlignLeft
        )

        def cut(text: str) -> str:
            return metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(note.width()))

        painter.drawText(note, int(flags), cut(shortened(cell.note, lambda text: cut(text) == text)))

    def _dot(self, painter: QPainter, room: QRectF, rgb: Rgb | None, *, square: bool = False) -> float:
        """A mark at the left of `room`, if there is a colour; where to go on behind it."""
        if rgb is None:
            return room.left()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*rgb))
        box = QRectF(room.left(), room.center().y() - DOT_PX / 2, DOT_PX, DOT_PX)
        if square:
            painter.drawRect(box.adjusted(1, 1, -1, -1))
        else:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.drawEllipse(box)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        return room.left() + DOT_PX + PAD_PX
