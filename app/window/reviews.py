"""The review of doubtful labels, or doubtful pairs, of the run that is shown: ranked in the background, decided beside
the clouds, kept in a file as it goes, and obeyed by a new run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtWidgets import QStackedWidget, QWidget

from app.panels.review_dialog import LABELS, PAIRS, ReviewDialog
from app.picture.theme import Theme
from app.stage.stage import Stage
from app.training import suspects
from app.training.messages import DoubtfulPairs, Rank, Suspects
from app.views.pair_review_view import PairReviewView
from app.views.queue_view import QueueView
from app.views.review_view import ReviewView
from app.window.bridge import RunBridge
from app.window.jobs import Jobs
from app.window.messages import Messages
from app.window.run_actions import RunActions
from app.window.session import Session
from hnm_core.data import pair_review
from hnm_core.data.pair_review import PairReviewing
from hnm_core.data.review import Reviewing, reviewing
from hnm_core.errors import InputError
from hnm_core.run.events import RunStarted
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.request import with_review
from hnm_core.system.paths import path_of, text_of
from hnm_core.training.retrieval_config import obeying

TITLE = "Review"
"""Of the job"""
MOST = 1_000
"""So many of the queue can be gone through in one sitting."""
KEYS = "K keeps the label, D drops the item, R relabels it, U undoes, arrows go through, Esc ends the review."
PAIR_KEYS = (
    "K keeps the document as a negative, D drops it, R makes it relevant, U undoes, arrows go through, Esc ends the "
    "review."
)
FILE_NAME = "review.jsonl"


class Reviews(QObject):
    """`window` stands behind dialogs. `opened()` and `closed()`: the review is to be seen, or no longer."""

    opened = pyqtSignal()
    closed = pyqtSignal()

    def __init__(
        self,
        window: QWidget,
        *,
        session: Session,
        bridge: RunBridge,
        stage: Stage,
        run: RunActions,
        jobs: Jobs,
        messages: Messages,
        plug_ins: Sequence[Path],
    ) -> None:
        super().__init__(window)
        self._window, self._session, self._bridge, self._stage = window, session, bridge, stage
        self._run, self._jobs, self._messages, self._plug_ins = run, jobs, messages, tuple(plug_ins)
        self.widget = QStackedWidget()
        """What shows a review."""
        self.view: QueueView = ReviewView()
        """Of labels, or of pairs"""
        self._views = {False: self.view, True: PairReviewView()}
        """By whether they are pairs"""
        self._open = ExitStack()
        self._ongoing: Reviewing | PairReviewing | None = None
        self._started: RunStarted | None = None
        self._path = Path()
        for view in self._views.values():
            self.widget.addWidget(view)
            view.decided.connect(self._decide)
            view.undo_asked.connect(self._undo)
            view.item_chosen.connect(stage.choice.pick)
            view.train_asked.connect(lambda: messages.attempt(self.train))
            view.close_asked.connect(self.close)
        session.changed.connect(self._on_session)

    @property
    def on(self) -> bool:
        """Whether a review is open."""
        return self._ongoing is not None

    @property
    def of_pairs(self) -> bool:
        """Whether the review is one of pairs, rather than of labels."""
        return self.view is self._views[True]

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        for view in self._views.values():
            view.set_theme(theme)

    def ask(self) -> None:
        """Ask where to look and what to write into. Raises `InputError` where there is no run."""
        self._bridge.refuse_while_starting()
        started, folder = self._stage.history.started, self._stage.folder
        if started is None:
            raise InputError("There is no run whose labels could be reviewed: press Train first, or open a recording.")
        of_pairs = is_over_documents(started.config.data.name)
        over = self._stage.replaying or self._stage.history.ended is not None
        lanes = list(self._stage.history.lanes) if over and folder is not None else []
        beside = Path.cwd() if folder is None else folder.parent
        name = FILE_NAME if folder is None else f"{folder.name}.{FILE_NAME}"
        obeyed = started.config.data.options.get("review")
        path = path_of(str(obeyed)) if obeyed and of_pairs else beside / name
        if self._path.name and of_pairs == self.of_pairs:
            path = self._path
        dialog = ReviewDialog(PAIRS if of_pairs else LABELS, lanes, path, self._window)
        dialog.chosen.connect(lambda lane, path: self._messages.attempt(lambda: self._rank(started, lane, path)))
        dialog.open()

    def train(self) -> None:
        """Train what the run began with, on its data as they are after the review. Raises `InputError` while a run is
        on, or where the review changes nothing."""
        started, ongoing = self._started, self._ongoing
        if started is None or ongoing is None:
            return
        if self._bridge.active:
            raise InputError(
                "A run is on. Press R in a cloud to reset it, or wait for its end; the decisions are kept."
            )
        if isinstance(ongoing, PairReviewing):
            config, pairs = obeying(started.config, text_of(self._path)), ongoing.review.counts()
            words = f"relevant {pairs['relevant']:,}, neither {pairs['drop']:,}, negatives {pairs['keep']:,}"
        else:
            config, counts = with_review(started.config, self._path), ongoing.review.counts()
            words = f"left out {counts['drop']:,}, in another class {counts['relabel']:,}"
        self.close()  # the file is free to be read
        self._session.set_experiment(config)
        self._run.start()
        self._messages.say(
            f"Trains with '{self._path.name}': {words}. Undo (Ctrl+Z) brings back the data as they were."
        )

    def close(self) -> None:
        """End the review; its file has everything already."""
        if self._ongoing is None:
            return
        self._ongoing = None
        self._open.close()
        self.closed.emit()

    def _rank(self, started: RunStarted, lane: str | None, path: Path) -> None:
        recording = self._stage.folder if lane is not None else None
        request = Rank(started.config, MOST, recording, lane)
        self._jobs.run(
            TITLE,
            lambda progress: suspects.ranked(request, self._plug_ins, progress),
            lambda found: self._begin(started, found, path),
        )
        what = "pairs" if is_over_documents(started.config.data.name) else "labels"
        self._messages.say(f"Ranking doubtful {what} in the background.")

    def _begin(self, started: RunStarted, found: Suspects | DoubtfulPairs, path: Path) -> None:
        """Raises `InputError` where the file is of other data, is in use, or cannot be written."""
        if self._stage.history.started is not started:
            raise InputError("Another run is shown by now; ask for its review again.")
        self.close()
        ongoing: Reviewing | PairReviewing
        if isinstance(found, DoubtfulPairs):
            ongoing = self._open.enter_context(pair_review.reviewing(path, found.of))
        else:
            ongoing = self._open.enter_context(reviewing(path, found.of))
        of_pairs = isinstance(found, DoubtfulPairs)
        self.view = self._views[of_pairs]
        self.widget.setCurrentWidget(self.view)
        self._ongoing, self._started, self._path = ongoing, started, path
        torn = f"The last line of '{path.name}' was not written whole; it is left out. " if ongoing.review.torn else ""
        self._messages.say(torn + (PAIR_KEYS if of_pairs else KEYS))
        self.opened.emit()
        self.view.begin(found.queue, found.found, found.notes, ongoing.review, path)
        self.view.setFocus()

    def _decide(self, decision: Any) -> None:
        """`decision` is of the kind that the review is of."""
        if (ongoing := self._ongoing) is None:
            return
        try:
            ongoing.decide(decision)
        except OSError as error:
            self.view.take(ongoing.review, self.view.key_of_decision(decision), self._unwritten(error))
        else:
            self.view.take(ongoing.review)

    def _undo(self) -> None:
        if (ongoing := self._ongoing) is None:
            return
        try:
            undone = ongoing.undo()
        except OSError as error:
            self.view.take(ongoing.review, problem=self._unwritten(error))
        else:
            self.view.take(ongoing.review, self.view.key_of_decision(undone) if undone is not None else None)

    def _unwritten(self, error: OSError) -> str:
        return f"'{self._path}' cannot be written: {error.strerror or error}. This does not count."

    def _on_session(self) -> None:
        if self._stage.history.started is not self._started:
            self.close()
