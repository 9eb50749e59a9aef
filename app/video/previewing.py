"""Pictures of a film before it is made, drawn on a thread of their own: the newest that is wanted, nothing else."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QImage

from app.video.clock import Caption
from app.video.estimate import estimate
from app.video.levels import level_note
from app.video.order import Order, within
from app.video.pictures import Pictures
from app.video.plots import SIZE, Charts
from app.video.stills import Moments
from app.video.typeface import ensure_text
from hnm_core.errors import InputError
from hnm_core.system import memory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """What a film will be. Of a still there is a picture for each step, of charts one."""

    order: Order
    size: tuple[int, int]
    fps: float
    pictures: int
    steps: tuple[int, int]
    run_from: float
    """Seconds of the film at which the run begins, from where captions are timed; and how long it is"""
    run_seconds: float
    captions: tuple[Caption, ...]
    note: str
    """What is to be known before it is shown somewhere: a sentence, or empty"""


_Shown = tuple[Order | None, tuple[int, int], int, int, int]


@dataclass(frozen=True)
class _Wanted:
    order: Order | None = None
    room: tuple[int, int] = (640, 360)
    number: int = 0
    copies: int = 0
    """How many pictures of the full size were asked for"""
    times: int = 0
    """How often the recording has changed meanwhile"""
    tellings: int = 0
    """How often all that is told of a film was forgotten"""

    @property
    def shown(self) -> _Shown:
        """What tells one picture from another."""
        return self.order, self.room, self.number, self.times, self.tellings


class FilmPreview(QObject):
    """All signals are emitted on the thread that draws; slots of widgets run on theirs.

    `planned(Planned)`: the film that was asked for last can be made. `drawn(number, QImage)`: one of its pictures.
    `estimated(Order, Estimate)`. `copied(QImage)`: the picture of the full size that was asked for.
    `failed(sentence)`: it cannot be made.
    """

    planned = pyqtSignal(object)
    drawn = pyqtSignal(int, object)
    estimated = pyqtSignal(object, object)
    copied = pyqtSignal(object)
    failed = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        ensure_text()  # fonts are given to Qt on the GUI's thread
        self._wanted = _Wanted()
        self._closed = False
        self._change = threading.Condition()
        self._small: _Made | None = None
        self._full: _Made | None = None
        self._shown: _Shown | None = None
        self._planned: Order | None = None
        self._copied = self._times = self._tellings = 0
        self._told: Order | None = None  # of which film was estimated, or cannot be
        self._thread = threading.Thread(target=self._run, name="hnm-film-preview")
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def ask(self, order: Order, room: tuple[int, int], number: int, anew: bool) -> None:
        """Show a picture of a film, no larger than there is room for; `anew`: tell all of it again."""
        self._set(
            lambda wanted: replace(wanted, order=order, room=room, number=number, tellings=wanted.tellings + anew)
        )

    def look_at(self, number: int) -> None:
        """Another picture of the same film."""
        self._set(lambda wanted: replace(wanted, number=number))

    def copy(self) -> None:
        """The present picture at the film's own size."""
        self._set(lambda wanted: replace(wanted, copies=wanted.copies + 1))

    def again(self) -> None:
        """The recording has changed: what was drawn of it does not count any more."""
        self._set(lambda wanted: replace(wanted, times=wanted.times + 1))

    def close(self) -> None:
        """Nothing more is wanted: the thread ends after the picture at which it is."""
        with self._change:
            self._closed = True
            self._change.notify()

    def _set(self, change: Callable[[_Wanted], _Wanted]) -> None:
        with self._change:
            self._wanted = change(self._wanted)
            self._change.notify()

    def _run(self) -> None:
        while (wanted := self._next()) is not None:
            assert wanted.order is not None
            try:
                self._do(wanted, wanted.order)
            except (InputError, OSError) as error:
                self._give_up(wanted, str(error))
            except Exception as error:  # a fault of ours must not leave a preview that waits for ever
                log.exception("the preview of a film")
                ran_out = memory.ran_out(error)
                what = f"The preview failed: {type(error).__name__}: {error}"
                self._give_up(wanted, memory.RAN_OUT if ran_out else what)
        self._small = self._full = None
        memory.give_back()

    def _give_up(self, wanted: _Wanted, sentence: str) -> None:
        """Nothing more of this film until something else is wanted."""
        self._told, self._copied, self._planned = wanted.order, wanted.copies, None
        self._shown = wanted.shown
        self.failed.emit(sentence)

    def _next(self) -> _Wanted | None:
        """What is wanted now, once there is anything; None at the end."""
        with self._change:
            while not self._closed and not self._open(self._wanted):
                self._change.wait()
            return None if self._closed else self._wanted

    def _open(self, wanted: _Wanted) -> bool:
        if wanted.order is None:
            return False
        return wanted.shown != self._shown or wanted.copies != self._copied or wanted.order != self._told

    def _do(self, wanted: _Wanted, order: Order) -> None:
        if wanted.times != self._times:
            self._times, self._small, self._full, self._planned = wanted.times, None, None, None
        if wanted.tellings != self._tellings:
            self._tellings, self._planned, self._told = wanted.tellings, None, None
        if wanted.shown != self._shown:
            small = self._small = self._made(self._small, order, wanted.room)
            if order != self._planned:
                self._planned = order
                self.planned.emit(_planned(small))
            number = min(max(wanted.number, 0), small.count - 1)
            image = _image(small.at(number))
            self._shown = wanted.shown
            self.drawn.emit(number, image)
        elif wanted.copies != self._copied:
            self._full = self._made(self._full, order, None)
            number = min(max(wanted.number, 0), self._full.count - 1)
            self._copied = wanted.copies
            self.copied.emit(_image(self._full.at(number)))
        elif order.kind != "film":
            self._told = order  # one picture is made as soon as it is estimated
        else:
            self._full = self._made(self._full, order, None)
            assert isinstance(self._full.pictures, Pictures)
            found = estimate(
                self._full.pictures,
                order.format(),
                self._full.setup_s,
                lambda: not self._closed and self._wanted is wanted,
            )
            memory.give_back()  # every film that is looked at would leave some, of the threads that encoded its clips
            if found is not None:
                self._told = order
                self.estimated.emit(order, found)

    def _made(self, before: _Made | None, order: Order, room: tuple[int, int] | None) -> _Made:
        """The pictures of a film; those of before where only captions differ."""
        if before is not None and before.room == room:
            if before.order == order:
                return before
            same = replace(before.order, captions=None) == replace(order, captions=None)
            if same and order.captions is not None and isinstance(before.pictures, Pictures):
                before.pictures.set_captions(order.captions)
                return replace(before, order=order)
        began = time.perf_counter()
        pictures: Pictures | Moments | Charts
        match order.kind:
            case "film":
                pictures = order.pictures(room)
            case "still":
                pictures = order.moments(room)
            case "charts":
                pictures = Charts(order.folder, order.theme)
        return _Made(order, room, pictures, time.perf_counter() - began)


