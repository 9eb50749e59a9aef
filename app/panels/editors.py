"""Editors of single values.

An editor takes and gives plain Python values. What cannot be read as the wanted type is given as the text that was
typed, so that validation can say what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QValidator, QWheelEvent
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.panels.combo_box import ComboBox
from app.panels.field_text import read_float, read_whole
from app.panels.line_edit import LineEdit
from hnm_core.spec.data_files import DATA_PATTERNS


@dataclass(frozen=True)
class Bounds:
    """The range a number may lie in; an open end is not part of it. None is no bound."""

    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def allows(self, value: Decimal) -> bool:
        """Whether `value` lies in the range."""
        above = self.low is None or value > Decimal(self.low) or (not self.low_open and value == Decimal(self.low))
        below = self.high is None or value < Decimal(self.high) or (not self.high_open and value == Decimal(self.high))
        return above and below

    def __str__(self) -> str:
        parts = []
        if self.low is not None:
            parts.append(f"above {self.low:,g}" if self.low_open else f"at least {self.low:,g}")
        if self.high is not None:
            parts.append(f"below {self.high:,g}" if self.high_open else f"at most {self.high:,g}")
        return ", ".join(parts)


class Editor(QWidget):
    """What all editors have in common. `typed` at every change, `committed` when one is finished."""

    typed = pyqtSignal()
    committed = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(0, 0, 0, 0)
        self.row.setSpacing(4)
        self.target: QWidget | None = None
        """What takes the focus. No focus proxy: Qt's Tab goes round in circles between an editor and its proxy."""

    def _hold(self, widget: QWidget, stretch: int = 1) -> None:
        self.row.addWidget(widget, stretch)
        if self.target is None:
            self.target = widget

    def value(self) -> Any:
        """The value as it stands."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Show a value; no signal."""
        raise NotImplementedError


class TextEditor(Editor):
    """A line of text, read and written by two functions."""

    def __init__(self, read: Callable[[str], Any], write: Callable[[Any], str], line: LineEdit | None = None) -> None:
        super().__init__()
        self._read, self._write = read, write
        self.line = line or LineEdit()
        self.line.setMinimumWidth(40)
        if line is None:
            self._hold(self.line)
        self.line.textEdited.connect(lambda _: self.typed.emit())
        self.line.editingFinished.connect(self._finished)

    def _finished(self) -> None:
        if self.line.pending:
            self.line.committed_text = self.line.text()
            self.committed.emit()

    def value(self) -> Any:
        return self._read(self.line.text())

    def set_value(self, value: Any) -> None:
        if self.line.pending or self._read(self.line.text()) != value:  # else the text stays as it was typed: 1e-3
            self.line.put(self._write(value))


class NumberEditor(TextEditor):
    """A number with arrows. Whatever is typed stays; it is read as Python reads numbers."""

    def __init__(self, *, whole: bool, bounds: Bounds) -> None:
        self.spin = _Arrows(whole=whole, bounds=bounds)
        super().__init__(read_whole if whole else read_float, str, self.spin.line)
        self._hold(self.spin)
        self.spin.stepped.connect(self._step)
        self.spin.editingFinished.connect(self._finished)  # a line inside a spin box does not say so itself

    def _step(self) -> None:
        self.line.committed_text = self.line.text()
        self.typed.emit()
        self.committed.emit()


class _Arrows(QAbstractSpinBox):
    """Qt's spin boxes hold 32 bits or a fixed number of digits; this one holds text."""

    stepped = pyqtSignal()

    def __init__(self, *, whole: bool, bounds: Bounds) -> None:
        super().__init__()
        self._whole, self._bounds = whole, bounds
        self.line = LineEdit()
        self.setLineEdit(self.line)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(56)

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        return QValidator.State.Acceptable, text or "", position  # judged in words beside the field

    def fixup(self, text: str | None) -> str:
        return text or ""

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        return QAbstractSpinBox.StepEnabledFlag.StepUpEnabled | QAbstractSpinBox.StepEnabledFlag.StepDownEnabled

    def stepBy(self, steps: int) -> None:
        try:
            value = Decimal(self.line.text().strip().replace(",", "").replace("_", ""))
        except InvalidOperation:
            return
        for _ in range(abs(steps)):
            following = value + (1 if steps > 0 else -1) * self._stride(value, steps > 0)
            if not self._bounds.allows(following):
                break
            value = following
        text = str(int(value)) if self._whole else repr(float(value))
        if text != self.line.text():
            self.line.setText(text)
            self.stepped.emit()

    def _stride(self, value: Decimal, up: bool) -> Decimal:
        """1 for whole numbers, else one unit of the leading digit: 0.002, 0.003, ... 0.009, 0.01, 0.02."""
        if self._whole:
            return Decimal(1)
        if value == 0:
            return Decimal("0.01")
        stride = Decimal(1).scaleb(value.adjusted())
        towards_zero = up == (value < 0)
        return stride / 10 if towards_zero and abs(value) == stride else stride

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        elif event is not None:
            event.ignore()  # the wheel scrolls the form


