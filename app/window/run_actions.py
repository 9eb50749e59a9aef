"""What the user asks of a run: start, pause, go on, a single step, and to take up what the form says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.history.pending import Pending, pending
from app.limits import check_lanes
from app.panels.experiment_form import ExperimentForm
from app.stage.stage import Stage
from app.window.bridge import RunBridge
from app.window.closing import Closing
from app.window.messages import Messages
from app.window.session import Session
from hnm_core.errors import InputError
from hnm_core.run.events import RunState
from hnm_core.spec import compatibility
from hnm_core.spec.config import ExperimentConfig


class RunActions:
    """One method for each row of the table's Run menu but for the new lanes, which `Forks` makes.

    Args:
        session: what is trained.
        closing: while it goes on, nothing starts.
        new_folder: a folder to record the run titled so into; None records nothing.
    """

    def __init__(
        self,
        *,
        session: Session,
        closing: Closing,
        bridge: RunBridge,
        form: ExperimentForm,
        stage: Stage,
        messages: Messages,
        new_folder: Callable[[str], Path] | None,
    ) -> None:
        self._session, self._closing, self._bridge = session, closing, bridge
        self._form, self._stage, self._messages, self._new_folder = form, stage, messages, new_folder

    def toggle(self) -> None:
        """Start, pause or go on; of a recording, play or stand still."""
        state = self._bridge.state
        if self._stage.replaying:
            self._stage.timeline.set_playing(not self._stage.timeline.playing)
        elif state is RunState.RUNNING:
            self._bridge.pause()
        elif state is RunState.PAUSED:
            self._bridge.resume()
        elif not self._bridge.active:
            self.start()

    def step(self) -> None:
        """One step of every lane, or the next frame of a recording."""
        state = self._bridge.state
        if self._stage.replaying:
            self._stage.next_frame()
        elif state in (RunState.RUNNING, RunState.PAUSED):
            self._bridge.step()
        elif not self._bridge.active:
            self.start(paused=True)
            self._bridge.step()

    def start(self, *, paused: bool = False) -> None:
        """Train what the form says. Raises `InputError` when that cannot be."""
        if self._closing.begun:
            return
        if refusal := self._form.refusal():
            raise InputError(refusal)
        config = self._session.config = self._form.config()
        check_lanes(config)
        compatibility.refuse(compatibility.check(config))
        self._messages.banner.dismiss()  # what went wrong before is over
        folder = self._new_folder(self._session.title) if self._new_folder else None
        self._session.clear()
        self._stage.folder = folder
        self._bridge.start(config, folder, paused=paused)

    def apply_changes(self) -> None:
        """Let the lanes of the run take up what the form says otherwise, as far as that is possible while they train.

        Raises:
            InputError: the form as it stands is no experiment, or its options do not go together.
        """
        if refusal := self._form.refusal():
            raise InputError(refusal)
        found = self._pending(self._form.config())
        if found.problem:
            raise InputError(found.problem)
        self._messages.banner.dismiss_notice()
        if found.changes:
            self._bridge.change(found.changes)
        elif self._bridge.active:
            self._messages.say("The run is as the form says, but for what waits for the next start.")
        else:
            self._messages.say("No run is on: Train starts what the form says.")

    def follow_form(self, config: ExperimentConfig) -> None:
        """The form says something else: to a run as a wish, otherwise at once."""
        self._session.name_preset(config)
        if self._bridge.active or self._stage.replaying:
            self.show_pending()
        else:
            self._session.follow_form(config)

    def show_pending(self) -> None:
        """Say in the form how it differs from the run that is on."""
        self._form.show_pending(self._pending(self._form.committed))

    def _pending(self, config: ExperimentConfig) -> Pending:
        history = self._stage.history
        if not self._bridge.active or self._stage.replaying or history.started is None:
            return Pending()
        return pending(config, history.started.config, history.lane_configs(), history.running)
