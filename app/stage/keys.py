"""What the colours in the clouds mean, in a line under them: kinds of edges, classes, or the scale of a column."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtGui import QResizeEvent
from PyQt6.QtWidgets import QBoxLayout, QWidget

from app.picture.scene import CATEGORIES, column_range
from app.picture.theme import Theme
from app.views.class_key import ClassKey
from app.views.color_scale import ColorScale
from app.views.edge_key import EdgeKey
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import has_several_labels, query_label

SPREAD_SLACK = 0.1
"""By so much of its width the range of a column's colours may be off before it is made anew."""


class Keys(QWidget):
    """`edges`, `classes` and `scale`, each shown where there is something to tell."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.edges, self.classes, self.scale = EdgeKey(self), ClassKey(self), ColorScale(self)
        self._seen_kinds: set[str] = set()
        self._spread: tuple[float, float] | None = None
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(0)
        self._row.addWidget(self.edges)
        self._row.addWidget(self.classes, 1)
        self._row.addWidget(self.scale)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        self._share_lines()
        super().resizeEvent(event)

    def _share_lines(self) -> None:
        """Classes have a line of their own where their names have no room beside the kinds of edges."""
        beside = self.width() - (0 if self.edges.isHidden() else self.edges.sizeHint().width())
        crowded = not self.classes.isHidden() and not self.edges.isHidden() and self.classes.whole_width > beside
        direction = QBoxLayout.Direction.TopToBottom if crowded else QBoxLayout.Direction.LeftToRight
        if direction != self._row.direction():
            self._row.setDirection(direction)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        for key in (self.edges, self.classes, self.scale):
            key.set_theme(theme)

    def forget_edges(self) -> None:
        """No kind of edges has been seen yet."""
        self._seen_kinds = set()
        self.edges.show_kinds(())

    def show_colors(self, started: RunStarted | None, color_by: str, color_label: int = -1) -> None:
        """The classes by colour, where it is they that points are coloured by, or the one label that is; groups of
        classes have no names. The range of a column is unknown until `spread`."""
        self._spread = None
        by_class = color_by in ("class", "group", "label")
        if by_class or color_by in CATEGORIES:
            self.scale.hide()
        grouped = started is not None and started.groups is not None and color_by != "label"
        named = started is not None and by_class and not grouped
        if started is not None and named:
            kind = "rarest labels" if has_several_labels(started) else "classes"
            self.classes.show_classes(started.class_names, query_label(started), kind, color_label)
        else:
            self.classes.show_classes(())
        self._share_lines()

    def spread(self, frames: Sequence[Frame], color_by: str) -> tuple[float, float] | None:
        """One range for the colours of a column in all `frames`, so that equal colours mean equal values; made anew
        when the values have left it or fill it no more. None where points are not coloured by a column's values."""
        if color_by in CATEGORIES:
            return None
        ranges = [column_range(frame.columns[color_by]) for frame in frames if color_by in frame.columns]
        known = [spread for spread in ranges if spread is not None]
        if not known:
            return self._spread
        low, high, old = min(low for low, _ in known), max(high for _, high in known), self._spread
        if old is None or max(abs(low - old[0]), abs(high - old[1])) > SPREAD_SLACK * (old[1] - old[0]):
            self._spread = low, high
            self.scale.show_range(color_by.replace("_", " "), low, high)
        return self._spread

    def show_edges(self, frame: Frame, *, noisy: bool) -> None:
        """The kinds of edges that there have been so far: the key does not come and go from frame to frame. `noisy`:
        false negatives are known."""
        kinds = set() if not len(frame.triplets) else {"positive", "false"} if noisy else {"positive"}
        if frame.hardness is not None:
            kinds |= {"hard", "semi_hard", "easy"}
        elif kinds:
            kinds |= {"negative"}
        if not kinds <= self._seen_kinds or self.edges.isHidden():
            self._seen_kinds |= kinds
            self.edges.show_kinds(self._seen_kinds)
            self._share_lines()
