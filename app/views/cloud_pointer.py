"""What mouse and keys do to a camera: a drag turns it or moves it sideways, a click that does not drag is a click."""

from __future__ import annotations

from dataclasses import replace

from PyQt6.QtCore import QPointF, Qt
from PyQt6.QtGui import QMouseEvent

from app.picture.camera import MAX_ELEVATION, Camera

DEGREES_PER_PX = 0.4
DEGREES_PER_KEY = 6.0
ZOOM_PER_KEY = 1.2
ZOOM_PER_WHEEL_DEGREE = 1.012
CLICK_PX = 4.0
"""A pointer that moved less between press and release has clicked, not dragged."""

_TURNS: dict[int, tuple[float, float]] = {
    Qt.Key.Key_Left: (DEGREES_PER_KEY, 0.0),
    Qt.Key.Key_Right: (-DEGREES_PER_KEY, 0.0),
    Qt.Key.Key_Up: (0.0, -DEGREES_PER_KEY),
    Qt.Key.Key_Down: (0.0, DEGREES_PER_KEY),
}
_ZOOMS: dict[int, float] = {
    Qt.Key.Key_Plus: ZOOM_PER_KEY,
    Qt.Key.Key_Equal: ZOOM_PER_KEY,
    Qt.Key.Key_Minus: 1 / ZOOM_PER_KEY,
}
_AXES: dict[int, tuple[float, float]] = {
    Qt.Key.Key_1: (0.0, 0.0),
    Qt.Key.Key_2: (90.0, 0.0),
    Qt.Key.Key_3: (0.0, MAX_ELEVATION),
}
"""Azimuth and elevation of an eye on the axis x, y or z."""


def moved_by_key(camera: Camera, key: int) -> Camera | None:
    """The camera after a key; None where the key does not move it."""
    if key in _TURNS:
        return camera.orbited(*_TURNS[key])
    if key in _AXES:
        azimuth, elevation = _AXES[key]
        return replace(camera, azimuth=azimuth, elevation=elevation)
    return camera.zoomed(_ZOOMS[key]) if key in _ZOOMS else None


def moved_by_wheel(camera: Camera, eighths: int) -> Camera:
    """The camera after a turn of the wheel by so many eighths of a degree."""
    zoomed: Camera = camera.zoomed(ZOOM_PER_WHEEL_DEGREE ** (eighths / 8))
    return zoomed


class Drag:
    """From a press of a mouse button to its release."""

    def __init__(self) -> None:
        self._pressed_at: QPointF | None = None
        self._from: QPointF | None = None

    @property
    def active(self) -> bool:
        """Whether a button is down."""
        return self._from is not None

    def press(self, event: QMouseEvent) -> None:
        """A button goes down."""
        self._from = event.position()
        clicks = event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton)
        self._pressed_at = event.position() if clicks else None

    def move(self, event: QMouseEvent, camera: Camera, height: float) -> Camera:
        """Where the camera is after the pointer moved in a pane `height` pixels high: turned by the left button; moved
        sideways by another, or with Shift."""
        here = event.position()
        if self._from is None:
            return camera
        if self._pressed_at is not None:
            if (here - self._pressed_at).manhattanLength() < CLICK_PX:
                return camera  # still a click
            self._pressed_at = None
        moved, self._from = here - self._from, here
        left = bool(event.buttons() & Qt.MouseButton.LeftButton)
        if left and not event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            return camera.orbited(-DEGREES_PER_PX * moved.x(), DEGREES_PER_PX * moved.y())
        return camera.panned(moved.x(), moved.y(), height)

    def release(self) -> bool:
        """The button comes up. Whether that was a click."""
        clicked, self._pressed_at, self._from = self._pressed_at is not None, None, None
        return clicked
