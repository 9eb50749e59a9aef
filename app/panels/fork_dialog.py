"""Asks how a new lane shall go on from where another one stands."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QIcon
from PyQt6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QVBoxLayout, QWidget

from app.panels.lanes_panel import free_name
from app.panels.line_edit import LineEdit
from app.panels.named_form import registry_choice
from app.panels.problem_label import ProblemLabel
from app.panels.problems import LANE_NAME_RULE
from app.plain import Label
from hnm_core.errors import InputError
from hnm_core.run import changeable
from hnm_core.spec import compatibility
from hnm_core.spec.config import LANE_NAME, ExperimentConfig
from hnm_core.spec.registry import MINERS

WIDTH = 380


class ForkDialog(QDialog):
    """`chosen(lane, new_lane, changes)` when the user has said what is to go on, and that is possible.

    Args:
        lanes: the lanes that train, each alone as it is now.
        taken: names of all lanes there are.
        lane: the one to begin with.
        several: whether the items have several labels each.
    """

    chosen = pyqtSignal(str, str, object)

    def __init__(
        self,
        lanes: Mapping[str, ExperimentConfig],
        taken: Collection[str],
        lane: str,
        parent: QWidget | None = None,
        *,
        several: bool = False,
    ) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Continue as a new lane")
        self._lanes, self._taken = lanes, taken
        self._named = False
        self.lane_box = QComboBox()
        for name in lanes:
            self.lane_box.addItem(name)
        self.lane_box.setCurrentText(lane)
        self.lane_box.setAccessibleName("Lane to go on from")
        self.miner = registry_choice(MINERS, "miner")
        self.miner.box.setAccessibleName("Miner of the new lane")
        self.miner.box.reasons = lambda: compatibility.impossible("miner", self._config, self._lane, several=several)
        self.name = LineEdit()
        self.name.setAccessibleName("Name of the new lane")
        self.name.setToolTip(LANE_NAME_RULE)
        self.what, self.problem = Label(), ProblemLabel()
        self.what.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        cancel = self.buttons.button(QDialogButtonBox.StandardButton.Cancel)
        if cancel is not None:
            cancel.setIcon(QIcon())  # some desktops draw one, and nothing else here has any
        self.go = self.buttons.addButton("Continue", QDialogButtonBox.ButtonRole.AcceptRole)
        form = QFormLayout()
        form.addRow("From", self.lane_box)
        form.addRow("Miner", self.miner)
        form.addRow("Name", self.name)
        layout = QVBoxLayout(self)
        layout.addWidget(self.what)
        layout.addLayout(form)
        layout.addWidget(self.problem)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(WIDTH)
        self.lane_box.currentTextChanged.connect(self._lane_chosen)
        self.miner.committed.connect(self._miner_chosen)
        self.miner.box.refused.connect(self.problem.say)
        self.name.textEdited.connect(self._name_typed)
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self._lane_chosen()
        self.miner.box.setFocus()

    @property
    def _lane(self) -> str:
        return self.lane_box.currentText()

    @property
    def _config(self) -> ExperimentConfig:
        return self._lanes[self._lane]

    def changes(self) -> dict[str, Any]:
        """Options in which the new lane differs: the miner, with those options of the old one that it has too."""
        own, miner = self._config.lanes[0], self.miner.value()
        if miner == own.miner:
            return {}
        fields = MINERS.entry(miner).options.model_fields
        shared = {key: value for key, value in own.miner_options.items() if key in fields}
        return {"miner": miner, **({"miner_options": shared} if shared else {})}

    def _lane_chosen(self) -> None:
        self.what.setText(
            f"A new lane goes on from the newest step of '{self._lane}': the same weights, optimiser and random "
            "numbers. With the same miner both stay equal until one of them is changed."
        )
        self.miner.set_value(self._config.lanes[0].miner)
        self._miner_chosen()

    def _miner_chosen(self) -> None:
        if not self._named:
            self.name.put(free_name(self.miner.value(), self._taken))
        self._check()

    def _name_typed(self) -> None:
        self._named = True
        self._check()

    def _check(self) -> None:
        name = self.name.text().strip()
        problem = ""
        if not re.fullmatch(LANE_NAME, name):
            problem = LANE_NAME_RULE
        elif name in self._taken:
            problem = f"There is a lane called '{name}' already."
        else:
            try:
                changeable.changed(self._config, self.changes())
            except InputError as error:
                problem = str(error)
        self.problem.say(problem)
        if self.go is not None:
            self.go.setEnabled(not problem)

    def _accept(self) -> None:
        self._check()
        if self.go is not None and self.go.isEnabled():
            self.chosen.emit(self._lane, self.name.text().strip(), self.changes())
            self.accept()
