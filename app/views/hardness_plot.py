"""Histograms of how hard mined tuples are, one a lane, painted into one widget, with margin lines that can be moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QFontMetricsF,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PyQt6.QtWidgets import QToolTip, QWidget

from app.history import histogram
from app.history.hardness import LaneHardness
from app.history.hardness_words import (
    band_texts,
    bands_shown,
    bin_text,
    brief_text,
    cell_text,
    counted_text,
    margin_text,
    mined_text,
)
from app.history.histogram import Axis, Bands
from app.picture.edges import kind_colors
from app.picture.theme import DARK, Rgb, Theme
from app.views.band_key import BAND_KINDS
from app.views.margin_handle import HANDLE_PX, MarginHandle
from hnm_core.run.hardness import Hardness

PAD, GAP = 8.0, 14.0
"""Pixels round all cells, and between them."""
DOT = 8.0
SHAPE = 1.5
"""Width by height of a cell that is best to read."""
MOST_WIDTHS = 2000
LEAST_LETTER_PX = 3.5
LEAST_CELL = 48.0
"""Lower cells are read with pains."""
LEAST_PLOT = 26.0
"""Below this height of a plot its words give way."""
TICK_PX = 30.0
"""Numbers on the axis are at least so far apart."""


@dataclass(frozen=True, eq=False)
class Cell:
    """Where one lane is painted."""

    shown: LaneHardness
    colour: Rgb
    box: QRectF
    plot: QRectF
    lines: int
    """Of words over the plot, 1 to 3"""
    axis: bool
    """Whether numbers stand below it"""
    line: Axis
    """What of the separations is seen, and where"""
    handle: MarginHandle

    def x_of(self, separation: float) -> float:
        """Pixel of a separation."""
        return self.plot.left() + self.line.place(separation) * self.plot.width()

    def separation_at(self, x: float) -> float:
        """Separation of a pixel."""
        return self.line.separation((x - self.plot.left()) / self.plot.width())


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
        self._band_colours = _band_colours(DARK)
        self._widths: dict[str, int] = {}
        self._small = QFont(self.font())
        self._small.setPointSizeF(max(6.5, self.font().pointSizeF() * 0.85))

    def sizeHint(self) -> QSize:
        return QSize(420, 180)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.theme = theme
        self._band_colours = _band_colours(theme)
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
            if cell.shown.hardness is None:
                self._paint_head(painter, cell, "")
                painter.setPen(QColor(*self.theme.muted))
                flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
                room = cell.plot.adjusted(
                    0, 4 - cell.plot.top() + cell.box.top() + painter.fontMetrics().height(), 0, 4
                )
                whole, message = painter.boundingRect(room, flags, cell.shown.message), cell.shown.message
                # Where there is no room for all of it, its beginning; the tip has the rest.
                painter.drawText(room, flags, message if room.contains(whole) else message.split(":")[0])
            else:
                self._paint_cell(painter, cell, cell.shown.hardness)

    def _paint_cell(self, painter: QPainter, cell: Cell, hardness: Hardness) -> None:
        theme, plot, margin = self.theme, cell.plot, cell.handle.value
        bars = histogram.bars(hardness, margin)
        left, right = cell.line.share(bars.left), cell.line.share(bars.right)
        height = bars.share / (right - left)  # so that areas are shares of the tuples
        height *= (plot.height() - 2) / max(float(height.max(initial=0.0)), 1e-12)
        # On whole pixels, so that bars that are equally wide look it.
        x0, x1 = (np.rint(plot.left() + share * plot.width()).astype(int).tolist() for share in (left, right))
        tall, bottom = np.maximum(np.rint(height), 1).astype(int).tolist(), int(plot.bottom())
        boxes: tuple[list[QRect], ...] = ([], [], [])
        for start, end, high, band in zip(x0, x1, tall, bars.band.tolist(), strict=True):
            width = max(1, end - start - (1 if end - start > 4 else 0))
            boxes[band].append(QRect(start, bottom - high, width, high))
        painter.setPen(Qt.PenStyle.NoPen)
        for colour, own in zip(self._band_colours, boxes, strict=True):
            painter.setBrush(colour)
            if own:
                painter.drawRects(*own)
        painter.setPen(QPen(QColor(*theme.grid), 1))
        painter.drawLine(QPointF(plot.left(), plot.bottom()), QPointF(plot.right(), plot.bottom()))
        zero = round(cell.x_of(0.0)) - 0.5
        painter.setPen(QPen(QColor(*theme.muted), 1))
        painter.drawLine(QPointF(zero, plot.top()), QPointF(zero, plot.bottom() + 3))
        if cell.axis:
            self._paint_axis(painter, cell)
        self._paint_words(painter, cell, hardness)

    def _px(self, text: str) -> int:
        """Width of a text; most come again and again, and measuring is what costs most beside drawing."""
        if text not in self._widths:
            if len(self._widths) >= MOST_WIDTHS:
                self._widths.clear()
            self._widths[text] = QFontMetrics(self._small).horizontalAdvance(text)
        return self._widths[text]

    def _paint_axis(self, painter: QPainter, cell: Cell) -> None:
        plot = cell.plot
        painter.setPen(QColor(*self.theme.muted))
        for tick in histogram.ticks(cell.line, TICK_PX / plot.width()):
            text = f"{tick:.4g}".replace("-", "−")
            half = self._px(text) / 2
            x = min(max(cell.x_of(tick), plot.left() + half), plot.right() - half)
            painter.drawText(QPointF(x - half, plot.bottom() + painter.fontMetrics().ascent() + 2), text)

    def _paint_words(self, painter: QPainter, cell: Cell, hardness: Hardness) -> None:
        """Up to three lines: whose it is and who served the anchors, the bands, of how many tuples."""
        shown, handle = cell.shown, cell.handle
        bands, about = bands_shown(hardness, handle.value)
        margin = f"margin {margin_text(handle.value)}" if handle.value > 0 or not handle.fixed else "no margin"
        if cell.lines == 1:
            self._paint_head(painter, cell, "", bands, about=about)
            return
        self._paint_head(painter, cell, margin if handle.moving else mined_text(shown))
        line = QRectF(cell.box.left(), cell.box.top(), cell.box.width(), painter.fontMetrics().height())
        self._paint_bands(painter, bands, line.translated(0, line.height()), about=about)
        if cell.lines > 2:
            painter.setPen(QColor(*self.theme.muted))
            counted = counted_text(shown)
            texts = (counted,) if handle.moving else (f"{counted} · {margin}", counted, margin)
            fits = (text for text in texts if self._px(text) <= line.width())
            text = next(fits, "")
            painter.drawText(line.translated(0, 2 * line.height()), int(Qt.AlignmentFlag.AlignVCenter), text)

    def _paint_head(
        self, painter: QPainter, cell: Cell, text: str, bands: Bands | None = None, *, about: bool = False
    ) -> None:
        """The lane's dot and name, and on the right what else the first line has room for."""
        metrics = painter.fontMetrics()
        line = QRectF(cell.box.left(), cell.box.top(), cell.box.width(), metrics.height())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*cell.colour))
        painter.drawEllipse(QPointF(line.left() + DOT / 2, line.center().y()), DOT / 2, DOT / 2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        room = line.width() - DOT - 5
        least = min(self._px(cell.shown.lane), int(0.38 * room))
        taken = 0.0
        if bands is not None:
            rest = line.adjusted(DOT + 13 + least, 0, 0, 0)
            taken = self._paint_bands(painter, bands, rest, about=about, right=True)
        elif text and self._px(text) + 8 + least <= room:
            painter.setPen(QColor(*(self.theme.accent if cell.handle.moving else self.theme.muted)))
            painter.drawText(line, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), text)
            taken = self._px(text)
        name = metrics.elidedText(cell.shown.lane, Qt.TextElideMode.ElideRight, int(room - taken - (8 if taken else 0)))
        painter.setPen(QColor(*self.theme.text))
        painter.drawText(line.adjusted(DOT + 5, 0, 0, 0), int(Qt.AlignmentFlag.AlignVCenter), name)

    def _paint_bands(self, painter: QPainter, bands: Bands, line: QRectF, *, about: bool, right: bool = False) -> float:
        """The three bands with as many words as there is room for. Returns the pixels they take."""
        metrics = painter.fontMetrics()
        swatch, gap = 7.0, 9.0
        for texts in band_texts(bands, about=about):
            if len("".join(texts)) * LEAST_LETTER_PX > line.width():
                continue  # not worth measuring
            width = sum(self._px(text) + swatch + 4 for text in texts) + gap * (len(texts) - 1)
            if width <= line.width():
                break
        else:
            text = brief_text(bands)
            width = self._px(text)
            if width > line.width():
                return 0.0
            painter.setPen(QColor(*self.theme.text))
            painter.drawText(
                QPointF(line.right() - width if right else line.left(), line.top() + metrics.ascent()), text
            )
            return width
        x = line.right() - width if right else line.left()
        for text, colour in zip(texts, self._band_colours, strict=True):
            box = QRectF(x, line.center().y() - swatch / 2, swatch, swatch)
            painter.fillRect(box, colour)
            painter.setPen(QColor(*self.theme.text))
            painter.drawText(QPointF(x + swatch + 4, line.top() + metrics.ascent()), text)
            x += swatch + 4 + self._px(text) + gap
        return width

    # What is under the pointer

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.tip_at(QPointF(event.pos()))
            if text:
                QToolTip.showText(event.globalPos(), text, self)
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


def _band_colours(theme: Theme) -> list[QColor]:
    return [QColor(*kind_colors(theme)[kind]) for kind in BAND_KINDS]


def _columns(count: int, width: float, height: float) -> int:
    """How many cells side by side are best to read."""

    def misfit(columns: int) -> float:
        rows = math.ceil(count / columns)
        wide, high = width / columns - GAP, height / rows
        shape = abs(math.log(max(wide, 1.0) / max(high, 1.0) / SHAPE))
        return shape + (rows * columns - count) / count + (2.0 if high < LEAST_CELL else 0.0)

    return min(range(1, count + 1), key=misfit)
