"""Asks where doubtful labels shall be looked for, and which file decisions go into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

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
from hnm_core.data import pair_review, review
from hnm_core.errors import InputError
from hnm_core.system import paths

WIDTH = 520
PATTERNS = "Decisions (*.jsonl)"
WRITTEN = "Each decision is written into the file as you make it; a file that is there already goes on where it ends."


class Reviewed(NamedTuple):
    """What is reviewed, in words, and what reads a file of decisions on it."""

    title: str
    first: str
    """Which come first"""
    features: str
    """What near means without a lane"""
    read: Callable[[Path], object]
    """Raises `InputError` where a file holds no such decisions."""


LABELS = Reviewed(
    "Review doubtful labels",
    "Items whose nearest neighbours are of another class come first.",
    "Features of the data",
    review.read,
)
PAIRS = Reviewed(
    "Review doubtful pairs",
    "Documents that nobody judged and that are nearer to a query than all that is relevant to it; first those that are "
    "most like what is relevant.",
    "Embeddings that the data have, else the words of the texts",
    pair_review.read,
)


class ReviewDialog(QDialog):
    """`chosen(lane, path)` when the user has said where to look, None for the features, and what to write into.

    Args:
        of: what is reviewed.
        lanes: whose embedding can be looked at; none while there are no networks.
        path: suggested file.
    """

    chosen = pyqtSignal(object, object)

    def __init__(self, of: Reviewed, lanes: Sequence[str], path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._of = of
        self.setWindowTitle(of.title)
        self.where, self.file, self.problem = QComboBox(), LineEdit(), ProblemLabel()
        self.where.addItem(of.features, None)
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
        rule = Label(f"{of.first} {WRITTEN}")
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
            path = usable(self.file.text().strip(), self._of)
        except InputError as error:
            self.problem.say(str(error))
            return
        self.chosen.emit(self.where.currentData(), path)
        self.accept()


def usable(text: str, of: Reviewed) -> Path:
    """The file of that name, if decisions may go into it. Raises `InputError` if not, before anybody waits for a
    ranking."""
    path = Path(text).absolute()
    if path.suffix != ".jsonl":
        raise InputError(f"'{text}': the file of decisions must end in .jsonl.")
    if not paths.is_folder(path.parent):
        raise InputError(f"'{path}' cannot be written: there is no folder '{path.parent}'.")
    if paths.exists(path):
        of.read(path)
    return path
