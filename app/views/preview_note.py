"""Says over the clouds that what moves there is a recording, and how to train."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtWidgets import QWidget

from app.picture.theme import Theme
from app.plain import Label
from app.style import css

PLAYED = "A recording of this preset · press Space to train it yourself"
STILL = "The end of a recording of this preset · press Space to train it yourself"
ABOVE_PX = 70
"""Over the bottom of the panes, so that their captions stay in sight."""


class PreviewNote(Label):
    """A pill at the bottom of `panes`, in the middle; the mouse goes through it."""

    def __init__(self, panes: QWidget) -> None:
        super().__init__(parent=panes)
        self._panes = panes
        self.setObjectName("preview")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        panes.installEventFilter(self)
        self.hide()

    def say(self, text: str) -> None:
        """Show `text`, or nothing."""
        self.setText(text)
        self.setVisible(bool(text))
        self._place()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.setStyleSheet(
            f"QLabel#preview {{ color: {css(theme.text)}; background: {css(theme.panel)};"
            f" border: 1px solid {css(theme.accent)}; border-radius: 10px; padding: 4px 14px; }}"
        )

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """The panes have another size, or other views lie over the note."""
        if event is not None and event.type() in (QEvent.Type.Resize, QEvent.Type.LayoutRequest):
            self._place()
        return False

    def _place(self) -> None:
        if self.isVisibleTo(self._panes):
            self.resize(self.sizeHint())
            room = self._panes.rect()
            self.move((room.width() - self.width()) // 2, max(0, room.height() - self.height() - ABOVE_PX))
            self.raise_()
