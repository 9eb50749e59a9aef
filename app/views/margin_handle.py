"""The margin line of a histogram: it is dragged, or moved by keys, and says what it is."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QWidget

from app.history.hardness_words import margin_text
from app.history.histogram import Axis, next_on_grid, on_grid
from app.picture.theme import DARK, Theme
from hnm_core.run.hardness import round_above

HANDLE_PX = 15
"""As wide as a pointer needs."""
KNOB = 4.5
"""Half the width of the knob of a line that can be moved."""
WAYS = {Qt.Key.Key_Left: -1, Qt.Key.Key_Down: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: 1}
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
HOW = "Drag it, or move it with the arrow keys (with Shift finely); Enter applies, Esc gives up."


class MarginHandle(QWidget):
    """Lies over a plot; whoever has made it puts it where its `value` is.

    `moved()` while it is on its way or goes back, `dropped(float)` when it is left somewhere else.
    """

    moved = pyqtSignal()
    dropped = pyqtSignal(float)

    def __init__(self, lane: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.lane = lane
        self.value = 0.0
        """Where it stands, in units of distance."""
        self.moving = False
        """Whether it is on its way."""
        self.dragging = False
        """Whether the mouse holds it."""
        self._at_rest = 0.0
        self._off = 0.0  # where the pointer holds it, in pixels from its middle
        self._axis, self._left, self._px = Axis(0.0, 1.0, 1.0), 0.0, 100.0
        self._theme = DARK
        self._fixed = "?"
        self.set_fixed("")

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def set_fixed(self, why: str) -> None:
        """Why it cannot be moved; it can where that is empty."""
        if why == self._fixed:
            return
        self._fixed = why
        if why and (self.moving or self.dragging):
            self.give_up()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus if why else Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.ArrowCursor if why else Qt.CursorShape.SizeHorCursor)
        self._say()
        self.update()

    @property
    def fixed(self) -> bool:
        """Whether it cannot be moved."""
        return bool(self._fixed)

    def set_axis(self, axis: Axis, left: float, px: float) -> None:
        """Which separations are seen in so many pixels from `left` on."""
        self._axis, self._left, self._px = axis, left, px

    def _per_px(self, value: float) -> float:
        """How much a pixel is at a value."""
        share = self._axis.place(value)
        return self._axis.separation(share + 1 / self._px) - value

    def rest_at(self, value: float) -> None:
        """Where it stands while nobody moves it."""
        self._at_rest = value
        if not self.moving and value != self.value:
            self.value = value
            self._say()

    def give_up(self) -> None:
        """Back to where it was."""
        self.moving = self.dragging = False
        self.value = self._at_rest
        self._say()
        self.moved.emit()

    def _move(self, value: float) -> None:
        self.moving, self.value = True, value
        self._say()
        self.moved.emit()

    def _drop(self) -> None:
        value, self.moving = self.value, False
        if value == self._at_rest:
            self.moved.emit()
        else:
            self.dropped.emit(value)

    def _say(self) -> None:
        margin = margin_text(self.value)
        self.setAccessibleName(f"Margin of {self.lane}: {margin}")
        self.setAccessibleDescription(self._fixed or HOW)
        self.setToolTip(f"{self.lane}: margin {margin}\n{self._fixed or HOW}")

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None or self._fixed or event.button() != Qt.MouseButton.LeftButton:
            return super().mousePressEvent(event)
        self.dragging = True
        at_rest = self._left + self._axis.place(self.value) * self._px
        self._off = self.mapToParent(event.position()).x() - at_rest
        return None

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None or not self.dragging:
            return
        x = self.mapToParent(event.position()).x() - self._off - self._left
        wanted = max(0.0, self._axis.separation(min(max(x / self._px, 0.0), 1.0)))
        value = on_grid(wanted, round_above(self._per_px(wanted)))
        if value != self.value:
            self._move(value)

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self.dragging and event.button() == Qt.MouseButton.LeftButton:
            self.dragging = False
            if self.moving:
                self._drop()

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and not self._fixed:
            busy = self.moving or self.dragging
            if event.key() in WAYS or (busy and event.key() in (*ENTER, Qt.Key.Key_Escape)):
                event.accept()  # whatever the window does with these keys elsewhere
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None or self._fixed:
            return super().keyPressEvent(event)
        key = event.key()
        if key in WAYS and not self.dragging:
            stride = round_above(8 * self._per_px(self.value))
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                stride /= 10
            self._move(max(0.0, next_on_grid(self.value, stride, WAYS[Qt.Key(key)])))
        elif key in ENTER and self.moving and not self.dragging:
            self._drop()
        elif key == Qt.Key.Key_Escape and (self.moving or self.dragging):
            self.give_up()
        else:
            super().keyPressEvent(event)
        return None

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        if self.moving and not self.dragging:
            self.give_up()  # nothing is changed behind somebody's back
        super().focusOutEvent(event)
        self.update()

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = self._theme
        colour = QColor(*(theme.accent if self.moving or self.hasFocus() else theme.text))
        x, bottom = self.width() / 2, float(self.height())
        style = Qt.PenStyle.DashLine if self._fixed else Qt.PenStyle.SolidLine
        painter.setPen(QPen(colour, 1.4, style))
        painter.drawLine(QPointF(x, 0), QPointF(x, bottom))
        if not self._fixed:
            painter.setPen(QPen(QColor(*theme.panel), 1.0))
            painter.setBrush(colour)
            knob = [(-KNOB, 0.5), (KNOB, 0.5), (KNOB, 5.0), (0.0, 9.5), (-KNOB, 5.0)]
            painter.drawPolygon(QPolygonF([QPointF(x + dx, dy) for dx, dy in knob]))
