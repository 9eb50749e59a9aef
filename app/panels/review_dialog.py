"""Asks where doubtful labels shall be looked for, and which file decisions go into."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QIcon
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.panels.line_edit import LineEdit
from app.panels.problem_label import ProblemLabel
from app.plain import Label
from hnm_core.data.review import read
from hnm_core.errors import InputError

WIDTH = 520
FEATURES = "Features of the data"
PATTERNS = "Decisions (*.jsonl)"
RULE = (
    "Items whose nearest neighbours are of another class come first. Each decision is written into the file as you "
    "make it; a file that is there already goes on where it ends."
)


class ReviewDialog(QDialog):
    """`chosen(lane, path)` when the user has said where to look, None for the features, and what to write into.

    Args:
        lanes: whose embedding can be looked at; none while there are no networks.
        path: suggested file.
    """

    chosen = pyqtSignal(object, object)

    def __init__(self, lanes: Sequence[str], path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Review doubtful labels")
        self.where, self.file, self.problem = QComboBox(), LineEdit(), ProblemLabel()
        self.where.addItem(FEATURES, None)
        for lane in lanes:
            self.where.addItem(f"Embedding of lane '{lane}'", lane)
        self.where.setAccessibleName("Where near is looked for")
        self.file.setAccessibleName("File of decisions")
        self.file.put(str(path))
        self.browse = QPushButton("Choose ...")
        self.browse.setAccessibleName("Choose the file of decisions")
        self.browse.setAutoDefault(False)
        self.browse.clicked.connect(self._browse)
        line = QHBoxLayout()
        line.addWidget(self.file, 1)
        line.addWidget(self.browse)
        rule = Label(RULE)
        rule.setWordWrap(True)
        form = QFormLayout()
        form.addRow("Near in", self.where)
        form.addRow("Decisions", line)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        cancel = self.buttons.button(QDialogButtonBox.StandardButton.Cancel)
        if cancel is not None:
            cancel.setIcon(QIcon())
        self.go = self.buttons.addButton("Review", QDialogButtonBox.ButtonRole.AcceptRole)
        layout = QVBoxLayout(self)
        layout.addWidget(rule)
        layout.addLayout(form)
        layout.addWidget(self.problem)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(WIDTH)
        self.file.textChanged.connect(lambda: self.problem.say(""))
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self.where.setFocus()

    def _browse(self) -> None:
        dialog = QFileDialog(self, "File of decisions", self.file.text(), PATTERNS)
        dialog.setFileMode(QFileDialog.FileMode.AnyFile)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setOption(QFileDialog.Option.DontConfirmOverwrite)  # what is there is gone on with
        dialog.setDefaultSuffix("jsonl")
        dialog.fileSelected.connect(self.file.put)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _accept(self) -> None:
        try:
            path = usable(self.file.text().strip())
        except InputError as error:
            self.problem.say(str(error))
            return
        self.chosen.emit(self.where.currentData(), path)
        self.accept()


def usable(text: str) -> Path:
    """The file of that name, if decisions may go into it. Raises `InputError` if not, before anybody waits for a
    ranking."""
    path = Path(text).absolute()
    if path.suffix != ".jsonl":
        raise InputError(f"'{text}': the file of decisions must end in .jsonl.")
    if not path.parent.is_dir():
        raise InputError(f"'{path}' cannot be written: there is no folder '{path.parent}'.")
    if path.exists():
        read(path)
    return path
