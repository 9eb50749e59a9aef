"""How a search that hashes has filled its buckets: a small histogram, and the figures in words."""

from __future__ import annotations

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from app.history.missed import LaneMissed, filling_words
from app.picture.theme import DARK

LINE_PX = 20
BAR_PX, GAP_PX = 7, 2


class BucketLine(QWidget):
    """A bar for buckets with 1, 2, 3-4, 5-8, ... rows, and what an anchor is compared with."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = DARK
        self.text = ""
        self._lane: LaneMissed | None = None
        self.setFixedHeight(LINE_PX)

    def sizeHint(self) -> QSize:
        return QSize(300, LINE_PX)

    def show_lane(self, lane: LaneMissed | None) -> None:
        """Another lane, or the same at another step."""
        self._lane = lane
        buckets = None if lane is None else lane.buckets
        self.text, tip = ("", "") if buckets is None else filling_words(buckets)
        self.setToolTip(f"{self.text}\n{tip}".strip())
        self.setAccessibleName(self.toolTip())
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        lane, theme = self._lane, self.theme
        if lane is None or lane.buckets is None:
            return
        painter = QPainter(self)
        counts = lane.buckets.histogram.tolist()
        most, floor, room = max(counts), self.height() - 3.0, self.height() - 6.0
        left = 2.0
        for count in counts:
            height = max(room * count / most, 1.0 if count else 0.0)
            painter.fillRect(QRectF(left, floor, BAR_PX, 1), QColor(*theme.grid))
            painter.fillRect(QRectF(left, floor - height, BAR_PX, height), QColor(*theme.lane(lane.place)))
            left += BAR_PX + GAP_PX
        painter.setPen(QColor(*theme.text))
        box = QRectF(left + 6, 0, self.width() - left - 8, self.height())
        text = painter.fontMetrics().elidedText(self.text, Qt.TextElideMode.ElideRight, int(box.width()))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignVCenter), text)
        painter.end()
