"""What a search is asked: anchors, and which rows of a bank are relevant to each.

Relevant rows may not come back as an anchor's negatives, and are its positives. There are three kinds of relevance.
`SameClass`: a class is relevant, that of an anchor that is a row of the bank itself, or the one whose label comes with
a vector that is no row of it. `Judged`: rows are listed one by one for each anchor, as judgements of queries and
documents list them, and others may be kept from coming back as well. `SharedLabels`: anchors are rows of a bank whose
items have several labels each, and relevant is what shares one. Searches and miners over the whole set ask here
and compare no labels. Inside a batch, and in retrieval metrics, classes are still compared where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.errors import InputError, described
from hnm_core.labels import INTEGERS, asked_for
from hnm_core.row_lists import RowLists
from hnm_core.several_labels import SeveralLabels

NO_CLASS = -2
"""Where a class would stand, if anything were relevant. Indexes have a use of their own for -1."""


class Ranges(NamedTuple):
    """For each of Q anchors the sorted places of its bank from `low` up to, without, `high`."""

    low: Tensor
    """(Q,) int64."""
    high: Tensor
    """(Q,) int64."""

    def hold(self, place: Tensor) -> Tensor:
        """bool, whether places lie in the ranges: (Q,) one for each, (Q, M) several, or any that go with (Q, 1)."""
        low, high = (side if place.ndim == 1 else side[:, None] for side in self)
        return (place >= low) & (place < high)


class Placed(NamedTuple):
    """Anchors as searches take them: where to find what they know of each, and the places that are relevant to it.

    The ranges ascend, where nothing else is said, since classes follow each other as places do; empty ones begin at 0.
    """

    place: Tensor
    """(Q,) int64, the sorted place that the anchor has in the bank, which is relevant to it; -1 for a vector."""
    low: Tensor
    """(Q,) int64, the first place that is relevant."""
    high: Tensor
    """(Q,) int64, the place behind the last."""
    line: Tensor
    """(Q,) int64, the anchor's line in whatever a search makes of all anchors: of the rows of its bank by place, or of
    the vectors of a query."""

    def at(self, which: slice | Tensor) -> Placed:
        """Some of the anchors."""
        return Placed(*(values[which] for values in self))


@dataclass(frozen=True)
class SameClass:
    """Whole classes are relevant, each one range of sorted places: to a row of the bank all rows of its class, to a
    vector those of the label that came with it."""

    bank: Bank

    def query(self, anchors: Tensor) -> RowQuery:
        """What to ask a search with about anchors, (Q,) integer rows of the bank on any device.

        Raises:
            InputError: the anchors are no rows of the bank, or its items have several labels each, and so no class.
        """
        if self.bank.several is not None:
            raise InputError("The items of this bank have several labels each and no class; ask SharedLabels(bank).")
        return RowQuery(self, checked_rows(self.bank, anchors))

    def of_vectors(self, vectors: Tensor, labels: Tensor | None = None) -> VectorQuery:
        """What to ask a search with about anchors that are no rows of the bank.

        Args:
            vectors: (Q, D) of any float, embeddings like those of the bank: the search prepares both alike.
            labels: (Q,) integers, which class of the bank is relevant to each; a label that no row of the bank has,
                and None for them all, say that nothing is.

        Raises:
            InputError: the vectors are no finite embeddings of the bank's width, or the labels no integers for them.
        """
        vectors = checked_vectors(self.bank, vectors)
        return VectorQuery(self, vectors, classes_of(self.bank, labels, len(vectors)))

    def classes(self, row: Tensor) -> Tensor:
        """(Q,) int64, the class, 0 .. C-1, all of whose rows and no others are relevant to each row (Q,)."""
        classes: Tensor = self.bank.class_of_row.index_select(0, row)
        return classes

    def ranges(self, classes: Tensor) -> Ranges:
        """Where the rows of classes (Q,) stand; an empty range from 0 on for `NO_CLASS`."""
        there, none = classes.clamp_min(0), classes < 0
        low = self.bank.offsets.index_select(0, there)
        high = low + self.bank.sizes.index_select(0, there)
        return Ranges(low.masked_fill_(none, 0), high.masked_fill_(none, 0))


Relevance: TypeAlias = SameClass
"""Every kind of relevance there is."""


@dataclass(frozen=True)
class _Asked:
    """What queries of either kind have in common."""

    relevance: Relevance

    @property
    def bank(self) -> Bank:
        """The bank that holds the candidates."""
        return self.relevance.bank


@dataclass(frozen=True)
class RowQuery(_Asked):
    """Anchors that are rows of the bank: candidates for each other, and never for themselves.

    A search makes norms and codes of its bank's rows and finds an anchor's among them.
    """

    row: Tensor
    """(Q,) int64, the anchors, on the bank's device. `SameClass.query` checks them."""

    def __len__(self) -> int:
        return len(self.row)

    @property
    def vectors(self) -> Tensor:
        """(Q, D) float32, the anchors' embeddings."""
        return self.bank.embeddings[self.row]

    @property
    def place(self) -> Tensor:
        """(Q,) int64, the anchors' sorted places."""
        return self.bank.place.index_select(0, self.row)

    @property
    def classes(self) -> Tensor:
        """(Q,) int64, see `SameClass.classes`.

        For searches that keep whole classes together because that is faster.
        """
        return self.relevance.classes(self.row)

    @cached_property
    def ranges(self) -> Ranges:
        """What is relevant to each anchor, itself included."""
        return self.relevance.ranges(self.classes)

    @property
    def positives(self) -> Tensor:
        """(Q,) int64, how many positives each anchor has: what is relevant to it, without itself."""
        return self.ranges.high - self.ranges.low - 1

    @property
    def negatives(self) -> Tensor:
        """(Q,) int64, how many rows are not relevant to each anchor."""
        return len(self.bank) - (self.ranges.high - self.ranges.low)

    @property
    def unrestricted(self) -> bool:
        """Whether all rows may come back for some of the anchors: never, as each is relevant to itself."""
        return False

    def at(self, which: slice | Tensor) -> RowQuery:
        """Some of the anchors, in any order."""
        return RowQuery(self.relevance, self.row[which])

    def by_place(self) -> tuple[Placed, Tensor]:
        """The anchors by ascending place, and (Q,) int64 at which position of this query each of them stands."""
        place, slots = self.place.sort()
        ranges = self.relevance.ranges(self.relevance.classes(self.row.index_select(0, slots)))
        return Placed(place, *ranges, place), slots


