"""A set of queries and documents as lists of rows: what is relevant to each query, and what is no fair negative."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hnm_core.data.judged import JudgedSet
from hnm_core.row_lists import RowLists


@dataclass(frozen=True, eq=False)
class JudgedLists:
    """Rows of the documents, listed for each query."""

    positives: RowLists
    """Judged relevant."""
    itself: RowLists
    """The query itself where it stands among the documents: the same text."""
    copies: RowLists
    """Documents with the text of one that is relevant."""
    left_out: RowLists
    """Neither relevant nor negatives, with what has their text."""

    @property
    def excluded(self) -> RowLists:
        """What else may not come back as a negative."""
        return self.itself.joined(self.copies).joined(self.left_out)


def judged_lists(data: JudgedSet) -> JudgedLists:
    """The lists of a set. Texts are compared as they are, but for white space at their ends; an empty one is like no
    other, and of a set without texts nothing is known to be the same."""
    queries, documents = len(data.queries), len(data.documents)
    judged = data.judgements
    query = torch.as_tensor(judged.query)[torch.as_tensor(judged.relevant)]
    document = torch.as_tensor(judged.document)[torch.as_tensor(judged.relevant)]
    positives = RowLists.of_pairs(query, document, queries, documents)
    nothing = RowLists.empty(queries, documents)
    left_out: list[tuple[int, int]] = []
    if data.left_out is not None:
        left_out = list(zip(data.left_out.query.tolist(), data.left_out.document.tolist(), strict=True))
    texts = data.documents.text
    if texts is None:
        return JudgedLists(positives, nothing, nothing, _of(left_out, queries, documents))
    with_text: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        if text.strip():
            with_text[text.strip()].append(row)
    itself = [
        (row, copy) for row, text in enumerate(data.queries.text or ()) for copy in with_text.get(text.strip(), ())
    ]
    copies = [
        (asking, copy)
        for asking, row in zip(query.tolist(), document.tolist(), strict=True)
        for copy in with_text.get(texts[row].strip(), ())
        if copy != row
    ]
    left_out += [(asking, copy) for asking, row in left_out for copy in with_text.get(texts[row].strip(), ())]
    return JudgedLists(
        positives,
        _of(itself, queries, documents),
        _of(copies, queries, documents),
        _of(sorted(set(left_out)), queries, documents),
    )


def _of(pairs: Sequence[tuple[int, int]], queries: int, documents: int) -> RowLists:
    query, row = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).T
    return RowLists.of_pairs(query, row, queries, documents)
