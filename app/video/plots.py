"""The charts of a film as a drawing that can be scaled: SVG or PDF, all lanes at the end of the run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PyQt6.QtCore import QMarginsF, QSize, QSizeF
from PyQt6.QtGui import QImage, QPageSize, QPainter, QPdfWriter
from PyQt6.QtSvg import QSvgGenerator

from app.picture.theme import theme as theme_named
from app.progress import Progress
from app.video import charts, typeface
from app.video.canvas import Align, Canvas
from app.video.clouds import Clouds
from app.video.figures import hardness_axis, lane_of
from app.video.formats import check_place, refused
from app.video.layout import Box
from app.video.pictures import THEMES, Pixels
from app.video.story import Story
from hnm_core.errors import InputError, unknown_name
from hnm_core.recording import open_recording
from hnm_core.system.whole_files import whole_file

SUFFIXES = (".svg", ".pdf")
SIZE = WIDTH, HEIGHT = 1600, 1200
EDGE, GAP = 48, 24
"""Of the page, in units."""


class Charts:
    """The page of a recording's charts. Raises `InputError`: the recording is damaged."""

    def __init__(self, folder: str | Path, theme: str = "light") -> None:
        if theme not in THEMES:
            raise unknown_name("theme", theme, THEMES)
        recording = open_recording(folder)
        recording.check()
        self._app = typeface.ensure_text()
        self._theme = theme_named(theme)
        self._story, self._clouds = Story(recording), Clouds(recording, self._theme, 1.0)

    def paint(self, painter: QPainter) -> None:
        """The page, `WIDTH` x `HEIGHT` units."""
        _paint(Canvas(painter, self._theme, 1.0), self._story, self._clouds)

    def picture(self, size: tuple[int, int]) -> Pixels:
        """(H, W, 4) blue, green, red, 255."""
        image = QImage(*size, QImage.Format.Format_RGB32)
        painter = QPainter(image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.scale(size[0] / WIDTH, size[1] / HEIGHT)
        self.paint(painter)
        painter.end()
        bits = image.constBits()
        assert bits is not None
        return np.frombuffer(bits.asstring(image.sizeInBytes()), np.uint8).reshape(size[1], size[0], 4)


def plots(
    folder: str | Path, out: str | Path, *, theme: str = "light", progress: Progress = lambda done, total: True
) -> Path | None:
    """Write the charts of a recording to `out`, .svg or .pdf: curves, loss, mining time, hardness. Letters are
    outlines, so that it looks the same everywhere. None where `progress` called it off.

    Raises:
        InputError: the recording is damaged, or `out` cannot be written.
    """
    out = Path(out)
    if out.suffix.lower() not in SUFFIXES:
        raise InputError(f"'{out}' cannot be a drawing: give a name that ends in {' or '.join(SUFFIXES)}.")
    check_place(out)
    drawn = Charts(folder, theme)
    if not progress(0, 1):
        return None
    try:
        with whole_file(out) as part:
            device = _svg(part) if out.suffix.lower() == ".svg" else _pdf(part)
            painter = QPainter(device)
            if isinstance(device, QPdfWriter):
                painter.scale(device.width() / WIDTH, device.width() / WIDTH)
            drawn.paint(painter)
            painter.end()
            del device
    except OSError as error:
        raise refused(out, error) from error
    return out


def _svg(path: Path) -> QSvgGenerator:
    device = QSvgGenerator()
    device.setFileName(str(path))
    device.setSize(QSize(WIDTH, HEIGHT))
    device.setViewBox(device.viewBox().adjusted(0, 0, WIDTH, HEIGHT))
    return device


def _pdf(path: Path) -> QPdfWriter:
    device = QPdfWriter(str(path))
    device.setPageSize(QPageSize(QSizeF(297, 297 * HEIGHT / WIDTH), QPageSize.Unit.Millimeter))
    device.setPageMargins(QMarginsF())
    return device


def _paint(canvas: Canvas, story: Story, clouds: Clouds) -> None:
    theme = canvas.theme
    canvas.fill(Box(0, 0, WIDTH, HEIGHT), theme.window)
    safe = Box(EDGE, EDGE, WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE)
    canvas.text(safe.top(56), story.question(), theme.text, 44, bold=True)
    canvas.text(Box(safe.x, safe.y + 60, safe.width, 36), story.facts(), theme.muted, 26)
    lanes = [lane_of(story, name, theme, timed=False) for name in story.lanes]
    films = [film for name in story.lanes if (film := clouds.films[name]) is not None]
    last = float(story.history.last_step)
    hardness = [
        film.frame_at(last).hardness if (film := clouds.films[name]) is not None else None for name in story.lanes
    ]
    costs = [lane.mining_ms(last) for lane in lanes]
    now = charts.Moment(last, last, lanes, (), hardness, costs)
    room = Box(safe.x, safe.y + 116, safe.width, safe.height - 116 - 112)
    width, height = (room.width - GAP) // 2, (room.height - GAP) // 2
    boxes = [
        Box(room.x + x * (width + GAP), room.y + y * (height + GAP), width, height) for y in (0, 1) for x in (0, 1)
    ]
    on = f"on {story.measured_on}"
    charts.curves(canvas, charts.panel(canvas, boxes[0], story.word or "MAP@R", on), now, lambda lane: lane.quality)
    inner = charts.panel(canvas, boxes[1], "loss", "smoothed")
    charts.curves(canvas, inner, now, lambda lane: lane.loss, "{:.2g}".format)
    charts.bars(canvas, charts.panel(canvas, boxes[2], "time spent mining"), now)
    inner = charts.panel(canvas, boxes[3], "hardness of what is mined", "at the end")
    charts.hardness(canvas, inner, now, hardness_axis(films))
    for place, line in enumerate(story.measured()):
        note = Box(safe.x, safe.bottom - 92 + 32 * place, safe.width, 30)
        canvas.text(note, line, theme.muted, 22, Align.LEFT)