@dataclass(frozen=True, eq=False)
class _Made:
    """The pictures of an order, for a room or of the full size. It stays on the thread that draws."""

    order: Order
    room: tuple[int, int] | None
    pictures: Pictures | Moments | Charts
    setup_s: float

    @property
    def count(self) -> int:
        """How many pictures there are to look at."""
        return 1 if isinstance(self.pictures, Charts) else len(self.pictures)

    def at(self, number: int) -> NDArray[np.uint8]:
        """One of them."""
        if isinstance(self.pictures, Charts):
            return self.pictures.picture(SIZE if self.room is None else within(SIZE, self.room))
        return self.pictures.at(number)


def _planned(made: _Made) -> Planned:
    pictures = made.pictures
    if isinstance(pictures, Charts):
        return Planned(made.order, SIZE, 1.0, 1, (0, 0), 0.0, 0.0, (), "")
    if isinstance(pictures, Moments):
        return Planned(made.order, made.order.still_size(), 1.0, len(pictures), pictures.steps, 0.0, 0.0, (), "")
    video = made.order.format()
    fps = float(video.fps)
    first, count = pictures.run_span
    note = level_note(*video.size, fps) if video.suffix == ".mp4" else ""
    return Planned(
        made.order,
        video.size,
        fps,
        len(pictures),
        pictures.steps,
        first / fps,
        count / fps,
        pictures.plan.captions,
        note,
    )


def _image(pixels: NDArray[np.uint8]) -> QImage:
    """A copy that nobody else writes to."""
    height, width = pixels.shape[:2]
    return QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGB32).copy()
