"""Videos in a queue: one is made at a time, each can be called off, what came of each is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QObject, pyqtSignal

from app.panels.render_list import Render
from app.progress import Progress
from app.video.formats import VideoInfo
from app.window.jobs import Jobs
from app.window.messages import Messages
from hnm_core import words
from hnm_core.errors import InputError

if TYPE_CHECKING:
    from app.video.order import Order


class Renders(QObject):
    """`changed()`: see `renders`."""

    changed = pyqtSignal()

    def __init__(self, *, jobs: Jobs, messages: Messages, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs, self._messages = jobs, messages
        self._count = 0
        self.renders: tuple[Render, ...] = ()
        """In the order in which they were asked for"""
        jobs.progressed.connect(self._progressed)
        jobs.ended.connect(self._ended)

    @property
    def busy(self) -> bool:
        """Whether any is still to be made."""
        return any(not render.ended for render in self.renders)

    def add(self, order: Order, out: Path) -> int:
        """Queue a video; returns its number.

        Raises:
            InputError: it cannot be written there, or another one is to be written there.
        """
        wanted = Render(self._count + 1, out, order)
        place = wanted.place.absolute()
        if any(render.place.absolute() == place for render in self.renders if not render.ended):
            raise InputError(f"'{out}' is being made already: choose another name, or wait for it.")
        order.check(out)
        self._count = wanted.number
        self.renders = (*self.renders, wanted)
        self.changed.emit()
        self._go_on()
        return self._count

    def cancel(self, number: int) -> None:
        """Call one off, whether it waits or is at work."""
        render = self._render(number)
        if render.state == "waiting":
            self._put(replace(render, state="called off"))
        elif render.state == "at work":
            self._jobs.cancel(_title(render))

    def cancel_all(self) -> None:
        """Call off what waits and what is at work."""
        for render in self.renders:
            self.cancel(render.number)

    def clear(self) -> None:
        """Forget those that have ended."""
        self.renders = tuple(render for render in self.renders if not render.ended)
        self.changed.emit()

    def folder(self, number: int) -> Path:
        """Where the video lies."""
        return self._render(number).out.parent

    def _go_on(self) -> None:
        if any(render.state == "at work" for render in self.renders):
            return
        render = next((render for render in self.renders if render.state == "waiting"), None)
        if render is None:
            return
        chosen = render

        def work(progress: Progress) -> VideoInfo | None:
            return chosen.order.render(chosen.out, progress)

        self._put(replace(render, state="at work"))
        try:
            self._jobs.run(_title(render), work, lambda info: self._made(chosen.number, info))
        except InputError as error:
            self._put(replace(render, state="failed", told=str(error)))
            self._go_on()

    def _made(self, number: int, info: Any) -> None:
        if isinstance(info, VideoInfo):
            self._put(replace(self._render(number), state="done", told=_told(info)))
            self._messages.say(f"Wrote {info.path}")

    def _progressed(self, title: str, done: int, total: int) -> None:
        render = self._at_work(title)
        if render is not None:
            self._put(replace(render, done=done, total=total))

    def _ended(self, title: str, outcome: str) -> None:
        render = self._at_work(title)
        if render is not None:
            called_off = outcome in ("", "cancelled")
            told = "" if called_off else outcome
            self._put(replace(render, state="called off" if called_off else "failed", told=told))
        self._go_on()

    def _at_work(self, title: str) -> Render | None:
        return next((one for one in self.renders if one.state == "at work" and _title(one) == title), None)

    def _render(self, number: int) -> Render:
        return next(render for render in self.renders if render.number == number)

    def _put(self, render: Render) -> None:
        self.renders = tuple(render if one.number == render.number else one for one in self.renders)
        self.changed.emit()


def _title(render: Render) -> str:
    return f"Render {render.place.absolute().name}"


def _told(info: VideoInfo) -> str:
    width, height = info.size
    length = f"{info.seconds:.2f} s, " if info.seconds else ""
    told = f"{length}{width} x {height}, {words.size(info.file_bytes)}"
    return f"{told}. {info.note}" if info.note else told
