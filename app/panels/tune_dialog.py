"""Asks which options of a lane shall be searched, and how many settings tried."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QIcon
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QPlainTextEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.panels.problem_label import ProblemLabel
from app.plain import Label
from app.training.studies import Search
from hnm_core.errors import InputError
from hnm_core.run.results import DOCUMENT_LEVEL, LEVEL, LEVEL_NAMES
from hnm_core.spec.config import ExperimentConfig
from hnm_core.training.retrieval_config import RetrievalConfig

WIDTH = 480
TRIALS, MOST_TRIALS = 20, 10_000
LINES = 4
RULE = (
    "Settings are scored by {level} on a validation part of the {trained_on}; the held-out {held_out} are looked at "
    "once, at the end, for the best setting and for the lane as it is. One option a line: KEY=LOW..HIGH, or KEY=A,B,C "
    "for one of several values; KEY,KEY=... sets several alike."
)
OF_CLASSES = RULE.format(level=LEVEL_NAMES[LEVEL], trained_on="training data", held_out="items")
OF_DOCUMENTS = RULE.format(level=LEVEL_NAMES[DOCUMENT_LEVEL], trained_on="queries", held_out="ones")


class TuneDialog(QDialog):
    """`chosen(Search)` when the user has said what is to be searched, and it can be read."""

    chosen = pyqtSignal(object)

    def __init__(self, config: ExperimentConfig | RetrievalConfig, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Tune a lane")
        self._config, self._suggested = config, ""
        self.lane, self.options, self.trials, self.problem = QComboBox(), QPlainTextEdit(), QSpinBox(), ProblemLabel()
        self.lane.addItems([lane.name for lane in config.lanes])
        self.lane.setAccessibleName("Lane to tune")
        self.options.setAccessibleName("Options to search, one a line")
        self.options.setTabChangesFocus(True)
        self.options.setFixedHeight(LINES * self.fontMetrics().lineSpacing() + 14)
        self.trials.setRange(1, MOST_TRIALS)
        self.trials.setValue(TRIALS)
        self.trials.setAccessibleName("Settings to try")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        cancel = self.buttons.button(QDialogButtonBox.StandardButton.Cancel)
        if cancel is not None:
            cancel.setIcon(QIcon())
        self.go = self.buttons.addButton("Tune", QDialogButtonBox.ButtonRole.AcceptRole)
        self.rule = Label(OF_CLASSES if isinstance(config, ExperimentConfig) else OF_DOCUMENTS)
        self.rule.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Lane", self.lane)
        form.addRow("Options", self.options)
        form.addRow("Settings", self.trials)
        layout = QVBoxLayout(self)
        layout.addWidget(self.rule)
        layout.addLayout(form)
        layout.addWidget(self.problem)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(WIDTH)
        self.lane.currentTextChanged.connect(self._suggest)
        self.options.textChanged.connect(lambda: self.problem.say(""))
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self._suggest()
        self.options.setFocus()

    def _suggest(self) -> None:
        """Fill in an option that the lane has, unless something else was typed."""
        if self.options.toPlainText() != self._suggested:
            return
        option, config = "optimizer.lr=1e-4..1e-2", self._config
        if isinstance(config, ExperimentConfig):
            lane = config.lane(self.lane.currentText())
            if "margin" in type(lane.loss_part.options).model_fields:
                option = f"lanes.{lane.name}.loss_options.margin=0.05..1.5"
        self._suggested = option
        self.options.setPlainText(option)

    def _accept(self) -> None:
        from hnm_core.studies import tuning  # loads scipy, which nothing needs before

        lane = self.lane.currentText()
        options = tuple(filter(None, map(str.strip, self.options.toPlainText().splitlines())))
        try:
            if not options:
                raise InputError("Name what to search, for example optimizer.lr=1e-4..1e-2.")
            searched = [tuning.parse_option(text) for text in options]
            tuning.refuse_twice(self._config, searched)
            tuning.lane_of(self._config, searched, lane)
        except InputError as error:
            self.problem.say(str(error))
            return
        self.chosen.emit(Search(lane, options, self.trials.value()))
        self.accept()