@dataclass(frozen=True)
class VectorQuery(_Asked):
    """Anchors that are vectors: any row that is not relevant may come back, also one that equals the vector.

    A search makes of them what it makes of its bank's rows, for each question anew.
    """

    vectors: Tensor
    """(Q, D) float32, finite, contiguous, on the bank's device. `SameClass.of_vectors` checks them."""
    classes: Tensor
    """(Q,) int64, the class, 0 .. C-1, that is relevant to each; `NO_CLASS` where nothing is."""

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def ranges(self) -> Ranges:
        """What is relevant to each anchor."""
        return self.relevance.ranges(self.classes)

    @property
    def positives(self) -> Tensor:
        """(Q,) int64, how many rows are relevant to each anchor."""
        return self.ranges.high - self.ranges.low

    @property
    def negatives(self) -> Tensor:
        """(Q,) int64, how many rows are not."""
        return len(self.bank) - self.positives

    @property
    def unrestricted(self) -> bool:
        """Whether all rows may come back for some of the anchors."""
        return bool((self.classes < 0).any())

    def at(self, which: slice | Tensor) -> VectorQuery:
        """Some of the anchors, in any order."""
        return VectorQuery(self.relevance, self.vectors[which].contiguous(), self.classes[which])

    def by_place(self) -> tuple[Placed, Tensor]:
        """The anchors by ascending ranges, and (Q,) int64 at which position of this query each of them stands."""
        low, high = self.ranges
        slots = high.argsort(stable=True)  # by the end, as an empty range begins where the first class does
        return Placed(torch.full_like(slots, -1), low[slots], high[slots], slots), slots


