"""Forms made from pydantic models: a row for each field, with its help, its range, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QGridLayout,
    QLabel,
    QLayout,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.panels.combo_box import ComboBox
from app.panels.editors import ChoiceEditor, Editor, TextEditor, bounds_of, editor_for
from app.panels.line_edit import LineEdit
from app.panels.names import grouped
from hnm_core.spec.explaining import must_be
from hnm_core.spec.registry import Registry

LABEL_PX = 104
LABELS = {"lr": "learning rate", "name": "kind"}
LANE_NAME_RULE = "A name begins with a letter or digit and has up to 40 letters, digits, blanks and . _ + -"
MISSING = object()

Path = tuple[str | int, ...]


class ProblemLabel(QLabel):
    """A sentence about what is wrong; takes no room while nothing is."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("problem")
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.NoTextInteraction)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.hide()

    def say(self, sentence: str) -> None:
        """Show a sentence; nothing for the empty one."""
        self.setText(sentence)
        self.setVisible(bool(sentence))


class Row:
    """One field: its label, its editor, its problem, and the value it was given."""

    def __init__(self, name: str, field: FieldInfo, editor: Editor) -> None:
        self.name, self.field, self.editor = name, field, editor
        self.label = QLabel(LABELS.get(name, name.replace("_", " ")))
        self.label.setWordWrap(True)
        self.label.setFixedWidth(LABEL_PX)
        self.label.setBuddy(editor.target)
        self.problem = ProblemLabel()
        extra = field.json_schema_extra
        self.unit = QLabel(str(extra.get("unit", "")) if isinstance(extra, dict) else "")
        if self.unit.text():
            editor.row.addWidget(self.unit)
        tip = self._tip = _tip(name, field)
        for widget in (self.label, editor):
            widget.setToolTip(tip)
        if editor.target is not None:
            editor.target.setAccessibleName(self.label.text())
            editor.target.setAccessibleDescription(tip)
        self._given: Any = MISSING
        self._shown: Any = None

    @property
    def default(self) -> Any:
        """The field's default, an empty text where it has none."""
        default = self.field.get_default(call_default_factory=True)
        return "" if default is PydanticUndefined else default

    def give(self, value: Any) -> None:
        """Show a value; `MISSING` shows the default."""
        self._given = value
        self.editor.set_value(self.default if value is MISSING else value)
        self._shown = self.editor.value()

    def set_idle(self, reason: str) -> None:
        """Grey the field out because it does not matter now; the empty reason brings it back."""
        for widget in (self.label, self.editor):
            widget.setEnabled(not reason)
            widget.setToolTip(f"{reason}\n{self._tip}" if reason else self._tip)

    def value(self) -> Any:
        """What was given while that is untouched, else what the editor says; MISSING for a default nobody gave."""
        value = self.editor.value()
        if value == self._shown and type(value) is type(self._shown):
            return self._given
        return MISSING if self._given is MISSING and value == self.default else value


class OptionForm(QWidget):
    """Rows for `fields` of a model (all of them by default). Values are plain dictionaries, as in a TOML file.

    `typed` at every change, `committed` when one is finished.
    """

    typed = pyqtSignal()
    committed = pyqtSignal()

    def __init__(self, model: type[BaseModel], fields: Iterable[str] | None = None) -> None:
        super().__init__()
        self.model = model
        self.rows: dict[str, Row] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for place, name in enumerate(fields if fields is not None else model.model_fields):
            field = model.model_fields[name]
            row = Row(name, field, editor_for(name, field))
            grid.addWidget(row.label, 2 * place, 0)
            grid.addWidget(row.editor, 2 * place, 1)
            grid.addWidget(row.problem, 2 * place + 1, 0, 1, 2)
            row.editor.typed.connect(self.typed)
            row.editor.committed.connect(self.committed)
            self.rows[name] = row
        self.set_values({})

    def editor(self, name: str) -> Editor:
        """The editor of a field."""
        return self.rows[name].editor

    def line(self, name: str) -> LineEdit:
        """The line a field is typed into. Raises TypeError where it is not typed."""
        editor = self.rows[name].editor
        if not isinstance(editor, TextEditor):
            raise TypeError(f"{name} is not typed")
        return editor.line

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show values; defaults for what is missing. Other keys are left alone."""
        for name, row in self.rows.items():
            row.give(values.get(name, MISSING))

    def values(self) -> dict[str, Any]:
        """What was given and what was changed; no defaults that nobody touched. None where a field is switched off."""
        values = {name: row.value() for name, row in self.rows.items()}
        return {name: value for name, value in values.items() if value is not MISSING}

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Sentences beside the fields they are about; all others are cleared."""
        for name, row in self.rows.items():
            row.problem.say(problems.get(name, ""))


