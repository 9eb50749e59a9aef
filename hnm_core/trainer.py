"""One lane's training loop, readable from top to bottom."""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterator
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from hnm_core import losses, miners
from hnm_core.bank import Bank
from hnm_core.config import LaneConfig
from hnm_core.data.sampling import random_batches
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.events import Alarm, Event, OptionChanged, StepRecord, Weights, frozen
from hnm_core.frames import FrameMaker
from hnm_core.metrics import LaneMetrics
from hnm_core.miners.base import BatchMiner, DatasetMiner, MiningContext, Pairs
from hnm_core.miners.options import RandomOptions
from hnm_core.miners.random_pairs import RandomMiner
from hnm_core.neighbors.base import NeighborSearch
from hnm_core.optimizers import optimizer
from hnm_core.pathologies import Seen, Watch
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
        self.miner = miners.create(
            lane.miner, generator(config.seed, "miner"), distance=self.distance, **lane.miner_options
        )
        self.in_batch = not isinstance(self.miner, DatasetMiner)
        self.warmup = RandomMiner(RandomOptions())
        self.rest = RandomMiner(RandomOptions(positives=lane.miner_options.get("positives", "random")))
        self.model = copy.deepcopy(shared.model)
        self.optimizer = optimizer(config.optimizer, self.model, self.loss)
        self.generator = generator(config.seed, "lane")
        self.clock = PhaseClock(torch.cuda.synchronize if shared.device.type == "cuda" else None)
        self.metrics = LaneMetrics(shared, self.distance, self.embed)
        self.watch = Watch(lane.name, self.metrics.first_spread)
        self.frames = FrameMaker(lane, shared, self.distance, self.embed) if frames else None
        self.x, self.y = shared.x[shared.train_row], shared.y[shared.train_row]
        self.ids = shared.ids[shared.train_row]
        self.y_true = None if shared.y_true is None else shared.y_true[shared.train_row]
        self.step = 0
        self.epoch = 0
        self.mines = self.in_batch or (not isinstance(self.miner, RandomMiner) and lane.hard_share > 0)
        self.warming_up = self.mines and (lane.warmup > 0 or lane.warmup_below is not None)
        self.recent_loss: deque[float] = deque(maxlen=WARMUP_WINDOW)
        self.refreshed_at: int | None = None
        self.good_weights: Weights | None = None

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
            self.warming_up, self.refreshed_at, first_call = False, None, True
            yield OptionChanged(self.lane.name, self.step, "miner", f"warm-up over, {self.lane.miner} mines")
        clock, in_batch = self.clock, self.in_batch and not self.warming_up
        tuples = () if in_batch else self._mine(anchor_row)
        with clock(Phase.TRANSFER):
            rows, local = torch.unique(torch.cat(tuples) if tuples else anchor_row, return_inverse=True)
            local_tuples: tuple[Tensor, ...] | None = local.split([len(vector) for vector in tuples])
            features, labels = self.x[rows], self.y[rows]
        with clock(Phase.FORWARD):
            embeddings = self.model(features)
        if in_batch:
            local_tuples = self._mine_batch(embeddings.detach(), labels)
            tuples = tuple(rows[vector] for vector in local_tuples or ())
        with clock(Phase.LOSS):
            terms = self.loss.terms(embeddings, labels, local_tuples)
            loss = self.loss.reduce(terms, embeddings)
            value = loss.item()
        if not math.isfinite(value):
            raise InputError(f"The loss became {value}. A lower learning rate or a smaller margin may help.")
        if self.optimizer is not None:
            with clock(Phase.BACKWARD):
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
            with clock(Phase.STEP):
                self.optimizer.step()
        phase_ms = clock.take()

        self.recent_loss.append(value)
        separation = terms.separation
        if separation is None and local_tuples is not None and len(local_tuples) == 3:
            separation = self._separation(embeddings.detach(), local_tuples)
        measured = self._measure() if self.metrics.due(self.step) else {}
        counts = _counts(tuples, separation, getattr(self.loss, "margin", 0.0), len(anchor_row))
        if self.y_true is not None and tuples:
            counts["false_negative"] = int(
                (self.y_true[tuples[-1]] == self.y_true[_anchors_of_negatives(tuples)]).sum()
            )
        yield StepRecord(
            self.lane.name,
            self.step,
            value,
            phase_ms=phase_ms,
            tuples=counts,
            metrics=measured,
            mining=not self.warming_up,
            first_call=first_call,
        )
        yield from self.watch.see(
            Seen(
                self.step,
                value,
                counts,
                measured,
                mining=not self.warming_up,
                gradient_norm=self._gradient_norm(),
                terms=sum(len(part.value) for part in terms.parts),
                nonzero_terms=sum(int(part.value.count_nonzero()) for part in terms.parts),
            )
        )
        if self.frames is not None:
            self.frames.add(tuples, terms, rows, separation)
            config = self.shared.config
            if self.step % config.frame_every == 0 or self.step in (1, config.steps):
                yield self.frames.make(self.step)

    def _gradient_norm(self) -> float | None:
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        return float(nn.utils.get_total_norm(gradients)) if gradients else None

    def _mine_batch(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, ...] | None:
        """Rows of the batch; None leaves the choice to the loss."""
        miner = cast(BatchMiner, self.miner)
        with self.clock(Phase.SELECT), torch.no_grad():
            mined = miner(embeddings, labels)
        return None if mined is None else tuple(mined)

    def _mine(self, anchor_row: Tensor) -> tuple[Tensor, ...]:
        """Rows of the training set: mined tuples for the hard share of the anchors, random ones for the rest."""
        if self.warming_up:
            used: tuple[DatasetMiner, ...] = (self.warmup,)
        else:
            used = (cast(DatasetMiner, self.miner), self.rest) if self.mines else (self.rest,)
        context = MiningContext(self.step, self.epoch, self.generator, self.distance, self.clock)
        self._refresh(used, context)
        with self.clock(Phase.SELECT):
            if len(used) == 1:
                return tuple(used[0].mine(anchor_row, context))
            hard = torch.rand(len(anchor_row), generator=self.generator) < self.lane.hard_share
            hard = hard.to(anchor_row.device)
            mined = used[0].mine(anchor_row[hard], context)
            rest = self.rest.mine(anchor_row[~hard], context)
            other = Pairs(rest.anchor, rest.positive, rest.anchor, rest.negative) if len(mined) == 4 else rest
            return tuple(torch.cat(vectors) for vectors in zip(mined, other, strict=True))

    def _refresh(self, used: tuple[DatasetMiner, ...], context: MiningContext) -> None:
        """Show the miners the whole set as it is embedded now, if their view is older than `refresh_every` steps."""
        matters = any(getattr(miner, "uses_embeddings", True) for miner in used)
        if self.refreshed_at is not None and not (matters and self.step - self.refreshed_at >= self.lane.refresh_every):
            return
        self.refreshed_at = self.step
        with self.clock(Phase.EMBED):
            embeddings = self.embed(self.x)
        with self.clock(Phase.BUILD):
            bank = Bank(embeddings, self.y, self.ids, self.step)
            for miner in used:
                miner.refresh(bank, context)

    def weights(self) -> Weights:
        """The network as it is; the last one that gave finite embeddings, if this one does not."""
        state = {name: value.detach().cpu().numpy() for name, value in self.model.state_dict().items()}
        if self.good_weights is not None and not all(np.isfinite(array).all() for array in state.values()):
            return self.good_weights
        arrays = {name: frozen(array) for name, array in state.items()}
        return Weights(self.lane.name, self.step, arrays, self.x.shape[1])

    def embed(self, features: Tensor) -> Tensor:
        """(N, E) embeddings of (N, D) features with the weights as they are, without gradient."""
        with torch.no_grad():
            parts = [self.model(part) for part in features.split(EMBED_ROWS)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _measure(self) -> dict[str, float]:
        self.good_weights = self.weights()
        search: NeighborSearch | None = getattr(self.miner, "search", None)
        if search is not None and not getattr(search, "approximate", False):
            search = None  # its recall is 1 by construction
        return self.metrics.measure(search, getattr(getattr(self.miner, "options", None), "pool", 1))

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


def _anchors_of_negatives(tuples: tuple[Tensor, ...]) -> Tensor:
    return tuples[2] if len(tuples) == 4 else tuples[0]


def _counts(tuples: tuple[Tensor, ...], separation: Tensor | None, margin: float, anchors: int) -> dict[str, int]:
    """Tuples by hardness: hard d_an <= d_ap, semi-hard within the margin beyond it, easy the rest."""
    if not tuples:
        counts = {"mined": 0}
    else:
        with_negative = _anchors_of_negatives(tuples)
        served = len(with_negative) if len(with_negative) <= anchors else len(torch.unique(with_negative))
        counts = {"mined": len(with_negative), "missing": max(0, anchors - served)}
    if separation is None:
        return counts
    hard = int((separation <= 0).sum())
    inside = int((separation <= margin).sum())
    return counts | {"hard": hard, "semi_hard": inside - hard, "easy": len(separation) - inside}
