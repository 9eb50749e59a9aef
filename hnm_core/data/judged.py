"""A set of queries and documents with judgements: which documents are relevant to which query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = Sequence[str] | NDArray[np.int64]
"""Ids as the user's files have them, text or whole numbers; all different."""


@dataclass(frozen=True, eq=False)
class Items:
    """The queries or the documents of a set, in the order of their files. Arrays are not to be written to."""

    ids: Ids
    """(N,)"""
    text: Sequence[str] | None = None
    """(N,) None where only embeddings are there."""
    embeddings: NDArray[np.float32] | None = None
    """(N, D) finite. None where only text is there."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Judgements:
    """What was judged, ascending by query, then document; no pair twice."""

    query: NDArray[np.int64]
    """(M,) rows of the queries."""
    document: NDArray[np.int64]
    """(M,) rows of the documents."""
    grade: NDArray[np.float32]
    """(M,) above 0 relevant, else judged and not relevant. What is not judged is taken as not relevant."""

    def __len__(self) -> int:
        return len(self.query)

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """(M,)"""
        return self.grade > 0


@dataclass(frozen=True, eq=False)
class JudgedSet:
    """Queries, documents and judgements. Built by the readers of `hnm_core.data`."""

    name: str
    queries: Items
    documents: Items
    judgements: Judgements
    as_read: str = ""
    """What was taken for what, and what was left out, in sentences with counts."""
    negatives: Judgements | None = None
    """Negatives that came with the files, as pairs of query and document (their grades are 0); None where none did."""
    left_out: Judgements | None = None
    """Pairs that are neither: the document is no positive of the query and never its negative (their grades are 0);
    None where there are none."""
