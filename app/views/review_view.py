"""Doubtful labels one by one: the item at the left, at the right what it is near, and keys that decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from PyQt6.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QIcon, QKeyEvent
from PyQt6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.picture.theme import DARK, Theme
from app.plain import Label, plain_tip
from app.style import css
from app.training.messages import Item, Suspect, Suspects
from app.views.elided_label import ElidedLabel
from app.views.inspector_data import pixmap
from hnm_core.data.review import Decision, Review

SIDE_PX, SMALL_PX = 128, 52
NOTHING = "No label is doubtful: the neighbours of every item are rather of its own class."


class ReviewView(QWidget):
    """Shows one suspect of a queue. `decided(Decision)`, `undo_asked()`, `item_chosen(id)` for an item that was shown
    or clicked, `train_asked()`, `close_asked()`.

    Keys: K keep, D drop, R relabel, U undo, arrows back and on, Esc ends.
    """

    decided = pyqtSignal(object)
    undo_asked = pyqtSignal()
    item_chosen = pyqtSignal(int)
    train_asked = pyqtSignal()
    close_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Review of doubtful labels")
        self._suspects: Suspects | None = None
        self._review = Review()
        self.place = 0
        """In the queue"""
        self.where, self.question, self.evidence, self.verdict = ElidedLabel(), Label(), Label(), Label()
        self.notes, self.problem = Label(), Label()
        self.file, self.counts, self.nearest_of = ElidedLabel(), Label(), ElidedLabel()
        self.suspect, self.nearest = ItemButton(SIDE_PX), ItemButton(SIDE_PX)
        self.others = (ItemButton(SMALL_PX), ItemButton(SMALL_PX))
        for shown in (self.suspect, self.nearest, *self.others):
            shown.chosen.connect(self.item_chosen)
        for label in (self.question, self.evidence, self.notes, self.problem, self.counts):
            label.setWordWrap(True)
        self.question.setObjectName("question")
        self.problem.setObjectName("problem")
        self.problem.hide()
        self.back = self._button("\N{LEFTWARDS ARROW}", "The one before (\N{LEFTWARDS ARROW})", lambda: self.go(-1))
        self.on = self._button("\N{RIGHTWARDS ARROW}", "The next one (\N{RIGHTWARDS ARROW})", lambda: self.go(1))
        self.keep = self._button("Keep (K)", "The label is right", lambda: self._decide("keep"))
        self.drop = self._button("Drop (D)", "Leave the item out", lambda: self._decide("drop"))
        self.relabel = self._button("Relabel (R)", "It is of the other class", lambda: self._decide("relabel"))
        self.undo = self._button("Undo (U)", "Take the last decision back", self.undo_asked.emit)
        self.train = self._button("Train with this review", "", self.train_asked.emit)
        self._keys: Mapping[int, Callable[[], None]] = {
            Qt.Key.Key_K: self.keep.click,
            Qt.Key.Key_D: self.drop.click,
            Qt.Key.Key_R: self.relabel.click,
            Qt.Key.Key_U: self.undo.click,
            Qt.Key.Key_Left: self.back.click,
            Qt.Key.Key_Up: self.back.click,
            Qt.Key.Key_Right: self.on.click,
            Qt.Key.Key_Down: self.on.click,
            Qt.Key.Key_Escape: self.close_asked.emit,
        }
        self._lay_out()
        self.set_theme(DARK)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.setStyleSheet(f"QLabel#question {{ font-weight: 600; }} QLabel#problem {{ color: {css(theme.error)}; }}")
        for label in (self.where, self.notes, self.file):
            label.setStyleSheet(f"color: {css(theme.muted)};")

    def begin(self, suspects: Suspects, review: Review, path: Path) -> None:
        """Show a queue at the first suspect on which nothing is decided."""
        self._suspects, self._review = suspects, review
        self.file.setText(f"Written to {path.name}")
        self.file.setToolTip(plain_tip(str(path)))
        self.file.setAccessibleName(f"Decisions are written to {path}")
        self.notes.setText(" ".join(suspects.notes))
        self.notes.setVisible(bool(suspects.notes))
        done = review.by_item()
        items = [suspect.item.item_id for suspect in suspects.queue]
        self.place = next((place for place, item in enumerate(items) if item not in done), 0)
        self._show()

    def take(self, review: Review, at: int | None = None, problem: str = "") -> None:
        """What is decided by now: on to the next suspect, or to the item `at`; or why a decision could not be kept."""
        on = len(review.decisions) > len(self._review.decisions)
        self._review = review
        self._say(problem)
        if self._suspects is None:
            return
        items = [suspect.item.item_id for suspect in self._suspects.queue]
        if at in items:
            self.place = items.index(at)
        elif on and self.place < len(items) - 1:
            self.place += 1
        self._show()

    def go(self, places: int) -> None:
        """So many places on in the queue, back below 0."""
        if self._suspects is not None and 0 <= self.place + places < len(self._suspects.queue):
            self.place += places
            self._say("")
            self._show()

    def event(self, event: QEvent | None) -> bool:
        """The keys do here what they do here, whatever they do elsewhere in the window."""
        is_override = event is not None and event.type() == QEvent.Type.ShortcutOverride
        if is_override and isinstance(event, QKeyEvent) and self._action(event) is not None:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        action = self._action(event) if event is not None else None
        if action is not None:
            action()
        else:
            super().keyPressEvent(event)

    def _action(self, event: QKeyEvent) -> Callable[[], None] | None:
        plain = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier == Qt.KeyboardModifier.NoModifier
        return self._keys.get(event.key()) if plain else None

    def _decide(self, verdict: str) -> None:
        suspect = self._current
        if suspect is None:
            return
        item, label = suspect.item.item_id, suspect.item.label
        if verdict == "relabel":
            self.decided.emit(Decision(item, label, "relabel", suspect.instead))
        else:
            self.decided.emit(Decision(item, label, "keep" if verdict == "keep" else "drop"))

    @property
    def _current(self) -> Suspect | None:
        queue = self._suspects.queue if self._suspects is not None else ()
        return queue[self.place] if queue else None

    def _show(self) -> None:
        suspects, suspect = self._suspects, self._current
        for button in (self.keep, self.drop, self.relabel):
            button.setEnabled(suspect is not None)
        self.undo.setEnabled(bool(self._review.decisions))
        counts = self._review.counts()
        self.counts.setText(
            f"{counts['keep']:,} kept, {counts['drop']:,} dropped, {counts['relabel']:,} relabelled. Training with "
            "this review leaves the dropped items out and has the others in their new classes."
        )
        self.train.setEnabled(bool(counts["drop"] or counts["relabel"]))
        if suspects is None or suspect is None:
            self.question.setText(NOTHING)
            return
        of = len(suspects.queue)
        more = f" of {suspects.found:,}" if suspects.found > of else ""
        self.where.setText(f"{self.place + 1:,} of {of:,}{' most' if more else ''} doubtful{more}")
        self.back.setEnabled(self.place > 0)
        self.on.setEnabled(self.place < of - 1)
        item = suspect.item
        self.question.setText(f"Item {item.item_id} is labelled {item.label}. Rather {suspect.instead}?")
        self.evidence.setText("\n".join(suspect.evidence))
        self.relabel.setToolTip(plain_tip(f"It is of the class {suspect.instead}"))
        decision = self._review.by_item().get(item.item_id)
        said = {None: "Not decided yet", "keep": "Kept", "drop": "Dropped", "relabel": "Relabelled"}
        to = f": {decision.to}" if decision is not None and decision.to else ""
        self.verdict.setText(said[decision.verdict if decision is not None else None] + to)
        self.nearest_of.setText(f"Nearest of {suspect.instead}")
        self.suspect.show_item(item)
        for place, near in enumerate((self.nearest, *self.others)):
            near.show_item(suspect.like[place] if place < len(suspect.like) else None)
        self.setAccessibleDescription(f"{self.where.text()}. {self.question.text()} {self.verdict.text()}")
        self.item_chosen.emit(item.item_id)

    def _say(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))

    def _button(self, text: str, tip: str, does: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys where they are
        button.setAutoDefault(False)
        button.setToolTip(tip)
        button.setAccessibleName(f"{text}: {tip}" if tip else text)
        button.clicked.connect(lambda _checked=False: does())
        return button

    def _lay_out(self) -> None:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(10, 8, 10, 8)
        for arrow in (self.back, self.on):
            arrow.setFixedWidth(34)
        top = QHBoxLayout()
        top.addWidget(self.where, 1)
        top.addWidget(self.back)
        top.addWidget(self.on)
        layout.addLayout(top)
        layout.addWidget(self.question)
        pictures = QGridLayout()
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
        layout.addLayout(pictures)
        layout.addWidget(self.evidence)
        layout.addWidget(self.notes)
        layout.addWidget(self.problem)
        decide = QGridLayout()
        for place, button in enumerate((self.keep, self.drop, self.relabel, self.undo)):
            decide.addWidget(button, place // 2, place % 2)
        layout.addLayout(decide)
        layout.addWidget(self.file)
        layout.addWidget(self.counts)
        layout.addWidget(self.train)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)


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
