"""t-SNE of the moment that is shown, on request: asks who knows the embeddings, has them laid out, and shows that until
the user goes back or looks at another moment."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from app.picture.laid_out import chosen_ids, is_whole, laid_out
from app.stage.stage import Stage
from app.training import tsne
from app.training.messages import LaidOut, LayOut
from app.window.bridge import RunBridge
from app.window.jobs import Jobs
from app.window.messages import Messages
from hnm_core.errors import InputError
from hnm_core.run.control import Embedded
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import places_of

TITLE = "t-SNE"
"""Of the job"""


@dataclass(eq=False)
class _Asked:
    """One wish of the user's."""

    number: int
    started: RunStarted
    ids: NDArray[np.int64]
    past_step: int | None = None
    """What the timeline shows, None for live"""
    frames: Mapping[str, Frame] | None = None
    """What the panes showed at the moment; None where they go on showing it"""
    waits: bool = False
    """Whether the training was asked and has not answered yet"""
    works: bool = False
    """Whether there is a job for it"""
    laid_out: queue.SimpleQueue[LaidOut] = field(default_factory=queue.SimpleQueue)
    """Lanes that are there and not shown yet; the job's thread puts them in"""


class Tsne(QObject):
    """`changed(on)`: a t-SNE is shown or on its way, or no longer."""

    changed = pyqtSignal(bool)

    def __init__(
        self,
        *,
        bridge: RunBridge,
        stage: Stage,
        jobs: Jobs,
        messages: Messages,
        plug_ins: Sequence[Path] = (),
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._plug_ins = tuple(plug_ins)
        self._bridge, self._stage, self._jobs, self._messages = bridge, stage, jobs, messages
        self._asked: _Asked | None = None
        self._number = 0
        jobs.ended.connect(self._job_ended)

    @property
    def on(self) -> bool:
        """Whether a t-SNE is shown or on its way."""
        return self._asked is not None

    def set(self, on: bool) -> None:
        """Make and show one, or call it off and go back."""
        if on == self.on:
            return
        if on:
            self._messages.attempt(self._begin)
        else:
            self._leave()
        self.changed.emit(self.on)

    def advance(self) -> None:
        """One tick: take the answer of the training, and leave where another moment or another run is shown."""
        asked = self._asked
        if asked is None:
            return
        if self._stage.history.started is not asked.started or self._stage.past_step != asked.past_step:
            self._leave()
        elif asked.waits:
            self._messages.attempt(lambda: self._look_for_answer(asked))
        else:
            self._show_next(asked)

    def _begin(self) -> None:
        stage, bridge = self._stage, self._bridge
        bridge.refuse_while_starting()
        started, frames = stage.history.started, stage.panes.frames
        if started is None or not frames:
            raise InputError("There is no run to lay out yet. Press Space to train, or open a recording.")
        stage.timeline.set_playing(False)
        self._number += 1
        asked = _Asked(self._number, started, chosen_ids(started, frames))
        if all(map(is_whole, frames)):
            places = places_of(started.ids, asked.ids)
            asked.frames = {frame.lane: frame for frame in frames}
            self._make(asked, {frame.lane: Embedded(frame.step, frame.positions[places]) for frame in frames})
        elif bridge.active:
            if stage.past_step is not None and not stage.history.audits:
                self._messages.notice(f"The networks of step {stage.past_step:,} are gone: t-SNE of now.")
                stage.go_live()
            asked.waits = True
            bridge.embed(asked.number, asked.ids)
            self._messages.say("t-SNE: waiting for the end of a step ...")
        else:
            self._at_the_end(asked)
        asked.past_step = stage.past_step
        self._asked = asked

    def _look_for_answer(self, asked: _Asked) -> None:
        moment = self._bridge.moment
        answered = moment is not None and moment.number == asked.number
        asked.waits = not answered and self._bridge.active
        if asked.waits:
            return
        try:
            if moment is None or not answered:
                self._at_the_end(asked)
            else:
                asked.frames = {frame.lane: frame for frame in self._stage.panes.frames}
                self._make(asked, self._known(moment.lanes))
        except InputError:
            self._leave()
            raise

    def _known(self, lanes: Mapping[str, Embedded]) -> dict[str, Embedded]:
        """Those that could tell their embeddings. Raises `InputError` where none could."""
        mute = [
            f"Lane '{name}' could not tell its embeddings: {one.problem}." for name, one in lanes.items() if one.problem
        ]
        if len(mute) == len(lanes):
            raise InputError("\n".join(mute) or "There is no lane to lay out.")
        if mute:
            self._messages.notice("\n".join(mute))
        return {name: one for name, one in lanes.items() if not one.problem}

    def _at_the_end(self, asked: _Asked) -> None:
        """By the networks that the recording has kept."""
        stage = self._stage
        if stage.folder is None:
            raise InputError("This run has ended and was not recorded, so its networks are gone.")
        last = stage.history.last_step
        if not stage.history.audits:
            if stage.past_step not in (None, last):
                self._messages.notice(f"A recording holds the networks at its end only: t-SNE of step {last:,}.")
            stage.go_live()
        self._make(asked, {}, stage.folder)

    def _make(self, asked: _Asked, lanes: Mapping[str, Embedded], recording: Path | None = None) -> None:
        labels = asked.started.labels[places_of(asked.started.ids, asked.ids)]
        request = LayOut(asked.ids, labels, asked.started.config.seed, lanes, recording)
        plug_ins, tell = self._plug_ins, asked.laid_out.put
        asked.works = True
        self._jobs.run(
            TITLE,
            lambda progress: tsne.lay_out(request, plug_ins, progress, tell),
            lambda _: self._messages.say("t-SNE of this moment: Esc goes back."),
        )

    def _show_next(self, asked: _Asked) -> None:
        """A lane that has been laid out since the last tick."""
        with suppress(queue.Empty):
            one = asked.laid_out.get_nowait()
            known = asked.frames or {frame.lane: frame for frame in self._stage.panes.frames}
            if (frame := known.get(one.lane)) is not None:
                step = frame.step if self._stage.history.audits else one.step  # an audit's embeddings never change
                laid = laid_out(asked.started, frame, asked.ids, one.positions, step)
                self._stage.panes.lay_out(frame, laid)

    def _leave(self) -> None:
        if self._asked is not None:
            self._asked = None
            self._jobs.cancel(TITLE)
            self._stage.panes.go_back()
            self.changed.emit(False)

    def _job_ended(self, title: str, outcome: str) -> None:
        """One that fails or is called off leaves those lanes laid out that are there already."""
        asked = self._asked
        if title == TITLE and outcome and asked is not None and asked.works and not self._stage.panes.laid_out:
            self._leave()
