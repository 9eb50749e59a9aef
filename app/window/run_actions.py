"""What the user asks of a run: start, pause, a single step, to take up what the form says otherwise, and to go on from
its newest checkpoint where it has ended or was broken off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.history.pending import Pending, pending
from app.limits import check_lanes
from app.panels.experiment_form import ExperimentForm
from app.stage.stage import Stage
from app.window.bridge import NotYetError, RunBridge
from app.window.closing import Closing
from app.window.messages import Messages
from app.window.session import Session
from hnm_core.errors import InputError
from hnm_core.recording import checkpoints
from hnm_core.recording.lock import is_being_written
from hnm_core.run.events import RunState
from hnm_core.spec import compatibility
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import is_over_documents


class RunActions:
    """One method for each row of the table's Run menu but for the new lanes, which `Forks` makes.

    Args:
        session: what is trained.
        closing: while it goes on, nothing starts.
        new_folder: a folder to record the run titled so into; None records nothing, and then nothing goes on.
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
        if not is_over_documents(config.data.name):  # such lanes are judged as they are made
            compatibility.refuse(compatibility.check(config))
        self._begin(config, paused=paused)

    def apply_changes(self) -> None:
        """Let the lanes of the run take up what the form says otherwise, as far as that is possible while they train.

        Raises:
            InputError: the form as it stands is no experiment, its options do not go together, or a run only starts.
        """
        if refusal := self._form.refusal():
            raise InputError(refusal)
        self._bridge.refuse_while_starting()
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

    def go_on(self) -> None:
        """Train the shown run on from its newest checkpoint: to the steps that the form says if that is farther, else
        to twice as many as there are. The new recording begins with what the old one holds, which stays as it is.

        Raises:
            InputError: a run is on, or there is no checkpoint to go on from.
        """
        folder, history = self._stage.folder, self._stage.history
        if self._closing.begun:
            return
        if self._bridge.active:
            if history.ended is not None:
                raise NotYetError("The recording is not complete yet. Try again in a moment.")
            raise InputError("A run is on already. What has ended goes on from here, or what was broken off.")
        if (refusal := self.never_goes_on()) or folder is None or history.started is None:
            raise InputError(refusal)
        step = checkpoints.newest_step(folder)
        if step is None:
            raise InputError(f"'{folder.name}' holds no checkpoint, so its run cannot go on.")
        planned = history.started.config
        wanted = () if self._form.refusal() else (self._form.config().steps,)
        steps = next((steps for steps in (*wanted, planned.steps) if steps > step), 2 * step)
        self._session.config = planned.model_copy(update={"steps": steps})
        self._begin(self._session.config, resume=folder)
        self._messages.say(f"Goes on from step {step:,} to step {steps:,}, in a new recording.")

    def never_goes_on(self) -> str:
        """Why what is shown cannot go on, whatever checkpoints there will be, in a sentence; empty where it may."""
        started = self._stage.history.started
        if self._stage.folder is None or started is None or self._new_folder is None:
            return "There is no recorded run to go on with: train first, or open a recording."
        if is_over_documents(started.config.data.name):
            return "Runs over queries and documents keep no checkpoints to go on from: train again, with more steps."
        return ""

    def way_on(self) -> str:
        """What is shown can go on from where, in words; empty where it cannot."""
        folder = self._stage.folder
        step = None if folder is None or self.never_goes_on() else checkpoints.newest_step(folder)
        return "" if step is None else f"Go on from step {step:,}"

    def offer_to_go_on(self) -> None:
        """Offer it of a recording that was just opened and whose run was broken off, where there is a checkpoint."""
        history, folder = self._stage.history, self._stage.folder
        if folder is None or not self._stage.replaying or history.ended is not None or is_being_written(folder):
            return
        if words := self.way_on():
            text = f"This run was broken off at step {history.last_step:,}. It can be trained on as if it never was."
            self._messages.banner.show_notice(text, words)

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

    def _begin(self, config: ExperimentConfig, *, paused: bool = False, resume: Path | None = None) -> None:
        self._messages.banner.dismiss()  # what went wrong before is over
        folder = self._new_folder(self._session.title) if self._new_folder else None
        self._session.clear()
        self._stage.folder = folder
        self._bridge.start(config, folder, paused=paused, resume=resume)

    def _pending(self, config: ExperimentConfig) -> Pending:
        history = self._stage.history
        if not self._bridge.active or self._stage.replaying or history.started is None:
            return Pending()
        return pending(config, history.started.config, history.lane_configs(), history.running)
