"""Which colour is which class, where the points of the clouds are coloured by a few classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from app.picture.diamond import diamond
from app.picture.scene import class_colors
from app.picture.theme import DARK, Theme
from app.plain import plain_tip

DOT, GAP = 8, 5
"""Pixels of a dot, and between it and its name."""
MARGIN = 10
CHOOSING_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
LEFT_OUT_OPACITY = 0.4
"""Of a class that is not drawn while others are isolated."""


class ClassKey(QWidget):
    """A dot and a name for each class, in one line. Takes no room where there are more classes than plain colours.

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
        self._diamond = -1
        self._isolated: frozenset[int] = frozenset()
        self._current = 0
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def show_classes(self, names: Sequence[str], diamond: int = -1, kind: str = "classes") -> None:
        """The names of classes 0, 1, ...; none, or more than there are plain colours, hides the key. The points of the
        class `diamond` are diamonds; `kind` is what classes are called."""
        self._diamond = diamond
        self.names = tuple(names) if len(names) <= len(self._theme.classes) else ()
        self._current = 0
        listed = ", ".join(self.names)
        self.setToolTip(
            plain_tip(
                f"Colours of the {kind} {listed}; items held out of training are paler.\n"
                "Click a class to show it alone, with Ctrl to add it, twice to zoom to it."
            )
        )
        self.setAccessibleName(f"{kind.capitalize()}: {listed}")
        self.setVisible(bool(self.names))
        self.update()

    def set_isolated(self, classes: frozenset[int]) -> None:
        """Which classes alone are drawn in the clouds; none of them for all."""
        if classes != self._isolated:
            self._isolated = classes
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(80, QFontMetrics(self.font()).height() + 6)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, self.sizeHint().height())

    def place_of(self, label: int) -> QRectF:
        """Where a class is named."""
        return self._entries()[label][1]

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
        if event.key() in steps and self.names:
            self._current = (self._current + steps[Qt.Key(event.key())]) % len(self.names)
            self.update()
        elif event.key() in CHOOSING_KEYS and self.names:
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self.class_zoomed.emit(self._current)
            else:
                self.class_chosen.emit(self._current, bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))
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
        colors = class_colors(np.arange(len(self.names)), self._theme).tolist()
        for label, ((shown, room), color) in enumerate(zip(self._entries(), colors, strict=True)):
            painter.setOpacity(1.0 if not self._isolated or label in self._isolated else LEFT_OUT_OPACITY)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(*color))
            middle = QPointF(room.left() + DOT / 2, self.height() / 2)
            if label == self._diamond:
                corners = diamond(middle.x(), middle.y(), DOT / 2)
                painter.drawPolygon(QPolygonF([QPointF(*corner) for corner in corners]))
            else:
                painter.drawEllipse(middle, DOT / 2, DOT / 2)
            painter.setPen(QColor(*(self._theme.text if label in self._isolated else self._theme.muted)))
            words = room.adjusted(DOT + GAP, 0, 0, 0)
            painter.drawText(words, int(Qt.AlignmentFlag.AlignVCenter), shown)
            if self.hasFocus() and label == self._current:
                painter.setOpacity(1.0)
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.setPen(QColor(*self._theme.accent))
                painter.drawRoundedRect(room.adjusted(-3, 1, 2, -1), 3, 3)

    def _entries(self) -> list[tuple[str, QRectF]]:
        """Of each class its name as far as there is room, and where dot and name stand."""
        metrics = QFontMetrics(self.font())
        room = (self.width() - 2 * MARGIN) / max(1, len(self.names)) - DOT - 3 * GAP
        fits = sum(metrics.horizontalAdvance(name) + DOT + 3 * GAP for name in self.names) <= self.width() - 2 * MARGIN
        entries, left = [], float(MARGIN)
        for name in self.names:
            shown = name if fits else metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(room))
            width = DOT + GAP + metrics.horizontalAdvance(shown) + 2
            entries.append((shown, QRectF(left, 0, width, self.height())))
            left += width + 2 * GAP
        return entries

    def _label_at(self, event: QMouseEvent | None) -> int:
        """The class whose name was pressed, -1 for none."""
        if event is None or event.button() != Qt.MouseButton.LeftButton:
            return -1
        for label, (_, room) in enumerate(self._entries()):
            if room.adjusted(-GAP, 0, GAP, 0).contains(event.position()):
                return label
        return -1
