"""What was mined as records of the files that trainers read; the fields are said at each form."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.judged import Items
from hnm_core.errors import InputError, unknown_name
from hnm_core.negatives.mining import Mined

Record = dict[str, Any]

ANCHORS_AT_ONCE = 1 << 13
"""Anchors whose numbers are made Python's own at once: one by one that takes longer than all the rest."""


class Lists(NamedTuple):
    """An anchor with what it stands with and its negatives."""

    query: int
    """Row of the queries."""
    positive: Sequence[int]
    """Rows of the documents."""
    positive_score: Sequence[float]
    negative: Sequence[int]
    """Nearest first; fewer than asked for where there were no more."""
    score: Sequence[float]
    complete: bool
    """Whether there are as many negatives as asked for."""


@dataclass(frozen=True, eq=False)
class Written:
    """What records are made with."""

    queries: Items
    documents: Items
    scores: bool
    """Whether to write scores where a form can do with or without."""

    def query(self, row: int) -> str:
        """A query's text."""
        assert self.queries.text is not None, "check_text has looked"
        return self.queries.text[row]

    def document(self, row: int) -> str:
        """A document's text."""
        assert self.documents.text is not None, "check_text has looked"
        return self.documents.text[row]

    def query_id(self, row: int) -> str | int:
        """A query's id, as the user has it."""
        return _plain(self.queries.ids[row])

    def document_id(self, row: int) -> str | int:
        """A document's id."""
        return _plain(self.documents.ids[row])

    def texts(self, rows: Sequence[int]) -> list[str]:
        """Of documents."""
        return [self.document(row) for row in rows]


_DIGITS = 16
"""Characters of a number in single precision, at most: -1.1754944e-38."""

Form = Callable[[Lists, Written], Iterator[Record]]
"""The records of an anchor; none where it has not what the form needs."""


def triplet(lists: Lists, to: Written) -> Iterator[Record]:
    """sentence-transformers: anchor, positive, negative[, scores]; columns count by their order."""
    anchor, negatives = to.query(lists.query), to.texts(lists.negative)
    for positive, own in zip(lists.positive, lists.positive_score, strict=True):
        text = to.document(positive)
        for negative, score in zip(negatives, lists.score, strict=True):
            record: Record = {"anchor": anchor, "positive": text, "negative": negative}
            if to.scores:
                record["scores"] = [own, score]
            yield record


def n_tuple(lists: Lists, to: Written) -> Iterator[Record]:
    """sentence-transformers: anchor, positive, negative_1, negative_2 ...[, scores]; only where all negatives are."""
    if not lists.complete:
        return
    for positive, own in zip(lists.positive, lists.positive_score, strict=True):
        record: Record = {"anchor": to.query(lists.query), "positive": to.document(positive)}
        record |= {f"negative_{place}": text for place, text in enumerate(to.texts(lists.negative), 1)}
        yield record | ({"scores": [own, *lists.score]} if to.scores else {})


def labeled_pair(lists: Lists, to: Written) -> Iterator[Record]:
    """sentence-transformers: anchor, document, label (1, 0), or the score in its place."""
    if not lists.negative:
        return
    for rows, scores, label in (
        (lists.positive, lists.positive_score, 1),
        (lists.negative, lists.score, 0),
    ):
        for row, score in zip(rows, scores, strict=True):
            record = {"anchor": to.query(lists.query), "document": to.document(row)}
            yield record | ({"score": score} if to.scores else {"label": label})


def labeled_list(lists: Lists, to: Written) -> Iterator[Record]:
    """sentence-transformers: anchor, [documents], [labels], or [scores] in their place; one for each positive."""
    if not lists.negative:
        return
    for positive, own in zip(lists.positive, lists.positive_score, strict=True):
        record: Record = {"anchor": to.query(lists.query), "documents": to.texts([positive, *lists.negative])}
        yield record | ({"scores": [own, *lists.score]} if to.scores else {"labels": [1] + [0] * len(lists.negative)})


def flag_embedding(lists: Lists, to: Written) -> Iterator[Record]:
    """FlagEmbedding: query, pos: [...], neg: [...][, pos_scores, neg_scores]."""
    if not (lists.positive and lists.negative):
        return
    record: Record = {
        "query": to.query(lists.query),
        "pos": to.texts(lists.positive),
        "neg": to.texts(lists.negative),
    }
    if to.scores:
        record |= {"pos_scores": list(lists.positive_score), "neg_scores": list(lists.score)}
    yield record


