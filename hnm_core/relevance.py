"""Which rows of a bank are relevant to an anchor: those may not come back as its negatives, and are its positives.

So far that is the anchor's own class. Searches and miners over the whole set ask here and compare no labels; so another
kind of relevance (judged pairs of queries and documents, several labels an item) is another class beside `SameClass`,
joined to it in `Relevance`: the type checker then names each place that takes for granted what `SameClass` alone can
tell. Inside a batch, and in retrieval metrics, classes are still compared where they are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.errors import InputError, described


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
    """Anchors as searches take them: by their sorted places, each with the range of places that is relevant to it.

    They ascend, where nothing else is said, and their ranges with them: classes follow each other as places do.
    """

    place: Tensor
    """(Q,) int64."""
    low: Tensor
    """(Q,) int64, the first place that is relevant; the anchor's own place is among them."""
    high: Tensor
    """(Q,) int64, the place behind the last."""

    def at(self, which: slice | Tensor) -> Placed:
        """Some of the anchors."""
        return Placed(self.place[which], self.low[which], self.high[which])


@dataclass(frozen=True)
class SameClass:
    """To a row of the bank all rows of its class are relevant: whole classes, each one range of sorted places."""

    bank: Bank

    def query(self, anchors: Tensor) -> Query:
        """What to ask a search with about anchors, (Q,) integer rows of the bank on any device.

        Raises:
            InputError: the anchors are no rows of the bank.
        """
        return Query(self, checked_rows(self.bank, anchors))

    def classes(self, row: Tensor) -> Tensor:
        """(Q,) int64, the class, 0 .. C-1, all of whose rows and no others are relevant to each row (Q,).

        For searches that keep whole classes together because that is faster.
        """
        classes: Tensor = self.bank.class_of_row.index_select(0, row)
        return classes

    def ranges(self, row: Tensor) -> Ranges:
        """What is relevant to each row (Q,), itself included."""
        classes = self.classes(row)
        low = self.bank.offsets.index_select(0, classes)
        return Ranges(low, low + self.bank.sizes.index_select(0, classes))

    def count(self, row: Tensor) -> Tensor:
        """(Q,) int64, how many rows are relevant to each row (Q,), itself included."""
        count: Tensor = self.bank.sizes.index_select(0, self.classes(row))
        return count


Relevance: TypeAlias = SameClass
"""Every kind of relevance there is."""


@dataclass(frozen=True)
class Query:
    """What a search is asked with: anchors, and by their relevance what may come back for each.

    Anchors are rows of the bank, so far: a search makes vectors, norms and codes of its bank's rows and finds an
    anchor's among them, by the `row` or the place that it gets from here. It asks for these once in each search; that
    is where an anchor that is no row has to bring a vector to make them of.
    """

    relevance: Relevance
    row: Tensor
    """(Q,) int64, the anchors, on the bank's device. `SameClass.query` checks them."""

    def __len__(self) -> int:
        return len(self.row)

    @property
    def bank(self) -> Bank:
        """The bank that holds the candidates, and here the anchors as well."""
        return self.relevance.bank

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
        """(Q,) int64, see `SameClass.classes`."""
        return self.relevance.classes(self.row)

    @cached_property
    def ranges(self) -> Ranges:
        """What is relevant to each anchor, itself included."""
        return self.relevance.ranges(self.row)

    @property
    def positives(self) -> Tensor:
        """(Q,) int64, how many positives each anchor has: what is relevant to it, without itself."""
        return self.relevance.count(self.row) - 1

    @property
    def negatives(self) -> Tensor:
        """(Q,) int64, how many rows are not relevant to each anchor."""
        return len(self.bank) - self.relevance.count(self.row)

    def at(self, which: slice | Tensor) -> Query:
        """Some of the anchors, in any order."""
        return Query(self.relevance, self.row[which])

    def by_place(self) -> tuple[Placed, Tensor]:
        """The anchors by ascending place, and (Q,) int64 at which position of this query each of them stands."""
        place, slots = self.place.sort()
        return Placed(place, *self.relevance.ranges(self.row.index_select(0, slots))), slots


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