Query: TypeAlias = RowQuery | VectorQuery
"""What a search is asked with: Q anchors, each with a vector, and by their relevance what may come back for each."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Listed rows are relevant to each of the Q queries of a set, and more may not come back for them: what the user
    leaves out, duplicates of either, and the query itself where it stands among the documents too."""

    bank: Bank
    """The documents. Its classes, if it has several, mean nothing here."""
    positives: RowLists
    """What is relevant to each query."""
    excluded: RowLists
    """What else may not come back for each."""

    def __post_init__(self) -> None:
        """Raises `InputError` where the lists are of other rows or of different numbers of queries."""
        for name, lists in (("positives", self.positives), ("excluded", self.excluded)):
            if lists.rows != len(self.bank):
                raise InputError(f"The {name} are of {lists.rows:,} rows, but the bank has {len(self.bank):,}.")
        if len(self.positives) != len(self.excluded):
            raise InputError(
                f"There are positives of {len(self.positives):,} queries, but rows left out of {len(self.excluded):,}."
            )

    @cached_property
    def barred(self) -> RowLists:
        """All that may not come back for each query."""
        return self.positives.joined(self.excluded)

    def barred_of(self, which: Tensor) -> RowLists:
        """What may not come back for some queries (Q',)."""
        return self.barred.at(which)

    def relevant_to(self, which: Tensor) -> RowLists:
        """The positives of some queries (Q',)."""
        return self.positives.at(which)

    def most_barred(self, which: Tensor) -> Tensor:
        """(Q',) what no list of `barred_of` is longer than."""
        return self.barred.sizes[which]

    def most_relevant(self, which: Tensor) -> Tensor:
        """(Q',) what no list of `relevant_to` is longer than."""
        return self.positives.sizes[which]

    def parts(self, which: Tensor) -> Iterator[slice]:
        """Queries (Q',) in parts whose lists fit into the memory together: they are there."""
        yield slice(0, len(which))

    def query(self, vectors: Tensor, which: Tensor | None = None) -> JudgedQuery:
        """What to ask a search with about queries.

        Args:
            vectors: (Q', D) of any float, embeddings like those of the bank.
            which: (Q',) integers, the query that each is, 0 .. Q-1; None where they are all, in order.

        Raises:
            InputError: the vectors are no finite embeddings of the bank's width, not one for each query, or for what
                is no query of the set.
        """
        vectors = checked_vectors(self.bank, vectors)
        count = len(self.positives)
        if which is None:
            which = torch.arange(count, device=self.bank.device)
        if not isinstance(which, Tensor) or which.ndim != 1 or which.dtype not in INTEGERS:
            raise InputError(f"Queries must be a one-dimensional tensor of integers, not {described(which)}.")
        which = which.detach().to(self.bank.device, torch.int64)
        if len(which) != len(vectors):
            raise InputError(f"There are {len(vectors):,} vectors for {len(which):,} queries; each needs one.")
        if len(which) and not 0 <= int(which.min()) <= int(which.max()) < count:
            raise InputError(f"Queries must be 0 to {count - 1}, as there are judgements of {count:,}.")
        return JudgedQuery(self, vectors, which)


