"""Which colour is which class, where the points of the clouds are coloured by a few classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPolygonF, QResizeEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.picture.diamond import diamond
from app.picture.scene import class_colors, label_color
from app.picture.theme import DARK, Theme
from app.plain import plain_tip
from hnm_core.spec.data_files import WITHOUT

DOT, GAP = 8, 5
"""Pixels of a dot, and between it and its name."""
MARGIN = 10
AROUND = DOT + 3 * GAP + 2
"""Pixels of a class beside its name."""
LEAST_LETTERS = "mmm…"
"""A name that is shortened has room for so much at least; where not all classes do, the last ones are a count."""
MOST_LINES = 2
CHOOSING_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
LEFT_OUT_OPACITY = 0.4
"""Of a class that is not drawn while others are isolated."""


@dataclass(frozen=True)
class _Shown:
    """A class in the key, or, as the last, how many there are beyond those."""

    label: int
    """-1 for those beyond"""
    text: str
    room: QRectF


class ClassKey(QWidget):
    """A dot and a name for each class, in a line, or two where one is too short for the names, which are shortened
    where both are. Takes no room where there are more classes than plain colours. Where items have several labels each
    it is these that it names; while points are coloured by one of them, that alone has a colour, and of many it alone
    is named.

    A click isolates a class, or shows all again, `class_chosen(label, False)`; with Ctrl it joins or leaves those that
    are isolated, `class_chosen(label, True)`; a double click zooms to it, too, `class_zoomed(label)`. By keyboard: the
    arrows, Return and Space, with Ctrl or with Shift.
    """

    class_chosen = pyqtSignal(int, bool)
    class_zoomed = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        small = self.font()
        small.setPointSizeF(max(7.0, 0.9 * small.pointSizeF()))
        self.setFont(small)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._theme = DARK
        self.names: tuple[str, ...] = ()
        self._labels: tuple[int, ...] = ()
        """Which classes `names` are of"""
        self._lit = -1
        self._diamond = -1
        self._isolated: frozenset[int] = frozenset()
        self._current = 0
        """Which of those that are named the keyboard is at"""
        self._shown: list[_Shown] = []
        self._lines = 1
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def show_classes(self, names: Sequence[str], diamond: int = -1, kind: str = "classes", lit: int = -1) -> None:
        """The names of classes 0, 1, ...; none, or more than there are plain colours, hides the key. The points of the
        class `diamond` are diamonds; `kind` is what classes are called. `lit` is the label that points are coloured by,
        -1 where it is all."""
        few = len([name for name in names if name != WITHOUT]) <= len(self._theme.classes)
        self._labels = tuple(range(len(names))) if few else (lit,) if lit >= 0 else ()
        self._diamond, self._lit = diamond, lit
        self.names = tuple(names[label] for label in self._labels)
        self._current = 0
        listed = ", ".join(self.names)
        of_labels = kind != "classes"
        whose = f"The colour of items with the label {names[lit]}" if lit >= 0 else f"Colours of the {kind} {listed}"
        click = "a label to show the items that have it" if of_labels else "a class to show it"
        self.setToolTip(
            plain_tip(
                f"{whose}; items held out of training are paler.\n"
                f"Click {click} alone, with Ctrl to add it, twice to zoom to it."
            )
        )
        self.setAccessibleName(f"{kind.capitalize()}: {listed}")
        self.setVisible(bool(self.names))
        self._lay_out()

    def set_isolated(self, classes: frozenset[int]) -> None:
        """Which classes alone are drawn in the clouds; none of them for all."""
        if classes != self._isolated:
            self._isolated = classes
            self.update()

    @property
    def whole_width(self) -> int:
        """Pixels that all names need in one line."""
        return 2 * MARGIN + sum(self._width_of(name) for name in self.names)

    @property
    def shown(self) -> dict[int, str]:
        """What is written of each class that is named, by label."""
        return {one.label: one.text for one in self._shown if one.label >= 0}

    def sizeHint(self) -> QSize:
        return QSize(80, self._lines * self._line_height)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def place_of(self, label: int) -> QRectF:
        """Where a class is named; nowhere if it is not."""
        return next((one.room for one in self._shown if one.label == label), QRectF())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._lay_out()
        super().resizeEvent(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        label = self._label_at(event)
        if label >= 0 and event is not None:
            self.class_chosen.emit(label, bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        label = self._label_at(event)
        if label >= 0:
            self.class_zoomed.emit(label)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        steps = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}
        named = list(self.shown)
        if event.key() in steps and named:
            self._current = (min(self._current, len(named) - 1) + steps[Qt.Key(event.key())]) % len(named)
            self.update()
        elif event.key() in CHOOSING_KEYS and named:
            label = named[min(self._current, len(named) - 1)]
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self.class_zoomed.emit(label)
            else:
                self.class_chosen.emit(label, bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent | None) -> bool:
        """Space and Ctrl+Return choose a class here, and do not start or change the run."""
        is_override = event is not None and event.type() == QEvent.Type.ShortcutOverride
        if is_override and isinstance(event, QKeyEvent) and event.key() in CHOOSING_KEYS:
            event.accept()
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors = dict(
            zip(self._labels, class_colors(np.array(self._labels, np.int64), self._theme).tolist(), strict=True)
        )
        if self._lit >= 0:
            colors = {label: label_color(self._theme) if label == self._lit else self._theme.muted for label in colors}
        for place, one in enumerate(self._shown):
            chosen, room = one.label in self._isolated, one.room
            painter.setOpacity(1.0 if not self._isolated or chosen else LEFT_OUT_OPACITY)
            if one.label >= 0:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(*colors[one.label]))
                self._paint_mark(painter, one.label, QPointF(room.left() + DOT / 2, room.center().y()))
            painter.setPen(QColor(*(self._theme.text if chosen else self._theme.muted)))
            words = room.adjusted(DOT + GAP if one.label >= 0 else 0, 0, 0, 0)
            painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), one.text)
            if self.hasFocus() and one.label >= 0 and place == min(self._current, len(self.shown) - 1):
                painter.setOpacity(1.0)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QColor(*self._theme.accent))
                painter.drawRoundedRect(room.adjusted(-3, 1, 2, -1), 3, 3)

    def _paint_mark(self, painter: QPainter, label: int, middle: QPointF) -> None:
        if label == self._diamond:
            corners = diamond(middle.x(), middle.y(), DOT / 2)
            painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
        else:
            painter.drawEllipse(middle, DOT / 2, DOT / 2)

    @property
    def _line_height(self) -> int:
        return QFontMetrics(self.font()).height() + 6

    def _width_of(self, text: str) -> int:
        return QFontMetrics(self.font()).horizontalAdvance(text) + AROUND

    def _lay_out(self) -> None:
        """What is named, and where, in the width there is."""
        lines = self._filled_lines()
        above = (self.height() - len(lines) * self._line_height) / 2
        self._shown = []
        for number, line in enumerate(lines):
            left, top = float(MARGIN), above + number * self._line_height
            for label, text in line:
                dot = DOT + GAP if label >= 0 else 0
                width = dot + QFontMetrics(self.font()).horizontalAdvance(text) + 2
                self._shown.append(_Shown(label, text, QRectF(left, top, width, self._line_height)))
                left += width + 2 * GAP
        if self._lines != max(1, len(lines)):
            self._lines = max(1, len(lines))
            self.updateGeometry()
        self.update()

    def _filled_lines(self) -> list[list[tuple[int, str]]]:
        """Label and text of what stands in each line."""
        names, metrics = list(zip(self._labels, self.names, strict=True)), QFontMetrics(self.font())
        room = self.width() - 2 * MARGIN
        lines: list[list[tuple[int, str]]] = [[]]
        left = room
        for label, name in names:
            if self._width_of(name) > left and lines[-1]:
                lines.append([])
                left = room
            lines[-1].append((label, name))
            left -= self._width_of(name)
        if len(lines) <= MOST_LINES and all(self._width_of(name) <= room for name in self.names):
            return lines
        columns = -(-len(names) // MOST_LINES)
        columns = max(1, min(columns, room // self._width_of(LEAST_LETTERS)))
        beyond = len(names) - MOST_LINES * columns
        most = room // columns - AROUND
        told = [(label, metrics.elidedText(name, Qt.TextElideMode.ElideRight, most)) for label, name in names]
        if beyond > 0:
            told = [*told[: MOST_LINES * columns - 1], (-1, f"+{beyond + 1}")]
        return [told[start : start + columns] for start in range(0, len(told), columns)]

    def _label_at(self, event: QMouseEvent | None) -> int:
        """The class whose name was pressed, -1 for none."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return -1
        for one in self._shown:
            if one.room.adjusted(-GAP, 0, GAP, 0).contains(event.position()):
                return one.label
        return -1
