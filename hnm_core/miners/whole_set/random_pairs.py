"""The baseline: a random item of the class, or that shares a label, and a random one of all that do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor

from hnm_core.bank import Bank, check_bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.isolation import isolated
from hnm_core.miners.base import MiningContext, Triplets, WholeSetMiner
from hnm_core.miners.whole_set import positives
from hnm_core.miners.whole_set.explain import Reason, without_partner
from hnm_core.miners.whole_set.options import Positives, RandomOptions
from hnm_core.relevance import JudgedQuery, RowQuery, anchor_rows, query_of_rows


class RandomMiner(WholeSetMiner):
    """Negatives uniform over the other classes; what every other miner has to beat."""

    def __init__(
        self, options: RandomOptions, generator: Generator | None = None, distance: Distance | None = None
    ) -> None:
        self.options = options
        self._bank: Bank | None = None
        self._last: RowQuery | JudgedQuery | None = None
        self._mined = 0

    @property
    def uses_embeddings(self) -> bool:
        """False when only labels matter, so that a trainer may save itself the embedding of the whole set."""
        return self.options.positives != "random"

    @isolated
    def refresh(self, bank: Bank, context: MiningContext) -> None:
        """See `hnm_core.miners.base.DatasetMiner`."""
        check_bank(bank)
        self._bank = bank

    @isolated
    def mine(self, anchors: Tensor, context: MiningContext) -> Triplets:
        """See `hnm_core.miners.base.DatasetMiner`."""
        if self._bank is None:
            raise InputError("The miner has seen no bank yet: call refresh before mine.")
        query = query_of_rows(self._bank, anchors)
        positive = positives.choose_positives(query, self.options.positives, context.distance, context.generator)
        negative = positives.draw_negatives(query, context.generator)
        triplets = usable(anchor_rows(query), positive, negative)
        self._last, self._mined = query, len(triplets.anchor)
        return triplets

    def state(self) -> dict[str, Any]:
        """See `hnm_core.miners.base.TellsState`."""
        return {}

    def restore(self, state: Mapping[str, Any], bank: Bank | None = None) -> None:
        """See `hnm_core.miners.base.TellsState`."""
        self._bank = bank

    def counts(self) -> dict[str, int]:
        """How many `anchors` the last `mine` was given and how many triplets it `mined`. Empty before the first."""
        return {} if self._last is None else {"anchors": len(self._last), "mined": self._mined}

    @isolated
    def explain_empty(self) -> Reason | None:
        """Why the last `mine` gave no triplet; None where it gave some, or was never called."""
        if self._last is None or self._mined:
            return None
        return without_partner(self._last)


def choose_positives(bank: Bank, anchors: Tensor, which: Positives, context: MiningContext) -> Tensor:
    """(Q,) rows of positives of the anchors by the option `positives`; -1 where there is none."""
    query = query_of_rows(bank, anchors)
    return positives.choose_positives(query, which, context.distance, context.generator)


def usable(anchor: Tensor, positive: Tensor, negative: Tensor) -> Triplets:
    """The triplets that have both a positive and a negative."""
    keep = torch.minimum(positive, negative) >= 0
    if bool(keep.all()):
        return Triplets(anchor, positive, negative)
    return Triplets(anchor[keep], positive[keep], negative[keep])
