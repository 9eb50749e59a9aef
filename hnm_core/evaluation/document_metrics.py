"""How well ranked documents answer queries: MRR@10, nDCG@10, recall@10 and @100, MAP, precision@1.

As trec_eval defines them: the gain of nDCG is the grade itself (0 where it is negative), discounted by log2(1 + place);
MAP divides by all relevant documents, found or not. Documents of one score have no order, so that a metric is its mean
over all orders of them (McSherry, Najork 2008); on request it is that of the best or of the worst order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.data.judged import Judgements
from hnm_core.errors import InputError
from hnm_core.evaluation.chance import chance_of_documents
from hnm_core.evaluation.expectation import expected, expected_reciprocal
from hnm_core.evaluation.nearest import Ties
from hnm_core.evaluation.ranked_documents import RankedDocuments
from hnm_core.isolation import isolated
from hnm_core.row_lists import RowLists

TieOrder = Literal["expected", "best", "worst"]

DOCUMENT_METRICS = (
    "mrr_at_10",
    "ndcg_at_10",
    "recall_at_10",
    "recall_at_100",
    "mean_average_precision",
    "precision_at_1",
)
"""Names of the columns of `DocumentScores.each`, and of its means."""


@dataclass(frozen=True, eq=False)
class DocumentScores:
    """What the rankings of Q queries are worth. Means are over the queries with a relevant document; NaN where none
    has one."""

    each: Tensor
    """(Q, 6) float64, of every query each of `DOCUMENT_METRICS`; NaN where it was not ranked or has nothing relevant"""
    queries: int
    """ranked ones with a relevant document, over which the means are"""
    without_positive: int
    """ranked ones without, which are left out of the means"""
    cut_off: int
    """queries whose list ends inside what may be a tie, so that what is expected of its last places is not known"""
    judged_at_10: float
    """share of the first ten documents that were judged at all: where it is low, so are the metrics, for what is not
    judged counts as not relevant"""

    @property
    def means(self) -> dict[str, float]:
        """By name of `DOCUMENT_METRICS`."""
        known = self.each[~self.each[:, 0].isnan()]
        values = known.mean(0) if len(known) else self.each.new_full((len(DOCUMENT_METRICS),), torch.nan)
        return dict(zip(DOCUMENT_METRICS, values.tolist(), strict=True))


@isolated
def document_scores(
    rankings: Iterable[RankedDocuments],
    judgements: Judgements,
    queries: int,
    documents: int,
    *,
    excluded: RowLists | None = None,
    ties: TieOrder = "expected",
    judged_only: bool = False,
) -> DocumentScores:
    """Score rankings of documents, block by block, in O(L) numbers a query.

    Args:
        rankings: no query twice. A metric is of the list as it is: recall@100 wants lists of 100, MAP counts what is
            listed.
        judgements: a grade above 0 is relevant, what is not judged is not.
        queries: Q.
        documents: N.
        excluded: Q lists of documents that do not count for a query, neither as found nor as relevant: the query itself
            where it stands among the documents.
        ties: whether a metric is the mean over all orders of documents of one score, or that of the best or worst one.
        judged_only: take documents that were not judged for a query out of its ranking (Sakai 2007), rather than as
            not relevant.

    Raises:
        InputError: a ranking or a judgement names a query or a document that there is not, or a query comes twice.
    """
    truth = _Truth(judgements, queries, documents, excluded)
    each = torch.full((queries, len(DOCUMENT_METRICS)), torch.nan, dtype=torch.float64)
    seen = torch.zeros(queries, dtype=torch.bool)
    cut_off, judged_first, firsts = 0, 0, 0
    for block in rankings:
        query = _checked(block, queries, documents).cpu()
        if bool(seen[query].any()) or len(query.unique()) < len(query):
            raise InputError("A query is ranked twice; each may be ranked once.")
        seen[query] = True
        row, score, there = block.row.cpu(), block.score.cpu(), block.row.cpu() >= 0
        listed = there.sum(1)
        if excluded is not None:
            there &= ~excluded.at(query).hold(row)
        grade, judged = truth.of(query, row)
        counted = judged & there
        if not block.whole and row.shape[1]:
            last = score.gather(1, (listed[:, None] - 1).clamp(min=0))
            tied = (score == last) & there
            # Alone at the end, it may be the first of a tie. Where nothing relevant is left, its order means nothing.
            open_end = tied.any(1) & (counted.logical_and(grade > 0).sum(1) < truth.relevant[query])
            cut_off += int((open_end & (listed < documents)).sum())
        if judged_only:
            there = counted
        row, score, grade, judged = _kept(there, row, score, grade, counted)
        first = row[:, :10] >= 0
        judged_first += int((judged[:, :10] & first).sum())
        firsts += int(first.sum())
        usable = truth.relevant[query] > 0
        each[query[usable]] = _scores(grade[usable], score[usable], row[usable] >= 0, truth, query[usable], ties)
    answered = seen & (truth.relevant > 0)
    return DocumentScores(
        each,
        int(answered.sum()),
        int((seen & ~answered).sum()),
        cut_off,
        judged_first / firsts if firsts else torch.nan,
    )


def document_chance(
    judgements: Judgements, queries: int, documents: int, *, depth: int, excluded: RowLists | None = None
) -> dict[str, float]:
    """What rankings in an order by chance, cut at `depth`, come to: means by name of `DOCUMENT_METRICS` over the
    queries that have a relevant document; empty where none has. Arguments and errors are those of `document_scores`."""
    truth = _Truth(judgements, queries, documents, excluded)
    asked = (truth.relevant > 0).numpy()
    left_out = 0 if excluded is None else excluded.sizes.cpu().numpy()[asked]
    return chance_of_documents(
        truth.relevant.numpy()[asked],
        truth.gain.numpy()[asked],
        truth.ideal.numpy()[asked],
        documents - left_out,
        depth,
    )


class _Truth:
    """Grades by query and document, without what is left out."""

    def __init__(self, judgements: Judgements, queries: int, documents: int, excluded: RowLists | None) -> None:
        query, document = torch.as_tensor(judgements.query), torch.as_tensor(judgements.document)
        if not len(query) == len(document) == len(judgements.grade):
            raise InputError(
                f"Judgements are of {len(query):,} queries, {len(document):,} documents and {len(judgements.grade):,} "
                "grades; they must be as many."
            )
        for name, row, most in (("query", query, queries), ("document", document, documents)):
            if len(row) and not 0 <= int(row.min()) <= int(row.max()) < most:
                wrong = int(row.min()) if int(row.min()) < 0 else int(row.max())
                raise InputError(f"A judgement names {name} {wrong:,}, but there are {most:,}, from 0 on.")
        self._documents = documents
        grade = torch.as_tensor(judgements.grade).double()
        if not bool(torch.isfinite(grade).all()):
            raise InputError("Grades hold NaN or infinity; a document is relevant by a number.")
        if excluded is not None and len(query):
            if len(excluded) != queries or excluded.rows != documents:
                raise InputError(
                    f"What is left out is listed for {len(excluded):,} queries and {excluded.rows:,} documents, but "
                    f"there are {queries:,} and {documents:,}."
                )
            kept = ~excluded.at(query).hold(document[:, None])[:, 0]
            query, document, grade = query[kept], document[kept], grade[kept]
        self._pair = query * documents + document
        if not bool((self._pair.diff() > 0).all()):
            raise InputError("Judgements must ascend by query, then document, and no pair may come twice.")
        self._grade = grade
        gain = grade.clamp(min=0)
        self.relevant = torch.bincount(query[gain > 0], minlength=queries)
        """(Q,)"""
        self.gain = torch.zeros(queries, dtype=torch.float64).index_add_(0, query, gain)
        """(Q,) the sum of the grades above 0"""
        self.ideal = torch.zeros(queries, dtype=torch.float64)
        """(Q,) the DCG@10 of the best ranking that there is"""
        order = gain.argsort(descending=True, stable=True)
        order = order[query[order].argsort(stable=True)]
        sizes = torch.bincount(query, minlength=queries)
        place = torch.arange(len(order)) - (sizes.cumsum(0) - sizes)[query[order]]
        counts = gain[order] * (place < 10) / torch.log2(place.double() + 2)
        self.ideal.index_add_(0, query[order], counts)

    def of(self, query: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        """(B, L) float64 gains, and bool whether it was judged, of documents of queries; 0 for rows of -1."""
        if not len(self._pair):
            return torch.zeros(row.shape, dtype=torch.float64), torch.zeros(row.shape, dtype=torch.bool)
        wanted = query[:, None] * self._documents + row
        place = torch.searchsorted(self._pair, wanted).clamp_max_(len(self._pair) - 1)
        judged = (self._pair[place] == wanted) & (row >= 0)
        return self._grade[place].clamp(min=0).masked_fill(~judged, 0), judged


def _checked(block: RankedDocuments, queries: int, documents: int) -> Tensor:
    if block.row.numel() and int(block.row.max()) >= documents:
        raise InputError(f"A ranking names document {int(block.row.max()):,}, but there are {documents:,}.")
    if len(block.query) and not 0 <= int(block.query.min()) <= int(block.query.max()) < queries:
        raise InputError(f"A ranking is of query {int(block.query.max()):,}, but there are {queries:,}.")
    ordered = block.row.sort(dim=1).values
    if bool(((ordered.diff(dim=1) == 0) & (ordered[:, 1:] >= 0)).any()):
        raise InputError("A ranking names a document twice for one query.")
    return block.query


def _kept(
    there: Tensor, row: Tensor, score: Tensor, grade: Tensor, judged: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The (B, L) columns that are there moved to the front, in order; -1, -inf, 0 and False behind them."""
    order = (~there).to(torch.int8).argsort(dim=1, stable=True)
    there = there.gather(1, order)
    return (
        row.gather(1, order).masked_fill(~there, -1),
        score.gather(1, order).masked_fill(~there, -torch.inf),
        grade.gather(1, order).masked_fill(~there, 0),
        judged.gather(1, order) & there,
    )


