"""The lanes of an experiment as cards: a method each, that is, a miner and a loss with their options."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.limits import MAX_PANES
from app.panels.editors import ChoiceEditor
from app.panels.findings import FindingsList
from app.panels.line_edit import LineEdit
from app.panels.option_form import Expander, NamedForm, OptionForm, Path, ProblemLabel
from app.panels.sampler_form import SamplerForm
from app.picture.theme import DARK, Rgb, Theme
from hnm_core.spec.compatibility import Finding, idle_fields
from hnm_core.spec.config import LaneConfig
from hnm_core.spec.registry import LOSSES, MINERS

LANE_FIELDS = (
    *("distance", "normalize", "hard_share", "warmup", "warmup_below"),
    *("refresh", "refresh_every", "refresh_lag", "drift_threshold", "memory"),
)


class Swatch(QWidget):
    """A disc in the lane's colour."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(QSize(14, 14))
        self.colour: Rgb = DARK.text

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*self.colour))
        painter.drawEllipse(self.rect().adjusted(1, 1, -1, -1))


class LaneCard(QFrame):
    """One lane. `asked(what)` when a button wants it moved (`up`, `down`), copied (`copy`) or taken out (`remove`)."""

    typed = pyqtSignal()
    committed = pyqtSignal()
    asked = pyqtSignal(str)
    fix_asked = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("lane")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._values: dict[str, Any] = {}
        self.keeps_name = False
        """Whether the lane stays what it is called when it is given another miner."""
        self.swatch, self.name = Swatch(), LineEdit()
        self.name.setMinimumWidth(40)
        self.name.setAccessibleName("Name of the lane")
        self.name.setToolTip("Name of the lane: letters, digits, blanks and ._+- (at most 40)")
        self.name.textEdited.connect(lambda _: self.typed.emit())
        self.name.editingFinished.connect(self._named)
        self.buttons: dict[str, QToolButton] = {}
        head = QHBoxLayout()
        head.setSpacing(3)
        head.addWidget(self.swatch)
        head.addWidget(self.name, 1)
        for key, text, tip in (
            ("up", "↑", "Move up"),
            ("down", "↓", "Move down"),
            ("copy", "+", "Duplicate"),
            ("remove", "×", "Remove"),
        ):
            head.addWidget(self._button(key, text, tip))
        self.name_problem = ProblemLabel()
        self.miner, self.loss = NamedForm("Miner", MINERS), NamedForm("Loss", LOSSES)
        self.miner.renamed.connect(self._follow_miner)
        self.own = OptionForm(LaneConfig, LANE_FIELDS)
        self.own_sampler = QCheckBox("draws its own anchors")
        self.own_sampler.setToolTip(LaneConfig.model_fields["sampler"].description or "")
        self.own_sampler.clicked.connect(self._switch_sampler)
        self.sampler: SamplerForm | None = None  # most lanes have none, and a form takes time to make
        self.findings = FindingsList()
        self.findings.fix_asked.connect(self.fix_asked)
        self.details = Expander("Options", self._details())
        self.chip = QLabel()
        self.chip.setObjectName("summary")
        self.chip.setWordWrap(True)
        self.chip.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.chip.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 4)
        layout.setSpacing(4)
        layout.addLayout(head)
        layout.addWidget(self.name_problem)
        for named in (self.miner, self.loss):
            line = QHBoxLayout()
            line.addWidget(named.label)
            line.addWidget(named.choice, 1)
            layout.addLayout(line)
            layout.addWidget(named.problem)
        layout.addWidget(self.findings)
        layout.addWidget(self.chip)
        layout.addWidget(self.details)
        for part in (self.miner, self.loss, self.own):
            part.typed.connect(self.typed)
            part.committed.connect(self.committed)

    def _button(self, key: str, text: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setFixedSize(22, 22)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.clicked.connect(lambda: self.asked.emit(key))
        self.buttons[key] = button
        return button

    def _details(self) -> QWidget:
        details = QWidget()
        layout = QVBoxLayout(details)
        layout.setSpacing(6)
        for title, part in (("Miner", self.miner.body), ("Loss", self.loss.body), ("Lane", self.own)):
            heading = QLabel(title)
            heading.setObjectName("heading")
            layout.addWidget(heading)
            layout.addWidget(part)
        layout.addWidget(self.own_sampler)
        self._details_layout = layout
        return details

    def _switch_sampler(self) -> None:
        self._show_sampler(shown=self.own_sampler.isChecked())
        self.typed.emit()
        self.committed.emit()

    def _show_sampler(self, *, shown: bool) -> None:
        if shown and self.sampler is None:
            self.sampler = SamplerForm()
            self.sampler.typed.connect(self.typed)
            self.sampler.committed.connect(self.committed)
            self._details_layout.addWidget(self.sampler)
        self.own_sampler.setChecked(shown)
        if self.sampler is not None:
            self.sampler.setVisible(shown)

    def set_values(self, values: Mapping[str, Any]) -> None:
        """Show a lane, as plain values."""
        self._values = dict(values)
        self.name.put(values["name"])
        self.miner.set_value(values["miner"], values["miner_options"])
        self.loss.set_value(values["loss"], values["loss_options"])
        self.own.set_values(values)
        sampler = values.get("sampler")
        self._show_sampler(shown=sampler is not None)
        if self.sampler is not None and sampler is not None:
            self.sampler.set_value(sampler)
        self.summarise()

    def values(self) -> dict[str, Any]:
        """The lane as it stands."""
        miner, miner_options = self.miner.value()
        loss, loss_options = self.loss.value()
        return {
            **self._values,
            **self.own.values(),
            "name": self.name.text().strip(),
            "miner": miner,
            "miner_options": miner_options,
            "loss": loss,
            "loss_options": loss_options,
            "sampler": self.sampler.value() if self.sampler is not None and self.own_sampler.isChecked() else None,
        }

    def summarise(self) -> None:
        """Say in the closed expander which options are not at their defaults, and grey out what does not matter."""
        values = self.values()
        idle = idle_fields(values["miner"], values.get("refresh", LaneConfig.model_fields["refresh"].default))
        for key in LANE_FIELDS:
            reason = f"No effect: {idle[key]}." if key in idle else ""
            self.own.rows[key].set_idle(reason if values.get(key) == self.own.rows[key].default else "")
        own = {key: values[key] for key in LANE_FIELDS if values.get(key) != self.own.rows[key].default}
        changed = {**values["miner_options"], **values["loss_options"], **own}
        if values["sampler"] is not None:
            changed["sampler"] = values["sampler"]["name"]
        pairs = (f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in changed.items())
        self.details.set_summary(", ".join(pairs) or "all at their defaults")

    def show_problems(self, problems: Mapping[Path, str]) -> None:
        """Sentences by path inside the lane: `("miner_options", "pool")`."""
        whole = [problems[path] for path in (("name",), ()) if path in problems]
        self.name_problem.say(" ".join(whole))
        for key, named in (("miner", self.miner), ("loss", self.loss)):
            options = f"{key}_options"
            inside = {str(path[1]): text for path, text in problems.items() if path[0:1] == (options,) and path[1:]}
            named.show_problems(problems.get((key,), "") or problems.get((options,), ""), inside)
        if self.sampler is not None:
            self.sampler.show_problems({path[1:]: text for path, text in problems.items() if path[:1] == ("sampler",)})
        self.own.show_problems({str(path[0]): text for path, text in problems.items() if len(path) == 1})
        if any(path[:1] not in ((), ("name",), ("miner",), ("loss",)) for path in problems):
            self.details.open()

    def set_chip(self, text: str) -> None:
        """How the lane does, in a line or two."""
        self.chip.setText(text)
        self.chip.setVisible(bool(text))

    def _named(self) -> None:
        if self.name.pending:
            self.name.committed_text = self.name.text()
            self.committed.emit()

    def _follow_miner(self, old: str, new: str) -> None:
        """A lane that was called after its miner is called after the new one."""
        if self.keeps_name:
            return
        named = re.fullmatch(rf"{re.escape(old)}(-\d+)?", self.name.text())
        if named:
            self.name.put(new + (named[1] or ""))


class LanesPanel(QWidget):
    """All lanes, and the button that adds one."""

    typed = pyqtSignal()
    committed = pyqtSignal()
    fix_asked = pyqtSignal(object)
    """the `Finding` whose remedy is to be applied"""

    def __init__(self) -> None:
        super().__init__()
        self._theme = DARK
        self.impossible: Callable[[Literal["miner", "loss", "distance"], int], Mapping[str, str]] = lambda *_: {}
        """The names of a kind that the lane at a place cannot take, with the reasons."""
        self.cards: list[LaneCard] = []
        self._keep_names = False
        self.add_button = QPushButton("Add a lane")
        self.add_button.clicked.connect(self._add)
        self.full = QLabel()
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
            self._insert(LaneCard(), len(self.cards))
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

    def set_chips(self, chips: Mapping[str, str]) -> None:
        """How each lane does, by name."""
        for card in self.cards:
            card.set_chip(chips.get(card.name.committed_text, ""))

    def _insert(self, card: LaneCard, place: int) -> None:
        card.typed.connect(self.typed)
        card.committed.connect(self.committed)
        card.asked.connect(lambda what, card=card: self._asked(card, what))
        card.fix_asked.connect(self.fix_asked)
        distance = card.own.editor("distance")
        assert isinstance(distance, ChoiceEditor)
        for kind, box in (("miner", card.miner.box), ("loss", card.loss.box), ("distance", distance.box)):
            box.reasons = partial(self._reasons, kind, card)
        card.keeps_name = self._keep_names
        self.cards.insert(place, card)
        self._layout.insertWidget(place, card)

    def _reasons(self, kind: Literal["miner", "loss", "distance"], card: LaneCard) -> Mapping[str, str]:
        return self.impossible(kind, self.cards.index(card)) if card in self.cards else {}

    def _asked(self, card: LaneCard, what: str) -> None:
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
        self._insert(LaneCard(), place + 1)
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
