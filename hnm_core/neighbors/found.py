"""What a search finds, and how it tells how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
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


class SearchCancelled(Exception):  # noqa: N818  (no error: the caller asked for it)
    """The progress callback returned False."""


def none_found(bank: Bank, count: int, k: int) -> Neighbors:
    """Room for the k neighbours of `count` anchors."""
    distance = torch.full((count, k), torch.inf, dtype=torch.float32, device=bank.device)
    return Neighbors(distance, torch.full((count, k), -1, dtype=torch.int64, device=bank.device))


def report(progress: SearchProgress | None, done: int, total: int) -> None:
    """Tell `progress`. Raises `SearchCancelled` where it returns False."""
    if progress is not None and progress(done, total) is False:
        raise SearchCancelled
