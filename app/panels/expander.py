"""A part of a form that opens and closes."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.plain import Label


class Expander(QWidget):
    """A title that opens and closes what is under it; closed it may show a summary."""

    def __init__(self, title: str, body: QWidget, *, opened: bool = False) -> None:
        super().__init__()
        self._title, self._summary = title, ""
        self.body = body
        self.button = QToolButton()
        self.button.setObjectName("expander")
        self.button.setAutoRaise(True)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.button.toggled.connect(self._toggled)
        self.summary = Label()
        self.summary.setObjectName("summary")
        self.summary.setWordWrap(True)
        self.summary.setIndent(20)
        self.summary.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(self.summary)
        layout.addWidget(body)
        body.setContentsMargins(10, 0, 0, 4)
        self.button.setText(title)
        self.button.setChecked(opened)
        self._toggled(opened)

    def set_summary(self, text: str) -> None:
        """What is inside, in a few words, for when it is closed."""
        self._summary = text
        self.summary.setText(text)
        self.summary.setVisible(bool(text) and not self.button.isChecked())

    def open(self) -> None:
        """Show what is inside."""
        self.button.setChecked(True)

    def _toggled(self, opened: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow)
        self.body.setVisible(opened)
        self.set_summary(self._summary)


def stacked(*parts: QWidget) -> QWidget:
    """Widgets one below the other, as the content of an expander."""
    stack = QWidget()
    layout = QVBoxLayout(stack)
    layout.setSpacing(4)
    for part in parts:
        layout.addWidget(part)
    return stack
