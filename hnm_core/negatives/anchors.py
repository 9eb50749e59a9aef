"""Whom negatives are mined for: queries with listed positives among documents, or the items of classes, or with several
labels each.

Documents that are the same are searched once, as the first of them, so that none comes back twice and none that is the
same as a positive comes back at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.data.judged import Ids, Items, JudgedSet
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.whole_set.positives import ranked_positives
from hnm_core.negatives import duplicates
from hnm_core.negatives.chance import fractions
from hnm_core.negatives.options import MineOptions
from hnm_core.relevance import AnyQuery, Judged, JudgedQuery, RowQuery, query_of_rows
from hnm_core.row_lists import RowLists
from hnm_core.several_labels import SeveralLabels

COORDINATES_AT_ONCE = 1 << 15
"""Of positives that are measured: they stay in the cache, and are too few to wake threads for."""


@dataclass(frozen=True, eq=False)
class Positives:
    """What anchors of a block stand with."""

    lists: RowLists
    """Rows of the bank."""
    document: Tensor
    """(M,) int64, the row of the documents that each of `lists.row` was judged as."""
    distance: Tensor
    """(M,) float32, from its anchor."""

    def guards(self, nearest: bool) -> Tensor:
        """(Q,) the distance that margins speak of: of the nearest positive or of the farthest; NaN without any."""
        how = "amin" if nearest else "amax"
        found = torch.full((len(self.lists),), torch.nan, dtype=torch.float32)
        has = self.lists.sizes > 0
        worst = torch.full_like(found, torch.inf if nearest else -torch.inf)
        best = worst.scatter_reduce(0, self.lists.anchor, self.distance, how)
        found[has] = best[has]
        return found


class Anchors(Protocol):
    """What mining asks of a set; anchors are 0 .. Q-1."""

    @property
    def bank(self) -> Bank:
        """What is searched."""

    @property
    def document(self) -> Tensor:
        """(N,) int64, the row of the documents that each row of the bank is."""

    @property
    def documents(self) -> int:
        """How many documents were given, those that are the same among them."""

    def bank_row(self, document: Tensor) -> Tensor:
        """The rows of the bank that documents are, or are the same as."""

    @property
    def group(self) -> Tensor | None:
        """(N,) int64 rows of the bank that are the same have the same number; None where all differ."""

    @property
    def alike(self) -> Mapping[str, int]:
        """How much was found to be the same, by what it is."""

    @property
    def anchor(self) -> Tensor:
        """(Q,) int64, the row of the queries that each anchor is."""

    @property
    def most_positives(self) -> int:
        """Of an anchor."""

    def query(self, part: slice) -> AnyQuery:
        """The anchors of a block."""

    def relevant(self, query: AnyQuery, row: Tensor) -> Tensor:
        """(Q, K) bool, which rows (Q, K) of the bank are positives of the anchors of a block; never -1."""

    def positives(self, part: slice, options: MineOptions, distance: Distance) -> Positives:
        """What the anchors of a block stand with."""

    def some(self, which: Tensor) -> Self:
        """Only the anchors at some places, (Q',) int64, in that order; the same bank."""


@dataclass(frozen=True, eq=False)
class JudgedAnchors:
    """Queries whose positives are listed."""

    bank: Bank
    document: Tensor
    alike: Mapping[str, int]
    anchor: Tensor
    vectors: Tensor
    """(Q, D) float32 of the anchors."""
    judged: Judged
    """By anchor, of rows of the bank."""
    stands_with: RowLists
    """By anchor, of rows of the documents."""
    first: Tensor
    """(documents,) int64, the row of the bank that each document is, or is the same as."""
    group: Tensor | None = None

    @property
    def documents(self) -> int:
        """See `Anchors`."""
        return len(self.first)

    def bank_row(self, document: Tensor) -> Tensor:
        """See `Anchors`."""
        return self.first[document]

    @property
    def most_positives(self) -> int:
        """See `Anchors`."""
        sizes = self.judged.positives.sizes
        return int(sizes.max()) if len(sizes) else 0

    def query(self, part: slice) -> JudgedQuery:
        """See `Anchors`."""
        which = torch.arange(len(self.anchor))[part]
        return self.judged.query(self.vectors[part], which)

    def relevant(self, query: AnyQuery, row: Tensor) -> Tensor:
        """See `Anchors`."""
        assert isinstance(query, JudgedQuery)
        return query.relevant.hold(row)

    def positives(self, part: slice, options: MineOptions, distance: Distance) -> Positives:
        """See `Anchors`. Which of several is drawn depends on the anchor alone."""
        which = torch.arange(len(self.anchor))[part]
        lists = self.stands_with.at(which)
        row = self.first[lists.row]
        apart = distances_of(self.vectors[part], lists.anchor, self.bank, row, distance)
        if options.keep_positives != "all":
            keep = _one_of(lists, apart, options, which[:1])
            lists, row, apart = _kept(lists, keep), row[keep], apart[keep]
        return Positives(RowLists(lists.offsets, row, len(self.bank)), lists.row, apart)

    def some(self, which: Tensor) -> JudgedAnchors:
        """See `Anchors`."""
        return replace(
            self,
            anchor=self.anchor[which],
            vectors=self.vectors[which],
            judged=Judged(self.bank, self.judged.positives.at(which), self.judged.excluded.at(which)),
            stands_with=self.stands_with.at(which),
        )


@dataclass(frozen=True, eq=False)
class ClassAnchors:
    """The items of classes, or with several labels each; an anchor stands with one other item of its class, or that
    shares a label with it."""

    bank: Bank
    group: Tensor | None
    alike: Mapping[str, int]
    anchor: Tensor

    @property
    def documents(self) -> int:
        """See `Anchors`."""
        return len(self.bank)

    def bank_row(self, document: Tensor) -> Tensor:
        """See `Anchors`."""
        return document

    @property
    def document(self) -> Tensor:
        """See `Anchors`."""
        return torch.arange(len(self.bank))

    @property
    def most_positives(self) -> int:
        """See `Anchors`."""
        return int(self.bank.sizes.max())

    def query(self, part: slice) -> RowQuery | JudgedQuery:
        """See `Anchors`."""
        return query_of_rows(self.bank, self.anchor[part])

    def relevant(self, query: AnyQuery, row: Tensor) -> Tensor:
        """See `Anchors`."""
        if isinstance(query, JudgedQuery):
            return query.may_not_come_back(row)
        assert isinstance(query, RowQuery)
        same: Tensor = self.bank.class_of_row[row.clamp_min(0)] == query.classes[:, None]
        return same & (row >= 0)

    def positives(self, part: slice, options: MineOptions, distance: Distance) -> Positives:
        """See `Anchors`."""
        query = self.query(part)
        if isinstance(query, JudgedQuery):
            parts = [self._of_labels(some, part.start + at.start, options, distance) for at, some in query.parts()]
            row = torch.cat([torch.zeros(0, dtype=torch.int64), *parts])
        elif options.keep_positives in ("hardest", "easiest"):
            row = ranked_positives(query, options.keep_positives, distance)
        else:
            row = _drawn(query, fractions(options.seed, "positives", part.start, len(query), 1)[:, 0])
        has = row >= 0
        offsets = torch.cat((torch.zeros(1, dtype=torch.int64), has.long().cumsum(0)))
        lists = RowLists(offsets, row[has], len(self.bank))
        return Positives(lists, lists.row, distances_of(query.vectors, lists.anchor, self.bank, lists.row, distance))

    def _of_labels(self, query: JudgedQuery, first: int, options: MineOptions, distance: Distance) -> Tensor:
        """(Q,) the row that each anchor stands with, of those that share a label with it; -1 where there is none."""
        lists = query.relevant
        if options.keep_positives in ("hardest", "easiest"):
            apart = distances_of(query.vectors, lists.anchor, self.bank, lists.row, distance)
        else:  # of which none has to be measured to draw one
            options, apart = options.model_copy(update={"keep_positives": "random"}), torch.zeros(0)
        row = torch.full((len(query),), -1, dtype=torch.int64)
        row[lists.sizes > 0] = lists.row[_one_of(lists, apart, options, torch.tensor([first]))]
        return row

    def some(self, which: Tensor) -> ClassAnchors:
        """See `Anchors`."""
        return replace(self, anchor=self.anchor[which])


def of_classes(embeddings: NDArray[np.float32], labels: NDArray[np.int64] | SeveralLabels) -> ClassAnchors:
    """Anchors of items with classes, or with several labels each. Raises `InputError` as `Bank`."""
    bank = Bank(_floats(embeddings), labels if isinstance(labels, SeveralLabels) else _tensor(labels))
    first = duplicates.firsts(None, embeddings)
    same = int((first != np.arange(len(first))).sum())
    return ClassAnchors(
        bank,
        torch.from_numpy(first) if same else None,
        {"documents": same} if same else {},
        torch.arange(len(bank)),
    )


def of_judged(given: JudgedSet, options: MineOptions) -> JudgedAnchors:
    """Anchors of a set of queries and documents.

    Like sentence-transformers, only texts are compared, each query's text is one anchor, and a query may find itself
    among the documents.

    Raises:
        InputError: queries or documents have no embeddings, or these are not what a bank takes.
    """
    theirs = options.like == "sentence-transformers"
    vectors, rows = _embeddings(given.queries, "queries"), _embeddings(given.documents, "documents")
    if vectors.shape[1] != rows.shape[1]:
        raise InputError(
            f"The queries of '{given.name}' have {vectors.shape[1]} dimensions and its documents {rows.shape[1]}; they "
            "must come from one space."
        )
    same = _same(given.documents, rows, theirs)
    kept = np.flatnonzero(same == np.arange(len(same)))
    bank_row = np.full(len(same), -1, np.int64)
    bank_row[kept] = np.arange(len(kept))
    first = bank_row[same]
    bank = Bank(_floats(rows[kept] if len(kept) < len(rows) else rows))

    query_group = _same(given.queries, vectors, theirs)
    relevant = given.judgements.relevant
    query, document = given.judgements.query[relevant], given.judgements.document[relevant]
    merged = np.unique(query_group) if theirs else np.arange(len(vectors))
    place = np.full(len(vectors), -1, np.int64)
    place[merged] = np.arange(len(merged))
    owner = place[query_group[query]] if theirs else query
    count = len(merged)
    stands_with = RowLists.of_pairs(_tensor(owner), _tensor(document), count, len(rows))
    positives = RowLists.of_pairs(_tensor(owner), _tensor(first[document]), count, len(bank))
    if given.left_out is not None:  # never found either, and nobody stands with them
        asking = given.left_out.query
        owner = place[query_group[asking]] if theirs else asking
        neither = RowLists.of_pairs(_tensor(owner), _tensor(first[given.left_out.document]), count, len(bank))
        positives = positives.joined(neither)
    excluded, itself, shared = RowLists.empty(count, len(bank)), 0, 0
    if not theirs:
        at, row = (_tensor(side) for side in _itself(given, first))
        other = ~positives.at(at).hold(row[:, None])[:, 0]  # a positive that has the query's id is left out anyway
        itself = len(at[other].unique())
        excluded = RowLists.of_pairs(at[other], row[other], count, len(bank))
        excluded, shared = _with_those_of_the_same(excluded, positives, query_group)
    counts = {
        "documents": len(same) - len(kept),
        "queries": int((query_group != np.arange(len(query_group))).sum()),
        "queries among the documents": itself,
        "positives of the same query": shared,
    }
    return JudgedAnchors(
        bank,
        _tensor(kept),
        {name: number for name, number in counts.items() if number},
        _tensor(merged),
        _floats(vectors[merged] if theirs else vectors),
        Judged(bank, positives, excluded),
        stands_with,
        _tensor(first),
    )


def _tensor(values: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.int64))


