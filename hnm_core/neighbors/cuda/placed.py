"""What every search needs to know of a bank, and the empty answer."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.neighbors.base import Neighbors
from hnm_core.neighbors.cuda.launches import Anchors


class Placed:
    """Where the class of each place of a bank starts and ends, in 32 bits."""

    def __init__(self, bank: Bank) -> None:
        of_class = bank.class_of_row[bank.order]
        self.low = bank.offsets[of_class].to(torch.int32)
        self.high = bank.offsets[of_class + 1].to(torch.int32)

    def anchors(self, places: Tensor) -> Anchors:
        """Anchors at ascending places (Q,)."""
        return Anchors(places.to(torch.int32), self.low[places], self.high[places])


def none_found(bank: Bank, count: int, k: int) -> Neighbors:
    """Room for the k neighbours of `count` anchors."""
    distance = torch.full((count, k), torch.inf, device=bank.device)
    return Neighbors(distance, torch.full((count, k), -1, dtype=torch.int64, device=bank.device))