@dataclass(frozen=True, eq=False)
class SharedLabels:
    """What shares a label is relevant to a row of a bank whose items have several labels each, or none. What may not
    come back is the same and the row itself, which for one without labels is all."""

    bank: Bank

    def __post_init__(self) -> None:
        """Raises `InputError` where the items of the bank have no such labels."""
        if self.bank.several is None:
            raise InputError("The items of this bank have one class each; several labels are Bank(x, SeveralLabels).")

    @property
    def labels(self) -> SeveralLabels:
        """Of the bank's rows."""
        assert self.bank.several is not None
        return self.bank.several

    def query(self, anchors: Tensor) -> JudgedQuery:
        """What to ask a search with about anchors, (Q,) integer rows of the bank on any device.

        Raises:
            InputError: the anchors are no rows of the bank.
        """
        row = checked_rows(self.bank, anchors)
        return JudgedQuery(self, self.bank.embeddings[row], row)

    def barred_of(self, which: Tensor) -> RowLists:
        """What may not come back for some rows (Q',). No more of them at once than `parts` says."""
        return self.labels.common(which)

    def relevant_to(self, which: Tensor) -> RowLists:
        """The positives of some rows (Q',). No more of them at once than `parts` says."""
        common = self.labels.common(which)
        others = common.row != which[common.anchor]
        offsets = torch.cat((common.offsets[:1], others.cumsum(0)))[common.offsets]
        return RowLists(offsets, common.row[others], common.rows)

    def most_barred(self, which: Tensor) -> Tensor:
        """(Q',) what no list of `barred_of` is longer than."""
        return self.labels.most[which]

    def most_relevant(self, which: Tensor) -> Tensor:
        """(Q',) what no list of `relevant_to` is longer than."""
        return self.labels.most[which] - 1

    def parts(self, which: Tensor) -> Iterator[slice]:
        """Rows (Q',) in parts whose lists fit into the memory together."""
        yield from self.labels.parts(which)


@dataclass(frozen=True, eq=False)
class JudgedQuery:
    """Anchors each with a list of rows that may not come back: queries, vectors that are no rows of the bank; or rows
    of it whose items have several labels each."""

    relevance: Judged | SharedLabels
    vectors: Tensor
    """(Q, D) float32, finite, contiguous, on the bank's device."""
    which: Tensor
    """(Q,) int64, the queries of the set, or the rows of the bank. `query` of the relevance checks them."""

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def bank(self) -> Bank:
        """The bank that holds the candidates."""
        return self.relevance.bank

    @cached_property
    def barred(self) -> RowLists:
        """What may not come back for each anchor. Of all at once: see `parts`."""
        return self.relevance.barred_of(self.which)

    @cached_property
    def relevant(self) -> RowLists:
        """The positives of each anchor. Of all at once: see `parts`."""
        return self.relevance.relevant_to(self.which)

    def may_not_come_back(self, row: Tensor) -> Tensor:
        """bool like `row`, (Q, K) rows of the bank: whether each is barred for its anchor. Never for -1."""
        if isinstance(self.relevance, SharedLabels):
            return self.relevance.labels.share(self.which, row)  # without any list
        return self.barred.hold(row)

    def parts(self) -> Iterator[tuple[slice, JudgedQuery]]:
        """The anchors in parts whose lists fit into the memory together, in order."""
        for part in self.relevance.parts(self.which):
            yield part, self.at(part)

    @cached_property
    def positives(self) -> Tensor:
        """(Q,) int64, how many rows are relevant to each anchor."""
        return self._sizes(lambda part: part.relevant.sizes)

    @cached_property
    def negatives(self) -> Tensor:
        """(Q,) int64, how many rows may come back for each."""
        return len(self.bank) - self._sizes(lambda part: part.barred.sizes)

    def _sizes(self, of: Callable[[JudgedQuery], Tensor]) -> Tensor:
        return torch.cat([self.which[:0], *(of(part) for _, part in self.parts())])

    def at(self, which: slice | Tensor) -> JudgedQuery:
        """Some of the anchors, in any order."""
        return JudgedQuery(self.relevance, self.vectors[which].contiguous(), self.which[which])

    def unrestricted(self) -> VectorQuery:
        """The same vectors, for which any row may come back."""
        return VectorQuery(SameClass(self.bank), self.vectors, classes_of(self.bank, None, len(self)))


AnyQuery: TypeAlias = RowQuery | VectorQuery | JudgedQuery
"""A query of any kind of relevance."""


