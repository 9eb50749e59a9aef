"""The experiment or recording in the window. Another takes its place once what runs has stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PyQt6.QtCore import QObject, pyqtSignal

from app.history.playback import Past, with_forks
from app.limits import check_lanes
from app.panels.experiment_form import ExperimentForm
from app.panels.notices import About
from app.stage.stage import Stage
from app.window.bridge import RunBridge
from app.window.messages import Messages
from hnm_core.errors import InputError
from hnm_core.run.events import RunState
from hnm_core.run.history import RunHistory
from hnm_core.run.shown import has_several_labels
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.request import Request, preset_of
from hnm_core.spec.resources import preset_path, retrieval_preset_names
from hnm_core.training.retrieval_request import preset_told, told_of

HINT = "Press Space to train"


MAX_LOSSES = 3
"""So many are told in the window; `hnm-lab inspect` tells all."""


class Session(QObject):
    """`config` is the experiment that is shown, of a recording what it was made with.

    `opened()` when a recording is shown. `changed()` when there is something else to look at. `preset_changed(name)`:
    the form equals that preset; empty for settings of the user's own.
    """

    opened = pyqtSignal()
    changed = pyqtSignal()
    preset_changed = pyqtSignal(str)

    def __init__(
        self,
        config: ExperimentConfig,
        *,
        bridge: RunBridge,
        form: ExperimentForm,
        stage: Stage,
        about: About,
        messages: Messages,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.config = config
        self._bridge, self._form, self._stage, self._about, self._messages = bridge, form, stage, about, messages
        self._filled = False  # whether the form holds an experiment yet
        self._after_stop: Callable[[], None] | None = None

    @property
    def title(self) -> str:
        """What the experiment is called."""
        return self.config.title or self.config.data.name

    @property
    def running(self) -> bool:
        """Whether a run is on."""
        return self._bridge.active

    def choose_preset(self, name: str) -> None:
        """Stop what runs and show a preset."""
        if name in retrieval_preset_names():
            chosen, notes = told_of(Request(preset=name))
        else:
            chosen, notes = configuration.load(preset_path(name)), []
        self.reset(lambda: self.set_experiment(chosen, notes))

    def set_experiment(self, config: ExperimentConfig, notes: Sequence[str] = ()) -> None:
        """Show another experiment, ready to be trained, and say what there is to know of it. Raises `InputError`: too
        many lanes, or a run is on."""
        check_lanes(config)
        self.refuse_during_run()
        self._fill(config)
        self.clear()
        if notes:
            self._messages.notice("\n".join(notes))

    def refuse_during_run(self) -> None:
        """Raises `InputError` while a run is on: nothing else can be opened then."""
        if self._bridge.active:
            raise InputError("A run is on. Press R to reset it, then open the file again.")

    def name_preset(self, config: ExperimentConfig) -> None:
        """Say which preset the form, which holds `config`, is equal to."""
        over_documents = is_over_documents(config.data.name)
        self.preset_changed.emit(preset_told(config) if over_documents else preset_of(config))

    def follow_form(self, config: ExperimentConfig) -> None:
        """The form says something else while nothing runs."""
        self._messages.attempt(lambda: check_lanes(config))
        before, self.config = self.config, config
        lanes = [lane.name for lane in config.lanes]
        about = (config.title, config.about) != (before.title, before.about)
        if (about or self._stage.panes.lanes != lanes) and self._bridge.state is RunState.IDLE:
            self.clear()

    def show_past(self, past: Past, history: RunHistory) -> None:
        """Show a recording instead of a run, in the form too. Raises `InputError`: too many lanes."""
        check_lanes(with_forks(history))
        self.reset(lambda: self._enter_past(past, history))

    def reset(self, then: Callable[[], None] | None = None) -> None:
        """Stop the run and go back to the start; `then` comes after it has ended."""
        self._after_stop = then or self._back_to_form
        if self._bridge.active:
            self._bridge.stop()
        else:
            self.finish_stop()

    def finish_stop(self) -> None:
        """Do what was to come after the run, if that has ended."""
        if self._bridge.active or self._after_stop is None:
            return
        then, self._after_stop = self._after_stop, None
        self._messages.say("")  # no longer "Stopping ..."
        self._bridge.forget()
        self._messages.attempt(then)

    def stay(self) -> None:
        """Nothing comes after the run that is on."""
        self._after_stop = None

    def clear(self) -> None:
        """Empty panes that say what to do."""
        self._stage.clear(self.config, HINT)
        self._about.say(self.config.title, self.config.about)
        self.changed.emit()

    def undo(self) -> None:
        """Take back the last change of the experiment."""
        if self._form.can_undo:
            self._form.undo()
        else:
            self._messages.say("There is nothing to undo.")

    def redo(self) -> None:
        """Do again what was taken back."""
        if self._form.can_redo:
            self._form.redo()
        else:
            self._messages.say("There is nothing to redo.")

    def _back_to_form(self) -> None:
        self.config = self._form.config()
        self.clear()

    def _enter_past(self, past: Past, history: RunHistory) -> None:
        self._fill(with_forks(history))
        self.clear()
        self._stage.play(past, history)
        if history.started is not None and has_several_labels(history.started):
            self._form.know_several(history.started.config.data)
        if losses := past.recording.losses:
            self._messages.notice("\n".join([f"This recording is damaged. {losses[0]}", *losses[1:MAX_LOSSES]]))
        self.changed.emit()
        self.opened.emit()

    def _fill(self, config: ExperimentConfig) -> None:
        """Put an experiment into the form; what was in it can be brought back."""
        self._messages.banner.dismiss()  # what it says is of what was there before
        replaces = self._filled and config != self._form.config()
        if self._filled or config != self._form.committed:  # else it was made with it
            self._form.set_config(config, undoable=replaces)
        self.config, self._filled = config, True
        if replaces:
            self._messages.say("Undo (Ctrl+Z) brings back the experiment from before.")
        self.name_preset(config)
