"""The miner that leaves the choice to the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Generator, Tensor, nn

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.isolation import isolated
from hnm_core.miners.in_batch.batch import checked_rows
from hnm_core.miners.in_batch.options import NoMinerOptions


class NoMiner(nn.Module):
    """Returns None, which losses take as every pair or triplet there is."""

    def __init__(
        self, options: NoMinerOptions, generator: Generator | None = None, distance: Distance | None = None
    ) -> None:
        super().__init__()
        self.options = options

    @isolated
    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> None:
        """See `hnm_core.miners.base.BatchMiner`. Raises `InputError` for what no other miner takes either."""
        checked_rows("embeddings", embeddings, labels)
        if ref_emb is not None and ref_labels is not None:
            checked_rows("ref_emb", ref_emb, ref_labels)

    def state(self) -> dict[str, Any]:
        """See `hnm_core.miners.base.TellsState`."""
        return {}

    def restore(self, state: Mapping[str, Any], bank: Bank | None = None) -> None:
        """See `hnm_core.miners.base.TellsState`."""
