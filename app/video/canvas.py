"""Paints texts and shapes into a picture: the few things of which all scenes and charts are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6 import sip
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QBrush, QColor, QImage, QPainter, QPainterPath, QPen, QPolygonF

from app.picture.diamond import diamond
from app.picture.theme import Rgb, Theme
from app.video import typeface
from app.video.layout import Box

Pixels = NDArray[np.uint8]


class Align(Enum):
    """Where a text stands between the left and the right end of its box."""

    LEFT = 0.0
    MIDDLE = 0.5
    RIGHT = 1.0


@dataclass
class Canvas:
    """A painter in the colours of a theme, whose sizes are in units of the picture (1 at 1080p)."""

    painter: QPainter
    theme: Theme
    unit: float

    def text(
        self,
        box: Box,
        text: str,
        color: Rgb,
        size: float,
        align: Align = Align.LEFT,
        *,
        bold: bool = False,
        opacity: float = 1.0,
        least: float = 0.7,
        ground: Rgb | None = None,
    ) -> float:
        """One line in the middle of the height of a box; smaller, down to the share `least`, and at last cut short
        where it does not fit. `size` is in units. Over a cloud a rim in the colour of the `ground` sets it off. Returns
        its width in pixels."""
        px = max(size * self.unit, 4.0)
        wide = typeface.width(text, px, bold=bold)
        if wide > box.width > 0:
            px = max(0.99 * px * box.width / wide, least * px)  # a hair less: widths do not scale exactly
            text = typeface.shortened(text, px, box.width, bold=bold)
            wide = typeface.width(text, px, bold=bold)
        x = box.x + (box.width - wide) * align.value
        base = box.y + box.height / 2 + typeface.CAPITALS * px / 2
        if ground is not None:
            self._shape(x, base, typeface.rim(text, bold), ground, px, 0.75 * opacity)
        self.letters(x, base, text, color, px, bold, opacity)
        return wide

    def paragraph(
        self,
        box: Box,
        text: str,
        color: Rgb,
        size: float,
        align: Align = Align.LEFT,
        *,
        bold: bool = False,
        opacity: float = 1.0,
        least: float = 0.6,
        top: bool = False,
    ) -> float:
        """Lines that are broken where they must be, as large as there is room for; whole sentences that do not fit even
        at the share `least` of the size are left out. Returns the height that they take, in pixels."""
        while text:
            for share in np.linspace(1.0, least, 6).tolist():
                px = max(size * self.unit * share, 4.0)
                lines = typeface.wrapped(text, px, box.width, bold=bold)
                high: float = len(lines) * typeface.LEADING * px
                fits = max(typeface.width(line, px, bold=bold) for line in lines) <= box.width
                if fits and high <= box.height + 0.3 * px:
                    y = box.y if top else box.y + (box.height - high) / 2
                    for line in lines:
                        x = box.x + (box.width - typeface.width(line, px, bold=bold)) * align.value
                        base = y + (typeface.LEADING - 1) / 2 * px + typeface.ASCENT * px * 0.94
                        self.letters(x, base, line, color, px, bold, opacity)
                        y += typeface.LEADING * px
                    return high
            shorter = text[:-1].rpartition(". ")[0]
            text = f"{shorter}." if shorter else ""
        return 0.0

    def height(self, text: str, size: float, width: float) -> float:
        """How high a paragraph of a size in units and so many pixels wide is, in pixels, where it has the room."""
        px = max(size * self.unit, 4.0)
        return len(typeface.wrapped(text, px, width)) * typeface.LEADING * px

    def letters(
        self, x: float, base: float, text: str, color: Rgb, px: float, bold: bool = False, opacity: float = 1.0
    ) -> None:
        """A line of text from its base line on, `px` high."""
        self._shape(x, base, typeface.outline(text, bold)[0], color, px, opacity)

    def _shape(self, x: float, base: float, path: QPainterPath, color: Rgb, px: float, opacity: float) -> None:
        if opacity <= 0:
            return
        painter, scale = self.painter, px / typeface.outline_px()
        painter.save()
        painter.translate(x, base)
        painter.scale(scale, scale)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_brush(color, opacity))
        painter.drawPath(path)
        painter.restore()

    def fill(self, box: Box | QRectF, color: Rgb, opacity: float = 1.0, radius: float = 0.0) -> None:
        """A rectangle, with round corners of a radius in units."""
        rect = box if isinstance(box, QRectF) else rect_of(box)
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(_brush(color, opacity))
        if radius:
            self.painter.drawRoundedRect(rect, radius * self.unit, radius * self.unit)
        else:
            self.painter.drawRect(rect)

    def line(
        self, points: Sequence[tuple[float, float]] | NDArray[np.float64], color: Rgb, size: float, opacity: float = 1.0
    ) -> None:
        """A line through points, of a width in units."""
        self.painter.setBrush(Qt.BrushStyle.NoBrush)
        self.painter.setPen(self._pen(color, size, opacity))
        self.painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in points]))

    def dashes(self, start: tuple[float, float], end: tuple[float, float], color: Rgb, size: float) -> None:
        """A broken line."""
        pen = self._pen(color, size, 1.0)
        pen.setDashPattern([4.0, 4.0])
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        self.painter.setPen(pen)
        self.painter.drawLine(QPointF(*start), QPointF(*end))

    def dot(self, x: float, y: float, radius: float, color: Rgb, opacity: float = 1.0) -> None:
        """A disc of a radius in units."""
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(_brush(color, opacity))
        self.painter.drawEllipse(QPointF(x, y), radius * self.unit, radius * self.unit)

    def diamond(self, x: float, y: float, radius: float, color: Rgb, opacity: float = 1.0) -> None:
        """A square on its tip, as large as a disc of a radius in units."""
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(_brush(color, opacity))
        self.painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in diamond(x, y, radius * self.unit)]))

    def picture(self, x: float, y: float, pixels: Pixels, opacity: float = 1.0) -> None:
        """Another picture on top."""
        height, width = pixels.shape[:2]
        self.painter.save()
        self.painter.setOpacity(opacity)
        self.painter.drawImage(QPointF(x, y), _image(pixels, width, height))
        self.painter.restore()

    def rounded(self, box: Box, radius: float, around: Rgb) -> None:
        """Take the corners off what stands in a box."""
        frame, inner = QPainterPath(), QPainterPath()
        frame.addRect(rect_of(box))
        inner.addRoundedRect(rect_of(box), radius * self.unit, radius * self.unit)
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(_brush(around, 1.0))
        self.painter.drawPath(frame.subtracted(inner))

    def _pen(self, color: Rgb, size: float, opacity: float) -> QPen:
        pen = QPen(_brush(color, opacity), max(size * self.unit, 0.8))
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        return pen


@contextmanager
def painting(pixels: Pixels, theme: Theme, unit: float) -> Iterator[Canvas]:
    """A canvas on a (H, W, 4) array of blue, green, red, 255."""
    height, width = pixels.shape[:2]
    image = _image(pixels, width, height)
    painter = QPainter(image)
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
    try:
        yield Canvas(painter, theme, unit)
    finally:
        painter.end()


def rect_of(box: Box) -> QRectF:
    """A box as Qt has it."""
    return QRectF(box.x, box.y, box.width, box.height)


def _image(pixels: Pixels, width: int, height: int) -> QImage:
    # A void pointer is memory that may be written to; into a buffer object Qt would not paint, but into a copy.
    memory: Any = sip.voidptr(pixels.ctypes.data)  # the stubs know bytes alone
    return QImage(memory, width, height, pixels.strides[0], QImage.Format.Format_RGB32)


def _brush(color: Rgb, opacity: float) -> QBrush:
    return QBrush(QColor(*color, round(255 * min(max(opacity, 0.0), 1.0))))
