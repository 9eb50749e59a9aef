"""What the window says in words: what to look for, and what went wrong."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import Qt, QUrl, pyqtSignal
from PyQt6.QtGui import QDesktopServices, QResizeEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.plain import Label, plain_tip


class Banner(QFrame):
    """One message across the window until it is dismissed, or what it is about is over. An error is never covered by
    a notice. `accepted()`: the user wants what a notice offers."""

    accepted = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self._report = ""
        self._text = Label()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._open = QPushButton("Open report")
        self._open.clicked.connect(self._open_report)
        self.offer = QPushButton()
        self.offer.clicked.connect(self._accept)
        dismiss = QPushButton("Dismiss")
        dismiss.setToolTip("Take the message away (Esc)")
        dismiss.clicked.connect(self.dismiss)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 8, 6)
        layout.addWidget(self._text, 1)
        for button in (self._open, self.offer, dismiss):
            layout.addWidget(button)
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.hide()

    @property
    def text(self) -> str:
        """What is said; empty when nothing is."""
        return self._text.text() if not self.isHidden() else ""

    def show_error(self, text: str, report: str = "", offer: str = "") -> None:
        """Something failed. `report` is the path of a file with the details; `offer`, as below."""
        self._say(f"{text}\nReport: {report}" if report else text, "error", report, offer)

    def show_notice(self, text: str, offer: str = "") -> bool:
        """Something the user can mend, with what is offered on a button if it can be mended so; False where an error
        keeps the place."""
        free = self.isHidden() or self.property("kind") == "notice"
        if free:
            self._say(text, "notice", "", offer)
        return free

    def dismiss_notice(self) -> None:
        """Take away what the user has mended by now; an error stays."""
        if self.property("kind") == "notice":
            self.hide()

    def dismiss(self) -> None:
        """Take the message away."""
        self.hide()

    def _accept(self) -> None:
        self.hide()
        self.accepted.emit()

    def _say(self, text: str, kind: str, report: str, offer: str = "") -> None:
        self._text.setText(text)
        self.offer.setText(offer)
        self.offer.setVisible(bool(offer))
        self._report = report
        self._open.setVisible(bool(report))
        self.setProperty("kind", kind)
        style = self.style()
        if style is not None:
            style.unpolish(self)
            style.polish(self)
        self.show()

    def _open_report(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(self._report))))


MOST_LINES = 4
"""Where what to look for takes more lines it stands in a tooltip: the clouds need the room."""
BESIDE_PX = 60
"""What else there is in a line of it."""


class About(QFrame):
    """The title of the experiment and what to look for in it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("about")
        self._title = Label()
        self._title.setObjectName("title")
        self._text = Label()
        self._text.setObjectName("text")
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._brief = False
        close = QToolButton()
        close.setText("✕")
        close.setAutoRaise(True)
        close.setToolTip("Hide what to look for")
        close.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        close.clicked.connect(self.hide)
        words = QVBoxLayout()
        words.setSpacing(1)
        words.addWidget(self._title)
        words.addWidget(self._text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 6, 7)
        layout.addLayout(words, 1)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)

    def say(self, title: str, text: str) -> None:
        """Show both; nothing is shown where there is nothing to say."""
        self._title.setText(title)
        self._title.setVisible(bool(title))
        self._text.setText(" ".join(text.split()))
        self._show_text()
        self.setVisible(bool(title or text.strip()))

    def set_brief(self, brief: bool) -> None:
        """Show the title alone, with the text in a tooltip, where the clouds need the room."""
        if brief != self._brief:
            self._brief = brief
            self._show_text()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._show_text()

    def _show_text(self) -> None:
        lines = self._text.heightForWidth(self.width() - BESIDE_PX) / self._text.fontMetrics().lineSpacing()
        hidden = (self._brief or lines > MOST_LINES) and bool(self._title.text())
        self._text.setVisible(bool(self._text.text()) and not hidden)
        text = self._text.text()
        self.setToolTip(plain_tip(text) if hidden else "")
