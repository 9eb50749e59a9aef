"""Everything in a video that is not a cloud: text, bar and the table at its end, painted by Qt into arrays."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6 import sip
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QColor, QFont, QFontDatabase, QFontMetricsF, QGuiApplication, QImage, QPainter, QPen
from PyQt6.QtWidgets import QApplication

from app.picture.edges import FALSE, HARD, NEGATIVE, POSITIVE, SEMI_HARD, kind_colors
from app.picture.theme import Rgb, Theme
from app.video.figures import Figures
from app.video.templates import Box, Layout
from hnm_core.errors import InputError
from hnm_core.run.results import LaneResult

FONTS = ("Inter", "Noto Sans", "DejaVu Sans", "Liberation Sans", "Segoe UI", "Helvetica Neue", "Arial")
"""The first of these that is installed is used, else Qt's own choice."""

NO_FONTS = "No font was found, so a video would have no text. Install one; on Debian: apt install fonts-dejavu-core."

_LEGEND = {
    HARD: "hard negative",
    SEMI_HARD: "semi-hard negative",
    NEGATIVE: "anchor to mined negative",
    FALSE: "false negative",
    POSITIVE: "anchor to positive",
}

LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


def ensure_text() -> QGuiApplication:
    """Qt's application, without which there is no text; made for Qt's offscreen platform if there is none. Keep it.

    Raises:
        InputError: the machine has no font.
    """
    app = QGuiApplication.instance()
    if app is None:
        # Never the display: it may be absent, or named in the environment and gone.
        platform = ["-platform", "offscreen"] if sys.platform == "linux" else []
        app = QApplication(["hnm-lab", *platform])
    if not isinstance(app, QGuiApplication) or not QFontDatabase.families():
        raise InputError(NO_FONTS)
    return app


