"""A line of text that leaves undo to the form."""

from __future__ import annotations

from PyQt6.QtCore import QEvent
from PyQt6.QtGui import QKeyEvent, QKeySequence
from PyQt6.QtWidgets import QLineEdit


class LineEdit(QLineEdit):
    """A line that leaves undo to the form unless there is typing to take back."""

    committed_text = ""

    @property
    def pending(self) -> bool:
        """Whether something was typed that has not been committed."""
        return self.text() != self.committed_text

    def put(self, text: str) -> None:
        """Set the text and count it as committed."""
        self.setText(text)
        self.setCursorPosition(0)  # of a long text the beginning is shown
        self.committed_text = text

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride:
            keys = (QKeySequence.StandardKey.Undo, QKeySequence.StandardKey.Redo)
            if any(event.matches(key) for key in keys) and not self.pending:
                event.ignore()
                return False
        return super().event(event)
