"""Asks whether a recording is packed with what training goes on from."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QIcon
from PyQt6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QVBoxLayout, QWidget

from app.plain import Label
from hnm_core import words

WIDTH = 420


class PackDialog(QDialog):
    """`chosen(with_checkpoints)`: the user goes on to choose the file.

    Args:
        recording_bytes: of the recording without checkpoints.
        checkpoint_bytes: of its checkpoints.
    """

    chosen = pyqtSignal(bool)

    def __init__(self, recording_bytes: int, checkpoint_bytes: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Pack the recording")
        self.setMinimumWidth(WIDTH)
        what = Label(f"One file of about {words.size(recording_bytes)}: what was shown, measured and told.")
        what.setWordWrap(True)
        self.checkpoints = QCheckBox("With checkpoints")
        why = Label(f"{words.size(checkpoint_bytes)} more: whoever unpacks it can go on training from there.")
        why.setWordWrap(True)
        self.checkpoints.setToolTip(why.text())
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        cancel = buttons.button(QDialogButtonBox.StandardButton.Cancel)
        if cancel is not None:
            cancel.setIcon(QIcon())
        self.go = buttons.addButton("Choose the file ...", QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (what, self.checkpoints, why, buttons):
            layout.addWidget(widget)

    def _accept(self) -> None:
        self.chosen.emit(self.checkpoints.isChecked())
        self.accept()
