"""The whole run as a bar: where it is, where it can be taken back to, what happened when; play, loop, rate and LIVE.

While it plays, the timeline moves by itself and says `scrubbed` as if the user had dragged it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from PyQt6.QtCore import QSize, QTimer, pyqtSignal
from PyQt6.QtGui import (
    QHideEvent,
)
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QToolButton, QWidget

from app.history.markers import Marker
from app.picture.theme import DARK, Theme
from app.plain import Label
from app.style import icon
from app.views.notice_list import NoticesButton
from app.views.timeline_track import KEY, TRACK_HEIGHT, Mark, Track

HEIGHT = TRACK_HEIGHT + 4
RATES = (0.5, 1.0, 2.0, 4.0, 8.0)
WHOLE_RUN_S = 12.0
"""At rate 1 the whole run plays in so many seconds."""
TICK_MS = 33


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
        self._position = 0.0
        self._then = 0.0
        self._marks: tuple[Mark, ...] = ()
        self._keys: tuple[Mark, ...] = ()
        self.track = Track(self)
        self.track.moved.connect(self._dragged)
        self.track.live_asked.connect(self._ask_live)
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
        self.label = Label()
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
        self._marks = marks
        self._show_marks()

    def set_keys(self, steps: Iterable[int]) -> None:
        """At which steps the camera has key frames."""
        self._keys = tuple((step, "key frame of the camera", KEY) for step in steps)
        self._show_marks()

    def _show_marks(self) -> None:
        marks = self._marks + self._keys
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
        position = self._position + seconds * last / WHOLE_RUN_S * self.rate_box.currentData()
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
