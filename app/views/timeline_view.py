"""The whole run as a bar: where it is, where it can be taken back to, what happened when; play, loop, rate and LIVE.

While it plays, the timeline moves by itself and says `scrubbed` as if the user had dragged it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QHideEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QWheelEvent,
)
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QToolTip, QWidget

from app.history.markers import Marker
from app.picture.theme import DARK, Rgb, Theme
from app.style import icon, mix
from app.views.notice_list import NoticesButton

HEIGHT = 44
RATES = (0.5, 1.0, 2.0, 4.0, 8.0)
WHOLE_RUN_S = 12.0
"""At rate 1 the whole run plays in so many seconds, unless `set_speed` says otherwise."""
TICK_MS = 33
NEAR_PX = 6
SIDE = 12
"""Pixels left and right of the track, so that labels of its ends have room."""

Mark = tuple[int, str, str]


class Track(QWidget):
    """The painted slider. `moved(step)` when the user takes the handle to another step."""

    moved = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(80)
        self.setFixedHeight(HEIGHT - 4)
        self.setMouseTracking(True)
        self.setAccessibleName("Timeline")
        self.theme = DARK
        self.last_step = 0
        self.step = 0
        self.live = True
        self.marks: tuple[Mark, ...] = ()

    def sizeHint(self) -> QSize:
        return QSize(400, HEIGHT - 4)

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
        end, a diamond for an alarm or a hint."""
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
        elif kind == "warm-up":
            shape = [(0, 0), (7, 4), (0, 8)]
        else:
            shape = [(-3, 1), (3, 1), (3, 7), (-3, 7)]
        painter.drawPolygon(QPolygonF([QPointF(x + dx, 1 + dy) for dx, dy in shape]))

    def _mark_colour(self, kind: str) -> Rgb:
        theme = self.theme
        colours = {"warning": theme.warning, "fatal": theme.error, "warm-up": theme.positive_edge}
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
            Qt.Key.Key_End: self.last_step,
        }
        goal = goals.get(Qt.Key(event.key()))
        if goal is None:
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
            QToolTip.showText(event.globalPos(), "\n".join(lines), self)
            return True
        return super().event(event)


