"""A lane over queries and documents as a card: a way to negatives with its options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from PyQt6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.panels.editors import ChoiceEditor
from app.panels.expander import Expander
from app.panels.named_card import NamedCard
from app.panels.option_form import LABEL_PX, OptionForm
from app.panels.problem_label import ProblemLabel
from app.panels.problems import Path, sentence
from app.plain import Label
from hnm_core.training.retrieval_config import OWN_NEGATIVES, RetrievalLane, kinds_of_negatives

OF_SEARCHES = ("refresh", "refresh_every", "drift_threshold")
"""Fields of a lane that only those have that search among embeddings."""
LANE_FIELDS = ("warmup", *OF_SEARCHES)
GIVEN = ("positives",)
"""Options that say what a step gives such lanes."""


def option_problems(negatives: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the options of a way to negatives, by option; none where there is no such way."""
    known = kinds_of_negatives().get(negatives)
    try:
        if known is not None:
            known.model_validate(dict(options))
    except ValidationError as error:
        return {str((problem["loc"] or ("",))[0]): sentence(problem) for problem in error.errors(include_url=False)}
    return {}


class DocumentsCard(NamedCard):
    """Takes and gives a `RetrievalLane` as plain values."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[str, dict[str, Any]] = {}
        self._hidden: dict[str, Any] = {}
        self._kinds = kinds_of_negatives()
        self.label = Label("Negatives")
        self.label.setFixedWidth(LABEL_PX - 40)
        self.choice = ChoiceEditor()
        for name, options in self._kinds.items():
            self.choice.box.add(name, name, _help(options))
        self.choice.box.setAccessibleName("Where negatives come from")
        self.label.setBuddy(self.choice.box)
        self.problem, self.help = ProblemLabel(), Label()
        self.help.setObjectName("summary")
        self.help.setWordWrap(True)
        self.negatives = next(iter(self._kinds))
        self.form = OptionForm(self._kinds[self.negatives])
        self.own = OptionForm(RetrievalLane, LANE_FIELDS)
        body = QWidget()
        self._body = QVBoxLayout(body)
        self._body.setSpacing(6)
        for part in (self.help, self.form, self.own):
            self._body.addWidget(part)
        self.details = Expander("Options", body)
        line = QHBoxLayout()
        line.addWidget(self.label)
        line.addWidget(self.choice, 1)
        self.column.addLayout(line)
        for widget in (self.problem, self.details):
            self.column.addWidget(widget)
        self.choice.committed.connect(self._chosen)
        for part in (self.form, self.own):
            part.typed.connect(self.typed)
            part.committed.connect(self.committed)

    def set_values(self, values: Mapping[str, Any]) -> None:
        """See `NamedCard`."""
        self.name.put(values["name"])
        self.choice.set_value(values["negatives"])
        self._known = {}
        self._show(values["negatives"], values["options"])
        self.own.set_values(values)
        self.summarise()

    def values(self) -> dict[str, Any]:
        """See `NamedCard`."""
        own = self.own.values()
        if self.negatives in OWN_NEGATIVES:
            own = {name: value for name, value in own.items() if name not in OF_SEARCHES}
        return {
            "name": self.name.text().strip(),
            "negatives": self.negatives,
            "options": self._hidden | self.form.values(),
            **own,
        }

    def summarise(self) -> None:
        """See `NamedCard`: what only searches have, and a limit of drift that nobody looks at, is not shown."""
        searches = self.negatives not in OWN_NEGATIVES
        drift = self.own.rows["refresh"].editor.value() == "drift"
        for name, row in self.own.rows.items():
            shown = name not in OF_SEARCHES or (searches and (name != "drift_threshold" or drift))
            for widget in (row.label, row.editor):
                widget.setVisible(shown)
            if not shown:
                row.problem.say("")
        values = self.values()
        there = [name for name in LANE_FIELDS if name in values and not self.own.rows[name].editor.isHidden()]
        own = {name: values[name] for name in there if values[name] != self.own.rows[name].default}
        told = {**values["options"], **own}
        self.details.set_summary(
            ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items()) or "all at their defaults"
        )

    def show_problems(self, problems: Mapping[Path, str]) -> None:
        """See `NamedCard`."""
        self.name_problem.say(problems.get(("name",), "") or problems.get((), ""))
        options = {str(path[1]): text for path, text in problems.items() if path[:1] == ("options",) and path[1:]}
        self.problem.say(problems.get(("negatives",), "") or options.get("", ""))
        self.form.show_problems(options)
        self.own.show_problems({str(path[0]): text for path, text in problems.items() if len(path) == 1})
        if any(path[:1] not in ((), ("name",), ("negatives",)) for path in problems):
            self.details.open()

    def _chosen(self) -> None:
        old, new = self.negatives, self.choice.value()
        if new == old:
            return
        before = self._known[old] = {**self._hidden, **self.form.values()}
        fields = self._kinds[new].model_fields
        self._show(new, self._known.get(new, {name: value for name, value in before.items() if name in fields}))
        self.follow(old, new)
        self.typed.emit()
        self.committed.emit()

    def _show(self, negatives: str, options: Mapping[str, Any]) -> None:
        """A way to negatives with its options; the form there is stays if it fits."""
        known = self._kinds[negatives]
        try:  # by the names of its own, of which there are others
            options = known.model_validate(dict(options)).model_dump(mode="json", exclude_unset=True)
        except ValidationError:
            options = dict(options)
        self.negatives = negatives
        self.help.setText(_help(known))
        self.choice.box.setToolTip(_help(known))
        self._hidden = {name: value for name, value in options.items() if name in GIVEN}
        if self.form.model is not known:
            self._body.removeWidget(self.form)
            self.form.hide()
            self.form.deleteLater()
            self.form = OptionForm(known, [name for name in known.model_fields if name not in GIVEN])
            self.form.typed.connect(self.typed)
            self.form.committed.connect(self.committed)
            self._body.insertWidget(1, self.form)
        self.form.set_values(options)


def _help(options: type[Any]) -> str:
    """Their first line, in the words of documents."""
    first = (options.__doc__ or "").strip().split("\n")[0]
    return first.replace("items of other classes", "documents that are not relevant")
