"""Which shade is which layer, where a plot has a line for each layer of a lane."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.picture.theme import DARK, Rgb, Theme
from app.style import mix

PALEST = 0.65
"""How far the line of the first layer is mixed with the ground; the last layer has the lane's own colour."""
SAMPLE, GAP = 18, 5
"""Pixels of a sample line, and between it and its name."""


def layer_colour(lane: Rgb, place: int, layers: int, theme: Theme) -> Rgb:
    """The colour of the line of layer `place` of so many, in a lane of that colour: stronger from layer to layer."""
    return mix(lane, theme.panel, PALEST * (1 - place / (layers - 1)) if layers > 1 else 0.0)


class LayerKey(QWidget):
    """A sample line and a name for each layer, and the dotted one of chance. Takes no room while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        small = self.font()
        small.setPointSizeF(max(7.0, 0.9 * small.pointSizeF()))
        self.setFont(small)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._theme = DARK
        self.layers: tuple[str, ...] = ()
        self.chance = False
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def show_layers(self, layers: Sequence[str], *, chance: bool) -> None:
        """The names, first layer first; none hides the key."""
        self.layers, self.chance = tuple(layers), chance
        said = [*layers, *(["chance, where every neighbour looks alike"] if chance else [])]
        self.setToolTip("From pale to strong: " + ", ".join(said))
        self.setAccessibleName(f"Layers: {', '.join(layers)}")
        self.setVisible(bool(layers))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(80, QFontMetrics(self.font()).height() + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        metrics, theme = painter.fontMetrics(), self._theme
        count = len(self.layers)
        entries = [(name, layer_colour(theme.text, place, count, theme)) for place, name in enumerate(self.layers)]
        names = [name for name, _ in entries] + (["chance"] if self.chance else [])
        room = (self.width() - 4) / max(1, len(names)) - SAMPLE - 3 * GAP
        fits = sum(metrics.horizontalAdvance(name) + SAMPLE + 3 * GAP for name in names) <= self.width() - 4
        left, middle = 4.0, self.height() / 2
        for place, name in enumerate(names):
            chance = place == count
            pen = QPen(QColor(*(theme.muted if chance else entries[place][1])), 1 if chance else 2)
            pen.setStyle(Qt.PenStyle.DotLine if chance else Qt.PenStyle.SolidLine)
            painter.setPen(pen)
            painter.drawLine(QPointF(left, middle), QPointF(left + SAMPLE, middle))
            shown = name if fits else metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, int(room))
            left += SAMPLE + GAP
            width = metrics.horizontalAdvance(shown)
            painter.setPen(QColor(*theme.muted))
            painter.drawText(QRectF(left, 0, width + 2, self.height()), int(Qt.AlignmentFlag.AlignVCenter), shown)
            left += width + 2 * GAP
