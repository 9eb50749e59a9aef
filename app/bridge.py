"""Between the window and the training thread: starts it, asks it to pause or stop, and empties its mailbox 30 times a
second. No Qt object is touched by the training thread, and nothing is sent by signal from it.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from PyQt6.QtCore import QObject, Qt, QTimer, pyqtSignal

from hnm_core.channel import Channel
from hnm_core.config import ExperimentConfig
from hnm_core.control import Control
from hnm_core.errors import InputError
from hnm_core.events import Event, RunFailed, RunFinished, RunStarted, RunState

TICK_MS = 33

Source = Callable[[ExperimentConfig, Control], Iterator[Event]]
Recorder = Callable[[Iterator[Event], Path], Iterator[Event]]

ACTIVE = (RunState.STARTING, RunState.RUNNING, RunState.PAUSED, RunState.STOPPING)
"""The states in which there is a training thread."""


def experiment_events(config: ExperimentConfig, control: Control) -> Iterator[Event]:
    """The real thing. Imported here, in the training thread, because it loads torch."""
    from hnm_core.experiment import Experiment

    return Experiment(config).run(control)


class RunBridge(QObject):
    """One run at a time.

    `ticked(Drained)` is emitted every 33 ms with what came in; `state_changed(RunState)` when the state changed.
    All methods are for the GUI thread.
    """

    ticked = pyqtSignal(object)
    state_changed = pyqtSignal(object)

    def __init__(
        self, source: Source = experiment_events, recorder: Recorder | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._source = source
        self._recorder = recorder
        self._channel = Channel()
        self._control = Control()
        self._thread: threading.Thread | None = None
        self._state = RunState.IDLE
        self._last: RunFinished | RunFailed | None = None
        self._running_wanted = False
        self._rate: float | None = None
        self._next_round = 0.0
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
        return self._control.loading

    @property
    def active(self) -> bool:
        """Whether there is a training thread."""
        return self._thread is not None

    def start(self, config: ExperimentConfig, folder: Path | None, *, paused: bool = False) -> None:
        """Start a run, recorded into `folder` if there is one.

        Raises:
            RuntimeError: the run before has not ended.
        """
        if self._thread is not None:
            raise RuntimeError("the run before has not ended")
        self._channel, self._control, self._last = Channel(), Control(paused=paused or self._rate is not None), None
        self._running_wanted = not paused
        self._thread = threading.Thread(
            target=_train,
            args=(self._source, self._recorder, config, self._control, folder, self._channel),
            name="hnm-trainer",
            daemon=False,  # a daemon thread inside torch aborts the interpreter at exit
        )
        self._set_state(RunState.STARTING)
        self._thread.start()

    def pause(self) -> None:
        """Stand still before the next step."""
        self._control.pause()
        self._running_wanted = False
        if self._state is RunState.RUNNING:
            self._set_state(RunState.PAUSED)

    def resume(self) -> None:
        """Go on."""
        self._running_wanted = True
        if self._rate is None:
            self._control.resume()
        if self._state is RunState.PAUSED:
            self._set_state(RunState.RUNNING)

    def step(self) -> None:
        """One more step of every lane, then stand still."""
        self._running_wanted = False
        self._control.step()
        if self._state is RunState.RUNNING:
            self._set_state(RunState.PAUSED)

    def set_rate(self, rounds_per_s: float | None) -> None:
        """Hold the run to so many steps of every lane a second; None lets it go as fast as it can."""
        self._rate = rounds_per_s
        self._next_round = time.monotonic()
        if self._running_wanted:
            (self._control.resume if rounds_per_s is None else self._control.pause)()

    def stop(self) -> None:
        """Ask the run to end; it does so before its next step."""
        self._control.stop()
        if self.active:
            self._set_state(RunState.STOPPING)

    def forget(self) -> None:
        """Back to idle after a run that has ended."""
        if self._thread is None:
            self._set_state(RunState.IDLE)

    def close(self) -> None:
        """Stop the clock. The run must have ended, or be given up."""
        self._timer.stop()

    def _tick(self) -> None:
        ended = self._thread is not None and not self._thread.is_alive()  # looked at first: nothing comes after it
        self._pace()
        drained = self._channel.drain()
        for event in drained.events:
            if isinstance(event, RunStarted) and self._state is RunState.STARTING:
                self._set_state(RunState.RUNNING if self._running_wanted else RunState.PAUSED)
            elif isinstance(event, RunFinished | RunFailed):
                self._last = event
        self.ticked.emit(drained)
        if ended and self._thread is not None:
            self._thread.join()
            self._thread = None
            self._set_state(RunState.FAILED if isinstance(self._last, RunFailed) else RunState.FINISHED)

    def _pace(self) -> None:
        """Hand out rounds one by one when a rate is set."""
        if self._rate is None or self._state is not RunState.RUNNING or not self._running_wanted:
            return
        now = time.monotonic()
        if now >= self._next_round and self._control.paused:
            rounds = 1 + int((now - self._next_round) * self._rate)
            self._control.step(min(rounds, 10))
            self._next_round = max(self._next_round + rounds / self._rate, now)

    def _set_state(self, state: RunState) -> None:
        if state is not self._state:
            self._state = state
            self.state_changed.emit(state)


def _train(
    source: Source,
    recorder: Recorder | None,
    config: ExperimentConfig,
    control: Control,
    folder: Path | None,
    channel: Channel,
) -> None:
    """The whole life of the training thread. Errors leave it as text, never as live exceptions."""
    last: Event | None = None
    try:
        events = source(config, control)
        if recorder is not None and folder is not None:
            events = recorder(events, folder)
        for last in events:
            channel.put(last)
        if not isinstance(last, RunFinished | RunFailed):
            channel.put(RunFailed("The run ended without saying how.", f"The last event was {type(last).__name__}."))
    except InputError as error:
        channel.put(RunFailed(str(error)))
    except BaseException as error:  # noqa: BLE001  the thread's last line: everything becomes text for the window
        channel.put(RunFailed(f"{type(error).__name__}: {error}", traceback.format_exc()))