class TimelineView(QWidget):
    """The slim bar under the clouds.

    `scrubbed(step)`: show the run as it was then. `live_requested()`: show the newest again.
    `play_toggled(playing)`: the timeline began or ceased to move by itself.
    """

    scrubbed = pyqtSignal(int)
    live_requested = pyqtSignal()
    play_toggled = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFixedHeight(HEIGHT)
        self._theme = DARK
        self._steps_per_s: float | None = None
        self._position = 0.0
        self._then = 0.0
        self.track = Track(self)
        self.track.moved.connect(self._dragged)
        self.play_button = QToolButton()
        self.play_button.setCheckable(True)
        self.play_button.setAutoRaise(True)
        self.play_button.setIconSize(QSize(18, 18))
        self.play_button.toggled.connect(self._play)
        self.loop_button = QToolButton()
        self.loop_button.setText("↻")
        self.loop_button.setCheckable(True)
        self.loop_button.setAutoRaise(True)
        self.loop_button.setToolTip("Loop: begin again at the end")
        self.loop_button.setAccessibleName("Loop")
        self.rate_box = QComboBox()
        for rate in RATES:
            self.rate_box.addItem(f"x{rate:g}", rate)
        self.rate_box.setCurrentIndex(RATES.index(1.0))
        self.rate_box.setToolTip("Speed of the replay")
        self.rate_box.setAccessibleName("Replay speed")
        self.label = QLabel()
        self.notices = NoticesButton(self)
        self.notices.chosen.connect(self._jump)
        self.live_button = QPushButton("LIVE")
        self.live_button.setToolTip("Show the newest step")
        self.live_button.setCheckable(True)
        self.live_button.clicked.connect(self._ask_live)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 0, 6, 0)
        layout.setSpacing(4)
        layout.addWidget(self.play_button)
        layout.addWidget(self.loop_button)
        layout.addWidget(self.rate_box)
        layout.addWidget(self.track, 1)
        layout.addWidget(self.notices)
        layout.addWidget(self.label)
        layout.addWidget(self.live_button)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._advance)
        self.set_theme(DARK)
        self.set_live(True)

    @property
    def step(self) -> int:
        """Where the handle is."""
        return self.track.step

    @property
    def playing(self) -> bool:
        """Whether the timeline moves by itself."""
        return self.play_button.isChecked()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = self.track.theme = theme
        lit = theme.cloud_bottom if theme.name == "dark" else (255, 255, 255)
        self.live_button.setStyleSheet(
            f"QPushButton {{ border: 1px solid rgb{theme.grid}; border-radius: 9px; padding: 2px 9px;"
            f" font-weight: 600; color: rgb{theme.muted}; background: transparent; }}"
            f"QPushButton:checked {{ background: rgb{theme.accent}; border-color: rgb{theme.accent};"
            f" color: rgb{lit}; }}"
            f"QPushButton:focus {{ border-color: rgb{theme.text}; }}"
        )
        self.label.setStyleSheet(f"color: rgb{theme.muted};")
        self.notices.set_theme(theme)
        self._paint_play()
        self.track.update()

    def set_range(self, last_step: int) -> None:
        """The run has come to `last_step`; while live the handle goes along."""
        if last_step == self.track.last_step:
            return
        self.track.last_step = last_step
        if self.track.live:
            self.track.step = last_step
        else:
            self.track.step = min(self.track.step, last_step)
        self._show()

    def set_markers(self, markers: Iterable[Marker | Mark]) -> None:
        """What happened: `Marker`s of a history, or (step, text, kind) with kind as in `Marker`."""
        markers = list(markers)
        self.notices.show_notices([mark for mark in markers if isinstance(mark, Marker)])
        marks = tuple(
            (mark.step, f"{mark.lane}: {mark.text}", mark.kind) if isinstance(mark, Marker) else mark
            for mark in markers
        )
        if marks != self.track.marks:
            self.track.marks = marks
            self.track.update()

    def set_live(self, live: bool) -> None:
        """Whether the newest step is shown. Going live ends playing and takes the handle to the end."""
        self.track.live = live
        self.live_button.setChecked(live)
        if live:
            self.set_playing(False)
            self.track.step = self.track.last_step
        self._show()

    def set_step(self, step: int) -> None:
        """Put the handle there, without a signal."""
        self.track.step = min(max(step, 0), self.track.last_step)
        if round(self._position) != self.track.step:
            self._position = float(self.track.step)
        self._show()

    def set_speed(self, steps_per_s: float | None) -> None:
        """Steps played in a second at rate 1; None plays the whole run in 12 seconds."""
        self._steps_per_s = steps_per_s

    def set_playing(self, playing: bool) -> None:
        """Begin or cease to move; from the end it begins anew."""
        self.play_button.setChecked(playing)

    def hideEvent(self, event: QHideEvent | None) -> None:
        """What cannot be seen does not play."""
        self.set_playing(False)
        super().hideEvent(event)

    def _play(self, playing: bool) -> None:
        if playing and not self.track.last_step:
            self.play_button.setChecked(False)
            return
        self._paint_play()
        if playing:
            self._then = time.perf_counter()
            at_end = self.track.live or self.track.step >= self.track.last_step
            self._go(0 if at_end else self.track.step)
            self._timer.start()
        else:
            self._timer.stop()
        self.play_toggled.emit(playing)

    def _advance(self) -> None:
        now = time.perf_counter()
        seconds, self._then = min(now - self._then, 0.25), now
        last = self.track.last_step
        speed = self._steps_per_s if self._steps_per_s is not None else last / WHOLE_RUN_S
        position = self._position + seconds * speed * self.rate_box.currentData()
        if position < last:
            self._go(position)
        elif self.loop_button.isChecked():
            self._go(0)
        else:
            self._go(last)
            self.set_playing(False)

    def _go(self, position: float) -> None:
        """Take the handle there and say so, if it is another step."""
        self._position = float(position)
        step = int(position)
        if step != self.track.step or self.track.live:
            self._leave_live()
            self.track.step = step
            self._show()
            self.scrubbed.emit(step)

    def _jump(self, step: int) -> None:
        """A notice was chosen: show when it came."""
        if self.track.last_step:
            self.set_playing(False)
            self._dragged(min(step, self.track.last_step))
            self.track.step = min(step, self.track.last_step)
            self._show()

    def _dragged(self, step: int) -> None:
        self._position = float(step)
        self._leave_live()
        self._show()
        self.scrubbed.emit(step)

    def _leave_live(self) -> None:
        self.track.live = False
        self.live_button.setChecked(False)

    def _ask_live(self) -> None:
        self.set_live(True)
        self.live_requested.emit()

    def _show(self) -> None:
        self.play_button.setEnabled(bool(self.track.last_step))
        self.label.setText(f"step {self.track.step:,}" if self.track.last_step else "")
        widest = f"step {self.track.last_step:,}"
        self.label.setMinimumWidth(self.label.fontMetrics().horizontalAdvance(widest) if self.track.last_step else 0)
        self.track.update()

    def _paint_play(self) -> None:
        self.play_button.setIcon(icon("pause" if self.playing else "play", self._theme.text))
        tip = "Stop the replay" if self.playing else "Replay the run from here"
        self.play_button.setToolTip(tip)
        self.play_button.setAccessibleName(tip)


def ticks(last_step: int, most: int) -> list[int]:
    """Round steps from 0 on, 1, 2 or 5 times a power of ten apart, at most about `most` of them."""
    stride = 1
    while last_step / stride > most:
        stride = _next_round(stride)
    return list(range(0, last_step + 1, stride))


def _next_round(stride: int) -> int:
    return stride * 5 // 2 if str(stride)[0] == "2" else stride * 2
