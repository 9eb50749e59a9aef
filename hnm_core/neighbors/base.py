"""What every neighbour search promises."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.errors import InputError, described

SearchProgress = Callable[[int, int], bool | None]
"""Called as progress(done, total); returning False cancels the search."""


class Neighbors(NamedTuple):
    """Found rows, best first."""

    distance: Tensor
    """(Q, k) float32; inf where there is no such neighbour."""
    row: Tensor
    """(Q, k) int64 rows of the bank in the caller's order; -1 where there is no such neighbour."""


class SearchCancelled(Exception):  # noqa: N818  (no error: the caller asked for it)
    """The progress callback returned False."""


class NeighborSearch(Protocol):
    """Finds hard negatives and hard positives in a bank."""

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


def check_query(bank: Bank | None, anchors: Tensor, k: int) -> tuple[Bank, Tensor]:
    """The bank, and the anchors as int64 rows on its device.

    Raises:
        InputError: no bank was built, k < 1, or the anchors are no rows of the bank.
    """
    if bank is None:
        raise InputError("Build the search on a bank before asking it for neighbours.")
    if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
        raise InputError(f"k = {k} neighbours cannot be searched for; k must be a whole number of at least 1.")
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
    return bank, anchors


def report(progress: SearchProgress | None, done: int, total: int) -> None:
    """Tell `progress`. Raises `SearchCancelled` where it returns False."""
    if progress is not None and progress(done, total) is False:
        raise SearchCancelled
