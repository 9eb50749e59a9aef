"""The kinds of mined pairs by colour; a click draws one or leaves it out."""

from __future__ import annotations

from collections.abc import Collection

from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QAbstractButton, QHBoxLayout, QSizePolicy, QWidget

from app.picture.edges import EDGE_KINDS, FALSE, KIND_WORDS, LOOKS, kind_colors
from app.picture.theme import DARK, Theme

LINE, GAP, MARGIN = 18, 5, 7
"""Pixels of the line, between it and its name, and round both."""

SHOWN_ORDER = ("hard", "semi_hard", "easy", "negative", "false", "positive")
TIPS = {
    "hard": "Negatives that are no farther from their anchor than its positive",
    "semi_hard": "Negatives that are farther than the positive, by less than the margin",
    "easy": "Negatives beyond the margin: they teach nothing",
    "negative": "Negatives of pairs, which have no positive to be compared with",
    "false": "Negatives that truly are of the anchor's class; a ring marks them",
    "positive": "From an anchor to its positive",
}


class KindChip(QAbstractButton):
    """One kind: a line as it is drawn, and its name. Checked means drawn."""

    def __init__(self, kind: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = kind
        self._place = EDGE_KINDS.index(kind)
        self.setText(KIND_WORDS[self._place])
        self.setCheckable(True)
        self.setChecked(True)
        self.setAccessibleName(f"Draw {self.text()} edges")
        self.setToolTip(f"{TIPS[kind]}. Click to hide or show, double-click to show these alone.")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        small = self.font()
        small.setPointSizeF(max(7.0, 0.9 * small.pointSizeF()))
        self.setFont(small)
        self._theme = DARK

    alone = pyqtSignal()
    """These alone are wanted."""

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def sizeHint(self) -> QSize:
        metrics = QFontMetrics(self.font())
        return QSize(LINE + GAP + metrics.horizontalAdvance(self.text()) + 2 * MARGIN, metrics.height() + 6)

    def event(self, event: QEvent | None) -> bool:
        """Space presses the chip that has the focus, whatever the window does with it elsewhere."""
        pressed = event.key() if isinstance(event, QKeyEvent) else None
        if event is not None and event.type() == QEvent.Type.ShortcutOverride and pressed == Qt.Key.Key_Space:
            event.accept()
            return True
        return super().event(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        self.alone.emit()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        theme, shown = self._theme, self.isChecked()
        if self.hasFocus() or self.underMouse():
            painter.setPen(QColor(*(theme.accent if self.hasFocus() else theme.grid)))
            painter.drawRoundedRect(box, 4, 4)
        painter.fillRect(QRectF(MARGIN - 2, box.center().y() - 5, LINE + 4, 10), QColor(*theme.cloud_bottom))
        middle = box.center().y()
        look, rgb = LOOKS[self._place], kind_colors(theme)[self._place]
        painter.setPen(QPen(QColor(*rgb, 255 if shown else 60), max(1.5, 1.2 * look.px)))
        painter.drawLine(QPointF(MARGIN, middle), QPointF(MARGIN + LINE, middle))
        if self._place == FALSE:
            painter.drawEllipse(QPointF(MARGIN + LINE / 2, middle), 4, 4)
        painter.setPen(QColor(*(theme.text if shown else theme.muted)))
        font = painter.font()
        font.setStrikeOut(not shown)
        painter.setFont(font)
        left = MARGIN + LINE + GAP
        line = QRectF(left, 0, self.width() - left, self.height())
        painter.drawText(line, int(Qt.AlignmentFlag.AlignVCenter), self.text())


class EdgeKey(QWidget):
    """A chip for each kind of edge that the shown clouds may have. `chosen(kinds)` when others are to be drawn."""

    chosen = pyqtSignal(frozenset)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Kinds of mined pairs")
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(0)
        self.chips = {kind: KindChip(kind, self) for kind in SHOWN_ORDER}
        for kind, chip in self.chips.items():
            row.addWidget(chip)
            chip.clicked.connect(self._tell)
            chip.alone.connect(lambda kind=kind: self._alone(kind))
        row.addStretch(1)
        self.show_kinds(())

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        for chip in self.chips.values():
            chip.set_theme(theme)

    def show_kinds(self, kinds: Collection[str]) -> None:
        """Chips for these kinds alone; what is drawn stays as it was chosen."""
        for kind, chip in self.chips.items():
            chip.setVisible(kind in kinds)
        self.setVisible(bool(kinds))

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that are to be drawn."""
        return frozenset(kind for kind, chip in self.chips.items() if chip.isChecked())

    def _tell(self) -> None:
        self.chosen.emit(self.kinds)

    def _alone(self, kind: str) -> None:
        """One kind alone; all of them where it was alone already."""
        was_alone = self.kinds == {kind}
        for name, chip in self.chips.items():
            chip.setChecked(was_alone or name == kind)
        self._tell()
