"""Pictures of the window as it is seen, or of a part of it, for a film."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPoint, QPointF, QRect, QSize, Qt
from PyQt6.QtGui import QGuiApplication, QImage, QPainter, QTransform
from PyQt6.QtWidgets import QApplication, QWidget

from app.panels.capture_mark import CaptureMark
from app.video.live import frame_of

FORMATS = (QImage.Format.Format_RGB32, QImage.Format.Format_ARGB32_Premultiplied)
"""In which windows are painted nearly everywhere: four bytes a pixel, blue first."""
SOME_BEHIND = ("cocoa",)
"""Platforms where what a window is painted in may lack what was painted in the picture before."""
OVER = (Qt.WindowType.Popup, Qt.WindowType.ToolTip, Qt.WindowType.Dialog, Qt.WindowType.Sheet, Qt.WindowType.Tool)
"""Kinds of windows that desktops keep over the one that they belong to."""


def grab(window: QWidget, part: QWidget, mark: CaptureMark, size: tuple[int, int]) -> av.VideoFrame:
    """`part` of the window, which may be the window itself, as it is seen with what of this program lies over it, but
    as if the mark were not there; made to fit into a film of that even size.

    It is taken from what has been painted, which costs next to nothing. Where that cannot be had, the part is painted
    once more, which takes much longer.
    """
    over = _over(window, part)
    frame: list[av.VideoFrame] = []
    image = QImage()

    def look(painted: QImage, place: QTransform) -> None:
        nonlocal image
        ratio = painted.devicePixelRatio()
        corner = place.map(QPointF(part.mapTo(window, QPoint(0, 0)) - mark.pos())).toPoint()
        area = QRect(corner, QSize(int(ratio * part.width()), int(ratio * part.height())))
        if painted.format() not in FORMATS or QGuiApplication.platformName() in SOME_BEHIND:
            return
        if not over and _fits(area, size) and painted.rect().contains(area):
            frame.append(frame_of(_pixels(painted), area.x(), area.y(), size))
        else:
            image = painted.copy(area)

    mark.look_below(look)
    if frame:
        return frame[0]
    if image.isNull():
        with mark.unseen():
            image = part.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    _lay_over(image, part, over)
    whole = fitted(image, size)  # named, for its memory goes with it
    return frame_of(_pixels(whole), 0, 0, size)


def _over(window: QWidget, part: QWidget) -> list[QWidget]:
    """Menus, dialogs and tips that cover something of the part, those that go away by themselves last."""
    area = QRect(part.mapToGlobal(QPoint(0, 0)), part.size())
    found = [
        other
        for other in QApplication.topLevelWidgets()
        if other is not window
        and other.isVisible()
        and not other.isMinimized()
        and other.windowType() in OVER
        and other.geometry().intersects(area)
    ]
    return sorted(found, key=lambda other: other.windowType() in OVER[:2])


def _lay_over(image: QImage, part: QWidget, over: list[QWidget]) -> None:
    if not over:
        return
    painter = QPainter(image)
    for other in over:
        painter.drawPixmap(part.mapFromGlobal(other.geometry().topLeft()), other.grab())
    painter.end()


def _fits(area: QRect, size: tuple[int, int]) -> bool:
    """Whether it is of that size; an odd side is cut by a pixel, and nothing blurred."""
    return area.width() - size[0] in (0, 1) and area.height() - size[1] in (0, 1)


def fitted(image: QImage, size: tuple[int, int]) -> QImage:
    """An image made to fit where it has another size by now; black round it."""
    image.setDevicePixelRatio(1.0)  # from here on pixels are pixels
    if _fits(image.rect(), size):
        return image
    inside = image.scaled(*size, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
    whole = QImage(*size, QImage.Format.Format_RGB32)
    whole.fill(Qt.GlobalColor.black)
    painter = QPainter(whole)
    painter.drawImage(max(size[0] - inside.width(), 0) // 2, max(size[1] - inside.height(), 0) // 2, inside)
    painter.end()
    return whole


def _pixels(image: QImage) -> NDArray[np.uint32]:
    """(H, W) 0x..RRGGBB of an image, in its own memory; rows may be longer than the image is wide."""
    bits: Any = image.constBits()
    bits.setsize(image.sizeInBytes())
    pixels: NDArray[np.uint32] = np.frombuffer(bits, np.uint32)
    return pixels.reshape(image.height(), image.bytesPerLine() // 4)
