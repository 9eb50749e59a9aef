"""Matrices of who is mined against whom, one a lane, in one widget: anchors in rows, negatives in columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QFocusEvent,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PyQt6.QtWidgets import QToolTip, QWidget

from app.history.class_pair_words import Name, cell_text, details
from app.picture.theme import Theme
from app.plain import plain_tip
from app.views.pair_layout import PairLayout, pair_layout
from app.views.pair_painter import Mark, PairPainter, Shown

Cell = tuple[int, int, int]
"""Lane, row and column."""
CHOOSING_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)
STEPS: dict[int, tuple[int, int]] = {
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
}
"""Rows down and columns to the right."""


class PairMatrix(QWidget):
    """`pair_chosen(anchor, negative)` when a cell is clicked, or entered with Return or Space. `pointed(str)`: what the
    cell under the pointer or the keyboard's says, empty for none. The arrow keys go from cell to cell, and from matrix
    to matrix.
    """

    pair_chosen = pyqtSignal(int, int)
    pointed = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumHeight(60)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Matrices of who is mined against whom")
        self._painted = PairPainter()
        self._chosen: tuple[int, int] | None = None
        self._current: Cell | None = None
        self._hovered: Cell | None = None
        self._said, self.message = "", ""
        self._layout: PairLayout | None = None
        self._small = QFont(self.font())
        self._small.setPointSizeF(max(6.5, 0.85 * self.font().pointSizeF()))

    def sizeHint(self) -> QSize:
        return QSize(420, 180)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._painted.theme = theme
        self._painted.make_images()
        self.update()

    def show_lanes(
        self, lanes: Sequence[Shown], axis: NDArray[np.int64], classes: int, name: Name, most: float, message: str = ""
    ) -> None:
        """Show these.

        Args:
            lanes: in lane order.
            axis: (K,) classes in the order of the rows.
            classes: how many there are in all.
            name: of a class.
            most: share of a lane's pairs that has the strongest colour, above 0.
            message: in place of no lanes at all.
        """
        painted = self._painted
        moved = len(lanes) != len(painted.lanes) or not np.array_equal(axis, painted.axis)
        at = None if self._current is None else (self._current[0], self._pair_of(self._current))
        painted.lanes, painted.axis, painted.classes = tuple(lanes), axis, classes
        painted.name, painted.most, self.message = name, most, message
        if moved:
            self._layout, self._hovered = None, None
            self._current = None if at is None else self._cell_of(*at)
        painted.make_images()
        self._say()
        self.update()

    def set_chosen(self, pair: tuple[int, int] | None) -> None:
        """Mark a pair of classes in all lanes."""
        if pair != self._chosen:
            self._chosen = pair
            self.update()

    def cell_box(self, lane: int, anchor: int, negative: int) -> QRectF:
        """Where a pair of classes that both have a row stands."""
        layout, cell = self._placed(), self._cell_of(lane, (anchor, negative))
        assert cell is not None
        left, top = layout.corners[lane]
        return QRectF(left + cell[2] * layout.cell, top + cell[1] * layout.cell, layout.cell, layout.cell)

    def room_taken(self, width: float) -> float:
        """So much of a widget of this width would be enough for the matrices."""
        return self._laid_out(width).right + 2 if self._full else 0.0

    def side(self, width: float) -> float:
        """How large each matrix would be in a widget of this width, in pixels."""
        return self._laid_out(width).cell * len(self._painted.axis) if self._full else 0.0

    @property
    def _full(self) -> bool:
        return bool(self._painted.lanes) and len(self._painted.axis) > 0

    def _placed(self) -> PairLayout:
        if self._layout is None:
            self._layout = self._laid_out(self.width())
        return self._layout

    def _laid_out(self, width: float) -> PairLayout:
        metrics, painted = QFontMetricsF(self._small), self._painted
        names = [metrics.horizontalAdvance(painted.name(label)) for label in painted.axis.tolist()]
        line, count = metrics.height(), max(len(painted.lanes), 1)
        return pair_layout(width - 1, self.height() - 1, count, names, line, line + 3, self.devicePixelRatioF())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._layout = None

    def _pair_of(self, cell: Cell) -> tuple[int, int]:
        return int(self._painted.axis[cell[1]]), int(self._painted.axis[cell[2]])

    def _cell_of(self, lane: int, pair: tuple[int, int]) -> Cell | None:
        rows = [np.flatnonzero(self._painted.axis == label) for label in pair]
        if lane >= len(self._painted.lanes) or not all(len(row) for row in rows):
            return None
        return lane, int(rows[0][0]), int(rows[1][0])

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(*self._painted.theme.panel))
        if self._full:
            painter.setFont(self._small)
            self._painted.paint(painter, self._placed(), self._marks())
        elif self.message:
            painter.setPen(QColor(*self._painted.theme.muted))
            inside = self.rect().adjusted(8, 4, -8, -4)
            painter.drawText(inside, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self.message)
        painter.end()

    def _marks(self) -> list[Mark]:
        """In all lanes the pair that is chosen and the one that is pointed at; and where the keyboard is."""
        theme, found = self._painted.theme, []
        for lane in range(len(self._painted.lanes)):
            chosen = self._cell_of(lane, self._chosen) if self._chosen is not None else None
            if chosen is not None:
                found.append(Mark(*chosen, theme.accent, 2.0))
            if self._hovered is not None:
                found.append(Mark(lane, *self._hovered[1:], theme.text, 1.0))
        if self.hasFocus() and self._current is not None:
            found.append(Mark(*self._current, theme.text, 2.0))
        return found

    # Mouse and keys

    def text_at(self, x: float, y: float) -> str:
        """What is under a place, in words; empty for the ground."""
        if not self._full:
            return ""
        layout, axis = self._placed(), self._painted.axis
        cell = layout.place(x, y, len(axis))
        if cell is not None:
            return self._cell_text(cell)
        for shown, (left, top) in zip(self._painted.lanes, layout.corners, strict=True):
            if left <= x <= left + layout.cell * len(axis) and top - 20 <= y < top:
                return details(shown.pairs)
        return ""

    def _cell_text(self, cell: Cell) -> str:
        pairs = self._painted.lanes[cell[0]].pairs
        return f"{pairs.lane} · {cell_text(pairs, *self._pair_of(cell), self._painted.name)}"

    def _say(self) -> None:
        """Tell what is pointed at, or what the keyboard is at."""
        cell = self._hovered or (self._current if self.hasFocus() else None)
        said = "" if cell is None else self._cell_text(cell)
        if said != self._said:
            self._said = said
            self.setAccessibleDescription(said)
            self.pointed.emit(said)

    def _point(self, cell: Cell | None) -> None:
        if cell != self._hovered:
            self._hovered = cell
            self._say()
            self.update()

    def _under(self, event: QMouseEvent) -> Cell | None:
        at = event.position()
        return self._placed().place(at.x(), at.y(), len(self._painted.axis)) if self._full else None

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is not None:
            self._point(self._under(event))

    def leaveEvent(self, event: QEvent | None) -> None:
        self._point(None)
        super().leaveEvent(event)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        cell = self._under(event) if event is not None and event.button() == Qt.MouseButton.LeftButton else None
        if cell is not None:
            self._current = cell
            self.pair_chosen.emit(*self._pair_of(cell))
            self.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        if event.key() in STEPS and self._full:
            self._step(*STEPS[event.key()])
        elif event.key() in CHOOSING_KEYS and self._current is not None:
            self.pair_chosen.emit(*self._pair_of(self._current))
        else:
            super().keyPressEvent(event)

    def _step(self, down: int, right: int) -> None:
        """To the next cell; at the side of a matrix on into the next one."""
        side, last = len(self._painted.axis), len(self._painted.lanes) - 1
        if self._current is None:
            self._current = (0, 0, 0)
        else:
            lane, row, column = self._current
            row, column = min(max(row + down, 0), side - 1), column + right
            if not 0 <= column < side:
                beyond = 0 <= lane + right <= last
                column = column % side if beyond else min(max(column, 0), side - 1)
                lane += right if beyond else 0
            self._current = lane, row, column
        self._hovered = None
        self._say()
        self.update()

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        super().focusInEvent(event)
        self._say()
        self.update()

    def focusOutEvent(self, event: QFocusEvent | None) -> None:
        super().focusOutEvent(event)
        self._say()
        self.update()

    def event(self, event: QEvent | None) -> bool:
        """Tips; and Space, Ctrl+Return and the arrows do here what they do here, whatever they do elsewhere."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), plain_tip(self.text_at(event.pos().x(), event.pos().y())), self)
            return True
        is_override = event is not None and event.type() == QEvent.Type.ShortcutOverride
        if is_override and isinstance(event, QKeyEvent) and (event.key() in CHOOSING_KEYS or event.key() in STEPS):
            event.accept()
            return True
        return super().event(event)
