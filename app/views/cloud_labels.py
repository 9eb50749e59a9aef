"""Text and rings over a cloud: what QPainter adds to the rendered picture. Positions in the widget's logical pixels."""

from __future__ import annotations

import math

from PyQt6.QtCore import QPoint, QPointF, QRectF, QSize, QSizeF, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen

from app.picture.theme import Rgb, Theme

MARGIN = 10.0
PADDING = 7.0
NAME_PADDING = 4.0


class Plate:
    """A small picture of text, drawn anew only when what it says or how it looks has changed.

    Rounded, half transparent shapes and text are what costs most in painting a pane, and they hold the interpreter;
    copying the finished picture costs next to nothing.
    """

    def __init__(self) -> None:
        self._key: object = None
        self._image: QImage | None = None

    def title(self, painter: QPainter, theme: Theme, title: str, rgb: Rgb, chip: str, width: float) -> None:
        """Top left: a bar in the lane's colour, the title beside it, the lines of the status chip below."""
        key = (theme.name, title, rgb, chip, width, painter.font().key(), _scale(painter))
        if key != self._key:
            self._key, self._image = key, _title_image(painter, theme, title, rgb, chip, width)
        if self._image is not None:
            painter.drawImage(QPointF(MARGIN, MARGIN), self._image)

    @property
    def reach(self) -> float:
        """How far the plate reaches in from its edge of the widget; 0 while it is empty."""
        return MARGIN + self._image.deviceIndependentSize().height() if self._image is not None else 0.0

    @property
    def width(self) -> float:
        """How far it reaches in from the left; 0 while it is empty."""
        return MARGIN + self._image.deviceIndependentSize().width() if self._image is not None else 0.0

    def covers(self, place: QPoint) -> bool:
        """Whether a place in the widget lies on the title's picture."""
        size = self._image.deviceIndependentSize() if self._image is not None else QSizeF()
        return QRectF(QPointF(MARGIN, MARGIN), size).contains(QPointF(place))

    def caption(self, painter: QPainter, theme: Theme, caption: str, width: float, height: float) -> None:
        """Bottom left: small muted lines."""
        key = (theme.name, caption, width, painter.font().key(), _scale(painter))
        if key != self._key:
            self._key, self._image = key, _caption_image(painter, theme, caption, width)
        if self._image is not None:
            top = height - MARGIN - self._image.deviceIndependentSize().height()
            painter.drawImage(QPointF(MARGIN, top), self._image)


def _title_image(painter: QPainter, theme: Theme, title: str, rgb: Rgb, chip: str, width: float) -> QImage | None:
    bold, small = _scaled(painter.font(), 1.1, bold=True), _scaled(painter.font(), 0.92)
    lines = [(line, small, theme.muted) for line in chip.splitlines()]
    if title:
        lines.insert(0, (title, bold, theme.text))
    if not lines:
        return None
    room = max(width - 2 * MARGIN - 3 * PADDING, 40.0)
    elided = [(_elided(text, font, room), font, color) for text, font, color in lines]
    heights = [QFontMetricsF(font).height() for _, font, _ in elided]
    text_width = max(QFontMetricsF(font).horizontalAdvance(text) for text, font, _ in elided)
    box = QRectF(0, 0, text_width + 3 * PADDING, sum(heights) + 1.2 * PADDING)
    image, inner = _blank(painter, box)
    _draw_plate(inner, theme, box)
    if title:
        inner.setPen(Qt.PenStyle.NoPen)
        inner.setBrush(QColor(*rgb))
        inner.drawRoundedRect(QRectF(0, 0, 4, box.height()), 2, 2)
    y = 0.6 * PADDING
    for (text, font, color), height in zip(elided, heights, strict=True):
        inner.setFont(font)
        inner.setPen(QColor(*color))
        inner.drawText(QPointF(1.8 * PADDING, y + QFontMetricsF(font).ascent()), text)
        y += height
    inner.end()
    return image


def caption_font(font: QFont) -> QFont:
    """In which captions are painted in a widget of this font."""
    return _scaled(font, 0.88)


