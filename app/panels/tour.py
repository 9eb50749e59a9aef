"""A tour of cards, each of which points at the real thing in the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PyQt6.QtCore import (
    QEasingCurve,
    QEvent,
    QObject,
    QPoint,
    QPointF,
    QRect,
    QRectF,
    QSize,
    Qt,
    QTimer,
    QVariantAnimation,
    pyqtSignal,
)
from PyQt6.QtGui import QColor, QHideEvent, QKeyEvent, QPainter, QPainterPath, QPaintEvent, QPen
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.picture.theme import Theme
from app.plain import Label
from app.style import css

CARD_PX = 330
APART_PX, EDGE_PX, AROUND_PX, CORNER_PX = 26, 14, 4, 8
GLIDE_MS = 220
VEIL_ALPHA = {"dark": 150, "light": 95}
"""Black so thick over all but what a card points at."""


@dataclass(frozen=True)
class Stop:
    """One card. `targets` gives the widgets that it points at, and brings them into view where that is needed."""

    title: str
    text: str
    targets: Callable[[], Sequence[QWidget]]


class Tour(QWidget):
    """Lies over all of `window` until its end: `ended()`. Next is Enter, Space or an arrow key, Esc leaves.

    Args:
        still: whether the light is not to glide from one place to the next.
    """

    ended = pyqtSignal()

    def __init__(self, stops: Sequence[Stop], theme: Theme, *, still: bool, window: QWidget) -> None:
        super().__init__(window)
        self._stops, self._window, self._still = stops, window, still
        self._place, self._spot = 0, QRect()
        self._watched: list[QWidget] = []
        self.card = QFrame(self)
        self.card.setObjectName("card")
        self.title, self.text, self._count = Label(), Label(), Label()
        self.title.setObjectName("title")
        self.text.setWordWrap(True)
        self._count.setObjectName("count")
        self.skip, self.back, self.next = QPushButton("Skip"), QPushButton("Back"), QPushButton("Next")
        self.next.setObjectName("next")
        self.skip.setToolTip("End the tour (Esc)")
        self.skip.clicked.connect(self.end)
        self.back.clicked.connect(lambda: self._go(self._place - 1))
        self.next.clicked.connect(lambda: self._go(self._place + 1))
        self._lay_out()
        self.set_theme(theme)
        self._glide = QVariantAnimation(self)
        self._glide.setDuration(GLIDE_MS)
        self._glide.setEasingCurve(QEasingCurve.Type.InOutQuad)
        self._glide.valueChanged.connect(self._light)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.timeout.connect(self._follow)
        window.installEventFilter(self)
        for button in (self.skip, self.back, self.next):
            button.installEventFilter(self)
        self.setGeometry(window.rect())
        self.show()
        self.raise_()
        self._go(0)

    @property
    def spot(self) -> QRect:
        """What the card points at, in the window's pixels; empty where that is not in sight."""
        return self._spot

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        lit = theme.cloud_bottom if theme.name == "dark" else (255, 255, 255)
        self.card.setStyleSheet(
            f"QFrame#card {{ background: {css(theme.panel)}; border: 1px solid {css(theme.accent)};"
            f" border-radius: {CORNER_PX}px; }}"
            f"QFrame#card QLabel {{ color: {css(theme.text)}; background: transparent; }}"
            f"QFrame#card QLabel#title {{ font-weight: 600; font-size: 12pt; }}"
            f"QFrame#card QLabel#count {{ color: {css(theme.muted)}; }}"
            f"QPushButton#next {{ background: {css(theme.accent)}; color: {css(lit)}; font-weight: 600;"
            f" border: 1px solid {css(theme.accent)}; border-radius: 4px; padding: 4px 14px; }}"
            f"QPushButton#next:focus {{ border-color: {css(theme.text)}; }}"
        )
        self.update()

    def end(self) -> None:
        """Take the tour away."""
        if self.isVisible():
            self._watch([])
            self._window.removeEventFilter(self)
            self.hide()
            self.ended.emit()
            self.deleteLater()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Nothing glides unseen."""
        self._glide.stop()
        self._settle.stop()
        super().hideEvent(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Keys of the buttons, and the window or a target that has moved."""
        if event is None:
            return False
        kind = event.type()
        if isinstance(event, QKeyEvent) and watched in (self.skip, self.back, self.next):
            if kind == QEvent.Type.ShortcutOverride and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
                event.accept()  # letters and Space are commands of the window; not here
                return True
            return kind == QEvent.Type.KeyPress and self._on_key(event)
        if kind in (QEvent.Type.Resize, QEvent.Type.Move, QEvent.Type.Show, QEvent.Type.Hide):
            self._settle.start(0)  # the layout of the window comes after its size
        return False

    def focusNextPrevChild(self, _next: bool) -> bool:
        """Tab stays among the buttons."""
        buttons = [button for button in (self.skip, self.back, self.next) if button.isEnabled()]
        here = next((place for place, button in enumerate(buttons) if button.hasFocus()), 0)
        buttons[(here + (1 if _next else -1)) % len(buttons)].setFocus(Qt.FocusReason.TabFocusReason)
        return True

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """A veil with a hole, and a line from the card to it."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        veil = QPainterPath()
        veil.addRect(QRectF(self.rect()))
        hole = QPainterPath()
        if not self._spot.isEmpty():
            hole.addRoundedRect(QRectF(self._spot), CORNER_PX, CORNER_PX)
        painter.fillPath(veil - hole, QColor(0, 0, 0, VEIL_ALPHA[self._theme.name]))
        if self._spot.isEmpty():
            return
        painter.setPen(QPen(QColor(*self._theme.accent), 2))
        painter.drawPath(hole)
        here, there = nearest(self.card.geometry(), self._spot)
        if here != there:
            painter.drawLine(here, there)
            painter.setBrush(QColor(*self._theme.accent))
            painter.drawEllipse(there, 4.0, 4.0)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self.card)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(8)
        column.addWidget(self.title)
        column.addWidget(self.text)
        row = QHBoxLayout()
        row.addWidget(self._count, 1)
        for button in (self.skip, self.back, self.next):
            row.addWidget(button)
        column.addLayout(row)
        self.card.setFixedWidth(CARD_PX)

    def _on_key(self, event: QKeyEvent) -> bool:
        key = event.key()
        if key == Qt.Key.Key_Escape:
            self.end()
        elif key in (Qt.Key.Key_Right, Qt.Key.Key_Down):
            self._go(self._place + 1)
        elif key in (Qt.Key.Key_Left, Qt.Key.Key_Up):
            self._go(self._place - 1)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            focused = next(button for button in (self.skip, self.back, self.next) if button.hasFocus())
            focused.click()
        else:
            return False
        return True

    def _go(self, place: int) -> None:
        """To a card; behind the last one the tour ends."""
        if place >= len(self._stops):
            self.end()
            return
        self._place = max(place, 0)
        stop, last = self._stops[self._place], self._place == len(self._stops) - 1
        self.title.setText(stop.title)
        self.text.setText(stop.text)
        self._count.setText(f"{self._place + 1} of {len(self._stops)}")
        self.back.setEnabled(self._place > 0)
        self.skip.setVisible(not last)
        self.next.setText("Done" if last else "Next")
        self.card.setAccessibleName(f"{stop.title}. {stop.text}")
        self.next.setAccessibleDescription(f"{stop.title}. {stop.text}")
        self.next.setFocus()
        targets = list(stop.targets())
        self._watch(targets)
        goal = self._goal(targets)
        self._glide.stop()
        if self._still or self._spot.isEmpty() or goal.isEmpty():
            self._light(goal)
        else:
            self._glide.setStartValue(self._spot)
            self._glide.setEndValue(goal)
            self._glide.start()

    def _follow(self) -> None:
        """The window or what the card points at has another size or place."""
        self.setGeometry(self._window.rect())
        self.raise_()
        self._glide.stop()
        self._light(self._goal(self._watched))

    def _light(self, spot: QRect) -> None:
        self._spot = spot
        self.card.resize(CARD_PX, self.card.heightForWidth(CARD_PX))
        self.card.move(placed(self.card.size(), spot, self.rect()))
        self.update()

    def _watch(self, targets: list[QWidget]) -> None:
        for widget in self._watched:
            widget.removeEventFilter(self)
        self._watched = targets
        for widget in targets:
            widget.installEventFilter(self)

    def _goal(self, targets: Sequence[QWidget]) -> QRect:
        """All that is in sight of the targets, with some air; empty where nothing is."""
        seen = QRect()
        for widget in targets:
            seen = seen.united(self._seen(widget))
        around = QRect(seen).adjusted(-AROUND_PX, -AROUND_PX, AROUND_PX, AROUND_PX)
        return around.intersected(self.rect()) if not seen.isEmpty() else QRect()

    def _seen(self, widget: QWidget) -> QRect:
        """What a widget's parents leave of it, in the window's pixels."""
        if not widget.isVisible() or widget.window() is not self._window:
            return QRect()
        seen, step = widget.rect(), widget
        while step is not self._window:
            parent = step.parentWidget()
            assert parent is not None
            seen = seen.translated(step.pos()).intersected(parent.rect())
            step = parent
        return seen


def placed(card: QSize, spot: QRect, room: QRect) -> QPoint:
    """Where a card stands beside what it points at: right, left, below or above, whichever fits first; else inside it
    at its lower end, and in the middle of `room` where there is no spot."""
    inside = room.adjusted(EDGE_PX, EDGE_PX, -EDGE_PX, -EDGE_PX)
    middle = QPoint(room.center().x() - card.width() // 2, room.center().y() - card.height() // 2)
    if spot.isEmpty():
        return middle
    beside_x = spot.center().x() - card.width() // 2
    beside_y = spot.center().y() - card.height() // 2
    for x, y in (
        (spot.right() + APART_PX, beside_y),
        (spot.left() - APART_PX - card.width(), beside_y),
        (beside_x, spot.bottom() + APART_PX),
        (beside_x, spot.top() - APART_PX - card.height()),
    ):
        fits_x = inside.left() <= x <= inside.right() + 1 - card.width()
        fits_y = inside.top() <= y <= inside.bottom() + 1 - card.height()
        if (x == beside_x and fits_y) or (y == beside_y and fits_x):
            return _kept_in(QPoint(x, y), card, inside)
    return _kept_in(QPoint(beside_x, spot.bottom() - EDGE_PX - card.height()), card, inside)


def _kept_in(at: QPoint, card: QSize, room: QRect) -> QPoint:
    x = min(max(at.x(), room.left()), max(room.right() + 1 - card.width(), room.left()))
    y = min(max(at.y(), room.top()), max(room.bottom() + 1 - card.height(), room.top()))
    return QPoint(x, y)


def nearest(one: QRect, other: QRect) -> tuple[QPointF, QPointF]:
    """The ends of the shortest straight line between two boxes, along an axis where they face each other; equal where
    they overlap."""
    xs, ys = (
        _facing(one.left(), one.right(), other.left(), other.right()),
        _facing(one.top(), one.bottom(), other.top(), other.bottom()),
    )
    return QPointF(xs[0], ys[0]), QPointF(xs[1], ys[1])


def _facing(low: int, high: int, other_low: int, other_high: int) -> tuple[float, float]:
    """Where on an axis the line begins and ends: the middle of what both cover, or the ends that are nearest."""
    first, last = max(low, other_low), min(high, other_high)
    if first <= last:
        return (first + last) / 2, (first + last) / 2
    return (float(high), float(other_low)) if high < other_low else (float(low), float(other_high))
