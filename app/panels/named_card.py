"""The head of a lane's card: its colour, its name, and the buttons that move it, copy it or take it out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from app.panels.combo_box import ComboBox
from app.panels.findings import FindingsList
from app.panels.line_edit import LineEdit
from app.panels.problem_label import ProblemLabel
from app.panels.problems import Path
from app.picture.theme import DARK, Rgb


class Swatch(QWidget):
    """A disc in the lane's colour."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(QSize(14, 14))
        self.colour: Rgb = DARK.text

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*self.colour))
        painter.drawEllipse(self.rect().adjusted(1, 1, -1, -1))


class NamedCard(QFrame):
    """One lane. `asked(what)` when a button wants it moved (`up`, `down`), copied (`copy`) or taken out (`remove`).

    What is below the head goes into `column`; a kind of card overrides what ends in `NotImplementedError`.
    """

    typed = pyqtSignal()
    committed = pyqtSignal()
    asked = pyqtSignal(str)
    fix_asked = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("lane")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.keeps_name = False
        """Whether the lane stays what it is called when it is given another miner."""
        self.swatch, self.name = Swatch(), LineEdit()
        self.name.setMinimumWidth(40)
        self.name.setAccessibleName("Name of the lane")
        self.name.setToolTip("Name of the lane: letters, digits, blanks and ._+- (at most 40)")
        self.name.textEdited.connect(lambda _: self.typed.emit())
        self.name.editingFinished.connect(self._named)
        self.buttons: dict[str, QToolButton] = {}
        head = QHBoxLayout()
        head.setSpacing(3)
        head.addWidget(self.swatch)
        head.addWidget(self.name, 1)
        for key, text, tip in (
            ("up", "\N{UPWARDS ARROW}", "Move up"),
            ("down", "\N{DOWNWARDS ARROW}", "Move down"),
            ("copy", "+", "Duplicate"),
            ("remove", "\N{MULTIPLICATION SIGN}", "Remove"),
        ):
            head.addWidget(self._button(key, text, tip))
        self.name_problem = ProblemLabel()
        self.findings = FindingsList()
        self.findings.fix_asked.connect(self.fix_asked)
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(8, 6, 8, 4)
        self.column.setSpacing(4)
        self.column.addLayout(head)
        self.column.addWidget(self.name_problem)

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show a lane, as plain values."""
        raise NotImplementedError

    def values(self) -> dict[str, Any]:
        """The lane as it stands."""
        raise NotImplementedError

    def show_problems(self, problems: Mapping[Path, str]) -> None:
        """Sentences by path inside the lane: `("miner_options", "pool")`."""
        raise NotImplementedError

    def summarise(self) -> None:
        """Say in the closed expander which options are not at their defaults, and what does not matter."""
        raise NotImplementedError

    @property
    def boxes(self) -> Mapping[Literal["miner", "loss", "distance"], ComboBox]:
        """Lists whose names a lane may be unable to take."""
        return {}

    def follow(self, old: str, new: str) -> None:
        """A lane that was called after its miner is called after the new one."""
        if self.keeps_name:
            return
        named = re.fullmatch(rf"{re.escape(old)}(-\d+)?", self.name.text())
        if named:
            self.name.put(new + (named[1] or ""))

    def _button(self, key: str, text: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setFixedSize(22, 22)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.clicked.connect(lambda: self.asked.emit(key))
        self.buttons[key] = button
        return button

    def _named(self) -> None:
        if self.name.pending:
            self.name.committed_text = self.name.text()
            self.committed.emit()
