"""The lanes of a plot by colour and name, with a value each; a click hides or shows a lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.picture.theme import DARK, Rgb, Theme

DOT = 8
GAP = 5


class LegendChip(QAbstractButton):
    """One lane: a dot, its name, a value. Checked means shown."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(name)
        self.setCheckable(True)
        self.setChecked(True)
        self.setAccessibleName(f"Show lane {name}")
        self.setToolTip(f"{name}: click to hide or show")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.value = ""
        self._value_shown = False
        small = self.font()
        small.setPointSizeF(max(7.0, 0.9 * small.pointSizeF()))
        self.setFont(small)
        self._theme, self._colour = DARK, DARK.text

    def set_look(self, theme: Theme, colour: Rgb) -> None:
        """Colours of the text and of the dot."""
        self._theme, self._colour = theme, colour
        self.update()

    def set_value(self, value: str, *, shown: bool) -> None:
        """The text after the name, and whether there is room for it."""
        before = self.sizeHint()
        self.value, self._value_shown = value, shown
        if self.sizeHint() != before:
            self.updateGeometry()
        self.update()

    def width_with(self, value: str) -> int:
        """Pixels the chip takes with this value."""
        metrics = QFontMetrics(self.font())
        value_px = metrics.horizontalAdvance(value) + GAP if value else 0
        return DOT + GAP + metrics.horizontalAdvance(self.text()) + value_px + 12

    def sizeHint(self) -> QSize:
        return QSize(self.width_with(self.value if self._value_shown else ""), QFontMetrics(self.font()).height() + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(DOT + 26, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        if self.hasFocus() or self.underMouse():
            painter.setPen(QColor(*(self._theme.accent if self.hasFocus() else self._theme.grid)))
            painter.drawRoundedRect(box, 4, 4)
        shown = self.isChecked()
        painter.setPen(QColor(*self._colour))
        painter.setBrush(QColor(*self._colour) if shown else Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QPointF(4 + DOT / 2, box.center().y()), DOT / 2 - 0.5, DOT / 2 - 0.5)
        metrics = painter.fontMetrics()
        value = self.value if self._value_shown else ""
        left = 4 + DOT + GAP
        line = QRectF(left, 0, self.width() - left - 2, self.height())
        name_px = int(line.width()) - (metrics.horizontalAdvance(value) + GAP if value else 0)
        name = metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, name_px)
        middle = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        painter.setPen(QColor(*(self._theme.text if shown else self._theme.muted)))
        painter.drawText(line, middle, name)
        painter.setPen(QColor(*self._theme.muted))
        line.setLeft(left + metrics.horizontalAdvance(name) + GAP)
        painter.drawText(line, middle, value)


class LaneLegend(QWidget):
    """Chips in lane order, in two rows where one has no room for the names. `toggled(name, shown)` on a click."""

    toggled = pyqtSignal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._rows = [QHBoxLayout(), QHBoxLayout()]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for row in self._rows:
            row.setSpacing(0)
            row.addStretch(1)
            column.addLayout(row)
        self._in_first = 0
        self._theme = DARK
        self.chips: dict[str, LegendChip] = {}
        self._values: dict[str, str] = {}
        self._brief: dict[str, str] = {}

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        for place, chip in enumerate(self.chips.values()):
            chip.set_look(theme, theme.lane(place))

    def set_lanes(self, names: Sequence[str], hidden: frozenset[str] = frozenset()) -> None:
        """Chips for these lanes, in lane order."""
        if list(self.chips) != list(names):
            for chip in self.chips.values():
                chip.hide()
                chip.deleteLater()
            self.chips = {}
            for name in names:
                chip = LegendChip(name, self)
                chip.clicked.connect(lambda shown, name=name: self.toggled.emit(name, shown))
                self.chips[name] = chip
            self._in_first = 0
            self._arrange()
            self.set_theme(self._theme)
        for name, chip in self.chips.items():
            chip.setChecked(name not in hidden)

    def set_values(self, values: Mapping[str, str], brief: Mapping[str, str] | None = None) -> None:
        """The text after each name; none where a lane is missing. Where there is no room for all of them, the brief
        ones take their place, or none at all."""
        self._values, self._brief = dict(values), dict(values if brief is None else brief)
        shown = self._values if self._has_room_for(self._values) else self._brief
        fits = self._has_room_for(shown)
        for name, chip in self.chips.items():
            chip.set_value(shown.get(name, ""), shown=fits)

    def _has_room_for(self, values: Mapping[str, str]) -> bool:
        widths = [chip.width_with(values.get(name, "")) for name, chip in self.chips.items()]
        return max(sum(widths[: self._in_first]), sum(widths[self._in_first :])) <= self.width()

    def _arrange(self) -> None:
        """One row if the names fit, else two."""
        fits = sum(chip.width_with("") for chip in self.chips.values()) <= self.width()
        in_first = len(self.chips) if fits else (len(self.chips) + 1) // 2
        if in_first == self._in_first:
            return
        self._in_first = in_first
        for place, chip in enumerate(self.chips.values()):
            first = place < in_first
            self._rows[0 if first else 1].insertWidget(place if first else place - in_first, chip)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()
        self.set_values(self._values, self._brief)
