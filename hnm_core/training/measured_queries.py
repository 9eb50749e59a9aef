"""Which queries of a set are trained on, and what the others score against all documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hnm_core.data.judged import JudgedSet, Judgements
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.document_metrics import DocumentScores, document_chance, document_scores
from hnm_core.evaluation.ranked_documents import rank_documents
from hnm_core.row_lists import RowLists
from hnm_core.seeding import generator
from hnm_core.training.judged_lists import JudgedLists

DEPTH = 100
"""Documents that are ranked for each measured query."""


@dataclass(frozen=True, eq=False)
class MeasuredQueries:
    """Queries that are measured, each against all documents but `unranked`."""

    place: Tensor
    """(H,) of each among the queries of the set, ascending"""
    judgements: Judgements
    """of them, numbered 0 .. H-1"""
    unranked: RowLists
    """(H,) lists of the documents that are the query itself, and of those that a review dropped"""
    documents: int

    def __len__(self) -> int:
        return len(self.place)

    def scores(self, queries: Tensor, documents: Tensor, distance: Distance) -> DocumentScores:
        """Of the (Q, E) embeddings of all queries of the set, and the (N, E) of its documents."""
        ranked = rank_documents(queries[self.place], documents, distance, depth=DEPTH, excluded=self.unranked)
        return document_scores(ranked, self.judgements, len(self), self.documents, excluded=self.unranked)

    def chance(self) -> Mapping[str, float]:
        """What an order by chance scores."""
        return document_chance(self.judgements, len(self), self.documents, depth=DEPTH, excluded=self.unranked)


def measured_queries(data: JudgedSet, lists: JudgedLists, place: Tensor) -> MeasuredQueries:
    """The queries at these places, ascending."""
    judgements = _judgements_of(data.judgements, place.numpy())
    return MeasuredQueries(place, judgements, lists.itself.joined(lists.left_out).at(place), len(data.documents))


def split_queries(
    data: JudgedSet, lists: JudgedLists, seed: int, held_out: float, validation: float
) -> tuple[Tensor, Tensor]:
    """The places of the queries that are trained on, and of those that are measured, ascending: the share `held_out`
    of those with a relevant document, or the share `validation` of what that leaves, where it is more than 0.

    Raises:
        InputError: fewer than two are left to train on, or none to be measured though some were to be kept out.
    """
    usable = lists.positives.sizes.nonzero()[:, 0]
    order = usable[torch.randperm(len(usable), generator=generator(seed, "held-out queries"))]
    count = round(held_out * len(usable))
    measured, train = order[:count], order[count:]
    if validation > 0:
        count = round(validation * len(train))
        measured, train = train[:count], train[count:]
    if len(train) < 2 or (held_out + validation > 0 and not len(measured)):
        kept = "kept out to choose options by" if validation > 0 else "held out"
        raise InputError(
            f"'{data.name}' has {len(usable):,} queries with a relevant document, of which {len(measured):,} would be "
            f"{kept}; at least 2 must be left to train on, and 1 to measure."
        )
    return train.sort().values, measured.sort().values


def _judgements_of(judgements: Judgements, query: np.ndarray[Any, np.dtype[np.int64]]) -> Judgements:
    """Those of some queries, ascending, which are numbered anew."""
    if not len(query):
        return Judgements(judgements.query[:0], judgements.document[:0], judgements.grade[:0])
    place = np.searchsorted(query, judgements.query).clip(max=len(query) - 1)
    kept = query[place] == judgements.query
    return Judgements(place[kept], judgements.document[kept], judgements.grade[kept])
