"""A name from a registry with the options that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.panels.combo_box import ComboBox
from app.panels.editors import ChoiceEditor
from app.panels.names import grouped
from app.panels.option_form import LABEL_PX, OptionForm
from app.panels.problem_label import ProblemLabel
from app.plain import Label
from hnm_core.spec.registry import Registry


def registry_choice(registry: Registry[Any], what: str) -> ChoiceEditor:
    """A list of the names in a registry, which can be searched; `what` they are is for the sentences."""
    choice = ChoiceEditor()
    groups = grouped(registry)
    for group in groups:
        if len(groups) > 1:
            choice.box.add_heading(group.title)
        for name in group.names:
            choice.box.add(name, name, registry.entry(name).help)
    choice.box.make_searchable(what)
    return choice


class NamedForm(QWidget):
    """A name from a registry, and the options that go with it.

    Another name brings its own options: those set for it before, else those that both have.
    """

    typed = pyqtSignal()
    committed = pyqtSignal()
    renamed = pyqtSignal(str, str)
    """old and new name, before `committed`"""

    def __init__(self, label: str, registry: Registry[Any]) -> None:
        super().__init__()
        self._registry = registry
        self._known: dict[str, dict[str, Any]] = {}
        self.label = Label(label)
        self.label.setFixedWidth(LABEL_PX - 40)
        self.choice = registry_choice(registry, label.lower() if label != "Data" else "data set")
        self.box: ComboBox = self.choice.box
        self.box.setAccessibleName(label)
        self.label.setBuddy(self.box)
        self.problem = ProblemLabel()
        self.box.refused.connect(self.problem.say)
        self.body = QWidget()
        self._body = QVBoxLayout(self.body)
        self._body.setContentsMargins(0, 0, 0, 0)
        self.help = Label()
        self.help.setObjectName("summary")
        self.help.setWordWrap(True)
        self.help.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._body.addWidget(self.help)
        self.name = grouped(registry)[0].names[0]
        self.choice.set_value(self.name)
        self.form: OptionForm | None = None
        self.choice.committed.connect(self._chosen)

    def set_value(self, name: str, options: Mapping[str, Any]) -> None:
        """Show a name and its options."""
        self.choice.set_value(name)
        self._show(name)
        assert self.form is not None
        self.form.set_values(options)

    def value(self) -> tuple[str, dict[str, Any]]:
        """The name, and the options given or changed."""
        return self.name, self.form.values() if self.form is not None else {}

    def show_problems(self, name_problem: str, option_problems: Mapping[str, str]) -> None:
        """Sentences beside the fields they are about; all others are cleared."""
        self.problem.say(name_problem)
        if self.form is not None:
            self.form.show_problems(option_problems)

    def _chosen(self) -> None:
        old, new = self.name, self.choice.value()
        if new == old:
            return
        assert self.form is not None
        before = self.form.values()
        self._known[old] = before
        self._show(new)
        fields = self._registry.entry(new).options.model_fields
        self.form.set_values(self._known.get(new, {key: value for key, value in before.items() if key in fields}))
        self.renamed.emit(old, new)
        self.typed.emit()
        self.committed.emit()

    def _show(self, name: str) -> None:
        """The form of `name`; the one there is stays if it fits."""
        entry = self._registry.entry(name)
        self.name = name
        self.help.setText(entry.help)
        self.box.setToolTip(entry.help)
        if self.form is not None and self.form.model is entry.options:
            return
        if self.form is not None:
            self._body.removeWidget(self.form)
            self.form.hide()
            self.form.deleteLater()
        self.form = OptionForm(entry.options)
        self.form.typed.connect(self.typed)
        self.form.committed.connect(self.committed)
        self._body.addWidget(self.form)
