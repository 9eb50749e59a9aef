"""Doubtful pairs one by one: the text of the query beside that of a document that nobody judged, below it what is
relevant, and keys that decide."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QGridLayout, QPlainTextEdit, QWidget

from app.training.messages import DoubtfulPair, Text
from app.views.elided_label import ElidedLabel
from app.views.queue_view import QueueView
from hnm_core.data.pair_review import Id, PairDecision, PairReview, Verdict
from hnm_core.run.item_texts import in_sight

NOTHING = "No pair is doubtful: nothing that nobody judged is nearer to a query than all that is relevant to it."
NO_TEXT = "There is no text, only an embedding."
TEXT_PX = 90
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
        self.query_name, self.document_name, self.relevant_name = ElidedLabel(), ElidedLabel(), ElidedLabel()
        self.query, self.document, self.relevant = _text_box(), _text_box(), _text_box()
        self._texts = QWidget()
        grid = QGridLayout(self._texts)
        grid.setContentsMargins(0, 0, 0, 0)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        grid.addWidget(self.query_name, 0, 0)
        grid.addWidget(self.document_name, 0, 1)
        grid.addWidget(self.query, 1, 0)
        grid.addWidget(self.document, 1, 1)
        grid.addWidget(self.verdict, 2, 0, 1, 2)
        grid.addWidget(self.relevant_name, 3, 0, 1, 2)
        grid.addWidget(self.relevant, 4, 0, 1, 2)
        grid.setRowStretch(1, 3)
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
        place = f", score {suspect.score:.3f}, rank {suspect.rank:,}"
        _show(self.document_name, self.document, "Document", suspect.document, place)
        own = f", score {suspect.relevant_score:.3f}"
        _show(self.relevant_name, self.relevant, "Relevant", suspect.relevant, own)
        return suspect.item_id


def _text_box() -> QPlainTextEdit:
    box = QPlainTextEdit()
    box.setReadOnly(True)
    box.setMinimumHeight(TEXT_PX)
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    box.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys decide
    return box


def _show(name: ElidedLabel, box: QPlainTextEdit, what: str, text: Text, more: str = "") -> None:
    called = f"{what} {in_sight(str(text.name))}{more}"
    name.setText(called)
    box.setAccessibleName(called)
    box.setPlainText(text.text or NO_TEXT)
