"""A whole-set miner is a neighbour search plus a choice among what it finds."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.errors import InputError
from hnm_core.miners.base import MiningContext, Triplets
from hnm_core.miners.options import SearchingOptions
from hnm_core.miners.random_pairs import choose_positives, usable
from hnm_core.neighbors.base import NeighborSearch
from hnm_core.timing import Phase


class SearchingMiner:
    """Draws each anchor's negative from the `pool` nearest rows of other classes that `search` finds."""

    uses_embeddings = True

    def __init__(self, options: SearchingOptions, search: NeighborSearch) -> None:
        self.options = options
        self.search = search
        self._bank: Bank | None = None

    def refresh(self, bank: Bank, context: MiningContext) -> None:
        """See `hnm_core.miners.base.DatasetMiner`."""
        self._bank = bank
        self.search.build(bank)

    def mine(self, anchors: Tensor, context: MiningContext) -> Triplets:
        """See `hnm_core.miners.base.DatasetMiner`."""
        if self._bank is None:
            raise InputError("The miner has seen no bank yet: call refresh before mine.")
        with context.clock(Phase.SEARCH) if context.clock else nullcontext():
            found = self.search.nearest_negatives(anchors, self.options.pool).row
        count = (found >= 0).sum(1)
        fraction = torch.rand(len(anchors), generator=context.generator, dtype=torch.float64).to(found.device)
        place = (fraction * count).long().minimum((count - 1).clamp(min=0))
        negative = found.gather(1, place[:, None])[:, 0]
        positive = choose_positives(self._bank, anchors, self.options.positives, context)
        return usable(anchors, positive, negative)