def _floats(table: NDArray[np.float32]) -> Tensor:
    """The same numbers, in the same place where they can be; nobody here writes to them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # as those read from a file
        return torch.from_numpy(np.ascontiguousarray(table, np.float32))


def _embeddings(items: Items, what: str) -> NDArray[np.float32]:
    if items.embeddings is None:
        raise InputError(f"The {what} have no embeddings; encode their text first.")
    return items.embeddings


def _same(items: Items, embeddings: NDArray[np.float32], by_text_alone: bool) -> NDArray[np.int64]:
    """(N,) for each item the first that is the same."""
    if not by_text_alone:
        return duplicates.firsts(items.text, embeddings)
    return duplicates.by_text(items.text) if items.text is not None else np.arange(len(items))


def _itself(given: JudgedSet, first: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a query and the row of the bank that is the query itself: by its id, where ids are more than places in
    a file, and by its text, or where there is none by its embedding."""
    queries, documents = given.queries, given.documents
    pairs = []
    if not (_are_places(queries.ids) or _are_places(documents.ids)):
        pairs.append(_matches(queries.ids, documents.ids))
    if queries.text is not None and documents.text is not None:
        pairs.append(_matches(queries.text, documents.text))
    else:
        vectors, rows = _embeddings(queries, "queries"), _embeddings(documents, "documents")
        both = duplicates.by_embedding(np.concatenate((rows, vectors)))[len(rows) :]
        at = np.flatnonzero(both < len(rows))
        pairs.append((at, both[at]))
    at, document = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return at, first[document]


