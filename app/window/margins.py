"""Margins moved in the histograms: the run takes them up at once, the form follows, undo asks for the old one."""

from __future__ import annotations

from dataclasses import dataclass

from app.history.hardness import MARGIN
from app.panels.experiment_form import ExperimentForm
from app.stage.stage import Stage
from app.window.bridge import RunBridge
from app.window.run_actions import RunActions
from hnm_core.errors import InputError
from hnm_core.run import changeable
from hnm_core.spec.config import ExperimentConfig, assign_values, from_dict


@dataclass(frozen=True)
class Moved:
    """A margin that was moved while its lane trained."""

    lane: str
    before: ExperimentConfig
    """What the form said"""
    after: ExperimentConfig


class Margins:
    """Asks the run, and keeps the form in step with it."""

    def __init__(self, *, bridge: RunBridge, form: ExperimentForm, stage: Stage, run: RunActions) -> None:
        self._bridge, self._form, self._stage, self._run = bridge, form, stage, run
        self._form_says = form.committed
        self._moved: list[Moved] = []
        form.config_changed.connect(self._follow_form)

    def ask(self, lane: str, margin: float) -> None:
        """Let a lane train with another margin from its next step on.

        Raises:
            InputError: it is not allowed, or the form as it stands is no experiment.
        """
        try:
            self._check(lane, margin)
        except InputError:
            self._stage.hardness.plot.forget_asked(lane)
            raise
        before = self._form.config()
        if lane in [known.name for known in before.lanes]:
            after = _with_margin(before, lane, margin)
            self._form.set_config(after, undoable=True)
            self._form_says = after
            self._moved.append(Moved(lane, before, after))
        self._bridge.change({lane: {MARGIN: margin}})
        self._run.show_pending()

    def _check(self, lane: str, margin: float) -> None:
        """Raises `InputError` when the run would not take it up."""
        configs = self._stage.history.lane_configs()
        if not self._bridge.active or lane not in configs:
            raise InputError("No run is on whose margin could be moved.")
        changeable.changed(configs[lane], {MARGIN: margin})
        if refusal := self._form.refusal():
            raise InputError(refusal)

    def _follow_form(self, config: ExperimentConfig) -> None:
        """Where undo or redo takes back in the form what was moved here, it is taken back in the run as well."""
        before, self._form_says = self._form_says, config
        if not self._bridge.active:
            self._moved = []
            return
        for moved in self._moved:
            if (before, config) in ((moved.before, moved.after), (moved.after, moved.before)):
                margin = config.lane(moved.lane).loss_part.options.margins.get("margin")
                if moved.lane in self._stage.history.running and margin is not None:
                    self._bridge.change({moved.lane: {MARGIN: margin}})
                return


def _with_margin(config: ExperimentConfig, lane: str, margin: float) -> ExperimentConfig:
    values = config.to_dict()
    assign_values(values, [(f"lanes.{lane}.{MARGIN}", margin)])
    return from_dict(values)
