"""One lane's training loop, readable from top to bottom."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hnm_core import losses, miners
from hnm_core.config import LaneConfig, OptimizerConfig
from hnm_core.data.sampling import random_batches
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.events import Alarm, Event, OptionChanged, StepRecord
from hnm_core.frames import FrameMaker
from hnm_core.lane_bank import LaneBank
from hnm_core.metrics import LaneMetrics
from hnm_core.miners.base import DatasetMiner, MiningContext, Pairs
from hnm_core.miners.options import RandomOptions
from hnm_core.miners.random_pairs import RandomMiner
from hnm_core.neighbors.base import NeighborSearch
from hnm_core.seeding import generator
from hnm_core.setup import Shared
from hnm_core.timing import Phase, PhaseClock

EMBED_ROWS = 8192
"""Rows embedded at once outside of training steps."""

WARMUP_WINDOW = 100
"""Steps over which `warmup_below` averages the loss."""


class Trainer:
    """Trains one lane. Every random choice comes from generators seeded by (experiment seed, purpose), never from the
    lane's name or place, so that two lanes with equal options are equal and a lane alone is itself among others."""

    def __init__(self, lane: LaneConfig, shared: Shared, *, frames: bool) -> None:
        config = shared.config
        self.lane, self.shared = lane, shared
        self.distance = Distance(lane.distance, lane.normalize)
        self.loss = losses.create(lane.loss, distance=self.distance, **lane.loss_options)
        self.miner = self._create_miner()
        self.warmup = RandomMiner(RandomOptions())
        self.rest = RandomMiner(RandomOptions(positives=lane.miner_options.get("positives", "random")))
        self.model = copy.deepcopy(shared.model)
        self.optimizer = _optimizer(config.optimizer, [*self.model.parameters(), *_parameters(self.loss)])
        self.generator = generator(config.seed, "lane")
        self.clock = PhaseClock(torch.cuda.synchronize if shared.device.type == "cuda" else None)
        self.metrics = LaneMetrics(lane, shared, self.distance, self.embed)
        self.frames = FrameMaker(lane, shared, self.distance, self.embed) if frames else None
        self.x, self.y = shared.x[shared.train_row], shared.y[shared.train_row]
        self.step = 0
        self.epoch = 0
        self.mines = not isinstance(self.miner, RandomMiner) and lane.hard_share > 0
        self.warming_up = self.mines and (lane.warmup > 0 or lane.warmup_below is not None)
        self.recent_loss: deque[float] = deque(maxlen=WARMUP_WINDOW)
        self.bank = LaneBank(lane, shared, self.distance, self.model, embed_with, self.clock, self._create_miner)

    def steps(self) -> Iterator[tuple[Event, ...]]:
        """Train. Each item holds the events of one step (the first, those before any). Ends after the last step, or
        after a fatal alarm that says why the lane cannot go on."""
        yield () if self.frames is None else (self.frames.make(0),)
        config = self.shared.config
        while self.step < config.steps:
            for batch in random_batches(len(self.x), config.sampler.batch, config.seed, self.epoch):
                self.step += 1
                try:
                    yield tuple(self._step(torch.from_numpy(batch).to(self.shared.device)))
                except InputError as error:
                    yield (Alarm(self.lane.name, self.step, "non-finite", str(error), fatal=True),)
                    return
                if self.step == config.steps:
                    return
            self.epoch += 1

    def _step(self, anchor_row: Tensor) -> Iterator[Event]:
        first_call = self.step == 1
        if self.warming_up and self._warmup_is_over():
            self.warming_up, first_call = False, True
            self.bank.forget()
            yield OptionChanged(self.lane.name, self.step, "miner", f"warm-up over, {self.lane.miner} mines")
        clock = self.clock
        tuples = self._mine(anchor_row)
        with clock(Phase.TRANSFER):
            rows, local = torch.unique(torch.cat(tuples), return_inverse=True)
            local_tuples = local.split([len(vector) for vector in tuples])
            features, labels = self.x[rows], self.y[rows]
        with clock(Phase.FORWARD):
            embeddings = self.model(features)
        with clock(Phase.LOSS):
            terms = self.loss.terms(embeddings, labels, local_tuples)
            loss = self.loss.reduce(terms, embeddings)
            value = loss.item()
        if not math.isfinite(value):
            raise InputError(f"The loss became {value}. A lower learning rate or a smaller margin may help.")
        with clock(Phase.BACKWARD):
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
        with clock(Phase.STEP):
            self.optimizer.step()
        phase_ms = clock.take()

        self.recent_loss.append(value)
        separation = terms.separation
        if separation is None and len(tuples) == 3:
            separation = self._separation(embeddings.detach(), local_tuples)
        measured = self._measure() if self.metrics.due(self.step) else {}
        yield StepRecord(
            self.lane.name,
            self.step,
            value,
            phase_ms=phase_ms,
            tuples=_counts(tuples, separation, getattr(self.loss, "margin", 0.0), len(anchor_row)) | self._choices(),
            metrics=measured,
            mining=not self.warming_up,
            first_call=first_call,
        )
        alarm = self.metrics.alarm(self.step, measured)
        if alarm is not None:
            yield alarm
        if self.frames is not None:
            self.frames.add(tuples, terms, rows, separation)
            config = self.shared.config
            if self.step % config.frame_every == 0 or self.step in (1, config.steps):
                yield self.frames.make(self.step)

    def _mine(self, anchor_row: Tensor) -> tuple[Tensor, ...]:
        """Rows of the training set: mined tuples for the hard share of the anchors, random ones for the rest."""
        context = MiningContext(self.step, self.epoch, self.generator, self.distance, self.clock)
        self._refresh(context)
        with self.clock(Phase.SELECT):
            if not self.mining:
                return tuple((self.warmup if self.warming_up else self.rest).mine(anchor_row, context))
            hard = torch.rand(len(anchor_row), generator=self.generator) < self.lane.hard_share
            hard = hard.to(anchor_row.device)
            mined = self.miner.mine(anchor_row[hard], context)
            rest = self.rest.mine(anchor_row[~hard], context)
            other = Pairs(rest.anchor, rest.positive, rest.anchor, rest.negative) if len(mined) == 4 else rest
            return tuple(torch.cat(vectors) for vectors in zip(mined, other, strict=True))

    @property
    def mining(self) -> bool:
        """Whether the lane's own miner is at work, as opposed to random pairs."""
        return self.mines and not self.warming_up

    def _refresh(self, context: MiningContext) -> None:
        """Show the miners in use the whole set as it was embedded last, or anew if the lane's policy says so."""
        others = (self.warmup if self.warming_up else self.rest,)
        self.miner = self.bank.refresh(self.miner if self.mining else None, others, context) or self.miner

    def embed(self, features: Tensor) -> Tensor:
        """(N, E) embeddings of (N, D) features with the weights as they are, without gradient."""
        return embed_with(self.model, features)

    def _measure(self) -> dict[str, float]:
        search: NeighborSearch | None = getattr(self.miner, "search", None)
        if search is not None and not getattr(search, "approximate", False):
            search = None  # its recall is 1 by construction
        measured = self.metrics.measure(search, getattr(getattr(self.miner, "options", None), "pool", 1))
        return measured | self.bank.metrics(self.step) if measured and self.mining else measured

    def _create_miner(self) -> DatasetMiner:
        source = generator(self.shared.config.seed, "miner")
        miner = miners.create(self.lane.miner, source, distance=self.distance, **self.lane.miner_options)
        if not isinstance(miner, DatasetMiner):
            raise InputError(
                f"Lane '{self.lane.name}': miner '{self.lane.miner}' mines inside a batch; lanes mine the whole set."
            )
        return miner

    def _choices(self) -> dict[str, int]:
        """How many negatives the miner had to fill in, and how many candidates its filters removed, where it counts."""
        count = getattr(self.miner, "counts", None)
        if not self.mining or count is None:
            return {}
        counts: dict[str, int] = count()
        if "filled" not in counts:
            return {}
        filtered = sum(number for name, number in counts.items() if name.startswith("dropped_"))
        return {"filled": counts["filled"], "filtered": filtered}

    def _separation(self, embeddings: Tensor, local_tuples: tuple[Tensor, ...]) -> Tensor:
        """(T,) d_an - d_ap in the lane's distance."""
        at_anchor, at_positive, at_negative = (self.distance.prepare(embeddings)[rows] for rows in local_tuples)
        return self.distance.prepared_rowwise(at_anchor, at_negative) - self.distance.prepared_rowwise(
            at_anchor, at_positive
        )

    def _warmup_is_over(self) -> bool:
        if self.step <= self.lane.warmup:
            return False
        below = self.lane.warmup_below
        full = len(self.recent_loss) == WARMUP_WINDOW
        return below is None or (full and sum(self.recent_loss) / WARMUP_WINDOW < below)


