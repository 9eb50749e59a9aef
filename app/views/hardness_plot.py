"""Histograms of how hard mined tuples are, one a lane, painted into one widget, with margin lines that can be moved."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PyQt6.QtWidgets import QToolTip, QWidget

from app.history import histogram
from app.history.hardness import LaneHardness
from app.history.hardness_words import (
    bin_text,
    cell_text,
)
from app.history.histogram import Axis
from app.picture.theme import DARK, Theme
from app.plain import plain_tip
from app.views.hardness_cell import Cell, CellPainter
from app.views.margin_handle import HANDLE_PX, MarginHandle

PAD, GAP = 8.0, 14.0
"""Pixels round all cells, and between them."""
SHAPE = 1.5
"""Width by height of a cell that is best to read."""
LEAST_CELL = 48.0
"""Lower cells are read with pains."""
LEAST_PLOT = 26.0
"""Below this height of a plot its words give way."""


class HardnessPlot(QWidget):
    """`margin_asked(lane, float)` when a line was moved to another margin."""

    margin_asked = pyqtSignal(str, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(160, 60)
        self.setAccessibleName("Histograms of how hard mined tuples are")
        self.theme = DARK
        self.message = ""
        self.shared_axis = True
        self.cells: list[Cell] = []
        self._shown: tuple[LaneHardness, ...] = ()
        self._handles: dict[str, MarginHandle] = {}
        self._asked: dict[str, float] = {}
        self._lines: dict[str, Axis] = {}
        self._small = QFont(self.font())
        self._small.setPointSizeF(max(6.5, self.font().pointSizeF() * 0.85))
        self._cell_painter = CellPainter(DARK, self._small)

    def sizeHint(self) -> QSize:
        return QSize(420, 180)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.theme = theme
        self._cell_painter = CellPainter(theme, self._small)
        for handle in self._handles.values():
            handle.set_theme(theme)
        self._arrange()

    def set_shared_axis(self, shared: bool) -> None:
        """One axis for all lanes, so that they can be compared, or for each its own."""
        self.shared_axis = shared
        self._lines = {}
        self._arrange()

    def show_lanes(self, lanes: Sequence[LaneHardness], message: str = "") -> None:
        """Show these, in lane order; `message` in place of no lanes at all."""
        names = [shown.lane for shown in lanes]
        if names != [shown.lane for shown in self._shown]:
            self._make_handles(names)
        self._shown, self.message = tuple(lanes), message
        for shown in lanes:
            if self._asked.get(shown.lane) == shown.margin or shown.fixed:
                self._asked.pop(shown.lane, None)
            handle = self._handles[shown.lane]
            handle.set_fixed(shown.fixed)
            handle.rest_at(self._asked.get(shown.lane, shown.margin))
        self._arrange()

    def handle(self, lane: str) -> MarginHandle:
        """The margin line of a lane."""
        return self._handles[lane]

    def forget_asked(self, lane: str) -> None:
        """What was asked for was refused."""
        if self._asked.pop(lane, None) is not None:
            self.show_lanes(self._shown, self.message)

    # Where things are

    def _make_handles(self, names: Sequence[str]) -> None:
        for lane in set(self._handles) - set(names):
            handle = self._handles.pop(lane)
            handle.hide()
            handle.deleteLater()
        self._asked, self._lines = {}, {}
        before: QWidget | None = None
        for lane in names:
            if lane not in self._handles:
                handle = self._handles[lane] = MarginHandle(lane, self)
                handle.set_theme(self.theme)
                handle.moved.connect(self._arrange)
                handle.dropped.connect(lambda margin, lane=lane: self._ask(lane, margin))
            if before is not None:
                QWidget.setTabOrder(before, self._handles[lane])
            before = self._handles[lane]

    def _ask(self, lane: str, margin: float) -> None:
        self._asked[lane] = margin
        self._handles[lane].rest_at(margin)
        self._arrange()
        self.margin_asked.emit(lane, margin)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        """Cells in a grid, and the handles in their places."""
        self._choose_axes()
        count = len(self._shown)
        self.cells = []
        if count:
            columns = _columns(count, self.width() - 2 * PAD, self.height())
            rows = math.ceil(count / columns)
            width = (self.width() - 2 * PAD + GAP) / columns - GAP
            height = self.height() / rows
            for place, shown in enumerate(self._shown):
                row, column = divmod(place, columns)
                box = QRectF(PAD + column * (width + GAP), row * height, width, height)
                lowest = place + columns >= count
                self.cells.append(self._cell(shown, place, box, lowest=lowest))
        for cell in self.cells:
            self._put_handle(cell)
        self.update()

    def _cell(self, shown: LaneHardness, place: int, box: QRectF, *, lowest: bool) -> Cell:
        line = QFontMetricsF(self._small).height()
        axis = line if lowest or not self.shared_axis else 3.0
        room = box.height() - axis - 6
        lines = int(min(3, max(1, (room - LEAST_PLOT) // line)))
        plot = QRectF(box.left(), box.top() + lines * line + 4, box.width(), max(6.0, room - lines * line))
        seen = self._lines.get(shown.lane, Axis(0.0, 1.0, 1.0))
        handle = self._handles[shown.lane]
        return Cell(shown, self.theme.lane(place), box, plot, lines, axis > 3, seen, handle)

    def _put_handle(self, cell: Cell) -> None:
        handle, plot = cell.handle, cell.plot
        x = cell.x_of(handle.value)
        told = cell.shown.hardness is not None and (handle.value > 0 or not handle.fixed)
        seen = told and plot.left() - 1 <= x <= plot.right() + 1
        if seen:
            handle.setGeometry(round(x - HANDLE_PX / 2), int(plot.top()) - 2, HANDLE_PX, int(plot.height()) + 3)
        handle.set_axis(cell.line, plot.left(), plot.width())
        handle.setVisible(seen)
        handle.update()

    def _choose_axes(self) -> None:
        """What each lane is seen over. It stays while the mouse holds a line, which else would run away."""
        if any(handle.dragging for handle in self._handles.values()):
            return
        stretches, margins = {}, {}
        for shown in self._shown:
            if shown.hardness is not None:
                lane = shown.lane
                stretches[lane] = histogram.stretch(shown.hardness, self._handles[lane].value)
                margins[lane] = shown.margin
        groups = [list(stretches)] if self.shared_axis else [[lane] for lane in stretches]
        lines: dict[str, Axis] = {}
        for lanes in filter(None, groups):
            of_lanes = [stretches[lane] for lane in lanes], [margins[lane] for lane in lanes]
            lines |= dict.fromkeys(lanes, histogram.axis_over(*of_lanes, self._lines.get(lanes[0])))
        self._lines = lines

    # What is painted

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(*self.theme.panel))
        if self.message or not self.cells:
            painter.setPen(QColor(*self.theme.muted))
            inside = self.rect().adjusted(8, 0, -8, 0)
            painter.drawText(inside, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self.message)
            return
        painter.setFont(self._small)
        for cell in self.cells:
            self._cell_painter.paint(painter, cell)

    # What is under the pointer

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.tip_at(QPointF(event.pos()))
            if text:
                QToolTip.showText(event.globalPos(), plain_tip(text), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def tip_at(self, point: QPointF) -> str:
        """What is under the pointer, in words; empty for the ground."""
        for cell in self.cells:
            if not cell.box.contains(point):
                continue
            hardness = cell.shown.hardness
            if hardness is None:
                return f"{cell.shown.lane}: {cell.shown.message}"
            if point.y() < cell.plot.top() - 2:
                return cell_text(cell.shown, hardness, cell.handle.value)
            if cell.plot.left() <= point.x() <= cell.plot.right() and point.y() <= cell.plot.bottom() + 3:
                return bin_text(cell.shown.lane, hardness, cell.separation_at(point.x()), cell.handle.value)
        return ""


def _columns(count: int, width: float, height: float) -> int:
    """How many cells side by side are best to read."""

    def misfit(columns: int) -> float:
        rows = math.ceil(count / columns)
        wide, high = width / columns - GAP, height / rows
        shape = abs(math.log(max(wide, 1.0) / max(high, 1.0) / SHAPE))
        return shape + (rows * columns - count) / count + (2.0 if high < LEAST_CELL else 0.0)

    return min(range(1, count + 1), key=misfit)
