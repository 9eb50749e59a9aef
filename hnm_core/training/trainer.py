"""One lane's training loop, readable from top to bottom."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hnm_core import losses, neighbors
from hnm_core.bank import Bank
from hnm_core.data import sampling
from hnm_core.data.item_labels import ItemLabels
from hnm_core.data.neighbour_batches import NeighbourSampler
from hnm_core.data.sampling import Sampler
from hnm_core.devices import phase_clock
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import HasMargin, Loss, LossContext, Terms
from hnm_core.miners.base import MiningContext
from hnm_core.miners.in_batch.memory_bank import Reference
from hnm_core.miners.whole_set.options import RandomOptions
from hnm_core.miners.whole_set.random_pairs import RandomMiner
from hnm_core.models.base import Embedder, hidden_activations
from hnm_core.run import changeable
from hnm_core.run.events import (
    Alarm,
    Event,
    Frame,
    OptionChanged,
    SearchUsed,
    StepRecord,
    WarmupEnded,
    Weights,
    frozen,
    layer_metric,
)
from hnm_core.run.timing import STEP_PHASES, Phase
from hnm_core.seeding import generator
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.training.candidates import candidates_of
from hnm_core.training.frames import FrameMaker
from hnm_core.training.lane_bank import embed_with
from hnm_core.training.lane_mining import LaneMining
from hnm_core.training.looking import count_tuples, seen_in, separation_of
from hnm_core.training.metrics import LaneMetrics
from hnm_core.training.missing import Measured
from hnm_core.training.optimizers import optimizer
from hnm_core.training.pathologies import LOOK_EVERY, Seen, Watch
from hnm_core.training.setup import Shared

USUAL_TRIPLETS = 10_000
"""Random triplets that say what an audit takes for semi-hard."""


class Trainer:
    """Trains one lane. Every random choice comes from generators seeded by (experiment seed, purpose), never from the
    lane's name or place, so that two lanes with equal options are equal and a lane alone is itself among others."""

    def __init__(
        self, lane: LaneConfig, shared: Shared, *, frames: bool, config: ExperimentConfig | None = None
    ) -> None:
        """`config` is that of the lane alone, where the experiment's does not tell it: of one that was forked off, or
        changed while it trained."""
        self.config = changeable.alone(shared.config, lane.name) if config is None else config
        """Of this lane alone; changes while it trains, see `hnm_core.training.lane_changes`."""
        self.lane, self.shared = self.config.lanes[0], shared
        self.distance = Distance(lane.distance, lane.normalize)
        self.loss_source = generator(shared.config.seed, "loss")
        self.loss = self.create_loss(self.lane)
        self.model = copy.deepcopy(shared.model)
        self.parameters = tuple(self.model.parameters())
        self.optimizer = optimizer(self.config.optimizer, self.model, self.loss)
        self.clock = phase_clock(shared.device)
        self.mining = LaneMining(lane, shared, self.distance, self.model, embed_with, self.clock)
        self.metrics = LaneMetrics(shared, self.distance, self.embed)
        self.watch = Watch(lane.name, self.metrics.first_spread)
        self.frames = FrameMaker(lane, shared, self.distance, self.embed, self._buckets) if frames else None
        self.frame_each_step = False
        """Whether somebody looks so closely that every step has a frame, not only every `frame_every`-th."""
        self.notes: list[str] = []
        """What should be said of the lane before it starts."""
        self.margin = self.margin_of(self.lane, self.loss)
        """Parts semi-hard from easy triplets."""
        self.sampler = self.create_sampler(self.config)
        self.batches: list[NDArray[np.int64]] = []
        """What is left of the epoch, the next step's first."""
        self.set_up = True
        """Whether the next step may take longer, because something in it works for the first time."""
        self._sampler_search = ""
        """How the sampler has searched last, in words; empty before it has."""
        self.searches_told: dict[str, str] = {}
        """What each part that searches has said last of how."""
        self.step = 0
        self.trained = 0
        """Steps that the weights have been trained for: one less than `step` where a step could not be ended."""
        self.spent = 0.0
        """Seconds that its steps took, by the training clock."""
        self.ends = False
        """Whether the step that it is at is its last."""
        self.epoch = -1
        """Counts from 0 once training has begun."""
        self.alpha: float | None = None
        """margin of a hashing loss, which may go through stages"""
        self.good_weights: Weights | None = None
        self.resumed = False
        """Whether it goes on from a checkpoint, so that the cloud it starts from has been told."""

    @property
    def x(self) -> Tensor:
        """(T, D) features of the training set."""
        return self.shared.train_x

    @property
    def y(self) -> Tensor:
        """(T,) labels of the training set."""
        return self.shared.train_y

    def steps(self) -> Iterator[tuple[Event, ...]]:
        """Train. Each item holds the events of one step (the first, those before any). Ends after the last step, or
        after a fatal alarm that says why the lane cannot go on."""
        yield self._first_events()
        while self.step < self.config.steps and not self.ends:
            if not self.batches:
                self.epoch += 1
                with self.clock(Phase.OTHER):
                    self.batches = self._batches()
            self.step += 1
            self.ends = self.step == self.config.steps or self.spent >= (self.config.seconds or math.inf)
            try:
                yield tuple(self._step(torch.from_numpy(self.batches.pop(0)).to(self.shared.device)))
            except InputError as error:
                yield (Alarm(self.lane.name, self.step, "stopped", str(error), "fatal"),)
                return

    def _first_events(self) -> tuple[Event, ...]:
        if self.frames is None or self.resumed:
            return ()
        # A lane that goes on from another's state has made frames before: the next one must not know of this one.
        frames = copy.deepcopy(self.frames, {id(self): self}) if self.step else self.frames
        return (frames.make(self.step),)

    def create_loss(self, lane: LaneConfig) -> Loss:
        """The loss that `lane` names, on the training device."""
        loss = losses.build(
            lane.loss_part, distance=self.distance, problem=self.shared.problem, generator=self.loss_source
        )
        if isinstance(loss, nn.Module):
            loss.to(self.shared.device)
        return loss

    def create_sampler(self, config: ExperimentConfig) -> Sampler:
        """The sampler of the lane that `config` holds alone."""
        chosen, labels, several = config.sampler, self.shared.train_labels, None
        if not isinstance(labels, Tensor):
            lists = labels.lists
            several = ItemLabels(lists.offsets.cpu().numpy(), lists.row.cpu().numpy(), lists.rows)
        return sampling.build(
            chosen.part,
            labels=self.y.cpu().numpy(),
            batch=chosen.batch,
            seed=self.shared.config.seed,
            several=several,
        )

    def _batches(self) -> list[NDArray[np.int64]]:
        if not isinstance(self.sampler, NeighbourSampler) or self.epoch == 0:
            return self.sampler.batches(self.epoch)
        options = self.sampler.options
        search = neighbors.build(options.search_part, distance=self.distance)
        with self.clock(Phase.EMBED):
            bank = Bank(self.embed(self.x), self.shared.train_labels)
        with self.clock(Phase.BUILD):
            search.build(bank)
        with self.clock(Phase.SEARCH):
            lists = search.nearest_negatives(torch.arange(len(bank), device=self.x.device), options.pool).row
        self.set_up = self.set_up or not self._sampler_search
        self._sampler_search = search.description
        with self.clock(Phase.SELECT):
            return self.sampler.batches_near(lists.cpu().numpy(), self.epoch)

    def _step(self, anchor_row: Tensor) -> Iterator[Event]:
        clock, mining = self.clock, self.mining
        first_call, self.set_up = self.set_up, False
        with clock(Phase.OTHER):
            if mining.warmup_ends(self.step):
                first_call = True
                yield WarmupEnded(self.lane.name, self.step, self.lane.miner)
            in_batch, looked_at = mining.mining_batch, self._frame_due()
            tuples = () if in_batch else mining.of_the_set(anchor_row, self.step, self.epoch, keep_candidates=looked_at)
        due = self.ends or self.metrics.due(self.step)
        used = self._measure_used() if due else {}
        with clock(Phase.OTHER):
            with clock(Phase.TRANSFER):
                rows, local = torch.unique(torch.cat(tuples) if tuples else anchor_row, return_inverse=True)
                local_tuples = None if in_batch else local.split([len(vector) for vector in tuples])
                features, related = self.x[rows], mining.labels_of(rows)
                labels = related if self._shares_labels else self.y[rows]
            with clock(Phase.FORWARD):
                embeddings, hidden = self._forward(features)
            if in_batch:
                local_tuples = mining.of_the_batch(embeddings, related)
                tuples = tuple(rows[vector] for vector in local_tuples or ())
            with clock(Phase.LOSS):
                context = LossContext(self.step, self.epoch, features, hidden, steps=self.config.steps)
                terms = self.loss.terms(embeddings, labels, local_tuples, context=context)
                loss = self.loss.reduce(terms, embeddings)
                if in_batch and mining.memory is not None:
                    loss = loss + self._loss_on_memory(embeddings, rows)
                value = loss.item()
            if "alpha" in terms.figures:
                before, self.alpha = self.alpha, float(terms.figures["alpha"])
                if before not in (None, self.alpha):
                    yield OptionChanged(self.lane.name, self.step, "alpha", f"{self.alpha:g}")
            if not math.isfinite(value):
                raise InputError(f"The loss became {value}. A lower learning rate or a smaller margin may help.")
            if self.optimizer is not None:
                with clock(Phase.BACKWARD):
                    self.optimizer.zero_grad(set_to_none=True)
                    loss.backward()
                with clock(Phase.STEP):
                    self.optimizer.step()
            self.trained = self.step
            mining.saw_loss(value)
            separation = terms.separation
            if separation is None and local_tuples is not None and len(local_tuples) == 3:
                separation = self._separation(embeddings.detach(), local_tuples)
            counts = self._counts(tuples, separation, len(anchor_row))
        measured, misses = self._measure(terms) if due else Measured({})
        alarms: tuple[Alarm, ...] = ()
        with clock(Phase.OTHER):
            empty = "" if counts["mined"] else mining.why_empty(embeddings, related)
            if measured or empty or self.step % LOOK_EVERY == 0:
                seen = self._seen(value, counts, measured, terms, embeddings.detach(), empty)
                alarms = tuple(self.watch.see(seen))
        phase_ms = clock.take()
        self.spent += sum(phase_ms.get(phase, 0.0) for phase in STEP_PHASES) / 1e3
        yield StepRecord(
            self.lane.name,
            self.step,
            value,
            phase_ms=phase_ms,
            tuples=counts,
            metrics=measured | used if measured else {},
            mining=not mining.warming_up,
            first_call=first_call,
        )
        if self.frames is not None and measured:
            self.frames.show_missed(misses)
        if misses is not None:
            yield misses
        if measured:
            yield from self._searches()
        yield from alarms
        if self.frames is not None:
            self.frames.add(self.step, tuples, terms, rows, separation, self.margin)
            if looked_at:
                yield self.frames.make(self.step, candidates_of(mining.looked(rows), tuples, self.shared))

    def frame_of_now(self) -> tuple[Frame, ...]:
        """A frame of the step that the lane is at; none where there was one, or nobody wants any."""
        if self.frames is None or self.frames.told == self.step:
            return ()
        return (self.frames.make(self.step),)

    def _frame_due(self) -> bool:
        """Whether the step now has a frame."""
        config = self.config
        wanted = self.frame_each_step or self.step % config.frame_every == 0 or self.step == 1 or self.ends
        return self.frames is not None and wanted

    def rename(self, lane: LaneConfig) -> None:
        """Go on under the name of `lane`, whose options are the same."""
        self.lane, self.watch.lane = lane, lane.name
        self.searches_told = {}
        if self.good_weights is not None:
            self.good_weights = replace(self.good_weights, lane=lane.name)
        if self.frames is not None:
            self.frames.lane = lane.name

    def weights(self) -> Weights:
        """The network as it is; the last one that gave finite embeddings, if this one does not."""
        return self.weights_of(self.arrays())

    def weights_of(self, arrays: Mapping[str, NDArray[Any]]) -> Weights:
        """As `weights`, where `arrays` are known."""
        if self.good_weights is not None and not all(np.isfinite(array).all() for array in arrays.values()):
            return self.good_weights
        return Weights(self.lane.name, self.trained, arrays, self.x.shape[1], self.shared.image_shape)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Copies of the parameters and buffers of the network, by name."""
        return {name: frozen(value.detach().cpu().numpy()) for name, value in self.model.state_dict().items()}

    def embed(self, features: Tensor) -> Tensor:
        """(N, E) embeddings of (N, D) features with the weights as they are, without gradient."""
        return embed_with(self.model, features)

    def embeddings_of(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(K, E) embeddings of the items with these dataset ids, as the lane's distance sees them; nothing changes."""
        row = self.shared.rows_of(ids)
        embeddings: NDArray[np.float32] = frozen(self.distance.prepare(self.embed(self.shared.x[row])).cpu().numpy())
        return embeddings

    def _buckets(self) -> Tensor | None:
        return self.mining.buckets()

    def _forward(self, features: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        if not self.loss.uses_hidden:
            return self.model(features), {}
        model = self.model  # a plug-in may be any torch module
        return model.with_hidden(features) if isinstance(model, Embedder) else hidden_activations(model, features)

    @property
    def _shares_labels(self) -> bool:
        """Whether the loss goes by who shares a label; else it takes the miner's word, and classes."""
        return self.lane.loss_part.options.shares_labels

    def _related(self, rows: Tensor, past: Reference) -> tuple[Tensor, Tensor]:
        """What tells of these rows (B,) and of M past embeddings who is a positive of whom, see `LaneMining.labels_of`:
        tables of both are over the same U labels."""
        if isinstance(self.shared.train_labels, Tensor):
            return self.y[rows], past.labels
        before = self.shared.rows_of(past.ids.cpu().numpy())
        together = self.mining.labels_of(torch.cat((rows, before)))
        return together[: len(rows)], together[len(rows) :]

    def _loss_on_memory(self, embeddings: Tensor, rows: Tensor) -> Tensor:
        """The loss of the batch's anchors on past embeddings of other items; then the batch joins them."""
        memory = self.mining.memory
        assert memory is not None
        ids = self.shared.ids[rows]
        loss = embeddings.new_zeros(())
        if memory.ready(self.step):
            past = memory.reference(self.step, without=ids)
            if len(past.labels):
                related, known = self._related(rows, past)
                tuples = self.mining.of_the_batch(embeddings, related, past._replace(labels=known))
                labels, known = (related, known) if self._shares_labels else (self.y[rows], past.labels)
                context = LossContext(self.step, self.epoch, steps=self.config.steps)
                loss = self.loss(embeddings, labels, tuples, past.embeddings, known, context)
        memory.add(embeddings.detach(), self.y[rows], ids, self.step)
        return loss

    def _measure(self, terms: Terms) -> Measured:
        self.good_weights = self.weights()
        miner = self.mining.searching
        search = miner.search if miner is not None and miner.search.approximate else None  # else recall is 1 anyway
        pool = miner.pool if miner is not None else 1
        measured = self.metrics.measure(self.lane.name, self.step, self.loss, search, pool)
        known = ("temperature", "chance", "entanglement_chance")
        figures = {name: float(figure) for name, figure in terms.figures.items() if name in known or layer_metric(name)}
        if not measured.metrics:
            return measured
        return measured._replace(metrics=measured.metrics | figures | self.mining.metrics(self.step))

    def _measure_used(self) -> dict[str, float]:
        """Of the negatives that the miner hands out in this step, by the weights that the step begins with."""
        used = self.mining.handed_out(self.metrics.probe_row, self.step, self.epoch)
        return {} if used is None else self.metrics.measure_used(used, self.step)

    def _searches(self) -> Iterator[SearchUsed]:
        """How the lane searches, where that is not what it said last."""
        of_batches = self._sampler_search if isinstance(self.sampler, NeighbourSampler) else ""
        for part, words in (("miner", self.mining.search_words), ("sampler", of_batches)):
            if words and self.searches_told.get(part) != words:
                self.searches_told[part] = words
                yield SearchUsed(self.lane.name, self.step, part, words)

    def _separation(self, embeddings: Tensor, local_tuples: tuple[Tensor, ...]) -> Tensor:
        """(T,) d_an - d_ap in the lane's distance."""
        return separation_of(self.distance, embeddings, local_tuples)

    def margin_of(self, lane: LaneConfig, loss: Loss) -> float:
        """Up to which lead triplets count as semi-hard: the loss's margin; of an audit, a usual one, with a note."""
        own = loss.margin if isinstance(loss, HasMargin) else None
        if self.config.model.part.options.trains or "margin" in lane.loss_part.options.model_fields_set:
            return 0.0 if own is None else float(own)
        margin = self._usual_lead()
        other = "; loss_options.margin sets another" if own is not None else ""
        self.notes.append(f"Triplets are semi-hard up to a lead of {margin:.4g}, the median of random ones{other}.")
        return margin

    def _usual_lead(self) -> float:
        """The median lead of the positive over random triplets that have one; 0 where none has. What is hard in data
        that nobody trains on hangs on their scale, which a loss's default margin cannot know."""
        source = generator(self.shared.config.seed, "usual lead")
        bank = Bank(self.embed(self.x), self.shared.train_labels)
        anchor = torch.randint(len(bank), (USUAL_TRIPLETS,), generator=source).to(self.x.device)
        miner, context = RandomMiner(RandomOptions()), MiningContext(0, 0, source, self.distance)
        miner.refresh(bank, context)
        lead = self._separation(bank.embeddings, tuple(miner.mine(anchor, context)))
        lead = lead[lead > 0]
        return float(lead.median()) if len(lead) else 0.0

    def _counts(self, tuples: tuple[Tensor, ...], separation: Tensor | None, anchors: int) -> dict[str, int]:
        """See `hnm_core.run.events.TUPLE_COUNTS`."""
        truth = self.shared.y_true
        items = len(self.y)
        counted = count_tuples(tuples, separation, margin=self.margin, anchors=anchors, items=items, truth=truth)
        return counted | self.mining.choices()

    def _seen(
        self,
        loss: float,
        counts: dict[str, int],
        measured: dict[str, float],
        terms: Terms,
        embeddings: Tensor,
        empty_reason: str,
    ) -> Seen:
        return seen_in(
            self.step,
            loss,
            counts,
            measured,
            self.mining,
            self.parameters,
            loss_of=self.loss,
            terms=terms,
            embeddings=embeddings,
            empty_reason=empty_reason,
        )
