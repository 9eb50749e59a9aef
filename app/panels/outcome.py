"""What a run came to, across the window once it has ended: who was better at equal steps and at equal time."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.history.verdict import Verdict
from app.plain import Label

REPEAT = (
    "Train it again with five seeds, in the background, and tell differences from chance; the command for a terminal "
    "goes on the clipboard"
)
BEING_REPEATED = "Five seeds are being trained; the status bar says how far they are"
REPEATED = "What five seeds say stands here"
GO_ON = "Go on training from here, to the steps of the form or twice as many as there are (G)"
ONE_SEED = "One run with one seed: other seeds may turn it round."


class Outcome(QFrame):
    """`equal_time_asked()`: the lanes are to be seen at equal time. `seeds_asked()`: the run is to be repeated with
    other seeds. `go_on_asked()`: it is to be trained on."""

    equal_time_asked = pyqtSignal()
    go_on_asked = pyqtSignal()
    seeds_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("about")  # it looks like what is said of the experiment, below which it stands
        self._verdict: Verdict | None = None
        self._of_seeds: tuple[str, ...] = ()
        self._brief = self._repeating = False
        self.title, self.text = Label(), Label()
        self.title.setObjectName("title")
        self.text.setObjectName("text")
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.equal_time, self.seeds = QPushButton("Equal time"), QPushButton("Five seeds")
        self.go_on = QPushButton("Train on")
        self.go_on.clicked.connect(self.go_on_asked)
        self.equal_time.setToolTip("Show every lane at the same time spent, and curves over the training clock (X)")
        self.equal_time.clicked.connect(self.equal_time_asked)
        self.seeds.clicked.connect(self.seeds_asked)
        close = QToolButton()
        close.setText("✕")
        close.setAutoRaise(True)
        close.setToolTip("Hide what the run came to")
        close.setAccessibleName(close.toolTip())
        close.clicked.connect(self.hide)
        for button in (self.equal_time, self.seeds, self.go_on, close):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self.title)
        words.addWidget(self.text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 6, 7)
        layout.addLayout(words, 1)
        for widget in (self.equal_time, self.seeds, self.go_on):
            layout.addWidget(widget, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self.say(None)

    def say(self, verdict: Verdict | None, never_goes_on: str = "") -> None:
        """Show it; None hides it. `never_goes_on`: why the run cannot be trained on, where it cannot."""
        self._verdict, self._of_seeds = verdict, ()
        self.go_on.setDisabled(bool(never_goes_on))
        self.go_on.setToolTip(never_goes_on or GO_ON)
        self._show_seeds()
        self.setVisible(verdict is not None)
        self._show_text()

    @property
    def says_something(self) -> bool:
        """Whether the end of a run is told."""
        return self._verdict is not None

    def say_of_seeds(self, lines: tuple[str, ...]) -> None:
        """What other seeds say, below what this run says."""
        self._of_seeds = lines
        self._show_seeds()
        self._show_text()

    def set_repeating(self, repeating: bool) -> None:
        """Whether a run is being trained with other seeds, be it this one or another; that is done once at a time."""
        self._repeating = repeating
        self._show_seeds()

    def set_brief(self, brief: bool) -> None:
        """Show the first line alone, with the others in a tooltip, where the clouds need the room."""
        if brief != self._brief:
            self._brief = brief
            self._show_text()

    def _show_seeds(self) -> None:
        self.seeds.setEnabled(not self._repeating and not self._of_seeds)
        self.seeds.setToolTip(BEING_REPEATED if self._repeating else REPEATED if self._of_seeds else REPEAT)

    def _show_text(self) -> None:
        if self._verdict is None:
            return
        lines = (*self._verdict.lines, *(self._of_seeds or (ONE_SEED,)))
        self.title.setText(self._verdict.title)
        self.title.setHidden(self._brief)
        self.text.setText((*self._of_seeds, *lines)[0] if self._brief else "\n".join(lines))
        self.setToolTip("\n".join((self._verdict.title, *lines)) if self._brief else "")
        self.setAccessibleName(f"{self._verdict.title}: {' '.join(lines)}")
