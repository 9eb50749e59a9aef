"""What a configuration's choices have to say to each other, in words, with a button where there is one remedy."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.plain import Label
from hnm_core.spec.compatibility import Finding
from hnm_core.spec.config import ExperimentConfig, with_settings

LEVELS = {"refuse": "problem", "warn": "doubt", "info": "summary"}
"""Object names, by which the form's style sheet colours the sentences."""


class FindingsList(QWidget):
    """Sentences under each other; takes no room while there is nothing to say. `fix_asked(Finding)`."""

    fix_asked = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.shown: tuple[Finding, ...] = ()
        self.buttons: list[QToolButton] = []
        self._rows: list[QWidget] = []
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self.hide()

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Replace what is said."""
        if tuple(findings) == self.shown:
            return
        self.shown = tuple(findings)
        for row in self._rows:
            self._layout.removeWidget(row)
            row.hide()
            row.deleteLater()
        self.buttons = []
        self._rows = [self._row(finding) for finding in findings]
        for row in self._rows:
            self._layout.addWidget(row)
        self.setVisible(bool(findings))

    def _row(self, finding: Finding) -> QWidget:
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        text = Label(finding.sentence)
        text.setObjectName(LEVELS[finding.level])
        text.setWordWrap(True)
        text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        line.addWidget(text, 1)
        if finding.fix is not None:
            button = QToolButton()
            button.setText("Fix")
            button.setToolTip("Set " + ", ".join(part.replace("=", " = ") for part in finding.fix.split()))
            button.setAccessibleName(f"Fix: {finding.sentence}")
            button.clicked.connect(lambda: self.fix_asked.emit(finding))
            line.addWidget(button)
            self.buttons.append(button)
        return row


def fixed(config: ExperimentConfig, finding: Finding) -> ExperimentConfig:
    """The configuration with the finding's remedy. Raises `InputError` where it cannot be applied."""
    prefix = f"lanes.{finding.lane}." if finding.lane else ""
    return with_settings(config, [prefix + part for part in (finding.fix or "").split()])
