"""Text and rings over a cloud: what QPainter adds to the rendered picture. Positions in the widget's logical pixels."""

from __future__ import annotations

from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from app.theme import Rgb, Theme

MARGIN = 10.0
PADDING = 7.0


def draw_title(painter: QPainter, theme: Theme, title: str, rgb: Rgb, chip: str, width: float) -> None:
    """Top left: a bar in the lane's colour, the title beside it, the lines of the status chip below."""
    bold, small = _scaled(painter.font(), 1.1, bold=True), _scaled(painter.font(), 0.92)
    lines = [(line, small, theme.muted) for line in chip.splitlines()]
    if title:
        lines.insert(0, (title, bold, theme.text))
    if not lines:
        return
    room = max(width - 2 * MARGIN - 3 * PADDING, 40.0)
    elided = [(_elided(text, font, room), font, color) for text, font, color in lines]
    heights = [QFontMetricsF(font).height() for _, font, _ in elided]
    text_width = max(QFontMetricsF(font).horizontalAdvance(text) for text, font, _ in elided)
    box = QRectF(MARGIN, MARGIN, text_width + 3 * PADDING, sum(heights) + 1.2 * PADDING)
    _draw_plate(painter, theme, box)
    if title:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*rgb))
        bar = QRectF(box.left(), box.top(), 4, box.height())
        painter.drawRoundedRect(bar, 2, 2)
    y = box.top() + 0.6 * PADDING
    for (text, font, color), height in zip(elided, heights, strict=True):
        painter.setFont(font)
        painter.setPen(QColor(*color))
        painter.drawText(QPointF(box.left() + 1.8 * PADDING, y + QFontMetricsF(font).ascent()), text)
        y += height


def draw_caption(painter: QPainter, theme: Theme, caption: str, width: float, height: float) -> None:
    """Bottom left: small muted lines."""
    lines = caption.splitlines()
    if not lines:
        return
    font = _scaled(painter.font(), 0.88)
    metrics = QFontMetricsF(font)
    room = max(width - 2 * MARGIN - 2 * PADDING, 40.0)
    lines = [_elided(line, font, room) for line in lines]
    box_width = max(metrics.horizontalAdvance(line) for line in lines) + 2 * PADDING
    box_height = metrics.height() * len(lines) + 0.8 * PADDING
    box = QRectF(MARGIN, height - MARGIN - box_height, box_width, box_height)
    _draw_plate(painter, theme, box)
    painter.setFont(font)
    painter.setPen(QColor(*theme.muted))
    for place, line in enumerate(lines):
        baseline = box.top() + 0.4 * PADDING + place * metrics.height() + metrics.ascent()
        painter.drawText(QPointF(box.left() + PADDING, baseline), line)


def draw_overlay(painter: QPainter, theme: Theme, text: str, width: float, height: float, *, error: bool) -> None:
    """A message in the middle, wrapped, on a plate of its own."""
    painter.setFont(_scaled(painter.font(), 1.05))
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    room = QRectF(0, 0, max(min(width - 4 * MARGIN, 460.0), 60.0), max(height - 4 * MARGIN, 30.0))
    box = painter.boundingRect(room, int(flags), text)
    box.moveCenter(QPointF(width / 2, height / 2))
    _draw_plate(painter, theme, box.adjusted(-2 * PADDING, -PADDING, 2 * PADDING, PADDING), 235)
    painter.setPen(QColor(*(theme.error if error else theme.text)))
    painter.drawText(box, int(flags), text)


def draw_ring(painter: QPainter, theme: Theme, x: float, y: float, radius: float, rgb: Rgb) -> None:
    """A ring round a point, with a dark or light seam that keeps it visible on every colour."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, pen_width in ((theme.cloud_bottom, 4.0), (rgb, 2.0)):
        painter.setPen(QPen(QColor(*color), pen_width))
        painter.drawEllipse(QPointF(x, y), radius, radius)


def _scaled(font: QFont, factor: float, *, bold: bool = False) -> QFont:
    scaled = QFont(font)
    if font.pointSizeF() > 0:
        scaled.setPointSizeF(font.pointSizeF() * factor)
    else:
        scaled.setPixelSize(max(round(font.pixelSize() * factor), 8))
    scaled.setBold(bold)
    return scaled


def _elided(text: str, font: QFont, room: float) -> str:
    return QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, room)


def _draw_plate(painter: QPainter, theme: Theme, box: QRectF, alpha: int = 200) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(*theme.cloud_bottom, alpha))
    painter.drawRoundedRect(box, 4, 4)
