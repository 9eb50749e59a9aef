"""What a run came to, across the window once it has ended: who was better at equal steps and at equal time."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.history.verdict import Verdict

ONE_SEED = "One run with one seed: other seeds may turn it round."


class Outcome(QFrame):
    """`equal_time_asked()`: the lanes are to be seen at equal time. `seeds_asked()`: the run is to be repeated with
    other seeds."""

    equal_time_asked = pyqtSignal()
    seeds_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("about")  # it looks like what is said of the experiment, below which it stands
        self.title, self.text = QLabel(), QLabel()
        self.title.setObjectName("title")
        self.text.setObjectName("text")
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.equal_time, self.seeds = QPushButton("Equal time"), QPushButton("Five seeds")
        self.equal_time.setToolTip("Show every lane at the same time spent, and curves over the training clock (X)")
        self.seeds.setToolTip("Copy the command that repeats the run with five seeds and tells differences from chance")
        self.equal_time.clicked.connect(self.equal_time_asked)
        self.seeds.clicked.connect(self.seeds_asked)
        close = QToolButton()
        close.setText("✕")
        close.setAutoRaise(True)
        close.setToolTip("Hide what the run came to")
        close.setAccessibleName(close.toolTip())
        close.clicked.connect(self.hide)
        for button in (self.equal_time, self.seeds, close):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self.title)
        words.addWidget(self.text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 6, 7)
        layout.addLayout(words, 1)
        for widget in (self.equal_time, self.seeds):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    def say(self, verdict: Verdict | None) -> None:
        """Show it; None hides it."""
        self.setVisible(verdict is not None)
        if verdict is not None:
            self.title.setText(verdict.title)
            self.text.setText("\n".join((*verdict.lines, ONE_SEED)))
            self.setAccessibleName(f"{verdict.title}: {' '.join(verdict.lines)}")
