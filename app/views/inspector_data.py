"""A point as the data have it: its picture, or its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QImage, QPixmap
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from app.picture.theme import Theme
from app.plain import Label
from app.style import css
from app.training.looking import Looked, labels_text, row_text

SIDE_PX = 64


class ItemData(QWidget):
    """Takes no room while nothing is known."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture, self.words = Label(), Label()
        self.picture.setFixedSize(SIDE_PX, SIDE_PX)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.words.setWordWrap(True)
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.words, 1)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.words.setStyleSheet(f"color: {css(theme.muted)};")
        self.picture.setStyleSheet(f"border: 1px solid {css(theme.grid)};")

    def show_item(self, looked: Looked | None) -> None:
        """An item, or why nothing is known of it; None hides both."""
        self.setVisible(looked is not None)
        if looked is None:
            return
        self.picture.setVisible(looked.picture is not None)
        if looked.picture is not None:
            self.picture.setPixmap(pixmap(looked.picture, SIDE_PX - 4))
            self.picture.setAccessibleName(f"Picture of point {looked.item_id}")
        labels = "" if looked.labels is None else labels_text(looked.labels)
        numbers = "" if looked.row is None else row_text(looked.row)
        self.words.setText(looked.problem or "\n".join(filter(None, (labels, numbers))))


def pixmap(picture: NDArray[np.uint8], side_px: int) -> QPixmap:
    """(H, W) grey or (H, W, 3) coloured pixels, enlarged to fit a square without smoothing, or shrunk with it."""
    pixels = np.ascontiguousarray(picture)
    kind = QImage.Format.Format_Grayscale8 if pixels.ndim == 2 else QImage.Format.Format_RGB888
    height, width = pixels.shape[:2]
    buffer: Any = pixels.data
    image = QImage(buffer, width, height, pixels.strides[0], kind)
    shape, how = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.FastTransformation
    if max(height, width) > side_px:
        how = Qt.TransformationMode.SmoothTransformation
    return QPixmap.fromImage(image).scaled(side_px, side_px, shape, how)
