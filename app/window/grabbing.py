"""Pictures of the window as it is on the screen, or of a part of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPoint, QRect, Qt
from PyQt6.QtGui import QImage, QPainter
from PyQt6.QtWidgets import QWidget


def grab(window: QWidget, part: QWidget, without: QWidget) -> QImage:
    """`part` of the window, which may be the window itself, as it is seen, but as if the widget `without` were not
    there. Where the desktop tells nobody what is on the screen (Wayland), the part is painted once more, which takes
    much longer."""
    corner = part.mapTo(window, QPoint(0, 0)) if part is not window else QPoint(0, 0)
    area = QRect(corner, part.size())
    screen = window.screen()
    seen = QImage()
    if screen is not None:
        shot = screen.grabWindow(window.winId(), area.x(), area.y(), area.width(), area.height())
        seen = shot.toImage()
    if seen.isNull():
        seen = part.grab().toImage()
    seen = seen.convertToFormat(QImage.Format.Format_RGB32)
    hidden = without.geometry().intersected(area)
    if not hidden.isEmpty() and without.isVisible():
        _uncover(seen, window, area, hidden, without)
    return seen


def _uncover(seen: QImage, window: QWidget, area: QRect, hidden: QRect, without: QWidget) -> None:
    """Paint what lies below a widget over it: a few pixels, so that costs little."""
    painter = QPainter(seen)
    for child in window.children():
        if isinstance(child, QWidget) and child is not without and child.isVisible() and not child.isWindow():
            below = hidden.intersected(child.geometry())
            if not below.isEmpty():
                patch = child.grab(below.translated(-child.pos()))
                painter.drawPixmap(below.topLeft() - area.topLeft(), patch)
    painter.end()


def fitted(image: QImage, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 4) blue, green, red, 255 of an image, made to fit where it has another size by now; black round it."""
    width, height = size
    image.setDevicePixelRatio(1.0)  # from here on pixels are pixels
    if (image.width(), image.height()) != size:
        inside = image.scaled(
            width, height, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        if image.width() - width in (0, 1) and image.height() - height in (0, 1):
            inside = image  # an odd side is cut by a pixel, and nothing blurred
        image = QImage(width, height, QImage.Format.Format_RGB32)
        image.fill(Qt.GlobalColor.black)
        painter = QPainter(image)
        painter.drawImage(max(width - inside.width(), 0) // 2, max(height - inside.height(), 0) // 2, inside)
        painter.end()
    bits = image.constBits()
    assert bits is not None
    # A copy, for the memory goes with the image. A row of such pixels needs no filling up.
    return np.frombuffer(bits.asstring(4 * width * height), np.uint8).reshape(height, width, 4)
