"""The baseline: a random item of the class, a random item of another class."""

from __future__ import annotations

from torch import Generator, Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.base import MiningContext, Triplets
from hnm_core.miners.options import Positives, RandomOptions
from hnm_core.miners.positives import draw_negatives, draw_positives, ranked_positives


class RandomMiner:
    """Negatives uniform over the other classes; what every other miner has to beat."""

    def __init__(
        self, options: RandomOptions, generator: Generator | None = None, distance: Distance | None = None
    ) -> None:
        self.options = options
        self._bank: Bank | None = None

    @property
    def uses_embeddings(self) -> bool:
        """False when only labels matter, so that a trainer may save itself the embedding of the whole set."""
        return self.options.positives != "random"

    def refresh(self, bank: Bank, context: MiningContext) -> None:
        """See `hnm_core.miners.base.DatasetMiner`."""
        self._bank = bank

    def mine(self, anchors: Tensor, context: MiningContext) -> Triplets:
        """See `hnm_core.miners.base.DatasetMiner`."""
        if self._bank is None:
            raise InputError("The miner has seen no bank yet: call refresh before mine.")
        positive = choose_positives(self._bank, anchors, self.options.positives, context)
        negative = draw_negatives(self._bank, anchors, context.generator)
        return usable(anchors, positive, negative)


def choose_positives(bank: Bank, anchors: Tensor, which: Positives, context: MiningContext) -> Tensor:
    """(Q,) rows of positives by the option `positives`; -1 where there is none."""
    if which == "random":
        return draw_positives(bank, anchors, context.generator)
    return ranked_positives(bank, anchors, which, context.distance)


def usable(anchor: Tensor, positive: Tensor, negative: Tensor) -> Triplets:
    """The triplets that have both a positive and a negative."""
    keep = (positive >= 0) & (negative >= 0)
    if bool(keep.all()):
        return Triplets(anchor, positive, negative)
    return Triplets(anchor[keep], positive[keep], negative[keep])
