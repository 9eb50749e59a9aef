"""What every neighbour search promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

from hnm_core.bank import Bank

SearchProgress = Callable[[int, int], bool | None]
"""Called as progress(done, total); returning False cancels the search."""


class Neighbors(NamedTuple):
    """Found rows, best first."""

    distance: Tensor
    """(Q, k) float32; inf where there is no such neighbour."""
    row: Tensor
    """(Q, k) int64 rows of the bank in the caller's order; -1 where there is no such neighbour."""


class SearchCancelled(Exception):
    """The progress callback returned False."""


class NeighborSearch(Protocol):
    """Finds hard negatives and hard positives in a bank."""

    @property
    def description(self) -> str:
        """How it searches and why, in words."""

    def build(self, bank: Bank) -> None:
        """Index the bank. The bank is not changed; a search sees it as it was at this moment."""

    def nearest_negatives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """The k nearest rows of other classes, nearest first.

        Args:
            anchors: (Q,) int64 rows of the bank in the caller's order.
            k: at least 1; where fewer exist the rest is -1 / inf.
            progress: see `SearchProgress`.

        Raises:
            InputError: no bank was built, k < 1, or an anchor is no row of the bank.
            SearchCancelled: the progress callback returned False.
        """

    def farthest_positives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """The k farthest other rows of the anchor's class, farthest first. Arguments as above."""
