"""The lanes of an experiment as cards: a method each, that is, a miner and a loss with their options."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import (
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from app.limits import MAX_PANES
from app.panels.lane_card import LaneCard
from app.panels.named_card import NamedCard
from app.panels.problems import Path
from app.picture.theme import DARK, Theme
from app.plain import Label
from hnm_core.spec.compatibility import Finding


class LanesPanel(QWidget):
    """All lanes, and the button that adds one."""

    typed = pyqtSignal()
    committed = pyqtSignal()
    fix_asked = pyqtSignal(object)
    """the `Finding` whose remedy is to be applied"""

    def __init__(self, card: Callable[[], NamedCard] = LaneCard) -> None:
        """`card` makes one."""
        super().__init__()
        self._theme, self._card = DARK, card
        self.impossible: Callable[[Literal["miner", "loss", "distance"], int], Mapping[str, str]] = lambda *_: {}
        """The names of a kind that the lane at a place cannot take, with the reasons."""
        self.cards: list[NamedCard] = []
        self._keep_names = False
        self.add_button = QPushButton("Add a lane")
        self.add_button.clicked.connect(self._add)
        self.full = Label()
        self.full.setObjectName("summary")
        self.full.setWordWrap(True)
        self.full.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(6)
        self._layout.addWidget(self.add_button)
        self._layout.addWidget(self.full)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self._refresh()

    def set_lanes(self, lanes: Sequence[Mapping[str, Any]]) -> None:
        """Show lanes, as plain values. Cards that are there are used again, so that the focus stays."""
        while len(self.cards) > len(lanes):
            card = self.cards.pop()
            self._layout.removeWidget(card)
            card.hide()
            card.deleteLater()
        while len(self.cards) < len(lanes):
            self._insert(self._card(), len(self.cards))
        for card, lane in zip(self.cards, lanes, strict=True):
            card.set_values(lane)
        self._refresh()

    def values(self) -> list[dict[str, Any]]:
        """The lanes as they stand."""
        return [card.values() for card in self.cards]

    def show_problems(self, problems: Mapping[Path, str]) -> None:
        """Sentences by path: `(0, "miner_options", "pool")`."""
        for place, card in enumerate(self.cards):
            card.show_problems({path[1:]: text for path, text in problems.items() if path[:1] == (place,)})
            card.summarise()

    def keep_names(self, *, keep: bool) -> None:
        """While a run is on its lanes stay what they are called, also with another miner."""
        self._keep_names = keep
        for card in self.cards:
            card.keeps_name = keep

    def show_findings(self, findings: Sequence[Sequence[Finding]]) -> None:
        """What there is to say about each lane, in lane order."""
        for card, own in zip(self.cards, findings, strict=False):
            card.findings.show_findings(own)

    def _insert(self, card: NamedCard, place: int) -> None:
        card.typed.connect(self.typed)
        card.committed.connect(self.committed)
        card.asked.connect(lambda what, card=card: self._asked(card, what))
        card.fix_asked.connect(self.fix_asked)
        for kind, box in card.boxes.items():
            box.reasons = partial(self._reasons, kind, card)
        card.keeps_name = self._keep_names
        self.cards.insert(place, card)
        self._layout.insertWidget(place, card)

    def _reasons(self, kind: Literal["miner", "loss", "distance"], card: NamedCard) -> Mapping[str, str]:
        return self.impossible(kind, self.cards.index(card)) if card in self.cards else {}

    def _asked(self, card: NamedCard, what: str) -> None:
        place = self.cards.index(card)
        if what == "copy":
            self._copy(place)
            return
        if what == "remove":
            self.cards.pop(place)
            self._layout.removeWidget(card)
            card.hide()
            card.deleteLater()
        else:
            other = place + (-1 if what == "up" else 1)
            self.cards.insert(other, self.cards.pop(place))
            self._layout.insertWidget(other, card)
        self._changed()

    def _add(self) -> None:
        self._copy(len(self.cards) - 1)
        self.cards[-1].name.setFocus()
        self.cards[-1].name.selectAll()

    def _copy(self, place: int) -> None:
        if len(self.cards) >= MAX_PANES:
            return
        values = self.cards[place].values()
        names = [card.name.text() for card in self.cards]
        self._insert(self._card(), place + 1)
        self.cards[place + 1].set_values({**values, "name": free_name(values["name"], names)})
        self._changed()

    def _changed(self) -> None:
        self._refresh()
        self.typed.emit()
        self.committed.emit()

    def _refresh(self) -> None:
        """Colours by place, and which buttons can do something, with the reason where not."""
        count = len(self.cards)
        reason = f"The window shows at most {MAX_PANES} lanes; hnm-lab run takes more." if count >= MAX_PANES else ""
        self.add_button.setEnabled(not reason)
        self.add_button.setToolTip(reason or "A copy of the last lane, to be changed")
        self.full.setText(reason)
        self.full.setVisible(bool(reason))
        for place, card in enumerate(self.cards):
            card.swatch.colour = self._theme.lane(place)
            card.swatch.update()
            card.buttons["up"].setEnabled(place > 0)
            card.buttons["down"].setEnabled(place < count - 1)
            card.buttons["copy"].setEnabled(not reason)
            card.buttons["copy"].setToolTip(reason or "Duplicate")
            card.buttons["remove"].setEnabled(count > 1)
            card.buttons["remove"].setToolTip("Remove" if count > 1 else "An experiment needs at least one lane.")


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, or `name-2`, `name-3`, ... whichever is free."""
    stem = re.sub(r"-\d+$", "", name)[:36]
    candidates = (name, *(f"{stem}-{place}" for place in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)
