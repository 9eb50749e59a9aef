"""New lanes that go on from where a lane of the run stands: asked for, made, and shown in the form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QMenu, QWidget

from app.limits import MAX_PANES
from app.panels.experiment_form import ExperimentForm
from app.panels.fork_dialog import ForkDialog
from app.stage.stage import Stage
from app.window.bridge import RunBridge
from app.window.messages import Messages
from hnm_core.errors import InputError
from hnm_core.run.events import LaneForked, RunState
from hnm_core.run.shown import has_several_labels
from hnm_core.spec.registry import is_over_documents
from hnm_core.training.retrieval_config import NOT_HERE


class Forks:
    """`parent` is the window that the dialog and the menu belong to; `way_on` says from where what is shown can be
    trained on, empty where it cannot."""

    def __init__(
        self,
        parent: QWidget,
        *,
        bridge: RunBridge,
        form: ExperimentForm,
        stage: Stage,
        messages: Messages,
        way_on: Callable[[], str],
    ) -> None:
        self._parent, self._bridge, self._form, self._stage, self._messages = parent, bridge, form, stage, messages
        self._way_on = way_on

    def ask(self, lane: str = "") -> None:
        """Ask how a new lane shall go on from where a lane of the run stands; of a run that does not train but has a
        checkpoint, offer to train it on first. Raises `InputError` if none can.

        The run stands still meanwhile, so that it does not end, or go far, while its user reads.
        """
        history = self._stage.history
        self._bridge.refuse_while_starting()
        if history.started is not None and is_over_documents(history.started.config.data.name):
            raise InputError(NOT_HERE)
        if self._bridge.state not in (RunState.RUNNING, RunState.PAUSED) or not history.running:
            self._say_what_comes_first()
            return
        if len(history.lanes) >= MAX_PANES:
            raise InputError(f"The window shows at most {MAX_PANES} lanes, and there are as many.")
        if lane and lane not in history.running:
            raise InputError(f"Lane '{lane}' has ended, so nothing can go on from it.")
        configs = history.lane_configs()
        lanes = {name: configs[name] for name in history.running}
        several = history.started is not None and has_several_labels(history.started)
        dialog = ForkDialog(lanes, list(history.lanes), lane or history.running[0], self._parent, several=several)
        dialog.chosen.connect(lambda *wish: self._messages.attempt(lambda: self._fork(*wish)))
        if self._bridge.state is RunState.RUNNING:
            self._bridge.pause()
            dialog.finished.connect(self._go_on)
        dialog.open()

    def _say_what_comes_first(self) -> None:
        """No lane trains. Raises `InputError` where none of what is shown can be made to."""
        if not self._stage.history.lanes:
            raise InputError("A new lane goes on from one that trains, and none does. Start the run first (Space).")
        here = "This is a recording" if self._stage.replaying else "The run is over"
        if words := self._way_on():
            text = f"{here}, and a new lane goes on from one that trains. Train on first (G), and ask again (N)."
            self._messages.banner.show_notice(text, words)
        else:
            text = f"{here} without a checkpoint, and a new lane goes on from one that trains: train again, ask then."
            raise InputError(text)

    def open_menu(self, lane: str, at: QPoint) -> None:
        """What can be done with one lane, at a place of the screen."""
        menu = QMenu(self._parent)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(
            f"Continue from '{lane}' as a new lane ...", lambda: self._messages.attempt(lambda: self.ask(lane))
        )
        panes = self._stage.panes
        turns = menu.addAction("Turn with the other clouds")
        if turns is not None:
            turns.setCheckable(True)
            turns.setChecked(panes.is_linked(lane))
            turns.toggled.connect(lambda linked: panes.link(lane, linked))
        menu.popup(at)

    def toggle_link(self) -> None:
        """Turn the cloud that has the keyboard by itself, or with the others again. Raises `InputError` if none has."""
        panes = self._stage.panes
        lane = panes.focused_lane
        if not lane:
            raise InputError("Click the cloud that is to turn by itself first.")
        panes.link(lane, not panes.is_linked(lane))

    def show(self, fork: LaneForked) -> None:
        """The new lane has a card in the form, like any other; of a run that goes on it may have one already."""
        if fork.lane in [lane.name for lane in self._form.committed.lanes]:
            return
        self._form.add_lane(self._stage.history.lane_configs()[fork.lane])
        self._messages.say(
            f"'{fork.lane}' goes on from '{fork.parent}' at step {fork.step:,}. Undo takes its card out again."
        )

    def _fork(self, lane: str, new_lane: str, changes: Mapping[str, Any]) -> None:
        if not self._bridge.active:
            raise InputError(f"The run has ended, so nothing can go on from '{lane}'.")
        self._bridge.fork(lane, new_lane, changes)

    def _go_on(self) -> None:
        if self._bridge.state is RunState.PAUSED:
            self._bridge.resume()
