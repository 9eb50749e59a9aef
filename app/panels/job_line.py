"""Long work in the background: what it is, how far it is, and a button that calls it off."""

from __future__ import annotations

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QProgressBar, QSizePolicy, QToolButton, QWidget

from app.plain import Label, plain_tip

BAR_PX = 110
NAME_PX = 240


class JobLine(QWidget):
    """Shows the job that was started last of those at work; hidden while there is none. `cancel_asked()`."""

    cancel_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs: dict[str, tuple[int, int]] = {}
        self.name, self.bar, self.button = Label(), QProgressBar(), QToolButton()
        self.name.setMaximumWidth(NAME_PX)
        self.bar.setFixedWidth(BAR_PX)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName("How far the work in the background is")
        self.button.setText("✕")
        self.button.setAutoRaise(True)
        self.button.setToolTip("Call off what works in the background (Ctrl+.)")
        self.button.setAccessibleName(self.button.toolTip())
        self.button.clicked.connect(self.cancel_asked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 8, 0)
        layout.setSpacing(6)
        for part in (self.name, self.bar, self.button):
            layout.addWidget(part)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.hide()

    def begin(self, title: str) -> None:
        """A job has begun."""
        self._jobs[title] = (0, 0)
        self._show()

    def progress(self, title: str, done: int, total: int) -> None:
        """How far a job is; `total` is 0 while unknown."""
        if title in self._jobs:
            self._jobs[title] = (done, total)
            self._show()

    def end(self, title: str) -> None:
        """A job is over."""
        self._jobs.pop(title, None)
        self._show()

    def _show(self) -> None:
        self.setVisible(bool(self._jobs))
        if not self._jobs:
            return
        title, (done, total) = list(self._jobs.items())[-1]
        more = f" and {len(self._jobs) - 1} more" if len(self._jobs) > 1 else ""
        words = self.name.fontMetrics().elidedText(title + more, Qt.TextElideMode.ElideMiddle, NAME_PX)
        if self.name.text() != words:
            self.name.setText(words)
            self.name.setToolTip(plain_tip("\n".join(self._jobs)))
        self.bar.setRange(0, total)  # of nothing known the bar wanders
        self.bar.setValue(done)
