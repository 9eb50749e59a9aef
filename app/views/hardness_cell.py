"""One lane's histogram of how hard its tuples were, in paint: bars, axis and words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen

from app.history import histogram
from app.history.hardness import LaneHardness
from app.history.hardness_words import (
    band_texts,
    bands_shown,
    brief_text,
    counted_text,
    margin_text,
    mined_text,
)
from app.history.histogram import Axis, Bands
from app.picture.edges import kind_colors
from app.picture.theme import Rgb, Theme
from app.views.band_key import BAND_KINDS
from app.views.margin_handle import MarginHandle
from hnm_core.run.hardness import Hardness

DOT = 8.0
MOST_WIDTHS = 2000
LEAST_LETTER_PX = 3.5
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


def beginning(message: str, fits: Callable[[str], bool]) -> str:
    """All of a message, or as much of its beginning as there is room for; the tip has the rest."""
    words = message.split()
    clause = re.split("[:;]", message)[0]
    shorter = (" ".join(words[:count]) + " ..." for count in range(len(clause.split()) - 1, 0, -1))
    return next((text for text in (message, clause, *shorter) if fits(text)), "")


class CellPainter:
    """In the colours of a theme."""

    def __init__(self, theme: Theme, small: QFont) -> None:
        self.theme, self._small = theme, small
        self._band_colours = [QColor(*kind_colors(theme)[kind]) for kind in BAND_KINDS]
        self._widths: dict[str, int] = {}

    def paint(self, painter: QPainter, cell: Cell) -> None:
        """One lane, with a painter that has the small font."""
        if cell.shown.hardness is not None:
            self._paint_cell(painter, cell, cell.shown.hardness)
            return
        self._paint_head(painter, cell, "")
        painter.setPen(QColor(*self.theme.muted))
        flags = int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap)
        room = cell.plot.adjusted(0, 4 - cell.plot.top() + cell.box.top() + painter.fontMetrics().height(), 0, 4)
        painter.drawText(
            room,
            flags,
            beginning(cell.shown.message, lambda text: room.contains(painter.boundingRect(room, flags, text))),
        )

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