def embed_with(model: nn.Module, features: Tensor) -> Tensor:
    """(N, E) embeddings of (N, D) features, without gradient."""
    with torch.no_grad():
        parts = [model(part) for part in features.split(EMBED_ROWS)]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _counts(tuples: tuple[Tensor, ...], separation: Tensor | None, margin: float, anchors: int) -> dict[str, int]:
    """Tuples by hardness: hard d_an <= d_ap, semi-hard within the margin beyond it, easy the rest."""
    mined = len(tuples[-1])
    counts = {"mined": mined, "missing": max(0, anchors - mined)}
    if separation is None:
        return counts
    hard = int((separation <= 0).sum())
    inside = int((separation <= margin).sum())
    return counts | {"hard": hard, "semi_hard": inside - hard, "easy": len(separation) - inside}


def _parameters(loss: object) -> list[nn.Parameter]:
    return list(loss.parameters()) if isinstance(loss, nn.Module) else []


def _optimizer(config: OptimizerConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    decay = config.options.get("weight_decay", 0.0)
    if config.name == "sgd":
        momentum = config.options.get("momentum", 0.0)
        return torch.optim.SGD(parameters, lr=config.lr, momentum=momentum, weight_decay=decay, fused=True)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    betas = (config.options.get("beta1", 0.9), config.options.get("beta2", 0.999))
    return kind(parameters, lr=config.lr, betas=betas, weight_decay=decay, fused=True)
