"""What a lane mines: random pairs while it warms up, then its miner's tuples, of the whole set or inside the batch."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from hnm_core import miners
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.miners.base import (
    BatchMiner,
    CountsChoices,
    DatasetMiner,
    ExplainsEmptyBatch,
    ExplainsEmptySet,
    MiningContext,
    Pairs,
    SaysHowFar,
    Searching,
    TellsBatchCandidates,
    TellsCandidates,
    restore_miner,
    state_of,
)
from hnm_core.miners.in_batch.memory_bank import MemoryBank, Reference
from hnm_core.miners.whole_set.options import RandomOptions, WholeSetOptions
from hnm_core.miners.whole_set.random_pairs import RandomMiner
from hnm_core.neighbors.base import Bucketing, Hashing
from hnm_core.run.candidates import Scope
from hnm_core.run.timing import Phase, PhaseClock
from hnm_core.seeding import generator
from hnm_core.spec.config import LaneConfig
from hnm_core.training.candidates import Looked, even_part
from hnm_core.training.lane_bank import Embed, LaneBank, MinedSet

WARMUP_WINDOW = 100
"""Steps over which `warmup_below` averages the loss."""


class HandedOut(NamedTuple):
    """Negatives that a miner over the whole set gave, M of them."""

    anchor: Tensor
    """(M,) rows"""
    negative: Tensor
    """(M,) rows"""
    bank: Bank | None
    """in which they were found; None where the miner looked at labels alone"""
    reach: int
    """how many nearest ones the miner may draw from"""


class LaneMining:
    """Holds a lane's miners, its bank and its memory.

    Attributes:
        warming_up: whether random pairs still stand in for the lane's own miner.
        memory: past embeddings for a miner inside the batch; None where the lane keeps none.
        source: what the miner draws from.
    """

    def __init__(
        self, lane: LaneConfig, shared: MinedSet, distance: Distance, model: nn.Module, embed: Embed, clock: PhaseClock
    ) -> None:
        self._lane, self._shared, self._distance, self._clock = lane, shared, distance, clock
        self.source = generator(shared.seed, "miner")
        self._warmup = RandomMiner(RandomOptions())
        self._recent_loss: deque[float] = deque(maxlen=WARMUP_WINDOW)
        self._generator = generator(shared.seed, "lane")
        self._take(self._create_miner(lane, self.source), lane)
        self.warming_up = lane.mines and (lane.warmup > 0 or lane.warmup_below is not None)
        self.memory = MemoryBank(lane.memory) if lane.memory and self.in_batch else None
        self._bank = LaneBank(lane, shared, distance, model, embed, clock, self._twin)

    def _create_miner(self, lane: LaneConfig, source: torch.Generator) -> DatasetMiner | BatchMiner:
        return miners.build(lane.miner_part, source, distance=self._distance)

    def _twin(self) -> DatasetMiner:
        """A second miner like the lane's own, for builds in the background."""
        return cast(DatasetMiner, self._create_miner(self._lane, generator(self._shared.seed, "miner")))

    def _take(self, miner: DatasetMiner | BatchMiner, lane: LaneConfig) -> None:
        self._lane, self._miner = lane, miner
        self.in_batch = not isinstance(miner, DatasetMiner)
        options = lane.miner_part.options
        positives = options.positives if isinstance(options, WholeSetOptions) else "random"
        self._rest = RandomMiner(RandomOptions(positives=positives))

    def changed_miner(self, lane: LaneConfig) -> DatasetMiner | BatchMiner | None:
        """The miner of a lane whose options have changed, for `change`; None where it is the one at work. Its
        generator goes on from where the old one's stands. Raises `InputError` where it cannot be made."""
        return None if self._lane.miner_part == lane.miner_part else self._create_miner(lane, self.source)

    def change(self, lane: LaneConfig, miner: DatasetMiner | BatchMiner | None, step: int) -> None:
        """Mine by other options from the step after `step` on. A miner that begins to work sees a bank of the weights
        as they are then; one that goes on keeps the bank it has."""
        mined, in_batch, memory = self._lane.mines, self.in_batch, self._lane.memory
        anew = miner is not None or lane.mines != mined
        if miner is None:
            self._lane = lane
        else:
            self._take(miner, lane)
        if not lane.mines:
            self.warming_up = False
        elif not mined:
            self.warming_up = step < lane.warmup or lane.warmup_below is not None
        if (lane.memory, self.in_batch) != (memory, in_batch):
            self.memory = MemoryBank(lane.memory) if lane.memory and self.in_batch else None
        self._bank.change(lane, anew=anew)

    def state(self) -> dict[str, Any]:
        """All that what is mined next depends on, see `hnm_core.training.checkpoint`. Raises `StateUntoldError` where
        the miner does not tell it."""
        name = f"the miner '{self._lane.miner}'"
        return {
            "source": self.source.get_state(),
            "generator": self._generator.get_state(),
            "recent_loss": list(self._recent_loss),
            "warming_up": self.warming_up,
            "memory": None if self.memory is None else self.memory.state(),
            "miner": state_of(self._miner, name),
            "bank": self._bank.state(name),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Mine what a lane of the same options that told `state` would have mined."""
        self.warming_up = bool(state["warming_up"])
        self._recent_loss.extend(map(float, state["recent_loss"]))
        if self.memory is not None:
            self.memory.restore(state["memory"], self._shared.train_y.device)
        self._bank.restore(state["bank"])
        bank = self._bank.bank
        restore_miner(self._miner, state["miner"], bank if self.mining and not self.in_batch else None)
        if bank is not None:
            restore_miner(self._warmup if self.warming_up else self._rest, {}, bank)
        self.source.set_state(state["source"])
        self._generator.set_state(state["generator"])

    @property
    def mining(self) -> bool:
        """Whether the lane's own miner is at work, as opposed to random pairs."""
        return self._lane.mines and not self.warming_up

    @property
    def mining_batch(self) -> bool:
        """Whether the lane's own miner is at work inside the batch."""
        return self.in_batch and not self.warming_up

    @property
    def searching(self) -> Searching | None:
        """The lane's miner where it draws from what a neighbour search finds."""
        return self._miner if isinstance(self._miner, Searching) else None

    @property
    def search_words(self) -> str:
        """How the miner at work searches; empty where it does not."""
        return self.searching.search.description if self.searching is not None and self.mining else ""

    def warmup_ends(self, step: int) -> bool:
        """Whether the warm-up ended with the step before this one; the miner takes over at once."""
        if not self.warming_up or step <= self._lane.warmup:
            return False
        below = self._lane.warmup_below
        full = len(self._recent_loss) == WARMUP_WINDOW
        if below is not None and not (full and sum(self._recent_loss) / WARMUP_WINDOW < below):
            return False
        self.warming_up = False
        self._bank.forget()
        return True

    def saw_loss(self, value: float) -> None:
        """Remember the loss of a step; the warm-up may wait for it to fall."""
        self._recent_loss.append(value)

    def of_the_set(
        self, anchor_row: Tensor, step: int, epoch: int, *, keep_candidates: bool = False
    ) -> tuple[Tensor, ...]:
        """Rows of the training set: mined tuples for the hard share of the anchors, random ones for the rest. What the
        miner had to choose from is kept for `looked` where that is said."""
        context = MiningContext(step, epoch, self._generator, self._distance, self._clock, keep_candidates)
        others = (self._warmup if self.warming_up else self._rest,)
        own = cast(DatasetMiner, self._miner) if self.mining else None
        own = self._bank.refresh(own, others, context)
        with self._clock(Phase.SELECT):
            if own is None:
                return tuple(others[0].mine(anchor_row, context))
            self._miner = own
            hard = torch.rand(len(anchor_row), generator=self._generator) < self._lane.hard_share
            hard = hard.to(anchor_row.device)
            mined = own.mine(anchor_row[hard], context)
            rest = self._rest.mine(anchor_row[~hard], context)
            other = Pairs(rest.anchor, rest.positive, rest.anchor, rest.negative) if len(mined) == 4 else rest
            return tuple(torch.cat(vectors) for vectors in zip(mined, other, strict=True))

    def handed_out(self, anchor_row: Tensor, step: int, epoch: int) -> HandedOut | None:
        """What the miner at work finds for these anchors in the bank of this step. A copy of it is asked, with chance
        of its own, so nothing changes. None while random pairs stand in for it, of a miner inside the batch, and of one
        that cannot be copied."""
        bank = self._bank.bank
        if self.in_batch or self.warming_up or bank is None:
            return None
        miner = cast(DatasetMiner, self._miner) if self.mining else self._rest
        try:
            asked = copy.deepcopy(miner)
        except Exception:  # noqa: BLE001 - of a plug-in: what cannot be copied can be mined with all the same
            return None
        source = generator(self._shared.seed, "handed out")
        tuples = asked.mine(anchor_row, MiningContext(step, epoch, source, self._distance))
        found_in = bank if self._bank.embedded else None
        reach = asked.reach if isinstance(asked, SaysHowFar) else asked.pool if isinstance(asked, Searching) else 1
        return HandedOut(tuples[-2] if len(tuples) == 4 else tuples[0], tuples[-1], found_in, reach)

    def labels_of(self, row: Tensor) -> Tensor:
        """What tells in a batch of these rows of the training set (B,) who is a positive of whom: their classes, or
        where items have several labels a table of these (B, U)."""
        labels = self._shared.train_labels
        return labels[row] if isinstance(labels, Tensor) else labels.table(row)

    def of_the_batch(
        self, embeddings: Tensor, labels: Tensor, reference: Reference | None = None
    ) -> tuple[Tensor, ...] | None:
        """Rows of the batch (with a reference: anchors of the batch, the rest of it); None leaves the choice to the
        loss."""
        miner = cast(BatchMiner, self._miner)
        with self._clock(Phase.SELECT), torch.no_grad():
            if reference is None:
                mined = miner(embeddings.detach(), labels)
            else:
                mined = miner(embeddings.detach(), labels, reference.embeddings, reference.labels)
        return None if mined is None else tuple(mined)

    def looked(self, batch_row: Tensor) -> Looked | None:
        """What some anchors of the last step had to choose from; None where the lane's miner was not at work, or does
        not tell it. `batch_row` are the (U,) rows of the training set that the step embedded."""
        miner = self._miner
        if not self.mining:
            return None
        if self.in_batch:
            if not isinstance(miner, TellsBatchCandidates):
                return None
            some = even_part(len(batch_row), len(batch_row), batch_row.device)
            allowed = miner.candidates(self.labels_of(batch_row), some)
            return Looked(batch_row[some], torch.where(allowed, batch_row, -1), len(batch_row), "batch")
        found = miner.candidates() if isinstance(miner, TellsCandidates) else None
        if found is None or not len(found.anchor):
            return None
        some = even_part(len(found.anchor), found.candidate.shape[1], found.anchor.device)
        exact = isinstance(miner, Searching) and not miner.search.approximate
        scope: Scope = "nearest" if exact else "approximate"
        return Looked(found.anchor[some], found.candidate[some], len(found.anchor), scope)

    def why_empty(self, embeddings: Tensor, labels: Tensor) -> str:
        """Why the last call mined nothing, in words; empty where the miner cannot tell."""
        miner, reason = self._miner, None
        if not self.mining:
            return ""
        if self.in_batch and isinstance(miner, ExplainsEmptyBatch):
            reason = miner.explain_empty(embeddings.detach(), labels)
        elif not self.in_batch and isinstance(miner, ExplainsEmptySet):
            reason = miner.explain_empty()
        return "" if reason is None else str(reason[1])

    def choices(self) -> dict[str, int]:
        """How many negatives the miner had to fill in, and how many candidates its filters removed, where it counts."""
        if not self.mining or not isinstance(self._miner, CountsChoices):
            return {}
        counts = self._miner.counts()
        if "filled" not in counts:
            return {}
        filtered = sum(number for name, number in counts.items() if name.startswith("dropped_"))
        return {"filled": counts["filled"], "filtered": filtered}

    def metrics(self, step: int) -> dict[str, float]:
        """Age and drift of what is mined; empty where no bank is in use."""
        return self._bank.metrics(step) if self.mining and not self.in_batch else {}

    def buckets(self) -> Tensor | None:
        """(T,) int64, the bucket of each row of the training set in what is mined; None where nothing is hashed."""
        search = self.searching.search if self.searching is not None else None
        if not isinstance(search, Hashing) or not search.hashes or not self.mining:
            return None
        return search.bucket_of_row(0)

    def largest_bucket(self) -> float | None:
        """Share of the points in the fullest bucket of a search that hashes into buckets."""
        search = self.searching.search if self.searching is not None else None
        if not isinstance(search, Bucketing) or not search.hashes or not self.mining:
            return None
        return search.occupancy(0).largest / max(1, len(self._shared.train_y))
