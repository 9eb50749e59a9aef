"""Doubtful pairs one by one: the text of the query beside that of a document that nobody judged, below it what is
relevant, and keys that decide."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QGridLayout, QPlainTextEdit, QSizePolicy, QWidget

from app.training.messages import DoubtfulPair, Text
from app.views.elided_label import ElidedLabel
from app.views.queue_view import QueueView
from hnm_core.data.pair_review import Id, PairDecision, PairReview, Verdict
from hnm_core.run.item_texts import in_sight

NOTHING = "No pair is doubtful: nothing that nobody judged is nearer to a query than all that is relevant to it."
NO_TEXT = "There is no text, only an embedding."
TEXT_PX = 72
"""Least height of a text."""
VERDICTS: dict[str, Verdict] = {"keep": "keep", "drop": "drop", "relevant": "relevant"}


class PairReviewView(QueueView):
    """Shows one `DoubtfulPair` of a queue, decided on by `PairDecision`s."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(
            "doubtful pairs",
            "It does not answer the query and stays a negative",
            "Neither a positive nor a negative of this query",
            ("relevant", "It answers the query"),
            parent,
        )
        self.query_name, self.document_name, self.relevant_name = _name(), _name(), _name()
        self.place_found = _name()
        self.query, self.document, self.relevant = TextBox(), TextBox(), TextBox()
        self._texts = QWidget()
        grid = QGridLayout(self._texts)
        grid.setContentsMargins(0, 0, 0, 0)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        grid.addWidget(self.verdict, 0, 0)
        grid.addWidget(self.place_found, 0, 1)
        grid.addWidget(self.query_name, 1, 0)
        grid.addWidget(self.document_name, 1, 1)
        grid.addWidget(self.query, 2, 0)
        grid.addWidget(self.document, 2, 1)
        grid.addWidget(self.relevant_name, 3, 0, 1, 2)
        grid.addWidget(self.relevant, 4, 0, 1, 2)
        grid.setRowStretch(2, 3)
        grid.setRowStretch(4, 2)
        self.lay_out(self._texts, 1)

    def key_of(self, suspect: DoubtfulPair) -> tuple[Id, Id]:
        """See `QueueView`: the ids of query and document."""
        return suspect.query.name, suspect.document.name

    def key_of_decision(self, decision: PairDecision) -> tuple[Id, Id]:
        """See `QueueView`."""
        return decision.query, decision.document

    def decision(self, suspect: DoubtfulPair, verdict: str) -> PairDecision:
        """See `QueueView`."""
        return PairDecision(suspect.query.name, suspect.document.name, VERDICTS[verdict])

    def said_of(self, decision: PairDecision | None) -> str:
        """See `QueueView`."""
        said = {None: "Not decided yet", "keep": "Kept as a negative", "drop": "Dropped", "relevant": "Relevant"}
        return said[decision.verdict if decision is not None else None]

    def outcome(self, review: PairReview) -> tuple[str, bool]:
        """See `QueueView`."""
        counts = review.counts()
        return (
            f"{counts['keep']:,} kept as negatives, {counts['drop']:,} dropped, {counts['relevant']:,} relevant. "
            "Training with this review has the relevant ones as positives and the dropped ones as neither.",
            bool(counts["drop"] or counts["relevant"]),
        )

    def show_suspect(self, suspect: DoubtfulPair | None) -> int:
        """See `QueueView`."""
        self._texts.setVisible(suspect is not None)
        if suspect is None:
            self.question.setText(NOTHING)
            return -1
        self.question.setText("Does this document answer the query as well?")
        self.evidence.setText("\n".join(map(in_sight, suspect.evidence)))
        _show(self.query_name, self.query, "Query", suspect.query)
        self.place_found.setText(f"Score {suspect.score:.3f}, rank {suspect.rank:,}")
        _show(self.document_name, self.document, "Document", suspect.document)
        own = f"Relevant, score {suspect.relevant_score:.3f}:"
        _show(self.relevant_name, self.relevant, own, suspect.relevant)
        return suspect.item_id


class TextBox(QPlainTextEdit):
    """A text to be read, as it is. It wants no more room than it can have."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setMinimumHeight(TEXT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys decide

    def sizeHint(self) -> QSize:
        return QSize(TEXT_PX, TEXT_PX)


def _name() -> ElidedLabel:
    """A line that may be as long as it likes and takes no room for it."""
    label = ElidedLabel()
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label


def _show(name: ElidedLabel, box: TextBox, what: str, text: Text) -> None:
    called = f"{what} {in_sight(str(text.name))}"
    name.setText(called)
    box.setAccessibleName(called)
    box.setPlainText(text.text or NO_TEXT)
