"""What every neighbour search promises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from hnm_core.bank import Bank, check_bank
from hnm_core.distances import Distance, check_range
from hnm_core.errors import InputError
from hnm_core.isolation import isolated
from hnm_core.neighbors import listed
from hnm_core.neighbors.found import Neighbors, SearchProgress, report
from hnm_core.relevance import AnyQuery, JudgedQuery, Query, SameClass, VectorQuery, anchor_rows, query_of_rows
from hnm_core.run.misses import Reason
from hnm_core.system import memory

_BYTES = 4 + 8
"""Of a neighbour that was found: its distance and its row."""


class NeighborSearch(Protocol):
    """Finds hard negatives and hard positives in a bank of classes: what a miner needs of a search.

    `QuerySearch` is a base that asks for less, and answers more.
    """

    @property
    def description(self) -> str:
        """How it searches and why, in words."""

    @property
    def approximate(self) -> bool:
        """Whether it may miss neighbours, so that its recall is worth measuring."""

    def build(self, bank: Bank) -> None:
        """Index the bank. The bank is not changed; a search sees it as it was at this moment."""

    def nearest_negatives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """The k nearest rows of other classes, nearest first.

        On the CPU an exact search returns of equally far rows those with the lowest numbers, at the k-th place as
        inside an answer, so that an anchor gets the same rows whoever else is asked in the call.

        Args:
            anchors: (Q,) int64 rows of the bank in the caller's order.
            k: at least 1; where fewer exist the rest is -1 / inf.
            progress: see `SearchProgress`.

        Raises:
            InputError: no bank was built, k is no whole number of at least 1, or an anchor is no row of the bank.
            SearchCancelled: the progress callback returned False.
        """

    def farthest_positives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """The k farthest other rows of the anchor's class, farthest first. Arguments as above."""


class Filling(Protocol):
    """How the rows fill the buckets of one table."""

    @property
    def largest(self) -> int:
        """Rows in the fullest bucket."""


@runtime_checkable
class Bucketing(Protocol):
    """A search that hashes rows into buckets, which may be filled unevenly."""

    @property
    def hashes(self) -> bool:
        """Whether the bank is hashed, rather than compared with as a whole."""

    def occupancy(self, table: int) -> Filling:
        """How full the buckets of a table are."""


@runtime_checkable
class Hashing(Protocol):
    """A search that can tell where its hash has put each row."""

    @property
    def hashes(self) -> bool:
        """Whether the bank is hashed now."""

    def bucket_of_row(self, table: int) -> Tensor:
        """(N,) int64 number of the bucket of each row of the bank in a table, in the caller's order; where whole codes
        are compared, of what their first bits say. Raises `InputError` where there is no such table."""

    def cuts(self, most: int) -> Tensor:
        """(P, D + 1) float64 hyperplanes by which the first bits of table 0, P <= `most`, cut the prepared embeddings:
        a unit normal and an offset each; a point x of one has normal @ x = offset."""

    @property
    def compared(self) -> Tensor | None:
        """(Q,) how many rows each anchor of the last search was compared with exactly; None before one."""


@runtime_checkable
class ExplainsMisses(Protocol):
    """A search that can tell what kept it from a true neighbour."""

    def why_missed(self, query: Query, negatives: Tensor) -> Reason | None:
        """Why `nearest`, as it searched last, did not return for each anchor the one row that is not relevant to it.

        Args:
            query: M anchors about the bank. Those to which rows are listed as relevant are `JudgedQuery.unrestricted`,
                which is what a search is asked for them.
            negatives: (M,) int64 rows of the bank, not relevant to their anchors.

        Returns:
            One row for each anchor; None where it searches exactly, so that there is nothing to tell.
        """


@runtime_checkable
class PredictsRecall(Protocol):
    """A search that expects to find a certain share of the true nearest negatives."""

    def predicted_recall(self, k: int) -> float | None:
        """Of the k nearest, in the bank that was built last; None where it has no expectation, as before a search."""


@runtime_checkable
class KeepsState(Protocol):
    """A search that can tell what it keeps from one build to the next, so that a run goes on from a checkpoint."""

    def state(self) -> dict[str, Any]:
        """Plain values, nested; empty where each build is on its own."""

    def restore(self, state: Mapping[str, Any], bank: Bank | None) -> None:
        """Be, made anew from the same options but for the seed, what told `state` after it was built on `bank`; None
        where it is built anew before it is asked."""