def query_of_rows(bank: Bank, anchors: Tensor) -> RowQuery | JudgedQuery:
    """What to ask a search with about rows (Q,) of a bank, by the classes of its items or the labels they share.

    Raises:
        InputError: the anchors are no rows of the bank.
    """
    return SameClass(bank).query(anchors) if bank.several is None else SharedLabels(bank).query(anchors)


def of_rows(query: AnyQuery) -> RowQuery:
    """The query, for what needs its anchors to be rows of the bank. Raises `InputError` where they are vectors."""
    if not isinstance(query, RowQuery):
        raise InputError("Here anchors must be rows of the bank; vectors that are none cannot be asked about.")
    return query


def anchor_rows(query: AnyQuery) -> Tensor:
    """(Q,) int64, the rows of the bank that the anchors are. Raises `InputError` where they are vectors."""
    if isinstance(query, JudgedQuery) and isinstance(query.relevance, SharedLabels):
        return query.which
    return of_rows(query).row


def checked_rows(bank: Bank, anchors: Tensor) -> Tensor:
    """The anchors as (Q,) int64 rows on the bank's device. Raises `InputError` where they are no rows of the bank."""
    if not isinstance(anchors, Tensor) or anchors.ndim != 1 or anchors.is_floating_point() or anchors.is_complex():
        raise InputError(f"Anchors must be a one-dimensional tensor of integer rows, not {described(anchors)}.")
    if anchors.dtype == torch.bool:
        raise InputError("Anchors must be rows, not a mask; take mask.nonzero().flatten().")
    anchors = anchors.detach().to(bank.device, torch.int64).contiguous()
    if len(anchors):
        low, high = map(int, torch.aminmax(anchors))
        if low < 0 or high >= len(bank):
            wrong = low if low < 0 else high
            raise InputError(f"Anchor {wrong} is no row of the bank; its rows are 0 to {len(bank) - 1}.")
    return anchors


def checked_vectors(bank: Bank, vectors: Tensor) -> Tensor:
    """The vectors as (Q, D) contiguous float32 on the bank's device, without gradient.

    Raises:
        InputError: they are no table of floats as wide as the bank's embeddings, or hold NaN or infinity.
    """
    if not isinstance(vectors, Tensor) or vectors.ndim != 2 or not vectors.is_floating_point():
        raise InputError(f"Vectors must be a floating-point tensor of shape (Q, D), not {described(vectors)}.")
    if vectors.shape[1] != bank.dim:
        raise InputError(f"Vectors must be as wide as the bank's embeddings, {bank.dim}, not {vectors.shape[1]}.")
    vectors = vectors.detach().to(bank.device, torch.float32).contiguous()
    # Whoever adds NaN or infinity gets no finite number; a sum of large numbers may be none either.
    if not torch.isfinite(vectors.sum()) and (bad := int((~torch.isfinite(vectors).all(1)).sum())):
        raise InputError(f"{bad} of {len(vectors)} vectors hold NaN or infinity; a search needs finite numbers.")
    return vectors


def classes_of(bank: Bank, labels: Tensor | None, count: int) -> Tensor:
    """(count,) int64 classes of the bank with these labels; `NO_CLASS` where it has none such.

    Raises:
        InputError: the labels are no tensor of so many integers.
    """
    if labels is None:
        return torch.full((count,), NO_CLASS, device=bank.device)
    if not isinstance(labels, Tensor) or labels.shape != (count,) or labels.dtype not in INTEGERS:
        raise InputError(
            f"Labels must be a tensor of {count} {asked_for(labels)}, one for each vector, not {described(labels)}."
        )
    if bank.several is not None:
        raise InputError("The items of this bank have several labels each; a vector is asked about without a label.")
    labels = labels.detach().to(bank.device, torch.int64).contiguous()
    found = torch.searchsorted(bank.classes, labels).clamp_max_(len(bank.classes) - 1)
    return found.masked_fill_(bank.classes[found] != labels, NO_CLASS)
