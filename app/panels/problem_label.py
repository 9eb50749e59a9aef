"""A sentence about what is wrong, beside the field it is about."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QSizePolicy

from app.plain import Label


class ProblemLabel(Label):
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
