"""A line of text that ends in an ellipsis where it has no room for the whole, which its tip then begins with."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QHelpEvent, QPainter, QPaintEvent
from PyQt6.QtWidgets import QToolTip

from app.plain import Label, plain_tip


class ElidedLabel(Label):
    """`text()` stays the whole text; `shown()` is what can be read."""

    def shown(self) -> str:
        """The text as it is drawn."""
        return self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.contentsRect().width())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.contentsRect(), int(self.alignment() | Qt.TextFlag.TextSingleLine), self.shown())
        painter.end()

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip and self.shown() != self.text():
            whole = plain_tip("\n\n".join(filter(None, (self.text(), self.toolTip()))))
            QToolTip.showText(event.globalPos(), whole, self)
            return True
        return super().event(event)
