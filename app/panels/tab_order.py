"""In which order the Tab key goes through a form."""

from __future__ import annotations

from collections.abc import Iterator

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QLayout,
    QWidget,
)


def in_reading_order(widget: QWidget) -> Iterator[QWidget]:
    """What inside `widget` can have the focus, as the layouts place it, top to bottom."""
    layout = widget.layout()
    if layout is None or isinstance(widget, QComboBox | QAbstractSpinBox):
        if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
            yield widget
        return
    yield from _in_layout(layout)


def _in_layout(layout: QLayout) -> Iterator[QWidget]:
    for place in range(layout.count()):
        item = layout.itemAt(place)
        if item is None:
            continue
        if (inner := item.widget()) is not None:
            yield from in_reading_order(inner)
        elif (nested := item.layout()) is not None:
            yield from _in_layout(nested)
