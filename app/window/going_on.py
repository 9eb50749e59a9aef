"""A recorded run goes on from its newest checkpoint: offered where it was broken off, done whenever it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.panels.experiment_form import ExperimentForm
from app.stage.stage import Stage
from app.window.bridge import RunBridge
from app.window.closing import Closing
from app.window.messages import Messages
from app.window.session import Session
from hnm_core.errors import InputError
from hnm_core.recording import checkpoints
from hnm_core.recording.lock import is_being_written
from hnm_core.run.history import RunHistory


class GoingOn:
    """`new_folder` makes a folder to record the run titled so into; None records nothing, and then nothing goes on."""

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

    def words(self) -> str:
        """What is shown can go on from where; empty where it cannot."""
        folder = self._stage.folder
        step = None if folder is None or self._new_folder is None else checkpoints.newest_step(folder)
        return "" if step is None else f"Go on from step {step:,}"

    def offer(self) -> None:
        """Offer it of a recording that was just opened and whose run was broken off, where there is a checkpoint."""
        history, folder = self._stage.history, self._stage.folder
        if folder is None or not self._stage.replaying or history.ended is not None or is_being_written(folder):
            return
        if words := self.words():
            text = f"This run was broken off at step {history.last_step:,}. It can be trained on as if it never was."
            self._messages.banner.show_notice(text, words)

    def go_on(self) -> None:
        """Train the shown run on: to the steps that the form says if that is farther, else to twice as many as there
        are. The new recording begins with what the old one holds, which stays as it is.

        Raises:
            InputError: a run is on, or there is no checkpoint to go on from.
        """
        folder, history = self._stage.folder, self._stage.history
        if self._closing.begun:
            return
        if self._bridge.active:
            if history.ended is not None:
                raise InputError("The recording is not complete yet. Try again in a moment.")
            raise InputError("A run is on already. What has ended goes on from here, or what was broken off.")
        if folder is None or history.started is None or self._new_folder is None:
            raise InputError("There is no recorded run to go on with: train first, or open a recording.")
        step = checkpoints.newest_step(folder)
        if step is None:
            raise InputError(f"'{folder.name}' holds no checkpoint, so its run cannot go on.")
        config = history.started.config
        config = config.model_copy(update={"steps": self._steps(step, history)})
        self._messages.banner.dismiss()
        new = self._new_folder(self._session.title)
        self._session.config = config
        self._session.clear()
        self._stage.folder = new
        self._bridge.start(config, new, resume=folder)
        self._messages.say(f"Goes on from step {step:,} to step {config.steps:,}, in a new recording.")

    def _steps(self, done: int, history: RunHistory) -> int:
        """How many there shall be in the end."""
        wanted = 0 if self._form.refusal() else self._form.config().steps
        planned = 0 if history.started is None else history.started.config.steps
        return next((steps for steps in (wanted, planned) if steps > done), 2 * done)