class ChoiceEditor(Editor):
    """One of several values."""

    def __init__(self, choices: Sequence[Any] = (), tips: Sequence[str] = ()) -> None:
        super().__init__()
        self.box = ComboBox()
        for place, choice in enumerate(choices):
            self.box.add(str(choice), choice, tips[place] if place < len(tips) else "")
        self._hold(self.box)
        self.box.activated.connect(self._chosen)

    def _chosen(self) -> None:
        self.typed.emit()
        self.committed.emit()

    def value(self) -> Any:
        return self.box.currentData()

    def set_value(self, value: Any) -> None:
        """A value that is not listed, as a class of a library that is not installed, joins the list."""
        if self.box.findData(value) < 0:
            self.box.add(str(value), value)
        self.box.setCurrentIndex(self.box.findData(value))


class FlagEditor(Editor):
    """Yes or no."""

    def __init__(self) -> None:
        super().__init__()
        self.check = QCheckBox()
        self._hold(self.check)
        self.check.clicked.connect(self._clicked)

    def _clicked(self) -> None:
        self.typed.emit()
        self.committed.emit()

    def value(self) -> bool:
        return self.check.isChecked()

    def set_value(self, value: Any) -> None:
        self.check.setChecked(bool(value))


class SwitchedEditor(Editor):
    """A check box that says one value by itself (None, or `auto`), and an editor for all others."""

    def __init__(self, text: str, alone: Any, checked_is_alone: bool, inner: Editor, first: Any) -> None:
        super().__init__()
        self._alone, self._checked_is_alone, self._first = alone, checked_is_alone, first
        self.check, self.inner = QCheckBox(text), inner
        self._hold(self.check, 0)
        self._hold(inner)
        self.check.clicked.connect(self._clicked)
        inner.typed.connect(self.typed)
        inner.committed.connect(self.committed)

    def _is_alone(self) -> bool:
        return self.check.isChecked() == self._checked_is_alone

    def _clicked(self) -> None:
        if not self._is_alone() and self.inner.value() in ("", None):
            self.inner.set_value(self._first)
        self.inner.setEnabled(not self._is_alone())
        self.typed.emit()
        self.committed.emit()

    def value(self) -> Any:
        return self._alone if self._is_alone() else self.inner.value()

    def set_value(self, value: Any) -> None:
        alone = value == self._alone
        self.check.setChecked(alone == self._checked_is_alone)
        self.inner.setEnabled(not alone)
        if not alone:
            self.inner.set_value(value)


class PathEditor(TextEditor):
    """A path with a button that looks for one: of a folder, of data, or of any other file."""

    def __init__(self, *, folder: bool, data: bool) -> None:
        super().__init__(str, str)
        self._folder = folder
        self._files = f"Data ({DATA_PATTERNS});;All (*)" if data else "All (*)"
        column = QVBoxLayout()
        self.browse = QToolButton()
        self.browse.setText("Browse")
        self.browse.setToolTip("Look for a folder" if folder else "Look for a file")
        self.browse.clicked.connect(self._look)
        self.row.addLayout(column)
        self.row.addWidget(self.browse)

    def _look(self) -> None:
        start = self.line.text() or str(Path.home())
        if self._folder:
            path = QFileDialog.getExistingDirectory(self, "Choose a folder", start)
        else:
            path, _ = QFileDialog.getOpenFileName(self, "Choose a file", start, self._files)
        if path:
            self.line.setText(path)
            self.typed.emit()
            self._finished()
