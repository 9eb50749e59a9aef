"""A curve as small as a word."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPolygonF

from app.picture.theme import Rgb

MOST_POINTS = 200


def spark_points(values: NDArray[np.float64], width: float, height: float) -> NDArray[np.float64]:
    """(n, 2) where finite values lie in a box from its lowest at the bottom to its highest at the top; values that are
    all alike lie in the middle. Of very many every so many are taken, the last always."""
    values = values[np.isfinite(values)]
    if len(values) > MOST_POINTS:
        values = values[np.linspace(0, len(values) - 1, MOST_POINTS).round().astype(np.int64)]
    if not len(values):
        return np.empty((0, 2))
    low, high = values.min(), values.max()
    share = (values - low) / (high - low) if high > low else np.full(len(values), 0.5)
    return np.stack(
        (np.linspace(0, width, len(values)) if len(values) > 1 else np.array([width]), (1 - share) * height), 1
    )


def draw_sparkline(painter: QPainter, box: QRectF, values: NDArray[np.float64], colour: Rgb) -> None:
    """The values from left to right, a dot on the last."""
    points = spark_points(values, box.width(), box.height())
    if not len(points):
        return
    line = [QPointF(box.left() + x, box.top() + y) for x, y in points]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(*colour), 1.2))
    painter.drawPolyline(QPolygonF(line))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(*colour))
    painter.drawEllipse(line[-1], 1.8, 1.8)
