"""Which colour is which phase of a step, in as many lines as it takes, after what the bars are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from PyQt6.QtCore import QPointF, QRectF, QSize
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.picture.theme import DARK, Rgb, Theme
from hnm_core.run.timing import MINING_PHASES, Phase

BOX, GAP = 9, 10
"""Pixels of a square, and between entries."""

Entry = tuple[str, Rgb | None]
"""Words, and the colour of the square before them; None for words alone."""


class PhaseKey(QWidget):
    """A title, then a square and a name for each phase."""

    def __init__(self, colours: Mapping[Phase, Rgb], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours, self._theme = colours, DARK
        small = self.font()
        small.setPointSizeF(max(6.5, small.pointSizeF() * 0.85))
        self.setFont(small)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.title = ""
        self.phases: tuple[Phase, ...] = ()
        self._lines: list[list[tuple[float, str, Rgb | None]]] = []

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def show_phases(self, title: str, phases: Sequence[Phase]) -> None:
        """What the bars are, and the phases that are in them."""
        if (title, tuple(phases)) != (self.title, self.phases):
            self.title, self.phases = title, tuple(phases)
            self.setAccessibleName(f"{title}. Phases: {', '.join(phases)}" if phases else title)
            self._flow()

    @property
    def entries(self) -> list[Entry]:
        """All that is written, in order."""
        entries: list[Entry] = [(self.title, None)] if self.title else []
        for name, mining in (("mining:", True), ("training:", False)):
            members = [phase for phase in self.phases if (phase in MINING_PHASES) is mining]
            if members:
                entries += [(name, None), *((str(phase), self._colours[phase]) for phase in members)]
        return entries

    def heightForWidth(self, width: int) -> int:
        return len(self._broken(width)) * self._line_px + 2

    @property
    def _line_px(self) -> int:
        return int(QFontMetricsF(self.font()).height()) + 1

    def sizeHint(self) -> QSize:
        return QSize(200, max(1, len(self._lines)) * self._line_px + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(20, self.sizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._flow()

    def _flow(self) -> None:
        before = len(self._lines)
        self._lines = self._broken(self.width())
        if len(self._lines) != before:
            self.updateGeometry()
        self.update()

    def _broken(self, width: int) -> list[list[tuple[float, str, Rgb | None]]]:
        return list(flow(self.entries, QFontMetricsF(self.font()).horizontalAdvance, width))

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        metrics, theme = QFontMetricsF(self.font()), self._theme
        y = 1.0
        for line in self._lines:
            for x, text, colour in line:
                if colour is not None:
                    painter.fillRect(QRectF(x, y + (metrics.height() - BOX) / 2, BOX, BOX), QColor(*colour))
                    x += BOX + 4
                painter.setPen(QColor(*(theme.text if colour is not None else theme.muted)))
                painter.drawText(QPointF(x, y + metrics.ascent()), text)
            y += self._line_px


def flow(
    entries: Iterable[Entry], width_of: Callable[[str], float], room: float
) -> Iterable[list[tuple[float, str, Rgb | None]]]:
    """Break entries into lines: lists of (x, text, colour). Words alone are not left at the end of a line, but for a
    title before them that leaves no room for what follows."""
    line: list[tuple[float, str, Rgb | None]] = []
    x = 0.0
    waiting: list[Entry] = []

    def width_of_waiting() -> float:
        return sum(width_of(text) + (BOX + 4 if colour is not None else 0) + GAP for text, colour in waiting) - GAP

    for entry in entries:
        waiting.append(entry)
        if entry[1] is None:
            continue
        if line and x + width_of_waiting() > room:
            yield line
            line, x = [], 0.0
        if len(waiting) > 2 and width_of_waiting() > room:
            yield [(0.0, *waiting.pop(0))]
        for text, colour in waiting:
            line.append((x, text, colour))
            x += width_of(text) + (BOX + 4 if colour is not None else 0) + GAP
        waiting = []
    for text, _ in waiting:  # nothing follows these words
        line.append((x, text, None))
        x += width_of(text) + GAP
    if line:
        yield line