class Overlay:
    """Paints round the clouds and over them. What never changes is painted once and copied."""

    def __init__(
        self,
        layout: Layout,
        size: tuple[int, int],
        theme: Theme,
        lanes: Sequence[str],
        title: str,
        about: str,
        kinds: Sequence[int],
    ) -> None:
        """`kinds` of edges, see `app.picture.edges`, are explained in the corner."""
        self._layout, self._theme, self._lanes, self._kinds = layout, theme, lanes, kinds
        families = QFontDatabase.families()
        self._family = next((name for name in FONTS if name in families), QFont().family())
        width, height = size
        self._still = np.empty((height, width, 4), np.uint8)
        self._paint_still(title, about)

    def start(self, pixels: NDArray[np.uint8]) -> None:
        """Begin a picture (H, W, 4) with what never changes."""
        np.copyto(pixels, self._still)

    def finish(
        self,
        pixels: NDArray[np.uint8],
        figures: Sequence[Figures],
        notes: Sequence[str],
        step: int,
        last_step: int,
    ) -> None:
        """Paint the numbers of this moment; `notes` stand in the lower left corners of the clouds."""
        theme, layout = self._theme, self._layout
        with _painting(pixels) as painter:
            counter = f"step {step:,} of {last_step:,}"
            self._text(painter, layout.title, counter, theme.muted, 28, RIGHT)
            for header, cloud, now, note in zip(layout.headers, layout.clouds, figures, notes, strict=True):
                text = _figures(now.loss, now.quality)
                self._text(painter, _right_part(header, 0.62), text, theme.text, 24, RIGHT)
                self._text(painter, self._corner(cloud), note, theme.muted, 18, LEFT)
            bar = layout.bar
            done = round(bar.width * step / max(last_step, 1))
            painter.fillRect(bar.x, bar.y, done, bar.height, QColor(*theme.accent))

    def end_card(self, pixels: NDArray[np.uint8], results: Sequence[LaneResult], note: str, opacity: float) -> None:
        """Lay the table of results, and a line on how they were measured, over a finished picture."""
        rows: list[tuple[str, ...]] = [("", "MAP@R", "precision@1", "loss", "mining ms a step")]
        for result in results:
            numbers = (result.map_at_r, result.precision_at_1, result.loss, result.mining_ms_mean)
            rows.append((result.lane, *map(_number, numbers)))
        height, width = pixels.shape[:2]
        unit, theme = self._layout.unit, self._theme
        row_height = min(62 * unit, 0.8 * height / (len(rows) + 1))
        table_width = min(1240 * unit, 0.94 * width)
        pad = 0.6 * row_height
        inner = QRectF((width - table_width) / 2 + pad, 0, table_width - 2 * pad, row_height * (len(rows) + 1))
        inner.moveTop((height - inner.height()) / 2)
        widths = [share * inner.width() for share in (0.28, 0.16, 0.18, 0.14, 0.24)]
        with _painting(pixels) as painter:
            painter.setOpacity(opacity)
            painter.fillRect(0, 0, width, height, QColor(*theme.window, 130))
            painter.setPen(QPen(QColor(*theme.grid), max(2 * unit, 1)))
            painter.setBrush(QColor(*theme.panel, 240))
            painter.drawRoundedRect(inner.adjusted(-pad, -0.5 * pad, pad, 0.5 * pad), 14 * unit, 14 * unit)
            for place, row in enumerate(rows):
                top = inner.top() + place * row_height
                for column, text in enumerate(row):
                    cell = QRectF(inner.left() + sum(widths[:column]), top, widths[column], row_height)
                    color = theme.muted if place == 0 else self._lane_color(place - 1) if column == 0 else theme.text
                    size = 22 if place == 0 else 28
                    self._text(painter, cell, text, color, size, RIGHT if column else LEFT, bold=column == 0)
            line = QRectF(inner.left(), inner.bottom() - row_height, inner.width(), row_height)
            self._text(painter, line, note, theme.muted, 18, LEFT)

    def _paint_still(self, title: str, about: str) -> None:
        theme, layout = self._theme, self._layout
        with _painting(self._still) as painter:
            painter.fillRect(0, 0, self._still.shape[1], self._still.shape[0], QColor(*theme.window))
            self._text(painter, _left_part(layout.title, 0.72), title, theme.text, 42, LEFT, bold=True)
            numbers = QFontMetricsF(self._font(24)).horizontalAdvance(f"{_figures(-1.0, -1.0)}  ")
            for place, (name, header) in enumerate(zip(self._lanes, layout.headers, strict=True)):
                color = self._lane_color(place)
                share = max(1 - numbers / header.width, 0.38)
                self._text(painter, _left_part(header, share), name, color, 30, LEFT, bold=True)
            for cloud in layout.clouds:
                painter.fillRect(cloud.x, cloud.y, cloud.width, cloud.height, QColor(*theme.cloud_bottom))
            painter.fillRect(layout.bar.x, layout.bar.y, layout.bar.width, layout.bar.height, QColor(*theme.grid))
            self._caption(painter, about)
            self._legend(painter)

    def _caption(self, painter: QPainter, about: str) -> None:
        """The text in two lines, smaller if need be; whole sentences that still do not fit are left out."""
        text = " ".join(about.split())
        box = _rect(_left_part(self._layout.caption, 0.8))
        flags = LEFT | Qt.TextFlag.TextWordWrap
        while text:
            for size in (24, 22, 20, 18, 16):
                font = self._font(size)
                if QFontMetricsF(font).boundingRect(box, int(flags), text).height() <= box.height():
                    painter.setFont(font)
                    painter.setPen(QColor(*self._theme.muted))
                    painter.drawText(box, int(flags), text)
                    return
            text = text[:-1].rpartition(". ")[0]
            text = f"{text}." if text else ""

    def _legend(self, painter: QPainter) -> None:
        theme, box, unit = self._theme, self._layout.caption, self._layout.unit
        line = box.height / max(2, len(self._kinds))
        for place, kind in enumerate(self._kinds):
            row = QRectF(box.x + 0.8 * box.width, box.y + place * line, 0.2 * box.width, line)
            width = self._text(painter, row, _LEGEND[kind], theme.muted, min(18, 0.8 * line / unit), RIGHT)
            painter.setPen(QPen(QColor(*kind_colors(theme)[kind]), max(3 * unit, 1.5)))
            right = row.right() - width - 12 * unit
            painter.drawLine(int(right - 34 * unit), int(row.center().y()), int(right), int(row.center().y()))

    def _corner(self, cloud: Box) -> QRectF:
        unit = self._layout.unit
        return QRectF(cloud.x + 14 * unit, cloud.bottom - 36 * unit, cloud.width - 28 * unit, 30 * unit)

    def _lane_color(self, place: int) -> Rgb:
        return self._theme.lanes[place % len(self._theme.lanes)]

    def _font(self, size: float, bold: bool = False) -> QFont:
        font = QFont(self._family)
        font.setPixelSize(max(math.floor(size * self._layout.unit), 7))
        font.setBold(bold)
        return font

    def _text(
        self,
        painter: QPainter,
        box: Box | QRectF,
        text: str,
        color: Rgb,
        size: float,
        flags: Qt.AlignmentFlag,
        *,
        bold: bool = False,
    ) -> float:
        """One line of text, smaller and at last cut short where it does not fit. Returns its width."""
        rect = _rect(box) if isinstance(box, Box) else box
        font = self._font(size, bold)
        wide = QFontMetricsF(font).horizontalAdvance(text)
        if wide > rect.width() > 0:
            font = self._font(max(size * rect.width() / wide, 0.6 * size), bold)
            text = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
        painter.setFont(font)
        painter.setPen(QColor(*color))
        painter.drawText(rect, int(flags), text)
        return QFontMetricsF(font).horizontalAdvance(text)


@contextmanager
def _painting(pixels: NDArray[np.uint8]) -> Iterator[QPainter]:
    """A painter on a (H, W, 4) array of blue, green, red, 255."""
    height, width = pixels.shape[:2]
    # A void pointer is memory that may be written to; into a buffer object Qt would not paint, but into a copy.
    memory: Any = sip.voidptr(pixels.ctypes.data)  # the stubs know bytes alone
    image = QImage(memory, width, height, 4 * width, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
    try:
        yield painter
    finally:
        painter.end()


def _rect(box: Box) -> QRectF:
    return QRectF(box.x, box.y, box.width, box.height)


def _left_part(box: Box, share: float) -> Box:
    return Box(box.x, box.y, round(box.width * share), box.height)


def _right_part(box: Box, share: float) -> Box:
    width = round(box.width * share)
    return Box(box.right - width, box.y, width, box.height)


def _figures(loss: float, quality: float) -> str:
    return f"loss {_number(loss)}    MAP@R {_number(quality)}"


def _number(value: float) -> str:
    """Three digits, as wide as any other such number; a dash where nothing was measured."""
    if not math.isfinite(value):
        return "–"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.3g}"
