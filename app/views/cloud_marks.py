"""What is painted over a cloud on demand: words beside points, and outlines of planes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPen, QPolygonF

from app.picture.theme import Rgb, Theme

OFFSET_PX = 12.0
PADDING_PX = 4.0


class Mark(NamedTuple):
    """What is said of a point."""

    item_id: int
    text: str
    color: Rgb


def draw_outline(painter: QPainter, theme: Theme, xy: NDArray[np.float64]) -> None:
    """A thin closed line through (K, 2) places in the widget's pixels; none where one of them lies behind the eye."""
    if np.isfinite(xy).all():
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(*theme.accent, 150), 1))
        painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in xy]))


def draw_marks(
    painter: QPainter, theme: Theme, marks: list[Mark], xy: NDArray[np.float64], width: float, height: float
) -> None:
    """Each mark's text right of its point, or left of it at the right edge; one below the other where they would lie on
    each other. `xy` (len(marks), 2) in the widget's pixels; a mark outside the widget is left out."""
    metrics = QFontMetricsF(painter.font())
    taken: list[QRectF] = []
    for mark, (x, y) in zip(marks, xy, strict=True):
        if not (0 <= x <= width and 0 <= y <= height):
            continue
        size = metrics.horizontalAdvance(mark.text) + 2 * PADDING_PX + 2, metrics.height() + 2
        left = x + OFFSET_PX if x + OFFSET_PX + size[0] < width else x - OFFSET_PX - size[0]
        box = QRectF(left, y - size[1] / 2, *size)
        for _ in marks:
            if any(box.intersects(other) for other in taken):
                box.translate(0, size[1])
        taken.append(box)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*theme.cloud_bottom, 215))
        painter.drawRect(box)
        painter.setBrush(QColor(*mark.color))
        painter.drawRect(QRectF(box.left(), box.top(), 3, box.height()))
        painter.setPen(QColor(*theme.text))
        painter.drawText(QPointF(box.left() + PADDING_PX + 2, box.top() + 1 + metrics.ascent()), mark.text)
