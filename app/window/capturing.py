"""Films the window while it works: a key starts and stops it, and at the end is told what was lost and what it cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, Qt, QTimer
from PyQt6.QtWidgets import QWidget

from app.panels.capture_mark import CaptureMark
from app.progress import Progress
from app.stage.stage import Stage
from app.window.bridge import RunBridge
from app.window.jobs import Jobs
from app.window.messages import Messages
from app.window.pace import Pace
from hnm_core import words
from hnm_core.errors import InputError
from hnm_core.run.events import RunState
from hnm_core.words import counted

if TYPE_CHECKING:
    from app.video.live import LiveFilm, LiveInfo

FPS = 30
LEAST_PX = 64


class Capturing(QObject):
    """One film at a time, of the window or of one cloud."""

    def __init__(
        self, window: QWidget, *, bridge: RunBridge, stage: Stage, jobs: Jobs, messages: Messages, fps: int = FPS
    ) -> None:
        super().__init__(window)
        self._window, self._bridge, self._stage = window, bridge, stage
        self._jobs, self._messages, self._fps = jobs, messages, fps
        self._pace = Pace()
        self._film: LiveFilm | None = None
        self._part: QWidget = window
        self._out, self._size, self._began = Path(), (0, 0), 0.0
        self.mark = CaptureMark(window)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(
            round(1000 / fps / 2)
        )  # twice as often as pictures, so that none is late by a whole one
        self._timer.timeout.connect(self._take)
        bridge.ticked.connect(self._note)

    @property
    def on(self) -> bool:
        """Whether something is being filmed."""
        return self._film is not None

    def toggle(self, out: Path, part: QWidget | None = None) -> None:
        """Begin a film in the file `out`, of a part of the window or of all of it; or end the one that is on.

        Raises:
            InputError: it cannot be written there, or there is no encoder.
        """
        if self.on:
            self.stop()
            return
        from app.video.formats import video_format  # loads the encoder, which most windows never need
        from app.video.live import LiveFilm

        self._part = part if part is not None else self._window
        ratio = self._part.devicePixelRatioF()
        width, height = (max(int(ratio * side), LEAST_PX) for side in (self._part.width(), self._part.height()))
        video = video_format(out, (width, height), self._fps, live=True)
        self._film, self._out, self._size = LiveFilm(out, video), out, video.size
        self._began = time.perf_counter()
        self._pace.begin()
        self.mark.say(0)
        self._timer.start()
        self._messages.say("Filming. V ends it.")

    def stop(self) -> None:
        """End the film and complete its file, on a thread of its own; then tell what became of it."""
        film, self._film = self._film, None
        if film is None:
            return
        self._timer.stop()
        self.mark.hide()
        seconds = time.perf_counter() - self._began
        cost = self._pace.end()

        def work(_progress: Progress) -> LiveInfo:
            return film.finish(seconds)

        self._jobs.run(f"Complete {self._out.name}", work, lambda info: self._tell(info, cost))

    def _take(self) -> None:
        film = self._film
        if film is None:
            return
        from app.window.grabbing import grab  # it too

        seconds = time.perf_counter() - self._began
        try:
            film.take(seconds, lambda: grab(self._window, self._part, self.mark, self._size))
        except InputError as error:
            self._give_up(film, error)
            return
        self.mark.say(seconds)

    def _give_up(self, film: LiveFilm, error: InputError) -> None:
        self._film = None
        self._timer.stop()
        self.mark.hide()
        self._pace.end()
        self._messages.say("")  # nothing is filmed any more
        self._jobs.run(f"Complete {self._out.name}", lambda _progress: film.abandon())
        self._messages.notice(f"The film was ended, and no file is left: {error}")

    def _note(self, _drained: object) -> None:
        training = self._bridge.state is RunState.RUNNING
        self._pace.note(time.perf_counter(), self._stage.history.last_step, training=training)

    def _tell(self, info: LiveInfo, cost: str) -> None:
        video = info.video
        width, height = video.size
        told = (
            f"Filmed {video.path}: {video.seconds:.1f} s, {width} x {height}, {counted(video.frames, 'picture')} at "
            f"{video.fps:g} a second, {words.size(video.file_bytes)}; {info.dropped:,} dropped, "
            f"{info.repeated:,} repeated. {cost}"
        )
        self._messages.notice(told.strip())
