"""Lanes of a plot by colour and name, with a value; a click hides one or shows it, the pointer brings it forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QEnterEvent, QFocusEvent, QFontMetrics, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from app.picture.theme import DARK, Rgb, Theme

DOT = 8
GAP = 5
MOST_ROWS = 3


class LegendChip(QAbstractButton):
    """One lane: a dot, its name, a value. Checked means shown. `pointed(bool)`: the pointer or the focus comes or
    goes."""

    pointed = pyqtSignal(bool)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(name)
        self.setCheckable(True)
        self.setChecked(True)
        self.setAccessibleName(f"Show lane {name}")
        self.setToolTip(f"{name}: click to hide or show")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.value = ""
        small = self.font()
        small.setPointSizeF(max(7.0, 0.9 * small.pointSizeF()))
        self.setFont(small)
        self._theme, self._colour = DARK, DARK.text

    def set_look(self, theme: Theme, colour: Rgb) -> None:
        """Colours of the text and of the dot."""
        self._theme, self._colour = theme, colour
        self.update()

    def set_value(self, value: str) -> None:
        """The text after the name."""
        if value != self.value:
            self.value = value
            self.updateGeometry()
            self.update()

    def width_with(self, value: str) -> int:
        """Pixels the chip takes with this value."""
        return self._around(value) + QFontMetrics(self.font()).horizontalAdvance(self.text())

    def _around(self, value: str) -> int:
        """Pixels of all but the name."""
        return DOT + GAP + (QFontMetrics(self.font()).horizontalAdvance(value) + GAP if value else 0) + 12

    def sizeHint(self) -> QSize:
        return QSize(self.width_with(self.value), QFontMetrics(self.font()).height() + 2)

    def minimumSizeHint(self) -> QSize:
        """The name may be cut, the value not."""
        return QSize(self._around(self.value) + 10, self.sizeHint().height())

    def enterEvent(self, event: QEnterEvent | None) -> None:
        super().enterEvent(event)
        self.pointed.emit(True)

    def leaveEvent(self, event: QEvent | None) -> None:
        super().leaveEvent(event)
        self.pointed.emit(False)

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        self.pointed.emit(True)

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        self.pointed.emit(False)

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
        value = self.value
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
    """Chips in lane order, in as few rows (at most `MOST_ROWS`) as have room for all names and values.

    `toggled(name, shown)` on a click; `pointed(name)` when one is pointed at, empty when none is any more.
    """

    toggled = pyqtSignal(str, bool)
    pointed = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._rows = [QHBoxLayout() for _ in range(MOST_ROWS)]
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        for row in self._rows:
            row.setSpacing(0)
            row.addStretch(1)
            column.addLayout(row)
        self._per_row = 0
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
                chip.pointed.connect(lambda on, name=name: self.pointed.emit(name if on else ""))
                self.chips[name] = chip
            self._per_row = 0
            self._arrange()
            self.set_theme(self._theme)
        for name, chip in self.chips.items():
            chip.setChecked(name not in hidden)

    def set_values(self, values: Mapping[str, str], brief: Mapping[str, str] | None = None) -> None:
        """The text after each name; none where a lane is missing. Where there is no room for all of them, the brief
        ones take their place."""
        self._values, self._brief = dict(values), dict(values if brief is None else brief)
        self._arrange()

    def _arrange(self) -> None:
        """As few rows as have room for all values; names are cut where even the most rows have not."""
        tried = [(self._values, rows) for rows in range(1, MOST_ROWS)]
        tried += [(self._brief, rows) for rows in range(1, MOST_ROWS + 1)]
        values, rows = next((given for given in tried if self._fits(*given)), (self._brief, MOST_ROWS))
        per_row = _per_row(len(self.chips), rows)
        if per_row != self._per_row:
            self._per_row = per_row
            for place, chip in enumerate(self.chips.values()):
                self._rows[place // per_row].insertWidget(place % per_row, chip)
        for name, chip in self.chips.items():
            chip.set_value(values.get(name, ""))

    def _fits(self, values: Mapping[str, str], rows: int) -> bool:
        widths = [chip.width_with(values.get(name, "")) for name, chip in self.chips.items()]
        per_row = _per_row(len(widths), rows)
        return all(sum(widths[first : first + per_row]) <= self.width() for first in range(0, len(widths), per_row))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._arrange()


def _per_row(count: int, rows: int) -> int:
    return max(1, -(-count // rows))