def caption_room(width: float) -> float:
    """How wide a caption's lines may be in a widget so wide."""
    return max(width - 2 * MARGIN - 2 * PADDING, 40.0)


def _caption_image(painter: QPainter, theme: Theme, caption: str, width: float) -> QImage | None:
    lines = caption.splitlines()
    if not lines:
        return None
    font = caption_font(painter.font())
    metrics = QFontMetricsF(font)
    room = caption_room(width)
    lines = [_elided(line, font, room) for line in lines]
    text_width = max(metrics.horizontalAdvance(line) for line in lines)
    box = QRectF(0, 0, text_width + 2 * PADDING, metrics.height() * len(lines) + 0.8 * PADDING)
    image, inner = _blank(painter, box)
    _draw_plate(inner, theme, box)
    inner.setFont(font)
    inner.setPen(QColor(*theme.muted))
    for place, line in enumerate(lines):
        inner.drawText(QPointF(PADDING, 0.4 * PADDING + place * metrics.height() + metrics.ascent()), line)
    inner.end()
    return image


def _scale(painter: QPainter) -> float:
    """Device pixels in a logical one."""
    device = painter.device()
    return device.devicePixelRatioF() if device is not None else 1.0


def _blank(painter: QPainter, box: QRectF) -> tuple[QImage, QPainter]:
    """A transparent picture of the size of `box` at the painter's resolution, and a painter on it."""
    scale = _scale(painter)
    size = QSize(math.ceil(box.width() * scale), math.ceil(box.height() * scale))
    image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(scale)
    image.fill(Qt.GlobalColor.transparent)
    inner = QPainter(image)
    inner.setRenderHint(QPainter.RenderHint.Antialiasing)
    return image, inner


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


def draw_notice(painter: QPainter, theme: Theme, text: str, width: float, bottom: float) -> None:
    """A line on a plate in the middle, with its lower edge just above `bottom`; wrapped where it is too long."""
    painter.setFont(_scaled(painter.font(), 1.1, bold=True))
    flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
    room = QRectF(0, 0, max(width - 6 * MARGIN, 60.0), max(bottom, 30.0))
    box = painter.boundingRect(room, int(flags), text)
    box.moveCenter(QPointF(width / 2, 0))
    box.moveBottom(bottom - MARGIN - PADDING)
    _draw_plate(painter, theme, box.adjusted(-PADDING, -0.5 * PADDING, PADDING, 0.5 * PADDING), 235)
    painter.setPen(QColor(*theme.text))
    painter.drawText(box, int(flags), text)


def draw_ring(painter: QPainter, theme: Theme, x: float, y: float, radius: float, rgb: Rgb) -> None:
    """A ring round a point, with a dark or light seam that keeps it visible on every colour."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for color, pen_width in ((theme.cloud_bottom, 4.0), (rgb, 2.0)):
        painter.setPen(QPen(QColor(*color), pen_width))
        painter.drawEllipse(QPointF(x, y), radius, radius)


def name_font(font: QFont) -> QFont:
    """In which classes are named at their clusters."""
    return _scaled(font, 0.95, bold=True)


def draw_name(painter: QPainter, theme: Theme, text: str, x: float, y: float, alpha: float) -> None:
    """The name of a class round a place, on a plate of its own; fainter with a lower `alpha` (0..1)."""
    before = painter.font()
    painter.setFont(name_font(before))
    metrics = QFontMetricsF(painter.font())
    box = QRectF(0, 0, metrics.horizontalAdvance(text) + 2 * NAME_PADDING, metrics.height())
    box.moveCenter(QPointF(x, y))
    painter.setOpacity(alpha)
    _draw_plate(painter, theme, box, 190)
    painter.setPen(QColor(*theme.text))
    painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), text)
    painter.setOpacity(1.0)
    painter.setFont(before)


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


def _draw_plate(painter: QPainter, theme: Theme, box: QRectF, alpha: int = 225) -> None:
    # Without antialiasing, because Qt hands antialiased shapes of this size to its thread pool and waits for it; where
    # training keeps the cores busy that takes milliseconds.
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(*theme.cloud_bottom, alpha))
    painter.drawRoundedRect(box, 4, 4)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
