"""What a lane mines: random pairs while it warms up, then its miner's tuples, of the whole set or inside the batch."""

from __future__ import annotations

from collections import deque
from typing import cast

import torch
from torch import Tensor, nn

from hnm_core import miners
from hnm_core.distances import Distance
from hnm_core.miners.base import BatchMiner, DatasetMiner, MiningContext, Pairs
from hnm_core.miners.in_batch.memory_bank import MemoryBank, Reference
from hnm_core.miners.whole_set.options import RandomOptions
from hnm_core.miners.whole_set.random_pairs import RandomMiner
from hnm_core.neighbors.base import NeighborSearch
from hnm_core.neighbors.lsh_buckets import LshBuckets
from hnm_core.run.timing import Phase, PhaseClock
from hnm_core.seeding import generator
from hnm_core.spec.config import LaneConfig
from hnm_core.spec.registry import MINERS
from hnm_core.training.lane_bank import Embed, LaneBank
from hnm_core.training.setup import Shared

WARMUP_WINDOW = 100
"""Steps over which `warmup_below` averages the loss."""


class LaneMining:
    """Holds a lane's miners, its bank and its memory.

    Attributes:
        warming_up: whether random pairs still stand in for the lane's own miner.
        memory: past embeddings for a miner inside the batch; None where the lane keeps none.
        source: what the miner draws from.
    """

    def __init__(
        self, lane: LaneConfig, shared: Shared, distance: Distance, model: nn.Module, embed: Embed, clock: PhaseClock
    ) -> None:
        self._lane, self._shared, self._distance, self._clock = lane, shared, distance, clock
        self.source = generator(shared.config.seed, "miner")
        self._warmup = RandomMiner(RandomOptions())
        self._recent_loss: deque[float] = deque(maxlen=WARMUP_WINDOW)
        self._generator = generator(shared.config.seed, "lane")
        self._take(self._create_miner(lane, self.source), lane)
        self.warming_up = self._mines and (lane.warmup > 0 or lane.warmup_below is not None)
        self.memory = MemoryBank(lane.memory) if lane.memory and self.in_batch else None
        self._bank = LaneBank(lane, shared, distance, model, embed, clock, self._twin)

    def _create_miner(self, lane: LaneConfig, source: torch.Generator) -> DatasetMiner | BatchMiner:
        return miners.create(lane.miner, source, distance=self._distance, **lane.miner_options)

    def _twin(self) -> DatasetMiner:
        """A second miner like the lane's own, for builds in the background."""
        return cast(DatasetMiner, self._create_miner(self._lane, generator(self._shared.config.seed, "miner")))

    def _take(self, miner: DatasetMiner | BatchMiner, lane: LaneConfig) -> None:
        self._lane, self._miner = lane, miner
        self.in_batch = not isinstance(miner, DatasetMiner)
        self._mines = self.in_batch or (not isinstance(miner, RandomMiner) and lane.hard_share > 0)
        self._rest = RandomMiner(RandomOptions(positives=lane.miner_options.get("positives", "random")))

    def changed_miner(self, lane: LaneConfig) -> DatasetMiner | BatchMiner | None:
        """The miner of a lane whose options have changed, for `change`; None where it is the one at work. Its
        generator goes on from where the old one's stands. Raises `InputError` where it cannot be made."""
        before, after = (MINERS.validate(options.miner, options.miner_options) for options in (self._lane, lane))
        same = self._lane.miner == lane.miner and before == after
        return None if same else self._create_miner(lane, self.source)

    def change(self, lane: LaneConfig, miner: DatasetMiner | BatchMiner | None, step: int) -> None:
        """Mine by other options from the step after `step` on. A miner that begins to work sees a bank of the weights
        as they are then; one that goes on keeps the bank it has."""
        mined, in_batch, memory = self._mines, self.in_batch, self._lane.memory
        if miner is None:
            self._lane, miner = lane, self._miner
            self._mines = in_batch or (not isinstance(miner, RandomMiner) and lane.hard_share > 0)
            anew = self._mines != mined
        else:
            self._take(miner, lane)
            anew = True
        if not self._mines:
            self.warming_up = False
        elif not mined:
            self.warming_up = step < lane.warmup or lane.warmup_below is not None
        if (lane.memory, self.in_batch) != (memory, in_batch):
            self.memory = MemoryBank(lane.memory) if lane.memory and self.in_batch else None
        self._bank.change(lane, anew=anew)

    @property
    def mining(self) -> bool:
        """Whether the lane's own miner is at work, as opposed to random pairs."""
        return self._mines and not self.warming_up

    @property
    def mining_batch(self) -> bool:
        """Whether the lane's own miner is at work inside the batch."""
        return self.in_batch and not self.warming_up

    @property
    def search(self) -> NeighborSearch | None:
        """The neighbour search of the lane's miner; None where it has none."""
        return getattr(self._miner, "search", None)

    @property
    def pool(self) -> int:
        """Nearest negatives that the lane's miner draws from."""
        return int(getattr(getattr(self._miner, "options", None), "pool", 1))

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

    def of_the_set(self, anchor_row: Tensor, step: int, epoch: int) -> tuple[Tensor, ...]:
        """Rows of the training set: mined tuples for the hard share of the anchors, random ones for the rest."""
        context = MiningContext(step, epoch, self._generator, self._distance, self._clock)
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

    def why_empty(self, embeddings: Tensor, labels: Tensor) -> str:
        """Why the last call mined nothing, in words; empty where the miner cannot tell."""
        explain = getattr(self._miner, "explain_empty", None)
        if explain is None or not self.mining:
            return ""
        reason = explain(embeddings.detach(), labels) if self.in_batch else explain()
        return "" if reason is None else str(reason[1])

    def choices(self) -> dict[str, int]:
        """How many negatives the miner had to fill in, and how many candidates its filters removed, where it counts."""
        count = getattr(self._miner, "counts", None)
        if not self.mining or count is None:
            return {}
        counts: dict[str, int] = count()
        if "filled" not in counts:
            return {}
        filtered = sum(number for name, number in counts.items() if name.startswith("dropped_"))
        return {"filled": counts["filled"], "filtered": filtered}

    def metrics(self, step: int) -> dict[str, float]:
        """Age and drift of what is mined; empty where no bank is in use."""
        return self._bank.metrics(step) if self.mining and not self.in_batch else {}

    def largest_bucket(self) -> float | None:
        """Share of the points in the fullest bucket of a search that hashes into buckets."""
        search = self.search
        if not isinstance(search, LshBuckets) or not search.hashes or not self.mining:
            return None
        return search.occupancy(0).largest / max(1, self._shared.trained)
