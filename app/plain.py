"""Words as they are. Qt takes a text that looks like a page for one and loads the pictures it names; but names of
classes, titles and alarms come from files of anybody's.
"""

from __future__ import annotations

import html

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QLabel, QWidget


class Label(QLabel):
    """A label that shows its text as it is."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)


def plain_tip(text: str) -> str:
    """A tooltip that shows `text` as it is."""
    if "<" not in text:  # without a tag no text is taken for a page
        return text
    return f'<p style="white-space: pre-wrap">{html.escape(text)}</p>'