class Expander(QWidget):
    """A title that opens and closes what is under it; closed it may show a summary."""

    def __init__(self, title: str, body: QWidget, *, opened: bool = False) -> None:
        super().__init__()
        self._title, self._summary = title, ""
        self.body = body
        self.button = QToolButton()
        self.button.setObjectName("expander")
        self.button.setAutoRaise(True)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.toggled.connect(self._toggled)
        self.summary = QLabel()
        self.summary.setObjectName("summary")
        self.summary.setWordWrap(True)
        self.summary.setIndent(20)
        self.summary.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(self.summary)
        layout.addWidget(body)
        body.setContentsMargins(10, 0, 0, 4)
        self.button.setText(title)
        self.button.setChecked(opened)
        self._toggled(opened)

    def set_summary(self, text: str) -> None:
        """What is inside, in a few words, for when it is closed."""
        self._summary = text
        self.summary.setText(text)
        self.summary.setVisible(bool(text) and not self.button.isChecked())

    def open(self) -> None:
        """Show what is inside."""
        self.button.setChecked(True)

    def _toggled(self, opened: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.body.setVisible(opened)
        self.set_summary(self._summary)


def registry_choice(registry: Registry, what: str) -> ChoiceEditor:
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

    def __init__(self, label: str, registry: Registry) -> None:
        super().__init__()
        self._registry = registry
        self._known: dict[str, dict[str, Any]] = {}
        self.label = QLabel(label)
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
        self.help = QLabel()
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


def in_reading_order(widget: QWidget) -> Iterator[QWidget]:
    """What inside `widget` can have the focus, as the layouts place it, top to bottom."""
    layout = widget.layout()
    if layout is None or isinstance(widget, QComboBox | QAbstractSpinBox):
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield widget
        return
    yield from _in_layout(layout)


def _in_layout(layout: QLayout) -> Iterator[QWidget]:
    for place in range(layout.count()):
        item = layout.itemAt(place)
        if item is None:
            continue
        if (inner := item.widget()) is not None:
            yield from in_reading_order(inner)
        elif (nested := item.layout()) is not None:
            yield from _in_layout(nested)


def sentence(problem: ErrorDetails) -> str:
    """One pydantic error in words, without the name of the field it stands beside."""
    if problem["type"] == "missing" or (problem["type"] == "string_too_short" and not problem["input"]):
        return "Needed: there is no default."
    if problem["type"] == "value_error":
        text = str(problem["ctx"]["error"])
        return text + ("" if text.endswith(".") else ".")
    allowed = must_be(problem)
    value = problem["input"]
    if value == "":
        return f"Nothing is typed here: {allowed}."
    shown = f"'{value}'" if isinstance(value, str) else f"{value}"
    return f"{shown[:60]} is not allowed: {allowed}."


def _tip(name: str, field: FieldInfo) -> str:
    lines = [field.description or LABELS.get(name, name)]
    if allowed := str(bounds_of(field)):
        lines.append(f"Allowed: {allowed}.")
    default = field.get_default(call_default_factory=True)
    if default is not PydanticUndefined and default not in ("", None, {}):
        lines.append(f"Default: {', '.join(map(str, default)) if isinstance(default, tuple) else default}.")
    lines.append(f"Called {name} in files and on the command line.")
    return "\n".join(lines)