def _are_places(ids: Ids) -> bool:
    return isinstance(ids, np.ndarray) and np.array_equal(ids, np.arange(len(ids)))


def _matches(left: Ids, right: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places in both at which the same stands; of several on the right the first, which the others are the same as."""
    found: dict[object, int] = {}
    for row, each in enumerate(right):
        found.setdefault(each, row)
    pairs = [(place, found[each]) for place, each in enumerate(left) if each in found]
    both = np.array(pairs, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _with_those_of_the_same(excluded: RowLists, positives: RowLists, group: NDArray[np.int64]) -> tuple[RowLists, int]:
    """What is left out, with the positives that other queries of the same text have; and how many these are."""
    if np.array_equal(group, np.arange(len(group))):
        return excluded, 0
    numbers = np.unique(group, return_inverse=True)[1]
    owner = _tensor(numbers)
    of_group = RowLists.of_pairs(owner[positives.anchor], positives.row, int(numbers.max()) + 1, positives.rows)
    sizes = np.bincount(numbers)
    several = _tensor(np.flatnonzero(sizes[numbers] > 1))
    theirs = of_group.at(owner[several])
    more = RowLists.of_pairs(several[theirs.anchor], theirs.row, len(excluded), excluded.rows)
    new = len(positives.joined(more).row) - len(positives.row)
    return excluded.joined(more), new


def distances_of(vectors: Tensor, anchor: Tensor, bank: Bank, row: Tensor, distance: Distance) -> Tensor:
    """(M,) float32 distances of pairs of an anchor and a row of the bank.

    Args:
        vectors: (Q, D) of the anchors.
        anchor: (M,) lines of `vectors`.
        bank: holds the rows.
        row: (M,)
        distance: what is measured.
    """
    found = torch.empty(len(row), dtype=torch.float32)
    step = max(1, COORDINATES_AT_ONCE // bank.dim)
    room = torch.empty((2, min(step, len(row)), bank.dim), dtype=torch.float64)
    for start in range(0, len(row), step):
        part = slice(start, min(start + step, len(row)))
        left, right = room[:, : part.stop - start]
        for side, table, chosen in ((left, vectors, anchor[part]), (right, bank.embeddings, row[part])):
            distance.prepare_exactly(side.copy_(table.index_select(0, chosen)), out=side)
        found[part] = distance.prepared_rowwise(left, right)
    return found


def _drawn(query: RowQuery, fraction: Tensor) -> Tensor:
    """(Q,) rows, each evenly drawn among the others of its anchor's class; -1 where there is none."""
    others = query.positives
    place = query.ranges.low + (fraction * others).long().minimum(others - 1).clamp_min(0)
    place += place >= query.place
    return query.bank.order[place.clamp_max(len(query.bank) - 1)].where(others > 0, -1)


def _one_of(lists: RowLists, apart: Tensor, options: MineOptions, first: Tensor) -> Tensor:
    """(<= Q,) places in the lists of the one positive that each anchor keeps."""
    sizes = lists.sizes
    has = (sizes > 0).nonzero()[:, 0]
    start, size = lists.offsets[:-1][has], sizes[has]
    if options.keep_positives == "random":
        begin = int(first) if len(first) else 0
        chance = fractions(options.seed, "positives", begin, len(sizes), 1)[has, 0]
        return start + (chance * size).long().minimum(size - 1)
    sign = -1.0 if options.keep_positives == "hardest" else 1.0
    order = (sign * apart.double()).argsort(stable=True)
    by_anchor = order[lists.anchor[order].argsort(stable=True)]
    return by_anchor[start]


def _kept(lists: RowLists, keep: Tensor) -> RowLists:
    """Lists of one or none."""
    has = (lists.sizes > 0).long()
    return RowLists(torch.cat((has.new_zeros(1), has.cumsum(0))), lists.row[keep], lists.rows)
