"""The experiment as a form: data, model, training, lanes. It holds the last valid configuration and says in words what
is wrong with what is typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent, QKeySequence, QPalette, QShortcut
from PyQt6.QtWidgets import QApplication, QHBoxLayout, QLineEdit, QScrollArea, QToolButton, QVBoxLayout, QWidget

from app.history.pending import Pending
from app.limits import MAX_PANES
from app.panels.documents_form import DocumentsForm
from app.panels.expander import Expander, stacked
from app.panels.findings import FindingsList, fixed
from app.panels.form_style import style_sheet
from app.panels.lanes_panel import LanesPanel
from app.panels.live_note import LiveNote
from app.panels.named_form import NamedForm
from app.panels.option_form import OptionForm
from app.panels.problem_label import ProblemLabel
from app.panels.problems import Path, find_problems, inside
from app.panels.sampler_form import SamplerForm
from app.panels.tab_order import in_reading_order
from app.panels.undo_list import UndoList
from app.picture.theme import DARK, LIGHT, Theme
from app.plain import Label
from hnm_core.errors import InputError
from hnm_core.run import changeable
from hnm_core.spec import compatibility
from hnm_core.spec.compatibility import Finding
from hnm_core.spec.config import DataConfig, ExperimentConfig, OptimizerConfig, from_dict
from hnm_core.spec.registry import DATASETS, MODELS, is_over_documents

SPLIT_FIELDS = ("split", "held_out", "validation")
RUN_FIELDS = ("steps", "seconds", "seed", "threads", "device", "eval_every", "frame_every", "shown", "checkpoint_every")


class ExperimentForm(QWidget):
    """Scrolls by itself; made to be put into a narrow dock.

    `config_changed(ExperimentConfig)` when an edit is finished, is valid, and differs from what was before.
    `apply_asked()` when the run that is on shall take up what differs.
    """

    config_changed = pyqtSignal(object)
    apply_asked = pyqtSignal()

    def __init__(self, config: ExperimentConfig | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._config = config or ExperimentConfig()
        self._changes = UndoList[ExperimentConfig]()
        self._filling = False
        self._several: DataConfig | None = None
        self._theme = DARK

        self.data, self.data_own = NamedForm("Data", DATASETS), OptionForm(DataConfig, SPLIT_FIELDS)
        self.model = NamedForm("Model", MODELS)
        self.optimizer = OptionForm(OptimizerConfig, ["name", "lr", "options"])
        self.sampler = SamplerForm()
        self.run = OptionForm(ExperimentConfig, RUN_FIELDS)
        self.lanes = LanesPanel()
        self.data_own.rows["split"].call("split by")  # EMNIST has a split of its own above
        self.optimizer.rows["name"].call("optimiser")
        self.optimizer.rows["options"].call("optimiser options")
        self.optimizer.line("options").setPlaceholderText("weight_decay = 0.01")
        self.undo_button, self.redo_button = (
            _button("Undo", "Take the last change back"),
            _button("Redo", "Do it again"),
        )
        self.running_note = LiveNote()
        self.running_note.apply_asked.connect(self.apply_asked)
        self.problem = ProblemLabel()
        self.documents, self.fields = DocumentsForm(), QWidget()
        self.findings = FindingsList()
        self.findings.fix_asked.connect(self._fix)
        self._lay_out()
        self.lanes.fix_asked.connect(self._fix)
        self.lanes.impossible = self._impossible

        for part in (
            self.data,
            self.data_own,
            self.model,
            self.optimizer,
            self.sampler,
            self.run,
            self.lanes,
            self.documents,
        ):
            part.typed.connect(self._check)
            part.committed.connect(self._commit)
        self.shortcuts: list[QShortcut] = []
        for keys, work, button in (
            (QKeySequence.StandardKey.Undo, self.undo, self.undo_button),
            (QKeySequence.StandardKey.Redo, self.redo, self.redo_button),
        ):
            button.clicked.connect(work)
            shortcut = QShortcut(QKeySequence(keys), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(work)
            self.shortcuts.append(shortcut)
        self._fill(self._config)
        self._follow_palette()

    def _lay_out(self) -> None:
        content = QWidget()
        content.setObjectName("form")
        whole = QVBoxLayout(content)
        whole.setContentsMargins(8, 4, 8, 8)
        whole.addWidget(self.documents)
        whole.addWidget(self.fields)
        whole.addStretch(1)
        column = QVBoxLayout(self.fields)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.problem)
        column.addWidget(self.findings)
        self.data_details = Expander("Data options", stacked(self.data.body, self.data_own))
        self.model_details = Expander("Model options", stacked(self.model.body))
        for named, details in ((self.data, self.data_details), (self.model, self.model_details)):
            line = QHBoxLayout()
            line.addWidget(named.label)
            line.addWidget(named.choice, 1)
            column.addLayout(line)
            column.addWidget(named.problem)
            column.addWidget(details)
        self.training = Expander("Training", stacked(self.optimizer, self.sampler, self.run))
        column.addWidget(self.training)
        heading = Label("Lanes")
        heading.setObjectName("heading")
        heading.setToolTip("Methods trained side by side on the same data, seed and initial weights")
        column.addWidget(heading)
        column.addWidget(self.lanes)
        self.scroll_area = QScrollArea()
        self.scroll_area.setWidgetResizable(True)
        self.scroll_area.setFrameShape(QScrollArea.Shape.NoFrame)
        self.scroll_area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.scroll_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.scroll_area.setWidget(content)
        head = QHBoxLayout()
        head.setContentsMargins(8, 2, 8, 0)
        head.addStretch(1)
        head.addWidget(self.undo_button)
        head.addWidget(self.redo_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.scroll_area, 1)
        layout.addWidget(self.running_note)  # below: as it grows, no field moves from under the pointer

    def set_config(self, config: ExperimentConfig, *, undoable: bool = False) -> None:
        """Show another experiment; no signal. What was before can be brought back if it is `undoable`."""
        if undoable:
            self._changes.keep(self._config)
        else:
            self._changes.forget()
        self._fill(config)

    def config(self) -> ExperimentConfig:
        """The last valid configuration, with what is typed but not yet confirmed, if that is valid."""
        self._commit()
        return self._config

    @property
    def committed(self) -> ExperimentConfig:
        """The last valid configuration without what is being typed."""
        return self._config

    def refusal(self) -> str:
        """Why the form as it stands is no experiment, in a sentence; empty if it is one."""
        self._commit()
        if self._over_documents and self.documents.refusal:
            return self.documents.refusal
        values = self._values()
        if values == self._shown_values:
            return ""
        path, text = next(iter(self._problems(values).items()), (("",), "Something in it is not allowed."))
        names = [str(part).replace("_", " ") for part in path if isinstance(part, str) and part]
        field = {"lr": "learning rate"}.get(names[-1], names[-1]) if names else ""
        of_lane = f" of lane '{values['lanes'][path[1]]['name']}'" if path[0] == "lanes" and len(path) > 1 else ""
        where = f"{field}{of_lane}: " if field else ""
        return f"The form cannot be used as it stands. {where}{text} Mend it, or press Ctrl+Z for what was there."

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to take back."""
        return self._changes.can_undo or self._values() != self._shown_values

    @property
    def can_redo(self) -> bool:
        """Whether an undo can be taken back."""
        return self._changes.can_redo

    def know_several(self, data: DataConfig) -> None:
        """Say that the items of these data have several labels each; nothing tells that but reading them."""
        self._several = data
        self._show_findings()

    @property
    def _has_several(self) -> bool:
        """Whether items of the data in the form are known to have several labels each, however they are split."""
        known, own = self._several, self._config.data
        return known is not None and (known.name, known.options) == (own.name, own.options)

    def set_running(self, running: bool) -> None:
        """Say that a run is on. Its lanes keep their names."""
        self.running_note.set_changeable(changeable=not self._over_documents)
        self.running_note.setVisible(running)
        self.lanes.keep_names(keep=running)
        self.documents.lanes.keep_names(keep=running)

    def add_lane(self, config: ExperimentConfig) -> None:
        """A card for a lane of the run that was forked off, from its configuration alone; undo takes it out again.
        None is added where there is one of that name, or no room."""
        self._commit()
        lanes, added = self._config.lanes, changeable.among(self._config, config)
        if len(lanes) >= MAX_PANES or added.name in [other.name for other in lanes]:
            return
        self._changes.keep(self._config)
        self._restore(self._config.model_copy(update={"lanes": (*lanes, added)}))

    def show_pending(self, pending: Pending) -> None:
        """What differs from the run that is on."""
        self.running_note.show_pending(pending)

    def undo(self) -> None:
        """Back to the configuration before the last change. Typing that is not valid goes first."""
        if self._values() != self._shown_values:
            self._fill(self._config)
        elif self._changes.can_undo:
            self._restore(self._changes.undo(self._config))

    def redo(self) -> None:
        """Take the last undo back."""
        if self._changes.can_redo:
            self._restore(self._changes.redo(self._config))

    def _recolour(self, theme: Theme) -> None:
        self._theme = theme
        self.lanes.set_theme(theme)
        self.documents.set_theme(theme)
        self.setStyleSheet(style_sheet(theme))

    def changeEvent(self, event: QEvent | None) -> None:
        """The palette tells light from dark."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange and hasattr(self, "lanes"):
            self._follow_palette()

    def event(self, event: QEvent | None) -> bool:
        """Space presses the button or check box that has the focus, whatever the window does with it elsewhere."""
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.ShortcutOverride
            and event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Home, Qt.Key.Key_End)
            and not isinstance(QApplication.focusWidget(), QLineEdit)
        ):
            event.accept()
            return True
        return super().event(event)

    def _follow_palette(self) -> None:
        theme = DARK if self.palette().color(QPalette.ColorRole.Window).lightness() < 128 else LIGHT
        if theme is not self._theme or not self.styleSheet():
            self._recolour(theme)

    # Between the form and the configuration

    def _fill(self, config: ExperimentConfig) -> None:
        self._config = config
        values, over_documents = config.model_dump(), is_over_documents(config.data.name)
        self.fields.setHidden(over_documents)
        self.documents.setVisible(over_documents)
        self._filling = True
        try:
            if over_documents:
                self.documents.set_run(config)
            else:
                self.data.set_value(config.data.name, config.data.options)
                self.data_own.set_values(values["data"])
                self.model.set_value(config.model.name, config.model.options)
                self.optimizer.set_values(values["optimizer"])
                self.sampler.set_value(values["sampler"])
                self.run.set_values(values)
                self.lanes.set_lanes(values["lanes"])
        finally:
            self._filling = False
        self._shown_values = self._values()
        self._check()
        self._show_findings()
        self._show_history()
        self._order_tabs()

    def _sampler_text(self) -> str:
        name = self.sampler.named.name
        return f"batch {self.sampler.batch}" if name == "random" else f"{name} batches of {self.sampler.batch}"

    def _show_findings(self) -> None:
        """What the choices have to say to each other, beside the lane it is about."""
        if self._over_documents:
            return  # no rules are between its parts
        found = compatibility.check(self._config, several=self._has_several)
        self.findings.show_findings([finding for finding in found if not finding.lane])
        self.lanes.show_findings(
            [[finding for finding in found if finding.lane == lane.name] for lane in self._config.lanes]
        )

    def _impossible(self, kind: Literal["miner", "loss", "distance"], place: int) -> Mapping[str, str]:
        """The names that the lane at `place` cannot take, with the reasons."""
        self._commit()
        lanes = self._config.lanes
        if place >= len(lanes):
            return {}
        return compatibility.impossible(kind, self._config, lanes[place].name, several=self._has_several)

    def _fix(self, finding: Finding) -> None:
        """Apply the remedy of a finding; undo takes it back."""
        self._commit()
        try:
            config = fixed(self._config, finding)
        except InputError as error:
            self.problem.say(str(error))
            return
        self._changes.keep(self._config)
        self._restore(config)

    @property
    def _over_documents(self) -> bool:
        """Whether the run is one over queries and documents."""
        return is_over_documents(self._config.data.name)

    def _problems(self, values: Mapping[str, Any]) -> Mapping[Path, str]:
        return self.documents.problems() if self._over_documents else find_problems(values)

    def _restore(self, config: ExperimentConfig) -> None:
        self._fill(config)
        self.config_changed.emit(config)

    def _values(self) -> dict[str, Any]:
        """The whole form as plain values; what has no editor is as it was."""
        if self._over_documents:
            return self.documents.values()
        values = self._config.model_dump()
        data, data_options = self.data.value()
        model, model_options = self.model.value()
        values["data"].update(self.data_own.values(), name=data, options=data_options)
        values["model"].update(name=model, options=model_options)
        values["optimizer"].update(self.optimizer.values())
        values["sampler"] = self.sampler.value()
        values.update(self.run.values())
        values["lanes"] = self.lanes.values()
        return values

    def _check(self) -> None:
        """Say beside each field what is wrong with it, and above the form what is wrong with no field in particular."""
        if self._filling:
            return
        if self._over_documents:
            self.documents.check()
            return
        values = self._values()
        problems = find_problems(values)
        self.data.show_problems(problems.get(("data", "name"), ""), inside(problems, "data", "options"))
        self.data_own.show_problems(inside(problems, "data"))
        self.model.show_problems(problems.get(("model", "name"), ""), inside(problems, "model", "options"))
        self.optimizer.show_problems(inside(problems, "optimizer"))
        self.sampler.show_problems({path[1:]: text for path, text in problems.items() if path[0] == "sampler"})
        self.run.show_problems(inside(problems))
        self.lanes.show_problems({path[1:]: text for path, text in problems.items() if path[0] == "lanes"})
        if any(path[0] == "data" and path[1:2] != ("name",) for path in problems):
            self.data_details.open()
        if any(path[:2] == ("model", "options") for path in problems):
            self.model_details.open()
        if any(path[0] in ("optimizer", "sampler", *RUN_FIELDS) for path in problems):
            self.training.open()
        self.problem.say(problems.get(("",), ""))
        official = "The official test part is held out, whatever this says."
        self.data_own.rows["held_out"].set_idle(official if values["data"]["split"] == "official" else "")
        self._summarise(values)

    def _commit(self) -> None:
        """Take the form over if it is valid and says something new."""
        if self._filling:
            return
        values = self._values()
        if values == self._shown_values:
            return
        try:
            config = self.documents.config() if self._over_documents else from_dict(values)
        except InputError:
            self._check()
            return
        self._shown_values = values
        if config == self._config:
            return
        self._changes.keep(self._config)
        self._config = config
        self._show_findings()
        self._show_history()
        self._order_tabs()
        self.config_changed.emit(config)

    def _show_history(self) -> None:
        self.undo_button.setEnabled(self._changes.can_undo)
        self.redo_button.setEnabled(self._changes.can_redo)

    def _order_tabs(self) -> None:
        """The Tab key goes down the form, also through rows and cards that were made later than those below them."""
        content = self.scroll_area.widget()
        if content is not None:
            for before, after in pairwise([self.redo_button, *in_reading_order(content)]):
                QWidget.setTabOrder(before, after)

    def _summarise(self, values: dict[str, Any]) -> None:
        """What is in the closed parts."""
        data, optimizer = values["data"], values["optimizer"]
        share, of = data["held_out"], {"classes": " of the classes", "official": ""}.get(data["split"], "")
        held_out = [f"held out {share:.0%}{of}"] if isinstance(share, float) else []
        if data["split"] == "official":
            held_out = ["official split"]
        self.data_details.set_summary(_listed(data["options"], held_out))
        self.model_details.set_summary(_listed(values["model"]["options"], []))
        limit = f"{values['seconds']:g} s or " if values.get("seconds") else ""
        self.training.set_summary(
            f"{optimizer['name']} {optimizer['lr']}, {self._sampler_text()}, {limit}{values['steps']} steps, "
            f"seed {values['seed']}, {values['device']}"
        )


def _listed(options: Mapping[str, Any], more: list[str]) -> str:
    pairs = [f"{key.replace('_', ' ')} {_shown(value)}" for key, value in options.items()]
    return ", ".join([*pairs, *more]) or "all at their defaults"


def _shown(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _button(text: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(text)
    button.setAutoRaise(True)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setToolTip(tip)
    return button
