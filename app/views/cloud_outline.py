"""A box or a lasso drawn round points with the mouse."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QMouseEvent, QPainter, QPen, QPolygonF

from app.picture.camera import Camera
from app.picture.outline import inside
from app.picture.scene import Scene
from app.picture.theme import Theme
from app.views.cloud_pointer import CLICK_PX

STEP_PX = 3.0
"""A lasso has a corner every few pixels."""


class Outline:
    """From a press with Alt (a box) or with Ctrl (a lasso) to the release. With Shift it adds to what is selected."""

    def __init__(self) -> None:
        self.lasso_at_once = False
        """Whether a drag with the left button is a lasso without a key"""
        self._corners: list[QPointF] = []
        self._box = False

    @property
    def active(self) -> bool:
        """Whether one is being drawn."""
        return bool(self._corners)

    def press(self, event: QMouseEvent) -> bool:
        """The left button goes down; whether an outline begins."""
        modifiers = event.modifiers()
        self._box = bool(modifiers & Qt.KeyboardModifier.AltModifier)
        lasso = self.lasso_at_once or bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        if event.button() != Qt.MouseButton.LeftButton or not (self._box or lasso):
            return False
        self._corners = [event.position()]
        return True

    def move(self, event: QMouseEvent) -> None:
        """The pointer moves on."""
        if self._box:
            self._corners = [self._corners[0], event.position()]
        elif (event.position() - self._corners[-1]).manhattanLength() >= STEP_PX:
            self._corners.append(event.position())

    def release(self) -> NDArray[np.float64] | None:
        """The button comes up: (V, 2) corners of the outline; None where it was a click."""
        corners, self._corners = self._polygon(), []
        moved = max((abs(one.x() - corners[0].x()) + abs(one.y() - corners[0].y()) for one in corners), default=0.0)
        if moved < CLICK_PX:
            return None
        return np.array([(corner.x(), corner.y()) for corner in corners])

    def paint(self, painter: QPainter, theme: Theme) -> None:
        """The outline as far as it is drawn."""
        if len(self._corners) < 2:
            return
        painter.setPen(QPen(QColor(*theme.accent), 1.2, Qt.PenStyle.DashLine))
        painter.setBrush(QColor(*theme.accent, 34))
        painter.drawPolygon(QPolygonF(self._polygon()))

    def _polygon(self) -> list[QPointF]:
        if not self._box or len(self._corners) < 2:
            return self._corners
        box = QRectF(self._corners[0], self._corners[1]).normalized()
        return [box.topLeft(), box.topRight(), box.bottomRight(), box.bottomLeft()]


def outlined_ids(
    scene: Scene, camera: Camera, width: float, height: float, outline: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Ids of the drawn points inside an outline, also of those that others cover; ascending."""
    xs, ys, _ = camera.project(scene.positions, width, height)
    return np.sort(scene.ids[inside(outline, xs, ys) & (scene.radii > 0)])