def _scores(grade: Tensor, score: Tensor, there: Tensor, truth: _Truth, query: Tensor, order: TieOrder) -> Tensor:
    """(B, 6) float64 by `DOCUMENT_METRICS`, of queries that have something relevant."""
    if not grade.shape[1] or not len(grade):
        return grade.new_zeros((len(grade), len(DOCUMENT_METRICS)))
    same = pad(score[:, 1:] == score[:, :-1], (1, 0)) & there & pad(there[:, :-1], (1, 0))
    place = torch.arange(grade.shape[1])
    start = place.expand_as(grade).masked_fill(same, 0).cummax(1).values
    ties: Ties | None = None
    if order != "expected":  # inside ties by grade, the best or the worst first
        by_grade = grade.argsort(dim=1, descending=order == "best", stable=True)
        grade = grade.gather(1, by_grade.gather(1, start.gather(1, by_grade).argsort(dim=1, stable=True)))
    elif bool(same.any()):
        last = place.expand_as(grade).masked_fill(pad(same[:, 1:], (0, 1)), grade.shape[1])
        ties = Ties(start, last.flip(1).cummin(1).values.flip(1) + 1)
    hit = grade > 0
    share, earned = expected(hit, ties)
    gain = grade if ties is None else _mean_in_ties(grade, ties)
    discount = 1 / torch.log2(place.double() + 2)
    relevant = truth.relevant[query].double()
    return torch.stack(
        (
            expected_reciprocal(hit, ties, 10),
            (gain * discount)[:, :10].sum(1) / truth.ideal[query],
            share[:, :10].sum(1) / relevant,
            share[:, :100].sum(1) / relevant,
            earned.sum(1) / relevant,
            share[:, 0],
        ),
        dim=1,
    )


def _mean_in_ties(values: Tensor, ties: Ties) -> Tensor:
    so_far = pad(values.cumsum(1), (1, 0))
    return (so_far.gather(1, ties.end) - so_far.gather(1, ties.start)) / (ties.end - ties.start)
