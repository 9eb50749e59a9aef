"""The part of the form for a run over queries and documents: what applies to such runs, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QVBoxLayout, QWidget

from app.panels.documents_card import DocumentsCard, option_problems
from app.panels.expander import Expander, stacked
from app.panels.lanes_panel import LanesPanel
from app.panels.option_form import OptionForm
from app.panels.problem_label import ProblemLabel
from app.panels.problems import LANE_NAME_RULE, Path, duplicates, inside, sentence
from app.picture.theme import Theme
from app.plain import Label
from hnm_core.errors import InputError
from hnm_core.losses.query_document_options import QueryDocumentOptions
from hnm_core.models.bag_options import BagOptions
from hnm_core.spec.config import ExperimentConfig, OptimizerConfig
from hnm_core.spec.registry import OVER_DOCUMENTS
from hnm_core.training.retrieval_config import (
    RetrievalConfig,
    RetrievalData,
    asked_as,
    data_name,
    retrieval_config,
    told_as,
)

OWN_FIELDS = ("held_out", "validation")
RUN_FIELDS = ("batch", "steps", "seconds", "seed", "eval_every", "frame_every", "shown")


class DocumentsForm(QWidget):
    """Data, towers, loss, training, lanes. `typed` at every change, `committed` when one is finished."""

    typed = pyqtSignal()
    committed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._asked: RetrievalConfig | None = None
        self._told = ExperimentConfig()
        self.refusal = ""
        """Why what was given cannot be trained, so that there are no fields; empty where it can."""
        self.problem = ProblemLabel()
        self.data, self.own = OptionForm(RetrievalData), OptionForm(RetrievalConfig, OWN_FIELDS)
        self.towers, self.loss = OptionForm(BagOptions), OptionForm(QueryDocumentOptions)
        self.optimizer = OptionForm(OptimizerConfig)
        self.optimizer.rows["name"].call("optimiser")
        self.optimizer.rows["options"].call("optimiser options")
        self.run = OptionForm(RetrievalConfig, RUN_FIELDS)
        self.lanes = LanesPanel(DocumentsCard)
        self.data.rows["options"].call("options of the set")
        self.details = {
            "data": Expander("Queries and documents", stacked(self.data, self.own)),
            "towers": Expander("Two towers over hashed words", stacked(self.towers)),
            "loss": Expander("InfoNCE over the batch", stacked(self.loss)),
            "training": Expander("Training", stacked(self.optimizer, self.run)),
        }
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.problem)
        for part in self.details.values():
            column.addWidget(part)
        self.heading = Label("Lanes")
        self.heading.setObjectName("heading")
        self.heading.setToolTip(
            "Ways to negatives, trained side by side on the same queries, positives and initial weights"
        )
        column.addWidget(self.heading)
        column.addWidget(self.lanes)
        for form in (self.data, self.own, self.towers, self.loss, self.optimizer, self.run, self.lanes):
            form.typed.connect(self.typed)
            form.committed.connect(self.committed)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.lanes.set_theme(theme)

    def set_run(self, told: ExperimentConfig) -> None:
        """Show a run over queries and documents, as recordings tell it; without fields where it cannot be trained."""
        self._told = told
        try:
            self._asked = asked_as(told)
        except InputError as error:
            self._asked, self.refusal = None, str(error)
            self.problem.say(self.refusal)
        else:
            self.refusal = ""
            values = self._asked.to_dict()
            self.data.set_values(self._asked.retrieval.model_dump(exclude_defaults=True))
            self.own.set_values(values)
            self.towers.set_values(values["towers"])
            self.loss.set_values(values["loss"])
            self.optimizer.set_values(values["optimizer"])
            self.run.set_values(values)
            self.lanes.set_lanes(values["lanes"])
            self.check()
        for widget in (*self.details.values(), self.heading, self.lanes):
            widget.setVisible(self._asked is not None)

    def values(self) -> dict[str, Any]:
        """The form as the plain values of a `RetrievalConfig`; what has no editor is as it was."""
        if self._asked is None:
            return {}
        values = self._asked.to_dict()
        return {
            **values,
            **self.own.values(),
            **self.run.values(),
            "retrieval": self.data.values(),
            "towers": self.towers.values(),
            "loss": self.loss.values(),
            "optimizer": self.optimizer.values(),
            "lanes": self.lanes.values(),
        }

    def config(self) -> ExperimentConfig:
        """The run as recordings tell it. Raises `InputError` where something in it is not allowed."""
        if self._asked is None:
            asked_as(self._told)
            return self._told
        asked = retrieval_config(self.values())
        same_data = asked.retrieval == self._asked.retrieval
        name = self._told.data.name.removesuffix(OVER_DOCUMENTS) if same_data else data_name(asked.retrieval)
        told = told_as(asked, name)
        asked_as(told)  # which also asks for data
        return told

    def problems(self) -> dict[Path, str]:
        """What is wrong, by path of the field; `("",)` for what concerns none in particular."""
        if self._asked is None:
            return {}
        values = self.values()
        problems = duplicates(values)
        for place, lane in enumerate(values["lanes"]):
            found = option_problems(lane["negatives"], lane["options"])
            problems |= {("lanes", place, "options", name): text for name, text in found.items()}
        try:
            RetrievalConfig.model_validate(values)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                path: Path = problem["loc"] or ("",)
                rule = path == ("",) or (path[0] == "lanes" and len(path) < 3)  # of a whole, whose parts come first
                if path[-1] == "name" and problem["type"] == "string_pattern_mismatch":
                    problems[path] = LANE_NAME_RULE
                elif path == ("optimizer",):
                    problems["optimizer", "options"] = sentence(problem)
                elif not rule or not problems:
                    problems.setdefault(path[:3] if path[0] == "lanes" else path[:2], sentence(problem))
        if not problems:
            try:
                self.config()
            except InputError as error:
                problems["",] = str(error)
        return problems

    def check(self) -> None:
        """Say beside each field what is wrong with it, and sum up what is in the closed parts."""
        problems = self.problems()
        if self._asked is None:
            return
        parts = (("data", "retrieval", self.data), ("towers", "towers", self.towers), ("loss", "loss", self.loss))
        for part, section, form in parts:
            form.show_problems(inside(problems, section))
            if any(path[0] == section for path in problems):
                self.details[part].open()
        self.own.show_problems(inside(problems))
        self.run.show_problems(inside(problems))
        self.optimizer.show_problems(inside(problems, "optimizer"))
        if any(path[0] in OWN_FIELDS for path in problems):
            self.details["data"].open()
        if any(path[0] in ("optimizer", *RUN_FIELDS) for path in problems):
            self.details["training"].open()
        self.lanes.show_problems({path[1:]: text for path, text in problems.items() if path[0] == "lanes"})
        self.problem.say(problems.get(("",), ""))
        self._summarise(self.values())

    def _summarise(self, values: Mapping[str, Any]) -> None:
        data, optimizer = values["retrieval"], values["optimizer"]
        held_out = values["held_out"]
        share = [f"{held_out:.0%} of the queries held out"] if isinstance(held_out, float | int) else []
        named = [str(value) for key, value in data.items() if value and key != "options"]
        self.details["data"].set_summary(", ".join([*named, *share]))
        self.details["towers"].set_summary(_listed(values["towers"], BagOptions()))
        self.details["loss"].set_summary(_listed(values["loss"], QueryDocumentOptions()))
        limit = f"{values['seconds']:g} s or " if values.get("seconds") else ""
        self.details["training"].set_summary(
            f"{optimizer['name']} {optimizer['lr']}, batches of {values['batch']} queries, "
            f"{limit}{values['steps']} steps, seed {values['seed']}"
        )


def _listed(options: Mapping[str, Any], defaults: BagOptions | QueryDocumentOptions) -> str:
    """What is not at its default."""
    usual = defaults.model_dump()
    told = [f"{key.replace('_', ' ')} {value}" for key, value in options.items() if value != usual[key]]
    return ", ".join(told) or "all at their defaults"