class QuerySearch(NeighborSearch):
    """Base of the searches here: rows of classes are one way to ask.

    A search is `_build`, which keeps the bank in `_bank`, and `_nearest` and `_farthest`, which need not check what
    they are asked. Both make of an anchor that is a vector what `_build` makes of rows.
    """

    approximate: bool
    _distance: Distance
    _bank: Bank | None = None
    _longest: float = 0.0
    compared: Tensor | None = None
    """(Q,) how many rows each anchor of the last search was compared with; None where a search does not tell."""

    @isolated
    def build(self, bank: Bank) -> None:
        """Index the bank. The bank is not changed; a search sees it as it was at this moment.

        Raises:
            InputError: that is no bank, one that the search cannot index, or one with distances beyond float32.
        """
        check_bank(bank)
        self._longest = check_range(self._distance, bank.embeddings)
        self._build(bank)

    @isolated
    def nearest(self, query: AnyQuery, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """The k nearest rows that may come back for each anchor, nearest first: what is not relevant to it, and not
        kept from coming back besides.

        Of equally far rows see `NeighborSearch`.

        Args:
            query: Q anchors, and what is relevant to them.
            k: at least 1; where fewer exist the rest is -1 / inf.
            progress: see `SearchProgress`.

        Raises:
            InputError: no bank was built, or another than the query's; k is no whole number of at least 1; or vectors
                lie so far from the bank that squared distances do not fit float32.
            SearchCancelled: the progress callback returned False.
        """
        self._check(query, k)
        if isinstance(query, JudgedQuery):
            return self._nearest_judged(query, k, progress)
        return self._nearest(query, k, progress)

    @isolated
    def farthest(self, query: AnyQuery, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """The k farthest rows that are relevant to each anchor, without itself, farthest first. Arguments as above."""
        self._check(query, k)
        if isinstance(query, JudgedQuery):
            return listed.farthest(query, k, self._distance)
        return self._farthest(query, k, progress)

    def _nearest_judged(self, query: JudgedQuery, k: int, progress: SearchProgress | None) -> Neighbors:
        done = 0
        compared = query.which.new_full((len(query),), len(query.bank))
        told = False

        def asked(anchors: Tensor, lines: Tensor | None) -> None:
            nonlocal done, told
            if lines is not None and self.compared is not None:
                compared[anchors], told = self.compared[lines].to(compared), True
            done += len(anchors)
            report(progress, done, len(query))

        def ask(vectors: VectorQuery, wanted: int) -> Neighbors:
            return self._nearest(vectors, wanted, None)

        found = listed.nearest(query, k, self._distance, ask, asked)
        if told:  # by each part of the anchors of itself alone
            self.compared = compared
        return found

    @abstractmethod
    def _build(self, bank: Bank) -> None:
        """`build` of what is a bank."""

    @abstractmethod
    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """`nearest` of a query about the bank that was built."""

    @abstractmethod
    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """`farthest` of a query about the bank that was built."""

    def nearest_negatives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """`nearest` for rows of the bank and their classes or labels, see `NeighborSearch`."""
        return self.nearest(self._of_classes(anchors), k, progress)

    def farthest_positives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """`farthest` for rows of the bank and their classes or labels, see `NeighborSearch`."""
        return self.farthest(self._of_classes(anchors), k, progress)

    def nearest_to(
        self, vectors: Tensor, k: int, labels: Tensor | None = None, progress: SearchProgress | None = None
    ) -> Neighbors:
        """The k rows nearest to vectors that need be no rows of the bank, nearest first.

        Args:
            vectors: (Q, D) of any float, embeddings as the bank holds them; what the distance normalises is normalised.
            k: at least 1; where fewer exist the rest is -1 / inf.
            labels: (Q,) integers, for each vector the class whose rows may not come back. A label that the bank does
                not have leaves nothing out; None leaves out nothing for any vector.
            progress: see `SearchProgress`.

        Raises:
            InputError: no bank was built; the vectors are no finite embeddings of its width, or lie so far from it that
                squared distances do not fit float32; the labels are no integers for them; or k is no whole number of at
                least 1.
            SearchCancelled: the progress callback returned False.
        """
        return self.nearest(SameClass(built(self._bank)).of_vectors(vectors, labels), k, progress)

    def _of_classes(self, anchors: Tensor) -> AnyQuery:
        return query_of_rows(built(self._bank), anchors)

    def _check(self, query: AnyQuery, k: int) -> None:
        check_query(self._bank, query, k)
        if (
            isinstance(query, VectorQuery | JudgedQuery) and self._distance.metric != "euclidean"
        ):  # whose form looks at vectors
            check_range(self._distance, query.vectors, self._longest, what="vectors")


class BuiltAnew(QuerySearch):
    """A search each of whose builds is on its own: it has no state to tell, see `KeepsState`."""

    def state(self) -> dict[str, Any]:
        """See `KeepsState`."""
        return {}

    def restore(self, state: Mapping[str, Any], bank: Bank | None) -> None:
        """See `KeepsState`."""
        if bank is not None:
            self.build(bank)


def nearest(search: NeighborSearch, query: AnyQuery, k: int) -> Neighbors:
    """Ask any search for the k nearest rows that are not relevant, also one that knows rows and classes only, or that
    answers them in a way of its own. Raises `InputError` where it cannot be asked about vectors."""
    if isinstance(search, QuerySearch) and type(search).nearest_negatives is QuerySearch.nearest_negatives:
        return search.nearest(query, k)
    return search.nearest_negatives(anchor_rows(query), k)


def built(bank: Bank | None) -> Bank:
    """The bank of a search. Raises `InputError` where none was built."""
    if bank is None:
        raise InputError("Build the search on a bank before asking it for neighbours.")
    return bank


def check_query(bank: Bank | None, query: AnyQuery, k: int) -> None:
    """Raises `InputError` where the search was built on no bank or on another than the query's, k < 1, or k is so large
    that the memory does not suffice."""
    if query.bank is not built(bank):
        raise InputError("The query is about another bank than the one the search was built on; build it on that one.")
    if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
        raise InputError(f"k = {k} neighbours cannot be searched for; k must be a whole number of at least 1.")
    if k > len(query.bank):
        room = len(query) * int(k) * _BYTES
        memory.require(room, f"k = {k:,} neighbours of {len(query):,} anchors", f"there are {len(query.bank):,} rows")
