"""Between the window and the training: starts a run, asks it to pause or stop, and empties its mailbox 30 times a
second. No Qt object is touched by another thread, and nothing is sent by signal from one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from app.training.looking import Looked, Pictured
from app.training.messages import Moment
from hnm_core.errors import InputError
from hnm_core.run.channel import Drained
from hnm_core.run.events import RunFailed, RunFinished, RunStarted, RunState
from hnm_core.spec.config import ExperimentConfig

TICK_MS = 33


class NotYetError(InputError):
    """It cannot be done now, but in a moment."""


class Training(Protocol):
    """Where runs run: `app.training.process.TrainingProcess`. No method waits."""

    @property
    def running(self) -> bool:
        """Whether a run is on; False once its last event can be drained and its recording is complete."""

    @property
    def loading(self) -> str:
        """What a run that is starting reads or fetches, in words."""

    @property
    def resident_mb(self) -> float | None:
        """Memory of the process that trains, MiB."""

    def start(
        self,
        config: ExperimentConfig,
        folder: Path | None,
        *,
        paused: bool = False,
        rate: float | None = None,
        resume: Path | None = None,
    ) -> None:
        """Start a run, recorded into `folder` if there is one, or let the one recorded in `resume` go on."""

    def ask(self, method: str, *values: object) -> None:
        """Call a method of the run's `hnm_core.run.control.Control`."""

    def look(self, config: ExperimentConfig, item_id: int) -> None:
        """Ask what the data of a run tell of an item."""

    @property
    def looked(self) -> Looked | None:
        """The last answer."""

    def look_at_many(self, config: ExperimentConfig, item_ids: tuple[int, ...], run: int) -> None:
        """Ask for the pictures of some items of the data of a run."""

    def pictured(self) -> list[Pictured]:
        """Those that came in since the last time."""

    def embed(self, number: int, ids: NDArray[np.int64]) -> None:
        """Ask for the embeddings of some items between two steps."""

    @property
    def moment(self) -> Moment | None:
        """The last answer."""

    def drain(self) -> Drained:
        """What came in since the last time."""

    def close(self) -> None:
        """End whatever is behind it."""


class RunBridge(QObject):
    """One run at a time.

    `ticked(Drained)` is emitted every 33 ms with what came in; `state_changed(RunState)` when the state changed.
    All methods are for the GUI thread.
    """

    ticked = pyqtSignal(object)
    state_changed = pyqtSignal(object)

    def __init__(self, training: Training, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._training = training
        self._active = False
        self._state = RunState.IDLE
        self._last: RunFinished | RunFailed | None = None
        self._paused = False
        self._rate: float | None = None
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    @property
    def state(self) -> RunState:
        """Where the run is."""
        return self._state

    @property
    def loading(self) -> str:
        """What a run that is starting reads or fetches, in words; empty when nothing is known."""
        return self._training.loading

    @property
    def training_mb(self) -> float:
        """Memory of the process that trains, MiB; 0 where nobody knows."""
        return self._training.resident_mb or 0.0

    @property
    def active(self) -> bool:
        """Whether a run is on."""
        return self._active

    def refuse_while_starting(self) -> None:
        """Raises `NotYetError` while nothing has come of a run yet that was started."""
        if self._state is RunState.STARTING:
            raise NotYetError("The run is only starting: try again when it trains.")

    def start(
        self, config: ExperimentConfig, folder: Path | None, *, paused: bool = False, resume: Path | None = None
    ) -> None:
        """Start a run, recorded into `folder` if there is one, or let the one recorded in `resume` go on.

        Raises:
            RuntimeError: the run before has not ended.
        """
        if self._active:
            raise RuntimeError("the run before has not ended")
        self._training.start(config, folder, paused=paused, rate=self._rate, resume=resume)
        self._active, self._paused, self._last = True, paused, None
        self._set_state(RunState.STARTING)

    def pause(self) -> None:
        """Stand still before the next step."""
        self._ask_and_show("pause", paused=True)

    def resume(self) -> None:
        """Go on."""
        self._ask_and_show("resume", paused=False)

    def step(self) -> None:
        """One more step of every lane, then stand still."""
        self._ask_and_show("step", paused=True)

    def set_rate(self, rounds_per_s: float | None) -> None:
        """Hold this run and later ones to so many steps of every lane a second; None lets them go."""
        self._rate = rounds_per_s
        self._training.ask("set_rate", rounds_per_s)

    def change(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Give options of lanes new values before the next step: lane -> option -> value; `hnm_core.run.changeable`."""
        self._training.ask("change_together", changes)

    def fork(self, lane: str, new_lane: str, changes: Mapping[str, Any]) -> None:
        """Have a new lane go on from where `lane` stands before its next step, with other values of some options."""
        self._training.ask("fork", lane, new_lane, changes)

    def look(self, config: ExperimentConfig, item_id: int) -> None:
        """Ask what the data of a run tell of an item, also of one that is over; some time later `looked` is that."""
        self._training.look(config, item_id)

    @property
    def looked(self) -> Looked | None:
        """The last answer; None before the first."""
        return self._training.looked

    def look_at_many(self, config: ExperimentConfig, item_ids: tuple[int, ...], run: int) -> None:
        """Ask for the pictures of some items of the data of a run, also of one that is over; some time later `pictured`
        hands them out, with the number `run`."""
        self._training.look_at_many(config, item_ids, run)

    def pictured(self) -> list[Pictured]:
        """The pictures that came in since the last time."""
        return self._training.pictured()

    def embed(self, number: int, ids: NDArray[np.int64]) -> None:
        """Ask for the embeddings of some items between two steps; some time later `moment` is the answer, unless the
        run ends before."""
        self._training.embed(number, ids)

    @property
    def moment(self) -> Moment | None:
        """The last answer; None before the first."""
        return self._training.moment

    def stop(self) -> None:
        """Ask the run to end; it does so before its next step."""
        if self._active:
            self._training.ask("stop")
            self._set_state(RunState.STOPPING)

    def forget(self) -> None:
        """Back to idle after a run that has ended."""
        if not self._active:
            self._set_state(RunState.IDLE)

    def close(self) -> None:
        """Stop the clock and end the training process. The run must have ended, or be given up."""
        self._timer.stop()
        self._training.close()

    def _ask_and_show(self, method: str, *, paused: bool) -> None:
        self._training.ask(method)
        self._paused = paused
        if self._state in (RunState.RUNNING, RunState.PAUSED):
            self._set_state(RunState.PAUSED if paused else RunState.RUNNING)

    def _tick(self) -> None:
        ended = self._active and not self._training.running  # looked at first: nothing comes after it
        drained = self._training.drain()
        for event in drained.events:
            if isinstance(event, RunStarted) and self._state is RunState.STARTING:
                self._set_state(RunState.PAUSED if self._paused else RunState.RUNNING)
            elif isinstance(event, RunFinished | RunFailed):
                self._last = event
        self.ticked.emit(drained)
        if ended:
            self._active = False
            self._set_state(RunState.FAILED if isinstance(self._last, RunFailed) else RunState.FINISHED)

    def _set_state(self, state: RunState) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)
