"""The presets as pictures, to choose one by what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QEvent, QModelIndex, QObject, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPainterPath, QPen, QPixmap, QTextLayout
from PyQt6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLineEdit,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from app.picture.theme import Theme
from app.plain import Label, plain_tip
from app.presets import PICTURE_SIZE, Card
from app.style import mix

PICTURE = QSize(PICTURE_SIZE[0] // 2, PICTURE_SIZE[1] // 2)
INSIDE_PX, BETWEEN_PX, CORNER_PX = 8, 10, 7
TITLE_LINES, LINES = 2, 4
"""A title takes two lines at most, and what to see the others."""
SIZE = QSize(4 * (PICTURE.width() + 2 * INSIDE_PX + BETWEEN_PX) + 52, 810)
RECENT = 4
AROUND_PX = 40
"""A gallery leaves so much of its window in sight."""
CARD = Qt.ItemDataRole.UserRole


class Gallery(QDialog):
    """`chosen(name)`: the user wants that preset; `opened(path)`: that file. The gallery has closed then. Arrow keys
    move among the cards, Enter chooses, and what is typed is searched for.

    Args:
        cards: what is there to choose from.
        current: the preset that is shown now, if any.
        recent: files that were opened before; the newest of them stand below the cards.
    """

    chosen = pyqtSignal(str)
    opened = pyqtSignal(object)

    def __init__(
        self,
        cards: Sequence[Card],
        theme: Theme,
        current: str = "",
        recent: Sequence[Path] = (),
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Gallery of presets")
        self.line = QLineEdit()
        self.line.setPlaceholderText("Search: a data set, a miner, a loss ...")
        self.line.setAccessibleName("Search the presets")
        self.line.setClearButtonEnabled(True)
        self.line.textChanged.connect(self._filter)
        self.line.returnPressed.connect(self._choose)
        self.line.installEventFilter(self)
        self.list = QListWidget()
        self.list.setAccessibleName("Presets")
        self.list.setViewMode(QListView.ViewMode.IconMode)
        self.list.setResizeMode(QListView.ResizeMode.Adjust)
        self.list.setMovement(QListView.Movement.Static)
        self.list.setSpacing(BETWEEN_PX // 2)
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setFrameShape(QListWidget.Shape.NoFrame)
        self.list.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.list.setItemDelegate(_CardPainter(theme, self.list))
        self.list.installEventFilter(self)
        self.list.itemClicked.connect(self._choose)
        self.nothing = Label("No preset has these words. Esc closes the gallery.")
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.nothing.hide()
        for card in cards:
            item = QListWidgetItem()
            item.setData(CARD, card)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{card.title}. {card.see}.")
            item.setToolTip(f"{card.name}\n\n{card.about}")
            self.list.addItem(item)
            if card.name == current:
                self.list.setCurrentItem(item)
        if self.list.currentItem() is None:
            self.list.setCurrentRow(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 14, 14, 10)
        layout.addWidget(self.line)
        layout.addWidget(self.list, 1)
        layout.addWidget(self.nothing, 1)
        if recent:
            layout.addLayout(self._recent_row(recent[:RECENT]))
        room = parent.size() - QSize(AROUND_PX, AROUND_PX) if parent is not None else SIZE
        self.resize(SIZE.boundedTo(room))
        self.list.setFocus()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Letters typed among the cards go to the line; Down and Up in the line go to the cards."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if watched is self.line and event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
                self.list.setFocus()
                return True
            if watched is self.list and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
                self._choose()
                return True
            if watched is self.list and event.text().isprintable() and event.text().strip():
                self.line.setFocus()
                self.line.insert(event.text())
                return True
        return False

    def _recent_row(self, recent: Sequence[Path]) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(Label("Opened before"))
        for path in recent:
            button = QPushButton(path.name.replace("&", "&&"))
            button.setToolTip(plain_tip(str(path)))
            button.setAutoDefault(False)  # Enter is for the cards
            button.setAccessibleName(f"Open {path.name}")
            button.clicked.connect(lambda _checked=False, path=path: self._open(path))
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _open(self, path: Path) -> None:
        self.accept()
        self.opened.emit(path)

    @property
    def shown(self) -> list[str]:
        """Names of the presets in sight, in order."""
        items = [self.list.item(row) for row in range(self.list.count())]
        return [item.data(CARD).name for item in items if item is not None and not item.isHidden()]

    def _filter(self, text: str) -> None:
        first = None
        for row in range(self.list.count()):
            item = self.list.item(row)
            assert item is not None
            item.setHidden(not item.data(CARD).matches(text))
            first = item if first is None and not item.isHidden() else first
        current = self.list.currentItem()
        if first is not None and (current is None or current.isHidden()):
            self.list.setCurrentItem(first)
        self.list.setVisible(first is not None)
        self.nothing.setVisible(first is None)

    def _choose(self) -> None:
        item = self.list.currentItem()
        if item is not None and not item.isHidden():
            name = item.data(CARD).name
            self.accept()
            self.chosen.emit(name)


class _CardPainter(QStyledItemDelegate):
    """A picture, a title below it, and what to see."""

    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._theme = theme
        self._pictures: dict[str, QPixmap] = {}

    def sizeHint(self, option: QStyleOptionViewItem, _index: QModelIndex) -> QSize:
        """All cards are alike."""
        line = QFontMetrics(option.font).lineSpacing()
        return PICTURE + QSize(2 * INSIDE_PX, 3 * INSIDE_PX + LINES * line + 4)

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """One card."""
        if painter is None:
            return
        theme, card = self._theme, index.data(CARD)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(option.rect).adjusted(1, 1, -1, -1)
        painter.setBrush(QColor(*mix(theme.panel, theme.text, 0.07 if hovered else 0.0)))
        painter.setPen(QPen(QColor(*(theme.accent if chosen else theme.grid)), 2 if chosen else 1))
        painter.drawRoundedRect(box, CORNER_PX, CORNER_PX)
        place = QRect(option.rect.topLeft(), PICTURE).translated(INSIDE_PX, INSIDE_PX)
        self._paint_picture(painter, card, place)
        bold = QFont(option.font)
        bold.setBold(True)
        words = QRect(place.left() + 2, place.bottom() + INSIDE_PX, place.width() - 4, 0)
        metrics = QFontMetrics(bold)
        painter.setFont(bold)
        painter.setPen(QColor(*theme.text))
        top = words.top()
        title = lines_of(card.title, bold, words.width(), TITLE_LINES)
        for line in title:
            painter.drawText(words.left(), top + metrics.ascent(), line)
            top += metrics.lineSpacing()
        painter.setFont(option.font)
        painter.setPen(QColor(*theme.muted))
        metrics = QFontMetrics(option.font)
        top += 3
        for line in lines_of(card.see, option.font, words.width(), LINES - len(title)):
            painter.drawText(words.left(), top + metrics.ascent(), line)
            top += metrics.lineSpacing()
        painter.restore()

    def _paint_picture(self, painter: QPainter, card: Card, place: QRect) -> None:
        path = QPainterPath()
        path.addRoundedRect(QRectF(place), CORNER_PX - 2, CORNER_PX - 2)
        painter.save()
        painter.setClipPath(path)
        picture = self._picture(card)
        if picture.isNull():  # of a preset that nobody has photographed, or a machine that reads no WebP
            painter.fillRect(place, QColor(*self._theme.cloud_bottom))
            painter.setPen(QColor(*self._theme.muted))
            painter.drawText(place, Qt.AlignmentFlag.AlignCenter, card.name)
        else:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawPixmap(place, picture)
        painter.restore()

    def _picture(self, card: Card) -> QPixmap:
        if card.name not in self._pictures:
            self._pictures[card.name] = QPixmap(str(card.picture(self._theme.name)))
        return self._pictures[card.name]


def lines_of(text: str, font: QFont, width: int, most: int) -> list[str]:
    """`text` broken into at most `most` lines; the last one is cut where more would follow."""
    layout = QTextLayout(text, font)
    layout.beginLayout()
    lines: list[str] = []
    while len(lines) < most and (line := layout.createLine()).isValid():
        line.setLineWidth(width)
        rest = text[line.textStart() :]
        last = len(lines) == most - 1
        cut = QFontMetrics(font).elidedText(rest, Qt.TextElideMode.ElideRight, width)
        lines.append(cut if last else rest[: line.textLength()].rstrip())
    layout.endLayout()
    return lines
