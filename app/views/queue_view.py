"""A queue of doubtful things, one by one: what is shown of each, its kind says; keys decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QEvent, Qt, pyqtSignal
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.picture.theme import DARK, Theme
from app.plain import Label, plain_tip
from app.style import css
from app.views.elided_label import ElidedLabel
from hnm_core.data.decision_file import Log


class QueueView(QWidget):
    """Shows one of a queue. `decided(decision)`, `undo_asked()`, `item_chosen(id)` for an item that was shown or
    clicked, `train_asked()`, `close_asked()`.

    Keys: K keep, D drop, R what a kind calls `third`, U undo, arrows back and on, Esc ends. A kind overrides what ends
    in `NotImplementedError`.

    Args:
        of: what is doubtful, in words.
        keep: what K does.
        drop: what D does.
        third: what R does, in a word, and in more.
    """

    decided = pyqtSignal(object)
    undo_asked = pyqtSignal()
    item_chosen = pyqtSignal(int)
    train_asked = pyqtSignal()
    close_asked = pyqtSignal()

    def __init__(self, of: str, keep: str, drop: str, third: tuple[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(f"Review of {of}")
        self.queue: Sequence[Any] = ()
        """What is gone through"""
        self._keys_of_queue: list[object] = []
        self._found = 0
        self._review: Log[Any] = Log()
        self.place = 0
        """In the queue"""
        self.where, self.question, self.evidence, self.verdict = ElidedLabel(), Label(), Label(), Label()
        self.notes, self.problem = Label(), Label()
        self.file, self.counts = ElidedLabel(), Label()
        for label in (self.question, self.evidence, self.notes, self.problem, self.counts):
            label.setWordWrap(True)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)  # paths and ids are long words
        for line in (self.where, self.file):
            line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.question.setObjectName("question")
        self.problem.setObjectName("problem")
        self.problem.hide()
        self.back = self._button("\N{LEFTWARDS ARROW}", "The one before (\N{LEFTWARDS ARROW})", lambda: self.go(-1))
        self.on = self._button("\N{RIGHTWARDS ARROW}", "The next one (\N{RIGHTWARDS ARROW})", lambda: self.go(1))
        self.keep = self._button("Keep (K)", keep, lambda: self._decide("keep"))
        self.drop = self._button("Drop (D)", drop, lambda: self._decide("drop"))
        self.third = self._button(f"{third[0].capitalize()} (R)", third[1], lambda: self._decide(third[0]))
        self.undo = self._button("Undo (U)", "Take the last decision back", self.undo_asked.emit)
        self.train = self._button("Train with this review", "", self.train_asked.emit)
        self._keys: Mapping[int, Callable[[], None]] = {
            Qt.Key.Key_K: self.keep.click,
            Qt.Key.Key_D: self.drop.click,
            Qt.Key.Key_R: self.third.click,
            Qt.Key.Key_U: self.undo.click,
            Qt.Key.Key_Left: self.back.click,
            Qt.Key.Key_Up: self.back.click,
            Qt.Key.Key_Right: self.on.click,
            Qt.Key.Key_Down: self.on.click,
            Qt.Key.Key_Escape: self.close_asked.emit,
        }

    # What a kind says of its own

    def key_of(self, suspect: Any) -> object:
        """What decisions tell a suspect by."""
        raise NotImplementedError

    def key_of_decision(self, decision: Any) -> object:
        """The same of a decision."""
        raise NotImplementedError

    def decision(self, suspect: Any, verdict: str) -> object:
        """The decision on a suspect."""
        raise NotImplementedError

    def said_of(self, decision: Any | None) -> str:
        """What was decided, in a word or two."""
        raise NotImplementedError

    def outcome(self, review: Any) -> tuple[str, bool]:
        """What the decisions come to, and whether training on them differs from training without."""
        raise NotImplementedError

    def show_suspect(self, suspect: Any | None) -> int:
        """Show it, or that there is none. Returns the item to be selected, -1 for none."""
        raise NotImplementedError

    # What all have

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.setStyleSheet(f"QLabel#question {{ font-weight: 600; }} QLabel#problem {{ color: {css(theme.error)}; }}")
        for label in (self.where, self.notes, self.file):
            label.setStyleSheet(f"color: {css(theme.muted)};")

    def begin(self, queue: Sequence[Any], found: int, notes: Sequence[str], review: Log[Any], path: Path) -> None:
        """Show the first `queue` of `found` suspects, at the first on which nothing is decided."""
        self.queue, self._found, self._review = queue, found, review
        self._keys_of_queue = [self.key_of(suspect) for suspect in queue]
        self.file.setText(f"Written to {path.name}")
        self.file.setToolTip(plain_tip(str(path)))
        self.file.setAccessibleName(f"Decisions are written to {path}")
        self.notes.setText(" ".join(notes))
        self.notes.setVisible(bool(notes))
        done = self._decided()
        self.place = next((place for place, key in enumerate(self._keys_of_queue) if key not in done), 0)
        self._say("")
        self._show()

    def take(self, review: Log[Any], at: object = None, problem: str = "") -> None:
        """What is decided by now: on to the next suspect, or to the one with the key `at`; or why a decision could not
        be kept."""
        on = len(review.decisions) > len(self._review.decisions)
        self._review = review
        self._say(problem)
        if at in self._keys_of_queue:
            self.place = self._keys_of_queue.index(at)
        elif on and self.place < len(self.queue) - 1:
            self.place += 1
        self._show()

    def go(self, places: int) -> None:
        """So many places on in the queue, back below 0."""
        if 0 <= self.place + places < len(self.queue):
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
        if self.queue:
            self.decided.emit(self.decision(self.queue[self.place], verdict))

    def _decided(self) -> Mapping[object, Any]:
        return {self.key_of_decision(decision): decision for decision in self._review.decisions}

    def _show(self) -> None:
        suspect = self.queue[self.place] if self.queue else None
        for button in (self.keep, self.drop, self.third):
            button.setEnabled(suspect is not None)
        self.undo.setEnabled(bool(self._review.decisions))
        words, changes = self.outcome(self._review)
        self.counts.setText(words)
        self.train.setEnabled(changes)
        of = len(self.queue)
        more = f" of {self._found:,}" if self._found > of else ""
        self.where.setText(f"{self.place + 1:,} of {of:,}{' most' if more else ''} doubtful{more}" if of else "")
        self.back.setEnabled(self.place > 0)
        self.on.setEnabled(self.place < of - 1)
        decision = None if suspect is None else self._decided().get(self.key_of(suspect))
        self.verdict.setText("" if suspect is None else self.said_of(decision))
        item = self.show_suspect(suspect)
        self.setAccessibleDescription(f"{self.where.text()}. {self.question.text()} {self.verdict.text()}")
        if item >= 0:
            self.item_chosen.emit(item)

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

    def lay_out(self, shown: QWidget, stretch: int = 0) -> None:
        """Put `shown`, what there is to see of a suspect, among the words and the buttons. `stretch` is its share of
        the height that is left."""
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
        layout.addWidget(shown, stretch)
        layout.addWidget(self.evidence)
        layout.addWidget(self.notes)
        layout.addWidget(self.problem)
        decide = QGridLayout()
        for place, button in enumerate((self.keep, self.drop, self.third, self.undo)):
            decide.addWidget(button, place // 2, place % 2)
        layout.addLayout(decide)
        layout.addWidget(self.file)
        layout.addWidget(self.counts)
        layout.addWidget(self.train)
        layout.addStretch(0 if stretch else 1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(content)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.set_theme(DARK)
