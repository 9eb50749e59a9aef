"""Forms made from pydantic models: a row for each field, with its help, its range, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QGridLayout,
    QWidget,
)

from app.panels.editor_for import bounds_of, editor_for
from app.panels.editors import Editor, TextEditor
from app.panels.line_edit import LineEdit
from app.panels.problem_label import ProblemLabel
from app.plain import Label

LABEL_PX = 104
LABELS = {"lr": "learning rate", "name": "kind"}
MISSING = object()


class Row:
    """One field: its label, its editor, its problem, and the value it was given."""

    def __init__(self, name: str, field: FieldInfo, editor: Editor) -> None:
        self.name, self.field, self.editor = name, field, editor
        self.label = Label(LABELS.get(name, name.replace("_", " ")))
        self.label.setWordWrap(True)
        self.label.setFixedWidth(LABEL_PX)
        self.label.setBuddy(editor.target)
        self.problem = ProblemLabel()
        extra = field.json_schema_extra
        self.unit = Label(str(extra.get("unit", "")) if isinstance(extra, dict) else "")
        if self.unit.text():
            editor.row.addWidget(self.unit)
        tip = self._tip = _tip(name, field)
        for widget in (self.label, editor):
            widget.setToolTip(tip)
        if editor.target is not None:
            editor.target.setAccessibleDescription(tip)
        self.call(self.label.text())
        self._given: Any = MISSING
        self._shown: Any = None

    def call(self, name: str) -> None:
        """Show it under another name."""
        self.label.setText(name)
        if self.editor.target is not None:
            self.editor.target.setAccessibleName(name)

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
        """Show values; defaults for what is missing. Other keys are left alone, and kept where any are allowed."""
        any_key = self.model.model_config.get("extra") == "allow"
        self._others = {name: value for name, value in values.items() if any_key and name not in self.rows}
        for name, row in self.rows.items():
            row.give(values.get(name, MISSING))

    def values(self) -> dict[str, Any]:
        """What was given and what was changed; no defaults that nobody touched. None where a field is switched off."""
        values = {name: row.value() for name, row in self.rows.items()}
        return self._others | {name: value for name, value in values.items() if value is not MISSING}

    def show_problems(self, problems: Mapping[str, str]) -> None:
        """Sentences beside the fields they are about; all others are cleared."""
        for name, row in self.rows.items():
            row.problem.say(problems.get(name, ""))


def _tip(name: str, field: FieldInfo) -> str:
    lines = [field.description or LABELS.get(name, name)]
    if allowed := str(bounds_of(field)):
        lines.append(f"Allowed: {allowed}.")
    default = field.get_default(call_default_factory=True)
    if default is not PydanticUndefined and default not in ("", None, {}):
        lines.append(f"Default: {', '.join(map(str, default)) if isinstance(default, tuple) else default}.")
    lines.append(f"Called {name} in files and on the command line.")
    return "\n".join(lines)
