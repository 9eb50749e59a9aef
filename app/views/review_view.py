"""Doubtful labels one by one: the item at the left, at the right what it is near, and keys that decide."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QIcon
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app.plain import Label, plain_tip
from app.training.messages import Item, Suspect
from app.views.elided_label import ElidedLabel
from app.views.inspector_data import pixmap
from app.views.queue_view import QueueView
from hnm_core.data.review import Decision, Review

SIDE_PX, SMALL_PX = 128, 52
NOTHING = "No label is doubtful: the neighbours of every item are rather of its own class."


class ReviewView(QueueView):
    """Shows one `Suspect` of a queue, decided on by `Decision`s."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            "doubtful labels",
            "The label is right",
            "Leave the item out",
            ("relabel", "It is of the other class"),
            parent,
        )
        self.nearest_of = ElidedLabel()
        self.nearest_of.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.suspect, self.nearest = ItemButton(SIDE_PX), ItemButton(SIDE_PX)
        self.others = (ItemButton(SMALL_PX), ItemButton(SMALL_PX))
        for shown in (self.suspect, self.nearest, *self.others):
            shown.chosen.connect(self.item_chosen)
        self.lay_out(self._pictures())

    def key_of(self, suspect: Suspect) -> int:
        """See `QueueView`: the id of the item."""
        return suspect.item.item_id

    def key_of_decision(self, decision: Decision) -> int:
        """See `QueueView`."""
        return decision.item

    def decision(self, suspect: Suspect, verdict: str) -> Decision:
        """See `QueueView`."""
        item, label = suspect.item.item_id, suspect.item.label
        if verdict == "relabel":
            return Decision(item, label, "relabel", suspect.instead)
        return Decision(item, label, "keep" if verdict == "keep" else "drop")

    def said_of(self, decision: Decision | None) -> str:
        """See `QueueView`."""
        said = {None: "Not decided yet", "keep": "Kept", "drop": "Dropped", "relabel": "Relabelled"}
        to = f": {decision.to}" if decision is not None and decision.to else ""
        return said[decision.verdict if decision is not None else None] + to

    def outcome(self, review: Review) -> tuple[str, bool]:
        """See `QueueView`."""
        counts = review.counts()
        return (
            f"{counts['keep']:,} kept, {counts['drop']:,} dropped, {counts['relabel']:,} relabelled. Training with "
            "this review leaves the dropped items out and has the others in their new classes.",
            bool(counts["drop"] or counts["relabel"]),
        )

    def show_suspect(self, suspect: Suspect | None) -> int:
        """See `QueueView`."""
        if suspect is None:
            self.question.setText(NOTHING)
            return -1
        item = suspect.item
        self.question.setText(f"Item {item.item_id} is labelled {item.label}. Rather {suspect.instead}?")
        self.evidence.setText("\n".join(suspect.evidence))
        self.third.setToolTip(plain_tip(f"It is of the class {suspect.instead}"))
        self.nearest_of.setText(f"Nearest of {suspect.instead}")
        self.suspect.show_item(item)
        for place, near in enumerate((self.nearest, *self.others)):
            near.show_item(suspect.like[place] if place < len(suspect.like) else None)
        return item.item_id

    def _pictures(self) -> QWidget:
        shown = QWidget()
        pictures = QGridLayout(shown)
        pictures.setContentsMargins(0, 0, 0, 0)
        pictures.setColumnStretch(0, 1)
        pictures.setColumnStretch(1, 1)
        few = QHBoxLayout()
        for other in self.others:
            few.addWidget(other, 1, Qt.AlignmentFlag.AlignTop)
        pictures.addWidget(Label("This item"), 0, 0)
        pictures.addWidget(self.nearest_of, 0, 1)
        pictures.addWidget(self.suspect, 1, 0, Qt.AlignmentFlag.AlignTop)
        pictures.addWidget(self.nearest, 1, 1, Qt.AlignmentFlag.AlignTop)
        pictures.addWidget(self.verdict, 2, 0, Qt.AlignmentFlag.AlignTop)
        pictures.addLayout(few, 2, 1)
        return shown


class ItemButton(QWidget):
    """An item: its picture, or its numbers, and its class. `chosen(id)` when it is clicked."""

    chosen = pyqtSignal(int)

    def __init__(self, side_px: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._side_px, self.item_id = side_px, -1
        self.button, self.words = QToolButton(), Label()
        self.button.setAutoRaise(True)
        self.button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.button.setIconSize(QSize(side_px, side_px))
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.button.clicked.connect(lambda _checked=False: self.chosen.emit(self.item_id))
        self.words.setWordWrap(True)
        self.words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(self.words)

    def show_item(self, item: Item | None) -> None:
        """An item; None shows nothing."""
        self.setVisible(item is not None)
        if item is None:
            return
        self.item_id = item.item_id
        name = f"{item.item_id}: {item.label}"
        self.button.setText(name.replace("&", "&&"))
        self.button.setAccessibleName(f"Item {item.item_id} of class {item.label}: select it in the clouds")
        self.button.setToolTip(plain_tip(f"Item {item.item_id}, {item.label}: select it in the clouds"))
        self.button.setIcon(QIcon() if item.picture is None else QIcon(pixmap(item.picture, self._side_px)))
        self.words.setText(item.words)
        self.words.setVisible(bool(item.words) and self._side_px == SIDE_PX)
