"""What a run has told about itself: one small button that says how much there is, and opens a list of single lines."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QMenu, QPushButton, QWidget

from app.history.markers import Marker
from app.picture.theme import DARK, Theme
from app.plain import plain_tip
from app.style import css

MAX_LINES = 12
LINE_CHARACTERS = 110
KINDS = ("hint", "warning", "fatal")
"""Kinds of markers that are notices, the gravest last."""


class NoticesButton(QPushButton):
    """Hidden while there is nothing to tell. `chosen(step)` when a line of the list is clicked."""

    chosen = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = DARK
        self.notices: tuple[Marker, ...] = ()
        self._menu = QMenu(self)
        self._menu.setToolTipsVisible(True)
        self.setMenu(self._menu)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self._paint()

    def show_notices(self, markers: Sequence[Marker]) -> None:
        """Keep those of the markers that are notices."""
        notices = tuple(marker for marker in markers if marker.kind in KINDS)
        if notices == self.notices:
            return
        self.notices = notices
        self._menu.clear()
        for notice in notices[-MAX_LINES:]:
            line = f"{notice.lane}, step {notice.step:,}: {notice.text}"
            action = QAction(shortened(line), self._menu)
            action.setToolTip(plain_tip(line))
            action.triggered.connect(lambda _checked=False, step=notice.step: self.chosen.emit(step))
            self._menu.addAction(action)
        if len(notices) > MAX_LINES:
            more = self._menu.addAction(f"and {len(notices) - MAX_LINES} before; all are on the timeline")
            if more is not None:
                more.setEnabled(False)
        self.setText(f"{len(notices)} notice{'s' if len(notices) != 1 else ''}")
        self.setToolTip("\n".join(f"{notice.lane}, step {notice.step:,}: {notice.text}" for notice in notices[-3:]))
        self.setVisible(bool(notices))
        self._paint()

    def _paint(self) -> None:
        """In the colour of the gravest."""
        theme = self._theme
        gravest = max((KINDS.index(notice.kind) for notice in self.notices), default=0)
        colour = (theme.muted, theme.warning, theme.error)[gravest]
        self.setStyleSheet(
            f"QPushButton {{ border: 1px solid {css(colour)}; border-radius: 9px; padding: 2px 9px;"
            f" color: {css(colour)}; background: transparent; }}"
            f"QPushButton:focus {{ border-color: {css(theme.text)}; }}"
            "QPushButton::menu-indicator { image: none; width: 0; }"
        )


def shortened(line: str, characters: int = LINE_CHARACTERS) -> str:
    """A line that is too long, cut at a word."""
    if len(line) <= characters:
        return line
    return line[: line.rfind(" ", 0, characters)] + " ..."