def tevatron(lists: Lists, to: Written) -> Iterator[Record]:
    """Tevatron: query_id, query, positive_passages and negative_passages of docid, title (empty) and text."""
    if not (lists.positive and lists.negative):
        return

    def passages(rows: Sequence[int], scores: Sequence[float]) -> list[Record]:
        return [
            {"docid": str(to.document_id(row)), "title": "", "text": to.document(row)}
            | ({"score": score} if to.scores else {})
            for row, score in zip(rows, scores, strict=True)
        ]

    yield {
        "query_id": str(to.query_id(lists.query)),
        "query": to.query(lists.query),
        "positive_passages": passages(lists.positive, lists.positive_score),
        "negative_passages": passages(lists.negative, lists.score),
    }


def ids(lists: Lists, to: Written) -> Iterator[Record]:
    """query_id, positive_ids, negative_ids[, positive_scores, negative_scores]; every anchor has its line."""
    record: Record = {
        "query_id": to.query_id(lists.query),
        "positive_ids": [to.document_id(row) for row in lists.positive],
        "negative_ids": [to.document_id(row) for row in lists.negative],
    }
    if to.scores:
        record |= {"positive_scores": list(lists.positive_score), "negative_scores": list(lists.score)}
    yield record


def trec(lists: Lists, to: Written) -> Iterator[Record]:
    """A run of TREC: lines of query id, Q0, document id, rank from 1, score, tag; `line` is one of them."""
    for rank, (row, score) in enumerate(zip(lists.negative, lists.score, strict=True), 1):
        query, document = (_in_a_line(value) for value in (to.query_id(lists.query), to.document_id(row)))
        yield {"line": f"{query} Q0 {document} {rank} {score:.9g} hnm-lab"}


FORMS: Mapping[str, Form] = {
    "triplet": triplet,
    "n-tuple": n_tuple,
    "labeled-pair": labeled_pair,
    "labeled-list": labeled_list,
    "flag-embedding": flag_embedding,
    "tevatron": tevatron,
    "ids": ids,
    "trec": trec,
}
WITHOUT_TEXT = ("ids", "trec", "npz")
"""Forms that hold ids or rows alone; `npz` is arrays, see `arrays_of`."""


def check_form(name: str, queries: Items, documents: Items) -> None:
    """Raises `InputError` for a form that there is not, or that needs texts where there are none."""
    if name not in FORMS and name != "npz":
        raise unknown_name("format", name, [*FORMS, "npz"])
    if name not in WITHOUT_TEXT and (queries.text is None or documents.text is None):
        raise InputError(
            f"--format {name} writes texts, and this set has embeddings alone; take one of {', '.join(WITHOUT_TEXT)}."
        )


def lists_of(mined: Mined, *, scores: bool = True) -> Iterator[Lists]:
    """Every anchor, in order; without `scores` all of them are 0, as to tell them takes as long as the rest."""
    tell = _shortest if scores else np.zeros_like
    for start in range(0, len(mined), ANCHORS_AT_ONCE):
        part = slice(start, start + ANCHORS_AT_ONCE)
        offsets = mined.offsets[start : start + ANCHORS_AT_ONCE + 1]
        own = slice(offsets[0], offsets[-1])
        positive, positive_score = mined.positive[own].tolist(), tell(mined.positive_score[own]).tolist()
        ends = (offsets - offsets[0]).tolist()
        sizes = (mined.negative[part] >= 0).sum(1).tolist()  # what is there comes first
        columns = zip(
            mined.anchor[part].tolist(), mined.negative[part].tolist(), tell(mined.score[part]).tolist(), sizes,
            ends, ends[1:], strict=False,
        )  # fmt: skip
        most = mined.negative.shape[1]
        for query, negative, score, size, low, high in columns:
            yield Lists(
                query,
                positive[low:high],
                positive_score[low:high],
                negative[:size],
                score[:size],
                size == most,
            )


def arrays_of(mined: Mined, to: Written) -> dict[str, NDArray[Any]]:
    """All rows and scores, and the ids that rows are of, as plain arrays."""
    return {
        "anchor": mined.anchor,
        "positive_offsets": mined.offsets,
        "positive": mined.positive,
        "positive_score": mined.positive_score,
        "negative": mined.negative,
        "score": mined.score,
        "why": mined.why,
        "query_ids": np.asarray(to.queries.ids),
        "document_ids": np.asarray(to.documents.ids),
    }


def _shortest(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """The numbers of the fewest digits that are these in single precision."""
    return scores.astype(f"U{_DIGITS}").astype(np.float64)


def _plain(value: Any) -> str | int:
    return value if isinstance(value, str) else int(value)


def _in_a_line(value: str | int) -> str:
    """An id between spaces. Raises `InputError` for one that has some itself."""
    text = str(value)
    if len(text.split()) != 1:
        raise InputError(f"The id {text!r} has spaces, and a TREC run parts its columns by them; take --format ids.")
    return text
