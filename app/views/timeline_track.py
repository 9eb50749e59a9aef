"""The painted slider of the timeline, with what happened when."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PyQt6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.picture.theme import DARK, Rgb
from app.plain import plain_tip
from app.style import mix

TRACK_HEIGHT = 40
NEAR_PX = 6


SIDE = 12
"""Pixels left and right of the track, so that labels of its ends have room."""


Mark = tuple[int, str, str]
KEY = "camera"
"""The kind of a mark that is a key frame of the camera."""


class Track(QWidget):
    """The painted slider. `moved(step)` when the user takes the handle to another step; `live_asked()` when the user
    wants to see the newest."""

    moved = pyqtSignal(int)
    live_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(80)
        self.setFixedHeight(TRACK_HEIGHT)
        self.setMouseTracking(True)
        self.setAccessibleName("Timeline")
        self.theme = DARK
        self.last_step = 0
        self.step = 0
        self.live = True
        self.marks: tuple[Mark, ...] = ()

    def sizeHint(self) -> QSize:
        return QSize(400, TRACK_HEIGHT)

    def x_of(self, step: float) -> float:
        """Pixel of a step."""
        return SIDE + (self.width() - 2 * SIDE) * (step / self.last_step if self.last_step else 0.0)

    def step_at(self, x: float) -> int:
        """Step of a pixel, within the run."""
        room = max(1, self.width() - 2 * SIDE)
        return round(self.last_step * min(max((x - SIDE) / room, 0.0), 1.0))

    def marks_near(self, x: float) -> list[Mark]:
        """What happened under a pixel, the nearest first."""
        near = [mark for mark in self.marks if abs(self.x_of(mark[0]) - x) <= NEAR_PX]
        return sorted(near, key=lambda mark: abs(self.x_of(mark[0]) - x))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = self.theme
        line = QRectF(SIDE, 15, self.width() - 2 * SIDE, 4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*theme.grid))
        painter.drawRoundedRect(line, 2, 2)
        here = self.x_of(self.step)
        painter.setBrush(QColor(*(theme.accent if self.live else mix(theme.accent, theme.panel, 0.35))))
        painter.drawRoundedRect(QRectF(line.left(), line.top(), max(0.0, here - line.left()), line.height()), 2, 2)
        self._paint_labels(painter, line)
        for mark in self.marks:
            self._paint_mark(painter, mark)
        if self.last_step:
            self._paint_handle(painter, here, line.center().y())

    def _paint_labels(self, painter: QPainter, line: QRectF) -> None:
        small = QFont(self.font())
        small.setPointSizeF(max(6.5, small.pointSizeF() * 0.8))
        painter.setFont(small)
        metrics = QFontMetricsF(small)
        painter.setPen(QColor(*self.theme.muted))
        base = self.height() - metrics.descent() - 1
        if not self.last_step:
            painter.drawText(QPointF(line.left(), base), "Nothing has happened yet")
            return
        end = f"{self.last_step:,}"
        end_px = metrics.horizontalAdvance(end)
        right = self.width() - end_px - 2
        painter.drawText(QPointF(right, base), end)
        for step in ticks(self.last_step, max(2, int(line.width() / (end_px + 34)))):
            x, text = self.x_of(step), f"{step:,}"
            half = metrics.horizontalAdvance(text) / 2
            if x + half > right - 8:
                continue
            painter.drawLine(QPointF(x, line.bottom() + 2), QPointF(x, line.bottom() + 5))
            painter.drawText(QPointF(max(2.0, x - half), base), text)

    def _paint_mark(self, painter: QPainter, mark: Mark) -> None:
        """Above the track: a square for an option, a disc for a lane that was forked off, a triangle for a warm-up's
        end, a diamond for an alarm or a hint, a camera for a key frame of its own."""
        step, _, kind = mark
        x, colour = self.x_of(step), self._mark_colour(kind)
        painter.setPen(QPen(QColor(*colour), 1.2))
        painter.drawLine(QPointF(x, 9), QPointF(x, 20))
        painter.setBrush(QColor(*colour))
        painter.setPen(Qt.PenStyle.NoPen)
        if kind == "fork":
            painter.drawEllipse(QPointF(x, 5), 4, 4)
            return
        if kind in ("hint", "warning", "fatal"):
            shape = [(0, -1), (5, 4), (0, 9), (-5, 4)]
        elif kind == KEY:
            shape = [(-6, 0), (2, 0), (2, 3), (6, 0), (6, 8), (2, 5), (2, 8), (-6, 8)]
        elif kind == "warm-up":
            shape = [(0, 0), (7, 4), (0, 8)]
        else:
            shape = [(-3, 1), (3, 1), (3, 7), (-3, 7)]
        painter.drawPolygon(QPolygonF([QPointF(x + dx, 1 + dy) for dx, dy in shape]))

    def _mark_colour(self, kind: str) -> Rgb:
        theme = self.theme
        colours = {"warning": theme.warning, "fatal": theme.error, "warm-up": theme.positive_edge, KEY: theme.accent}
        return (colours | dict.fromkeys(("option", "fork"), theme.text)).get(kind, theme.muted)

    def _paint_handle(self, painter: QPainter, x: float, y: float) -> None:
        theme = self.theme
        ring = theme.text if self.hasFocus() else theme.accent
        painter.setPen(QPen(QColor(*ring), 2))
        painter.setBrush(QColor(*(theme.accent if self.live else theme.panel)))
        painter.drawEllipse(QPointF(x, y), 6, 6)

    def _take(self, step: int) -> None:
        step = min(max(step, 0), self.last_step)
        if self.last_step and (step != self.step or self.live):
            self.step = step
            self.update()
            self.moved.emit(step)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            near = [mark for mark in self.marks_near(event.position().x()) if event.position().y() < 12]
            self._take(near[0][0] if near else self.step_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._take(self.step_at(event.position().x()))

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if event is not None:
            self._take(self.step + (-1 if event.angleDelta().y() > 0 else 1) * self._stride())
            event.accept()

    def _stride(self) -> int:
        """Steps of a coarse move: about a hundredth of the run."""
        return max(1, self.last_step // 100)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        if event is None:
            return
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        stride = 1 if shift else self._stride()
        goals = {
            Qt.Key.Key_Left: self.step - stride,
            Qt.Key.Key_Right: self.step + stride,
            Qt.Key.Key_PageDown: self.step - 10 * self._stride(),
            Qt.Key.Key_PageUp: self.step + 10 * self._stride(),
            Qt.Key.Key_Home: 0,
        }
        goal = goals.get(Qt.Key(event.key()))
        if event.key() == Qt.Key.Key_End:
            self.live_asked.emit()
        elif goal is None:
            super().keyPressEvent(event)
        else:
            self._take(goal)

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_End):
                event.accept()  # the window has shortcuts on some of these; here they move the handle
        elif isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            marks = self.marks_near(event.pos().x())
            lines = [f"step {step:,}: {text}" for step, text, _ in marks[:6]]
            if len(marks) > 6:
                lines.append(f"and {len(marks) - 6} more")
            if not lines and self.last_step:
                lines = [f"step {self.step_at(event.pos().x()):,}"]
            QToolTip.showText(event.globalPos(), plain_tip("\n".join(lines)), self)
            return True
        return super().event(event)


def ticks(last_step: int, most: int) -> list[int]:
    """Round steps from 0 on, 1, 2 or 5 times a power of ten apart, at most about `most` of them."""
    stride = 1
    while last_step / stride > most:
        stride = _next_round(stride)
    return list(range(0, last_step + 1, stride))


def _next_round(stride: int) -> int:
    return stride * 5 // 2 if str(stride)[0] == "2" else stride * 2
