"""While a run is on: what the form says otherwise than the run, and a button that lets the run take it up."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.history.pending import Pending
from app.plain import Label

NOTHING = (
    "A run is on. A lane's options, the learning rate and the batch can be changed here and applied to it; the rest "
    "waits for the next start."
)
NOT_HERE = (
    "A run is on. Lanes over queries and documents stay as they began; what is changed here waits for the next start."
)
MAX_LINES = 6


class LiveNote(QFrame):
    """Hidden while no run is on. `apply_asked()` when the button is pressed."""

    apply_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("note")
        self._nothing = NOTHING
        self.text, self.problem, self.later = Label(), Label(), Label()
        self.problem.setObjectName("heading")  # red is too dim on the ground of a note
        self.button = QPushButton("Apply to the run")
        self.button.setObjectName("apply")
        self.button.setToolTip("The lanes take this up before their next step (Ctrl+Return)")
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.clicked.connect(self.apply_asked)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 5, 8, 6)
        layout.setSpacing(4)
        for label in (self.text, self.problem, self.later):
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        for widget in (self.text, self.problem, self.button, self.later):
            layout.addWidget(widget)
        self.show_pending(Pending())
        self.hide()

    def set_changeable(self, *, changeable: bool) -> None:
        """Whether lanes can take up anything before the next start."""
        self._nothing = NOTHING if changeable else NOT_HERE
        self.show_pending(Pending())

    def show_pending(self, pending: Pending) -> None:
        """Say what differs."""
        lines = list(pending.lines[:MAX_LINES])
        if len(pending.lines) > MAX_LINES:
            lines.append(f"and {len(pending.lines) - MAX_LINES} more")
        self.text.setText("\n".join(["Not in the run yet:", *lines]) if lines else self._nothing)
        self.text.setToolTip("\n".join(pending.lines))
        self.problem.setText(pending.problem)
        self.problem.setVisible(bool(pending.problem))
        self.button.setVisible(bool(pending.lines))
        self.button.setEnabled(not pending.problem)
        self.later.setText(f"At the next start: {', '.join(pending.later)}.")
        self.later.setVisible(bool(pending.later))
