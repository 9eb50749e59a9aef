"""Pictures of items beside their points, as they are painted over a cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QPainter, QPen, QPixmap

from app.picture.camera import Camera
from app.picture.scene import Scene
from app.picture.theme import Theme
from app.picture.thumbnails import Box, Thumbnail, placed, side_px
from app.views.inspector_data import pixmap
from hnm_core.run.shown import drawn_places

MOST_KEPT = 400
"""So many finished pictures are kept to be painted again."""
FRAME_PX = 2.0


class CloudThumbnails:
    """Which items have a picture beside their points, and the pictures; where they stand follows the cloud."""

    def __init__(self) -> None:
        self._wanted: tuple[int, ...] = ()
        self._pixels: Mapping[int, NDArray[np.uint8]] = {}
        self._made: dict[tuple[int, int], QPixmap] = {}
        self.shown: tuple[Thumbnail, ...] = ()
        """As they were painted last"""

    def show(self, ids: Sequence[int], pixels: Mapping[int, NDArray[np.uint8]]) -> bool:
        """Show the pictures of these items, the most important first, where there is room for them; `pixels` by id,
        those without any are left out. Whether these are others than before."""
        wanted = tuple(item_id for item_id in ids if item_id in pixels)
        if pixels is not self._pixels:
            self._made = {}
        changed = wanted != self._wanted or pixels is not self._pixels
        self._wanted, self._pixels = wanted, pixels
        return changed

    @property
    def ids(self) -> list[int]:
        """The items whose pictures were painted last."""
        return [thumbnail.item_id for thumbnail in self.shown]

    def paint(
        self, painter: QPainter, theme: Theme, scene: Scene, camera: Camera, size: tuple[float, float], taken: list[Box]
    ) -> None:
        """Paint them, clear of what is `taken`, with a painter that smooths."""
        places = drawn_places(scene.ids, scene.sample, np.array(self._wanted, np.int64))
        known = [place >= 0 and scene.radii[place] > 0 for place in places.tolist()]
        ids = [item_id for item_id, drawn in zip(self._wanted, known, strict=True) if drawn]
        places = places[known] if known else places
        if not len(places):
            self.shown = ()
            return
        xs, ys, _ = camera.project(scene.positions[places], *size)
        before = {thumbnail.item_id: thumbnail.side for thumbnail in self.shown}
        self.shown = tuple(placed(ids, np.stack((xs, ys), 1), *size, taken, before))
        colors = {item_id: QColor(*rgb) for item_id, rgb in zip(ids, scene.colors[places].tolist(), strict=True)}
        side = side_px(size[1])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for one in self.shown:
            middle = QPointF(one.left + side / 2, one.top + side / 2)
            painter.setPen(QPen(colors[one.item_id], 1.2))
            painter.drawLine(QPointF(one.x, one.y), middle)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for one in self.shown:
            box = QRectF(one.left, one.top, side, side)
            painter.fillRect(box, colors[one.item_id])
            inner = box.adjusted(FRAME_PX, FRAME_PX, -FRAME_PX, -FRAME_PX)
            painter.fillRect(inner, QColor(*theme.cloud_bottom))
            picture = self._picture(painter, one.item_id, inner.width())
            self._draw(painter, picture, inner)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)

    def _draw(self, painter: QPainter, picture: QPixmap, inner: QRectF) -> None:
        shape = picture.deviceIndependentSize()
        box = QRectF(0, 0, shape.width(), shape.height())
        box.moveCenter(inner.center())
        painter.drawPixmap(box.topLeft(), picture)

    def _picture(self, painter: QPainter, item_id: int, side: float) -> QPixmap:
        device = painter.device()
        scale = device.devicePixelRatioF() if device is not None else 1.0
        key = item_id, round(side * scale)
        if key not in self._made:
            if len(self._made) >= MOST_KEPT:
                self._made.clear()
            self._made[key] = pixmap(self._pixels[item_id], key[1])
            self._made[key].setDevicePixelRatio(scale)
        return self._made[key]
