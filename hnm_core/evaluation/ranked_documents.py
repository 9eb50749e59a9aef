"""The documents nearest to each query, nearest first, with those of one score known as ties that nothing cuts off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from hnm_core.distances import Distance, check_distance, check_range, length_bound
from hnm_core.errors import InputError, described
from hnm_core.row_lists import RowLists

HALF = (torch.float16, torch.bfloat16)

TILE_ENTRIES = 4_000_000
"""At most so many scores are held at once."""


@dataclass(frozen=True, eq=False)
class RankedDocuments:
    """The L documents with the highest scores of each of B queries; queries of several blocks may have several L."""

    query: Tensor
    """(B,) int64 rows of the queries."""
    row: Tensor
    """(B, L) int64 rows of the documents, highest score first; -1 where there is none, in no place before the last."""
    score: Tensor
    """(B, L) float32, larger is nearer; what stands at a row of -1 means nothing. Equal scores are ties."""
    whole: bool = False
    """Whether nothing is missing that ties with the last of a row, also where the row is shorter than the set."""

    def __post_init__(self) -> None:
        """Raises `InputError` where the shapes do not match, scores are no float32, do not descend or hold NaN."""
        if self.row.ndim != 2 or self.row.shape != self.score.shape or self.query.shape != self.row.shape[:1]:
            raise InputError(
                f"Ranked documents are (B, L) rows and (B, L) scores of (B,) queries, not {described(self.row)}, "
                f"{described(self.score)} and {described(self.query)}."
            )
        if self.score.dtype != torch.float32:
            raise InputError(
                f"Scores must be float32, not {self.score.dtype}: coarser ones tie where the documents do not, and "
                "such ties cannot be told from true ones; score in float32."
            )
        there = self.row >= 0
        if bool((there[:, 1:] & ~there[:, :-1]).any()):
            raise InputError("A row of -1 says that there are no more documents, but others follow it.")
        if bool((self.score.isnan() & there).any()):
            raise InputError("Scores hold NaN; a ranking needs numbers.")
        if bool(((self.score[:, 1:] > self.score[:, :-1]) & there[:, 1:]).any()):
            raise InputError("Scores must descend: the first document of a query is the one with the highest score.")


def rank_documents(
    queries: Tensor,
    documents: Tensor,
    distance: Distance | None = None,
    *,
    depth: int = 100,
    excluded: RowLists | None = None,
) -> Iterator[RankedDocuments]:
    """Rank all documents for each query, some queries at a time; together the blocks hold every query once.

    Scores are made in float64 and rounded to float32, and documents with equal embeddings are scored once: these have
    equal scores, and two that float32 tells apart are not made equal by coarser numbers on the way.

    Args:
        queries: (Q, D) of any float.
        documents: (N, D) of any float.
        distance: what near means; None is cosine. The score is the similarity of cosine and inner product, and of the
            others the negative distance.
        depth: documents of each query, all where there are no more; more where the last of them tie with others.
        excluded: Q lists of documents that are not ranked for a query, such as the query itself where it stands among
            the documents; None leaves out nothing.

    Raises:
        InputError: shapes do not match, there is no document, depth is no whole number of at least 1, or embeddings are
            not finite, or so long or short that scores do not fit float32.
    """
    check_distance(distance)
    for name, table in (("queries", queries), ("documents", documents)):
        if not isinstance(table, Tensor) or table.ndim != 2 or not table.is_floating_point():
            raise InputError(f"The {name} must be a floating-point tensor (rows, D), not {described(table)}.")
        if not table.shape[1]:
            raise InputError(f"The {name} need at least one column, not shape {tuple(table.shape)}.")
        if not bool(torch.isfinite(table).all()):
            raise InputError(f"The embeddings of the {name} hold NaN or infinity; a ranking needs finite numbers.")
    if queries.shape[1] != documents.shape[1] or not len(documents):
        raise InputError(
            f"Queries are {queries.shape[1]} wide and the {len(documents):,} documents {documents.shape[1]}; there "
            "must be a document, and they must be of one width."
        )
    if not isinstance(depth, Integral) or isinstance(depth, bool) or depth < 1:
        raise InputError(f"depth = {depth} is not allowed: it must be a whole number of at least 1.")
    if excluded is not None and (len(excluded) != len(queries) or excluded.rows != len(documents)):
        raise InputError(
            f"What is left out is listed for {len(excluded):,} queries and {excluded.rows:,} documents, but there are "
            f"{len(queries):,} and {len(documents):,}."
        )
    near, queries, documents = distance or Distance("cosine"), queries.detach(), documents.detach()
    if len(queries):
        wide = [table.float() if table.dtype in HALF else table for table in (queries, documents)]
        check_range(near, wide[0], length_bound(wide[1]), what="queries and documents")
    return _blocks(queries, documents, near, int(depth), excluded)


@torch.no_grad()
def _blocks(
    queries: Tensor, documents: Tensor, distance: Distance, depth: int, excluded: RowLists | None
) -> Iterator[RankedDocuments]:
    prepared = distance.prepare_exactly(documents.double())  # autocast leaves float64 alone
    different, same = torch.unique(prepared, dim=0, return_inverse=True)
    depth = min(depth, len(documents))
    for query in torch.arange(len(queries), device=queries.device).split(max(1, TILE_ENTRIES // len(documents))):
        vectors = distance.prepare_exactly(queries[query].double())
        if distance.metric in ("cosine", "inner-product"):
            score = vectors @ different.T
        else:
            score = -distance.prepared_pairwise(vectors, different)
        score = score.float()[:, same]
        if excluded is not None:
            lists = excluded.at(query)
            score[lists.anchor, lists.row] = -torch.inf
        yield from _ranked(query, score, depth)


def _ranked(query: Tensor, score: Tensor, depth: int) -> Iterator[RankedDocuments]:
    """Of (B, N) scores, -inf where nothing is ranked. What ties with the last goes with it."""
    last = score.topk(depth, dim=1).values[:, -1:]
    reach = (score >= last).sum(1).masked_fill(last[:, 0] == -torch.inf, depth)
    for which in ((reach == depth).nonzero()[:, 0], (reach > depth).nonzero()[:, 0]):
        if len(which):
            row = score[which].topk(int(reach[which].max()), dim=1).indices.sort(dim=1).values
            found, order = score[which].gather(1, row).sort(dim=1, descending=True, stable=True)
            row = row.gather(1, order).masked_fill(found == -torch.inf, -1)
            yield RankedDocuments(query[which], row, found, whole=True)
