"""The sub-batch with the largest loss, as pytorch-metric-learning's MaximumLossMiner before 1.0 chose it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn

from hnm_core import losses, seeding
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.isolation import isolated
from hnm_core.losses.base import Loss, loss_state, restore_loss
from hnm_core.miners.base import BatchMiner, Pairs, Triplets, restore_miner, state_of
from hnm_core.miners.in_batch.batch import checked_rows
from hnm_core.miners.in_batch.options import AllPairsOptions, MaximumLossOptions
from hnm_core.miners.in_batch.pairs import all_pairs


class _Rates(Protocol):
    def __call__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: Triplets | Pairs | None,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
    ) -> Tensor: ...


def build(
    options: MaximumLossOptions, generator: Generator | None = None, distance: Distance | None = None
) -> MaximumLossMiner:
    """The miner with its loss and its inner miner, all on one distance.

    Raises:
        InputError: an unknown loss, miner or option, or a miner that does not look inside a batch or is this one.
    """
    generator = generator if generator is not None else seeding.generator(0, "in-batch miner")
    loss = losses.build(options.loss_part, distance=distance)
    part = options.miner_part
    inner: BatchMiner
    if part is None:
        inner = all_pairs(AllPairsOptions(balance=False), generator, distance)
    elif part.entry.scope != "batch" or part.options.leaves_choice or part.options.inside() is not None:
        raise InputError(f"The miner 'maximum-loss' cannot look into a sub-batch with '{options.miner}'.")
    else:
        inner = part.entry.load()(part.options, generator=generator, distance=distance)
    return MaximumLossMiner(options, loss, inner, generator)


class MaximumLossMiner(nn.Module):
    """Draws sub-batches, rates each by the loss of what a miner finds in it, and returns what it found in the worst.

    Attributes:
        trial_losses: (num_trials,) of the last call.
        rows: rows of the sub-batch that the last call chose, ascending.
    """

    scope = "batch"

    def __init__(self, options: MaximumLossOptions, loss: Loss, inner: BatchMiner, generator: Generator) -> None:
        super().__init__()
        self.options = options
        self.loss: _Rates = loss
        self.inner = inner
        self.generator = generator
        self.trial_losses = torch.zeros(0, dtype=torch.float32)
        self.rows = torch.zeros(0, dtype=torch.int64)

    @isolated
    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> Triplets | Pairs:
        """See `hnm_core.miners.base.BatchMiner`. A reference set stays whole: only anchors are chosen. The first of
        sub-batches with equal loss wins."""
        if ref_emb is embeddings:
            ref_emb = ref_labels = None  # the batch itself, of which a sub-batch is drawn
        checked_rows("embeddings", embeddings, labels)  # all of them, not only those that are drawn
        if ref_emb is not None and ref_labels is not None:
            checked_rows("ref_emb", ref_emb, ref_labels)
        count = len(embeddings)
        size = min(self.options.output_batch_size or (count + 1) // 2, count)
        self.rows = torch.zeros(0, dtype=torch.int64, device=embeddings.device)
        best: Triplets | Pairs | None = None
        highest = -math.inf
        rated: list[float] = []
        for _ in range(self.options.num_trials):
            order = torch.randperm(count, generator=self.generator, device=self.generator.device)
            rows = order[:size].sort().values.to(embeddings.device)
            some, some_labels = embeddings[rows], labels.to(embeddings.device)[rows]
            found = self.inner(some, some_labels, ref_emb, ref_labels)
            value = float(self.loss(some, some_labels, found, ref_emb, ref_labels))
            if best is None or value > highest:  # never so for NaN, which is no largest loss
                best, self.rows = found, rows
                highest = value if not math.isnan(value) else highest
            rated.append(value)
        self.trial_losses = torch.tensor(rated, dtype=torch.float32)
        assert best is not None
        return self._in_batch(best, same_set=ref_emb is None)

    def state(self) -> dict[str, Any]:
        """See `hnm_core.miners.base.TellsState`."""
        return {
            "generator": self.generator.get_state(),
            "inner": state_of(self.inner, f"the miner '{self.options.miner}'"),
            "loss": loss_state(self.loss, f"the loss '{self.options.loss}'"),
        }

    def restore(self, state: Mapping[str, Any], bank: Bank | None = None) -> None:
        """See `hnm_core.miners.base.TellsState`."""
        restore_miner(self.inner, state["inner"])
        restore_loss(self.loss, state["loss"])
        self.generator.set_state(state["generator"])

    def _in_batch(self, found: Triplets | Pairs, *, same_set: bool) -> Triplets | Pairs:
        """Rows of the sub-batch as rows of the batch."""
        if len(found) == 3:
            anchor, positive, negative = found
            other = (self.rows[positive], self.rows[negative]) if same_set else (positive, negative)
            return Triplets(self.rows[anchor], *other)
        anchor1, positive, anchor2, negative = found
        other = (self.rows[positive], self.rows[negative]) if same_set else (positive, negative)
        return Pairs(self.rows[anchor1], other[0], self.rows[anchor2], other[1])
