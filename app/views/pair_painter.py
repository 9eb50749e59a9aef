"""Matrices of class pairs in paint: cells by how much was mined, names of lanes and of classes, marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QImage, QPainter, QPen, QPolygonF

from app.history.class_pair_words import Name, lane_text
from app.history.class_pairs import ClassPairs
from app.picture.ramp import amount_colors
from app.picture.theme import DARK, Rgb, contrast
from app.views.pair_layout import PairLayout

DOT = 8.0
NUMBERS_FROM_PX, FALSE_FROM_PX = 22.0, 4.0
"""Smaller cells have no number in them, or no mark of false negatives."""
LEAST_HEAD_PX = 60.0
"""Room for the name of a lane over a smaller matrix, where the panel has it."""
INKS: tuple[Rgb, Rgb] = ((20, 22, 26), (250, 250, 250))
MIDDLE = int(Qt.AlignmentFlag.AlignVCenter)


class Shown(NamedTuple):
    """One lane."""

    pairs: ClassPairs
    rgb: Rgb
    """Its colour"""


class Mark(NamedTuple):
    """A frame round a cell."""

    lane: int
    row: int
    column: int
    rgb: Rgb
    px: float


class _Image(NamedTuple):
    mined: NDArray[np.int64]
    false: NDArray[np.int64]
    image: QImage


class PairPainter:
    """Holds what is painted, and a picture of each matrix with one pixel a cell."""

    def __init__(self) -> None:
        self.theme = DARK
        self.lanes: tuple[Shown, ...] = ()
        self.axis: NDArray[np.int64] = np.empty(0, np.int64)
        """(K,) classes in the order of the rows"""
        self.classes = 0
        """How many there are in all"""
        self.name: Name = str
        self.most = 1.0
        """Share of a lane's pairs that has the strongest colour"""
        self._images: list[_Image] = []

    def make_images(self) -> None:
        """Anew, when what is painted or the theme has changed."""
        self._images = [self._image(shown.pairs) for shown in self.lanes]

    def _image(self, pairs: ClassPairs) -> _Image:
        mined, false = pairs.matrix(self.axis), pairs.matrix(self.axis, pairs.false)
        colors = amount_colors(mined / max(pairs.total, 1) / self.most, self.theme)
        colors[np.eye(len(mined), dtype=np.bool_) & (mined == 0)] = self.theme.grid
        pixels = np.full((*mined.shape, 4), 255, np.uint8)
        pixels[..., :3] = colors[..., ::-1]  # Qt keeps blue first
        side, buffer = len(mined), pixels.data
        shared: Any = buffer
        return _Image(mined, false, QImage(shared, side, side, 4 * side, QImage.Format.Format_RGB32).copy())

    def paint(self, painter: QPainter, layout: PairLayout, marks: Sequence[Mark]) -> None:
        """All matrices, with a painter that has the small font."""
        side = layout.cell * len(self.axis)
        for shown, image, (left, top) in zip(self.lanes, self._images, layout.corners, strict=True):
            box = QRectF(left, top, side, side)
            painter.drawImage(box, image.image)
            painter.setPen(QPen(QColor(*self.theme.grid), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(box)
            head = max(side, min(LEAST_HEAD_PX, painter.window().width() - left))
            self._paint_head(painter, shown, QRectF(left, top, head, 0))
            if layout.cell >= FALSE_FROM_PX:
                self._paint_cells(painter, box, layout.cell, image)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for mark in marks:
            self._paint_mark(painter, layout, mark)
        self._paint_names(painter, layout)

    def _paint_head(self, painter: QPainter, shown: Shown, over: QRectF) -> None:
        theme, metrics = self.theme, painter.fontMetrics()
        line = QRectF(over.left(), over.top() - metrics.height() - 2, over.width(), metrics.height())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*shown.rgb))
        painter.drawEllipse(QPointF(line.left() + DOT / 2, line.center().y()), DOT / 2, DOT / 2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        room = line.adjusted(DOT + 4, 0, 0, 0)
        text = lane_text(shown.pairs, self.axis, self.classes)
        name = metrics.elidedText(shown.pairs.lane, Qt.TextElideMode.ElideRight, int(room.width()))
        painter.setPen(QColor(*theme.text))
        painter.drawText(room, MIDDLE, name)
        room.setLeft(room.left() + metrics.horizontalAdvance(name) + 8)
        if metrics.horizontalAdvance(text) <= room.width():
            painter.setPen(QColor(*theme.muted))
            painter.drawText(room, MIDDLE | int(Qt.AlignmentFlag.AlignRight), text)

    def _paint_cells(self, painter: QPainter, box: QRectF, cell: float, image: _Image) -> None:
        """Numbers, and marks of false negatives, where cells are large enough."""
        for row, column in np.argwhere(image.mined > 0).tolist() if cell >= NUMBERS_FROM_PX else ():
            ground = image.image.pixelColor(column, row)
            rgb = (ground.red(), ground.green(), ground.blue())
            painter.setPen(QColor(*_ink(rgb)))
            room = QRectF(box.left() + column * cell, box.top() + row * cell, cell, cell)
            painter.drawText(room, int(Qt.AlignmentFlag.AlignCenter), f"{image.mined[row, column]}")
        painter.setPen(QPen(QColor(*self.theme.panel), 1))
        painter.setBrush(QColor(*self.theme.false_edge))
        corner = min(max(0.4 * cell, 3.0), 9.0)
        for row, column in np.argwhere(image.false > 0).tolist():
            right, high = box.left() + (column + 1) * cell, box.top() + row * cell
            corners = QPointF(right - corner, high), QPointF(right, high), QPointF(right, high + corner)
            painter.drawPolygon(QPolygonF(corners))
        painter.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_mark(self, painter: QPainter, layout: PairLayout, mark: Mark) -> None:
        """Round the cell, at least so large that it is seen round a small one."""
        left, top = layout.corners[mark.lane]
        box = QRectF(left + mark.column * layout.cell, top + mark.row * layout.cell, layout.cell, layout.cell)
        grown = max(mark.px, (7.0 - layout.cell) / 2)
        box.adjust(-grown / 2, -grown / 2, grown / 2, grown / 2)
        for rgb, px in ((self.theme.panel, mark.px + 2), (mark.rgb, mark.px)):
            painter.setPen(QPen(QColor(*rgb), px))
            painter.drawRect(box)

    def _paint_names(self, painter: QPainter, layout: PairLayout) -> None:
        if not layout.rows and not layout.columns:
            return
        painter.setFont(named_font(painter.font(), layout.cell))
        painter.setPen(QColor(*self.theme.muted))
        metrics, cell = painter.fontMetrics(), layout.cell
        side, tops = cell * len(self.axis), {top for _, top in layout.corners}
        lowest = {left: max(top for x, top in layout.corners if x == left) for left, _ in layout.corners}
        for place, label in enumerate(self.axis.tolist()):
            name, along = self.name(label), place * cell
            for top in tops if layout.rows else ():
                text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(layout.left - 4))
                box = QRectF(0, top + along - 3, layout.left - 4, cell + 6)
                painter.drawText(box, MIDDLE | int(Qt.AlignmentFlag.AlignRight), text)
            for left, top in lowest.items():
                if layout.columns == "flat":
                    box = QRectF(left + along - 4, top + side + 1, cell + 8, metrics.height())
                    painter.drawText(box, int(Qt.AlignmentFlag.AlignHCenter), name)
                elif layout.columns == "upright":
                    _draw_upright(painter, name, left + along, top + side + 3, cell)


def _ink(ground: Rgb) -> Rgb:
    """What is read best on a ground."""
    return max(INKS, key=lambda ink: contrast(ink, ground))


def named_font(font: QFont, cell: float) -> QFont:
    """The font for names of rows that are `cell` pixels high: smaller where they would run into each other."""
    fitting = QFont(font)
    if cell < 13:
        fitting.setPixelSize(max(int(cell) - 1, 7))
    return fitting


def _draw_upright(painter: QPainter, name: str, left: float, top: float, cell: float) -> None:
    text = painter.fontMetrics().elidedText(name, Qt.TextElideMode.ElideRight, 74)
    painter.save()
    painter.translate(left, top)
    painter.rotate(90)
    painter.drawText(QRectF(0, -cell - 3, 80, cell + 6), MIDDLE | int(Qt.AlignmentFlag.AlignLeft), text)
    painter.restore()
