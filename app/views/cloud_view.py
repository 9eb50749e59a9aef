"""One pane: a cloud that can be turned, zoomed and asked what lies under the pointer.

`cloud_picture` says when the picture is made, `cloud_pointer` what mouse and keys do to the camera; this widget joins
them and paints the picture with its labels. Nothing here fails silently: what cannot be shown becomes a message in the
pane.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPoint, QPointF, QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QContextMenuEvent,
    QFontMetricsF,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.picture import raster
from app.picture.camera import Camera, fit
from app.picture.class_labels import Cluster, Name, clusters, placed
from app.picture.scene import Scene
from app.picture.theme import DARK, Rgb, Theme
from app.picture.thumbnails import Box
from app.plain import plain_tip
from app.views import cloud_labels
from app.views.cloud_marks import Mark, draw_marks, draw_outline
from app.views.cloud_outline import Outline, outlined_ids
from app.views.cloud_picture import CloudPicture
from app.views.cloud_pointer import Drag, moved_by_key, moved_by_wheel
from app.views.cloud_thumbnails import CloudThumbnails

CAPTION_FROM_PX = 130
"""Lower panes have no room for the line under the cloud."""
STILL_MS = 250
"""A picture that stood still so long is rendered finely."""
POLL_MS = 250

PREPARING = "Preparing the renderer ..."
"""Of a sketch, where nothing more is known."""
NOTHING_YET = "Nothing to show yet. Press Space to train."
NOT_FINITE = "No point has finite coordinates: training has diverged. Lower the learning rate and reset."
NONE_LEFT = "No point is left to be drawn. Press Shift+H to show all."
OUT_OF_VIEW = "No point is in view. Press 0 or double-click to bring the cloud back."


class CloudView(QWidget):
    """Shows a `Scene` through a `Camera`."""

    camera_changed = pyqtSignal(object)
    """The user moved the camera: the new `Camera`."""
    fit_requested = pyqtSignal()
    """The user asked for the whole cloud (double-click, 0); `camera_changed` came just before."""
    point_hovered = pyqtSignal(int)
    """Dataset id of the point under the pointer, -1 when it left."""
    menu_requested = pyqtSignal(object)
    """The user asked for a menu: the global `QPoint` where it is to open."""
    point_clicked = pyqtSignal(int)
    """Dataset id of the clicked point, -1 for a click on nothing."""
    points_outlined = pyqtSignal(object, bool)
    """Ascending dataset ids of the points in a box (Alt) or a lasso (Ctrl), or of one clicked with Ctrl; and whether
    they are to be added to what is selected."""

    def __init__(self, theme: Theme = DARK, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.paint_count = 0
        """Paint events that showed a rendered cloud"""
        self.last_paint_ms = 0.0
        """Duration of the last of them, rendering included"""
        self.paint_budget_ms = 25.0
        """Above this, context points are thinned; share it among the panes of a window. Time of a processor: what other
        programs take of it does not end with fewer points"""

        self._theme = theme
        self._cost_ms = 0.0
        self._made = CloudPicture()
        self._drag = Drag()
        self._outline = Outline()
        self._class_names: tuple[str, ...] | None = None
        self._clusters: tuple[Scene | None, list[Cluster]] = (None, [])
        self._camera: Camera | None = None
        self._title, self._title_rgb, self._chip, self._caption = "", theme.accent, "", ""
        self._details = self._notice = self._preparing = self._notes = ""
        self._title_plate, self._caption_plate = cloud_labels.Plate(), cloud_labels.Plate()
        self._overlay: str | None = None
        self._selected_id = self._hovered_id = -1
        self._marks: tuple[Mark, ...] = ()
        self._outlines: list[NDArray[np.float64]] = []
        self._thumbnails = CloudThumbnails()

        self._still_timer = QTimer(self)
        self._still_timer.setSingleShot(True)
        self._still_timer.setInterval(STILL_MS)
        self._still_timer.timeout.connect(self._refine)
        self._poll_timer = QTimer(self)
        self._poll_timer.setSingleShot(True)
        self._poll_timer.setInterval(POLL_MS)
        self._poll_timer.timeout.connect(self.update)

        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 90)
        self.setAccessibleName("Cloud")

    # ------------------------------------------------------------------------------------------------ what to show

    def set_scene(self, scene: Scene | None) -> None:
        """Show `scene`; None for none. The first one sets the camera, unless `set_camera` did."""
        if scene is self.scene:
            return
        self._made.set_scene(scene)
        if self._camera is None and scene is not None and len(scene.ids):
            self._camera = self._fitted(scene)
        self._invalidate()

    @property
    def scene(self) -> Scene | None:
        """What is shown."""
        return self._made.scene

    @property
    def draw_failures(self) -> int:
        """Pictures that could not be rendered because of an exception."""
        return self._made.failures

    def set_camera(self, camera: Camera) -> None:
        """Look through `camera`; emits nothing, so linked panes do not echo."""
        if camera != self._camera:
            self._camera = camera
            self._invalidate()

    @property
    def camera(self) -> Camera:
        """Where the cloud is looked at from."""
        return self._camera or Camera()

    def set_theme(self, theme: Theme) -> None:
        """Colours of ground and labels; those of points and edges are the scene's."""
        if theme != self._theme:
            self._theme = theme
            self._invalidate()

    def set_title(self, text: str, rgb: Rgb) -> None:
        """The pane's name, with the colour of its lane."""
        if (text, rgb) != (self._title, self._title_rgb):
            self._title, self._title_rgb = text, rgb
            self.setAccessibleName(f"Cloud of {text}" if text else "Cloud")
            self.update()

    def set_chip(self, text: str) -> None:
        """Status lines below the title."""
        if text != self._chip:
            self._chip = text
            self.setAccessibleDescription(text)
            self.update()

    def set_details(self, text: str) -> None:
        """More than the status lines have room for: a tooltip over them."""
        self._details = text

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            tip = self._tip_at(event.pos())
            QToolTip.showText(event.globalPos(), plain_tip(tip) if tip else "", self)
            return True
        return super().event(event)

    def _tip_at(self, place: QPoint) -> str:
        if self._title_plate.covers(place):
            low = self.height() < CAPTION_FROM_PX  # the caption is not painted
            return "\n".join(filter(None, (self._details, self._notes if low else "")))
        left, top, width, height = self._covered_boxes()[1]
        return self._notes if QRectF(left, top, width, height).contains(QPointF(place)) else ""

    def set_caption(self, text: str, notes: str = "") -> None:
        """Small lines at the bottom, such as how many edges are drawn. `notes`: all of it, a line each, a tooltip where
        the lines have no room for it."""
        self._notes = notes
        if text != self._caption:
            self._caption = text
            self.update()

    def set_notice(self, text: str) -> None:
        """A line in the middle of the lower edge, such as what happens just now in slow motion."""
        if text != self._notice:
            self._notice = text
            self.update()

    @property
    def notice(self) -> str:
        """What `set_notice` says."""
        return self._notice

    def set_preparing(self, text: str) -> None:
        """Somebody prepares the renderer, as `text` says; until that is empty the cloud is a sketch, and says so."""
        if text != self._preparing:
            self._preparing, self._made.preparing = text, bool(text)
            self.update()

    def set_overlay(self, text: str | None) -> None:
        """A message over the cloud; None takes it away."""
        if text != self._overlay:
            self._overlay = text
            self.update()

    def set_class_names(self, names: tuple[str, ...] | None) -> None:
        """Write these names of classes at their clusters; None for none."""
        if names != self._class_names:
            self._class_names, self._clusters = names, (None, [])
            self.update()

    @property
    def class_labels(self) -> list[Name]:
        """The names over the cloud, where they stand now."""
        scene, names = self.scene, self._class_names
        if scene is None or names is None:
            return []
        if self._clusters[0] is not scene:
            self._clusters = scene, clusters(scene, names)
        metrics = QFontMetricsF(cloud_labels.name_font(self.font()))
        return placed(
            self._clusters[1],
            self.camera,
            *self._size(),
            lambda text: (metrics.horizontalAdvance(text) + 2 * cloud_labels.NAME_PADDING, metrics.height()),
        )

    def set_lasso(self, on: bool) -> None:
        """Whether a drag with the left button draws a lasso, without Ctrl."""
        self._outline.lasso_at_once = on

    def set_selected(self, point_id: int | None) -> None:
        """Ring the point with this dataset id; None or -1 for none."""
        point_id = -1 if point_id is None else point_id
        if point_id != self._selected_id:
            self._selected_id = point_id
            self.update()

    def set_marks(self, marks: tuple[Mark, ...]) -> None:
        """Say something of some points, beside them."""
        if marks != self._marks:
            self._marks = marks
            self.update()

    def set_outlines(self, outlines: list[NDArray[np.float64]]) -> None:
        """Draw closed lines through (K, 3) places in the space of the cloud."""
        self._outlines = outlines
        self.update()

    def set_thumbnails(self, ids: Sequence[int], pixels: Mapping[int, NDArray[np.uint8]]) -> None:
        """Show the pictures of these items beside their points where there is room, the most important first; `pixels`
        by id, (H, W) or (H, W, 3)."""
        if self._thumbnails.show(ids, pixels):
            self.update()

    @property
    def thumbnail_ids(self) -> list[int]:
        """The items whose pictures were painted last."""
        return self._thumbnails.ids

    def set_hovered(self, point_id: int | None) -> None:
        """Ring a point that is hovered in another pane; emits nothing."""
        point_id = -1 if point_id is None else point_id
        if point_id != self._hovered_id:
            self._hovered_id = point_id
            self.update()

    @property
    def share_drawn(self) -> float:
        """Share of the context points that is drawn; below 1 where painting took too long."""
        return self._made.share_drawn

    @property
    def covered(self) -> tuple[float, float]:
        """Pixels at the top and at the bottom that the title and the caption take, as they were painted last."""
        return self._title_plate.reach, self._caption_plate.reach if self.height() >= CAPTION_FROM_PX else 0.0

    @property
    def message(self) -> str:
        """The message over the cloud, empty when there is none."""
        scene, made = self.scene, self._made
        if self._overlay or made.failure:
            return self._overlay or made.failure or ""
        if scene is None or len(scene.ids) == 0:
            return NOTHING_YET
        if not scene.radii.any():
            return NONE_LEFT
        if made.picture is not None and made.picture.points_in_view == 0:
            return OUT_OF_VIEW if np.isfinite(scene.positions).all(1).any() else NOT_FINITE
        return ""

    @property
    def caption(self) -> str:
        """The small lines at the bottom as they are painted."""
        if self.scene is not None and not self._made.kernels_ready:
            return f"{self._preparing or PREPARING}\n{self._caption}".strip()
        if self._made.moving_share >= 1 or self.scene is None:
            return self._caption
        # Of as many lines in both cases: the camera keeps the cloud clear of them, so another would move it.
        drawn = "all points drawn while nothing moves"
        if self.share_drawn < 1:
            drawn = f"{self.share_drawn:.1%} of the unmined points drawn, to keep up"
        return f"{self._caption}\n{drawn}".strip()

    # --------------------------------------------------------------------------------------------------- rendering

    def render_now(self) -> None:
        """Render and paint at once, without waiting for the event loop; a hidden view is rendered only."""
        self.repaint()
        self._render()

    def picture(self) -> raster.Picture | None:
        """The picture on screen without labels; None before the first. Valid until the next one is rendered."""
        return self._made.picture

    def pick(self, x: float, y: float) -> int:
        """Dataset id of the point nearest to a place in the widget, within a few pixels; -1 where there is none."""
        return self._made.pick(x, y, self.width())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        start, spent = time.perf_counter(), time.thread_time()
        rendered = self._render()
        painter = QPainter(self)
        self._paint(painter)
        painter.end()
        if self._made.picture is not None:
            self.paint_count += 1
            self.last_paint_ms = (time.perf_counter() - start) * 1e3
            self._cost_ms = (time.thread_time() - spent) * 1e3
        if rendered and self._made.adapt(self._cost_ms, self.paint_budget_ms):
            self.update()

    def _render(self) -> bool:
        """Make the picture if it is due and can be made; whether that was done."""
        made = self._made.make(self.camera, self._theme, self.width(), self.height(), self.devicePixelRatioF())
        if made and self._made.would_gain(self.devicePixelRatioF()):
            self._still_timer.start()
        if self.scene is not None and not self._made.kernels_ready:
            self._poll_timer.start()
        return made

    def _refine(self) -> None:
        if self._made.refine(self._cost_ms, self.devicePixelRatioF()):
            self.update()

    def _invalidate(self) -> None:
        self._made.invalidate()
        self._still_timer.stop()
        self.update()

    def _paint(self, painter: QPainter) -> None:
        width, height, theme = self.width(), self.height(), self._theme
        picture = self._made.picture
        if picture is None:
            painter.fillRect(self.rect(), QColor(*theme.cloud_bottom))
        else:
            rows, columns = picture.rows.shape
            buffer: Any = picture.pixels.data  # Qt takes any buffer, its stubs know bytes alone
            image = QImage(buffer, columns, rows, 4 * columns, QImage.Format.Format_RGB32)
            if (columns, rows) == (width, height) and self.devicePixelRatioF() == 1:
                painter.drawImage(0, 0, image)
            else:
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
                painter.drawImage(QRectF(0, 0, width, height), image)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.scene is not None and picture is not None:
            self._thumbnails.paint(painter, theme, self.scene, self.camera, self._size(), self._covered_boxes())
        self._paint_marks(painter)
        for name in self.class_labels:
            cloud_labels.draw_name(painter, theme, name.text, name.x, name.y, name.alpha)
        for point_id, rgb in ((self._hovered_id, theme.text), (self._selected_id, theme.accent)):
            self._paint_ring(painter, point_id, rgb)
        self._outline.paint(painter, theme)
        self._title_plate.title(painter, theme, self._title, self._title_rgb, self._chip, width)
        if height >= CAPTION_FROM_PX:
            self._caption_plate.caption(painter, theme, self.caption, width, height)
        if self._notice:
            cloud_labels.draw_notice(painter, theme, self._notice, width, height - self.covered[1])
        if self.message:
            error = self._made.failure is not None or self.message == NOT_FINITE
            cloud_labels.draw_overlay(painter, theme, self.message, width, height, error=error)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(*theme.accent, 150), 1))
            painter.drawRect(QRectF(0.5, 0.5, width - 1, height - 1))

    def _covered_boxes(self) -> list[Box]:
        """Left, top, width and height of what labels cover, as they were painted last."""
        top, bottom = self.covered
        return [
            (0.0, 0.0, self._title_plate.width, top),
            (0.0, self.height() - bottom, self._caption_plate.width, bottom),
        ]

    def _paint_ring(self, painter: QPainter, point_id: int, rgb: Rgb) -> None:
        scene = self.scene
        row = scene.place_of(point_id) if scene is not None and point_id >= 0 else -1
        if scene is None or row < 0 or scene.radii[row] <= 0:
            return
        x, y, depth = (float(value[0]) for value in self.camera.project(scene.positions[row : row + 1], *self._size()))
        if not (np.isfinite(x) and np.isfinite(y)):
            return
        point_px = raster.default_point_px(scene.sample, self.camera, *self._size())
        radius = float(scene.radii[row]) * point_px * self.camera.distance / depth
        cloud_labels.draw_ring(painter, self._theme, x, y, min(radius, self.height() / 2) + 3.5, rgb)

    def _paint_marks(self, painter: QPainter) -> None:
        scene = self.scene
        for outline in self._outlines if scene is not None else ():
            draw_outline(painter, self._theme, np.stack(self.camera.project(outline, *self._size())[:2], 1))
        drawn = [
            (mark, row) for mark in self._marks if scene is not None and (row := scene.place_of(mark.item_id)) >= 0
        ]
        if scene is not None and drawn:
            x, y, _ = self.camera.project(scene.positions[[row for _, row in drawn]], *self._size())
            draw_marks(painter, self._theme, [mark for mark, _ in drawn], np.stack((x, y), 1), *self._size())

    # ----------------------------------------------------------------------------------------------- mouse and keys

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None
        if not self._outline.press(event):
            self._drag.press(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None
        if self._outline.active:
            self._outline.move(event)
            self.update()
        elif not self._drag.active or event.buttons() == Qt.MouseButton.NoButton:
            self._hover(self.pick(event.position().x(), event.position().y()))
        else:
            self._move(self._drag.move(event, self.camera, self.height()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None
        if self._outline.active:
            self._end_outline(event)
            return
        if not self._drag.release():
            return
        if event.button() == Qt.MouseButton.LeftButton:
            self.point_clicked.emit(self.pick(event.position().x(), event.position().y()))
        elif event.button() == Qt.MouseButton.RightButton:
            self.menu_requested.emit(event.globalPosition().toPoint())

    def _end_outline(self, event: QMouseEvent) -> None:
        corners, modifiers = self._outline.release(), event.modifiers()
        self.update()
        if corners is not None and self.scene is not None:
            ids = outlined_ids(self.scene, self.camera, *self._size(), corners)
            self.points_outlined.emit(ids, bool(modifiers & Qt.KeyboardModifier.ShiftModifier))
            return
        point = self.pick(event.position().x(), event.position().y())
        if modifiers & Qt.KeyboardModifier.ControlModifier and point >= 0:
            self.points_outlined.emit(np.array([point]), True)
        else:
            self.point_clicked.emit(point)

    def contextMenuEvent(self, event: QContextMenuEvent | None) -> None:
        """The key for menus; the mouse asks for one with a click of its right button, for a drag with it pans."""
        if event is not None and event.reason() == QContextMenuEvent.Reason.Keyboard:
            self.menu_requested.emit(self.mapToGlobal(self.rect().center()))

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        assert event is not None
        if event.button() == Qt.MouseButton.LeftButton:
            self._fit()

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        assert event is not None
        self._move(moved_by_wheel(self.camera, event.angleDelta().y()))
        event.accept()

    def leaveEvent(self, event: QEvent | None) -> None:
        self._hover(-1)
        super().leaveEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        moved = moved_by_key(self.camera, event.key())
        if moved is not None:
            self._move(moved)
        elif event.key() == Qt.Key.Key_0:
            self._fit()
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._invalidate()
        super().resizeEvent(event)

    def sizeHint(self) -> QSize:
        return QSize(480, 420)

    def _hover(self, point_id: int) -> None:
        if point_id != self._hovered_id:
            self.set_hovered(point_id)
            self.point_hovered.emit(point_id)

    def _move(self, camera: Camera) -> None:
        if camera != self._camera:
            self.set_camera(camera)
            self.camera_changed.emit(camera)

    def _fit(self) -> None:
        if self.scene is not None and len(self.scene.ids):
            self._move(self._fitted(self.scene))
            self.fit_requested.emit()

    def _fitted(self, scene: Scene) -> Camera:
        width, height = self._size()
        return fit(scene.positions, width / height, self._camera)

    def _size(self) -> tuple[float, float]:
        return max(self.width(), 1), max(self.height(), 1)
