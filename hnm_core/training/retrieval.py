"""Training two towers on queries and documents, lane beside lane, told in the events of every run.

The items of such a run are the documents, then the queries that are trained on, then those that are not: an item's id
is its place in that order. Its class is what it is, a document or a query. A mined triplet is a query, its positive of
the step, and a negative; where nothing is mined beside the batch, that of the batch's which is nearest.
"""

from __future__ import annotations

import datetime
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from hnm_core.data.judged import JudgedSet
from hnm_core.data.split import thinned
from hnm_core.devices import phase_clock
from hnm_core.distances import normalize
from hnm_core.errors import InputError
from hnm_core.losses.base import Part, Terms
from hnm_core.losses.query_documents import QueryDocumentLoss
from hnm_core.miners.base import MiningContext
from hnm_core.miners.whole_set.bm25 import Bm25
from hnm_core.miners.whole_set.options import SearchingOptions
from hnm_core.miners.whole_set.refresh import policy_of
from hnm_core.models.bag import TwoTowers, Words
from hnm_core.run.control import Control, Embedded, EmbedRequest
from hnm_core.run.events import (
    Alarm,
    Event,
    Frame,
    Misses,
    RunFinished,
    RunStarted,
    SearchUsed,
    StepRecord,
    WarmupEnded,
    Weights,
    frozen,
)
from hnm_core.run.item_texts import MOST_ITEMS, ItemText, item_text
from hnm_core.run.shown import QUERY as QUERY_NAME
from hnm_core.run.timing import STEP_PHASES, Phase
from hnm_core.seeding import derived_seed, generator
from hnm_core.spec.config import ExperimentConfig
from hnm_core.training.experiment import versions
from hnm_core.training.frames import FrameMaker
from hnm_core.training.judged_lists import JudgedLists, judged_lists
from hnm_core.training.measured_queries import MeasuredQueries, measured_queries, split_queries
from hnm_core.training.optimizers import optimizer
from hnm_core.training.query_negatives import COSINE, BatchOnly, ByChance, BySearch, ByWords, Negatives
from hnm_core.training.retrieval_config import (
    NOT_HERE,
    RandomOptions,
    RetrievalConfig,
    RetrievalLane,
    WordsOptions,
    told_as,
)

EMPTY = frozen(np.empty((0, 0), np.float32))

DOCUMENT, QUERY = 0, 1
"""The classes of the items."""


@dataclass(frozen=True, eq=False)
class RetrievalItems:
    """A judged set as the lanes of a run see it. Rows are those of all items, see the module; places those of the
    queries or the documents in their files. It is a `hnm_core.training.frames.FrameItems`."""

    config: RetrievalConfig
    told: ExperimentConfig
    """the same in the words of recordings"""
    data: JudgedSet
    lists: JudgedLists
    query_words: Words
    document_words: Words
    train: Tensor
    """(T,) places of the queries that are trained on, ascending"""
    measured: MeasuredQueries
    query_place: Tensor
    """(Q,) the place of each query in the order of rows"""
    shown_row: Tensor
    """(S,) rows that frames show, ascending"""

    device = torch.device("cpu")
    y_true = None
    groups = None

    @property
    def trained(self) -> int:
        """Rows before this one are trained on, the documents among them."""
        return len(self.data.documents) + len(self.train)

    @cached_property
    def ids(self) -> Tensor:
        """(N + Q,) int64, the rows themselves."""
        return torch.arange(len(self.data.documents) + len(self.data.queries))

    @property
    def x(self) -> Tensor:
        """(N + Q,) what to embed: the rows."""
        return self.ids

    @cached_property
    def y(self) -> Tensor:
        """(N + Q,) int64, DOCUMENT or QUERY."""
        return (self.ids >= len(self.data.documents)).long()

    @cached_property
    def row_of_query(self) -> Tensor:
        """(Q,) the row of each query."""
        return torch.empty_like(self.query_place).scatter_(
            0, self.query_place, torch.arange(len(self.query_place)) + len(self.data.documents)
        )

    def text_of(self, row: int) -> ItemText:
        """The id of an item in the user's files, and how its text begins."""
        documents = self.data.documents
        place = row - len(documents)
        side, place = (documents, row) if place < 0 else (self.data.queries, int(self.query_place[place]))
        assert side.text is not None, "retrieval_items refuses sets without"
        return item_text(side.ids[place], side.text[place])

    @cached_property
    def words_index(self) -> Bm25:
        """BM25 over the documents; made by the first lane that asks."""
        assert self.data.documents.text is not None
        return Bm25(self.data.documents.text)


def retrieval_items(data: JudgedSet, config: RetrievalConfig) -> RetrievalItems:
    """Split the queries and hash the texts.

    Raises:
        InputError: there are no texts, or fewer than two queries with a relevant document are left to train on, or
            none to be measured though some were to be held out.
    """
    if data.queries.text is None or data.documents.text is None:
        raise InputError(f"'{data.name}' has no texts; towers over words need the texts of queries and documents.")
    lists = judged_lists(data)
    train, measured = split_queries(data, lists, config.seed, config.held_out, config.validation)
    rest = torch.ones(len(data.queries), dtype=torch.bool)
    rest[train] = False
    query_place = torch.cat((train, rest.nonzero()[:, 0]))
    kinds = np.repeat([DOCUMENT, QUERY], [len(data.documents), len(data.queries)])
    return RetrievalItems(
        config,
        told_as(config, data.name),
        data,
        lists,
        Words(data.queries.text, config.towers),
        Words(data.documents.text, config.towers),
        train,
        measured_queries(data, lists, measured),
        query_place,
        torch.from_numpy(np.sort(thinned(kinds, config.shown, config.seed))),
    )


def train_retrieval(
    data: JudgedSet,
    config: RetrievalConfig,
    *,
    frames: bool = True,
    control: Control | None = None,
    done: dict[str, int] | None = None,
) -> Iterator[Event]:
    """Train the lanes in turn, a step each, and tell it; `hnm_core.recording.record` records what is told.

    Args:
        data: queries and documents with texts.
        config: of the run.
        frames: whether anybody wants clouds; they never change the numbers.
        control: how somebody else pauses or stops the run; None runs to the end. Lanes cannot be changed or forked.
        done: is kept at the steps of each lane.

    Raises:
        InputError: at once, as `retrieval_items` does, or BM25 is asked for and not installed.
    """
    items = retrieval_items(data, config)
    lanes = [_Lane(lane, items, frames) for lane in config.lanes]
    return _run(items, lanes, control or Control(), {} if done is None else done)


def _run(items: RetrievalItems, lanes: list[_Lane], control: Control, done: dict[str, int]) -> Iterator[Event]:
    began = time.monotonic()
    yield _started(items)
    for sentence in _left_out(items):
        yield Alarm(items.config.lanes[0].name, 0, "queries", sentence, "hint")
    done.update(dict.fromkeys((lane.name for lane in lanes), 0))
    failed: list[str] = []
    by_name = {lane.name: lane for lane in lanes}
    running = {name: lane.steps() for name, lane in by_name.items()}
    while running and (turn := control.next_turn(looks=True)) != "stop":
        if turn == "obey":
            yield from _refused(control, done)
            continue
        if turn == "look":
            for name in running:
                yield from by_name[name].frame_of_now(done[name])
            continue
        for name, steps in list(running.items()):
            by_name[name].frame_each_step = control.unhurried
            try:
                events = next(steps)
            except InputError as error:  # embeddings that are no numbers any more
                failed.append(name)
                del running[name]
                yield Alarm(name, done[name], "not-finite", str(error), "fatal")
                continue
            done[name] += 1
            yield from events
            if by_name[name].ends:
                del running[name]
    for lane in lanes:
        yield lane.weights(done[lane.name])
    yield RunFinished(dict(done), time.monotonic() - began, stopped=bool(running), failed_lanes=tuple(failed))


def _refused(control: Control, done: Mapping[str, int]) -> Iterator[Alarm]:
    """Answer what such lanes cannot do."""
    for request in control.requests():
        if isinstance(request, EmbedRequest):
            request.answer({name: Embedded(step, EMPTY, NOT_HERE) for name, step in done.items()})
        else:
            yield Alarm(request.lane, done.get(request.lane, 0), "refused", NOT_HERE, "hint")


class _Lane:
    """One lane: its towers, and where its negatives come from."""

    def __init__(self, lane: RetrievalLane, items: RetrievalItems, frames: bool) -> None:
        config = items.config
        self.name, self._lane, self._items = lane.name, lane, items
        self.towers = TwoTowers(config.towers, generator(config.seed, "weights"))
        self.loss = QueryDocumentLoss(config.loss, COSINE)
        self._optimizer = optimizer(config.optimizer, self.towers, self.loss)
        self._dropout = generator(config.seed, "dropout")
        self._chance = generator(config.seed, "mining")
        self._negatives = _negatives(lane, items, self._embed)
        self._warming: Negatives = BatchOnly()
        self._frames = FrameMaker(items.told.lane(lane.name), items, COSINE, self._embed_rows) if frames else None
        self._said = ""
        self._spent = 0.0
        """Seconds of training so far."""
        self.ends = False
        """Whether the step that it is at is its last."""
        self.frame_each_step = False
        """Whether somebody looks so closely that every step has a frame, not only every `frame_every`-th."""

    def steps(self) -> Iterator[tuple[Event, ...]]:
        """The events of each step."""
        clock = phase_clock(self._items.device)
        for step, (epoch, query, positive) in enumerate(_batches(self._items), 1):
            events: list[Event] = []
            config = self._items.config
            self.ends = step == config.steps or self._spent >= (config.seconds or math.inf)
            mining = step > self._lane.warmup
            if mining and step == self._lane.warmup + 1 and self._lane.warmup:
                events.append(WarmupEnded(self.name, step, self._items.told.lane(self.name).miner))
            context = MiningContext(step, epoch, self._chance, COSINE, clock)
            negatives = self._negatives if mining else self._warming
            record, misses = self._step(query, positive, context, negatives, mining)
            words = self._negatives.words
            if self._measures(step) and words != self._said:
                self._said = words
                events.append(SearchUsed(self.name, step, "miner", words))
            events.append(record)
            if self._frames is not None and self._measures(step):
                self._frames.show_missed(misses)
            if misses is not None:
                events.append(misses)
            if self.frame_each_step or step % config.frame_every == 0 or step == 1 or self.ends:
                events.extend(self.frame_of_now(step))
            yield tuple(events)
            if self.ends:
                return

    def frame_of_now(self, step: int) -> tuple[Frame, ...]:
        """A frame of the step that the lane is at; none where there was one, or nobody wants any."""
        if self._frames is None or self._frames.told == step:
            return ()
        return (self._frames.make(step),)

    def weights(self, step: int) -> Weights:
        """The towers as they are."""
        state = self.towers.state_dict()
        return Weights(self.name, step, {name: frozen(value.numpy()) for name, value in state.items()})

    def _step(
        self, query: Tensor, positive: Tensor, context: MiningContext, negatives: Negatives, mining: bool
    ) -> tuple[StepRecord, Misses | None]:
        """A step, and what its search missed where that was measured."""
        clock, items = context.clock, self._items
        assert clock is not None
        with clock(Phase.SELECT):
            mined = negatives.mine(query, positive, context)
        with clock(Phase.OTHER):
            document = torch.cat((positive, mined.negative[mined.negative >= 0])).unique()
            place = torch.searchsorted(document, positive)
            barred = items.lists.positives.at(query).hold(document.expand(len(query), -1))
            barred |= items.lists.excluded.at(query).hold(document.expand(len(query), -1))
        with clock(Phase.FORWARD):
            queries = self.towers(items.query_words, "query", query.numpy(), self._dropout)
            documents = self.towers(items.document_words, "document", document.numpy(), self._dropout)
        with clock(Phase.LOSS):
            terms = self.loss.terms(queries, documents, place, barred)
            loss = self.loss.reduce(terms, queries)
        with clock(Phase.BACKWARD):
            assert self._optimizer is not None
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
        with clock(Phase.STEP):
            self._optimizer.step()
        with clock(Phase.OTHER):
            similarity = normalize(queries.detach()) @ normalize(documents.detach()).T
            negative = mined.negative
            if not negative.shape[1]:  # nothing was mined: the nearest of the batch
                best, column = similarity.masked_fill(barred | _is(place, document), -torch.inf).max(1, keepdim=True)
                negative = document[column].masked_fill(best == -torch.inf, -1)
            at, which = (negative >= 0).nonzero(as_tuple=True)
            rows = items.row_of_query[query[at]], positive[at], negative[at, which]
            column = torch.searchsorted(document, negative[at, which])
            separation = similarity[at, place[at]] - similarity[at, column]
            tuples = self._counts(negative, separation, negatives)
            if self._frames is not None:
                parts = Terms((Part(terms.to_documents, torch.arange(len(query))),))
                self._frames.add(context.step, rows, parts, items.row_of_query[query], separation, 0.0)
            metrics: dict[str, float] = {}
            if items.config.loss.learn_temperature:
                metrics["temperature"] = float(terms.temperature)
        ms, misses = clock.take(), None
        self._spent += sum(ms.get(phase, 0.0) for phase in STEP_PHASES) / 1e3
        if self._measures(context.step):  # outside the clock
            found, misses = negatives.measure(context.step)
            metrics |= {**self.measure(), **found}
        record = StepRecord(
            self.name, context.step, float(loss.detach()), ms, tuples, metrics, mining, first_call=context.step == 1
        )
        return record, misses

    def _measures(self, step: int) -> bool:
        return step % self._items.config.eval_every == 0 or step == 1 or self.ends

    def measure(self) -> dict[str, float]:
        """Metrics of the measured queries against all documents, see `hnm_core.run.events.METRICS`; none where none is
        held out."""
        measured = self._items.measured
        return measured.scores(*self._embed(), COSINE).means if len(measured) else {}

    def _counts(self, negative: Tensor, separation: Tensor, negatives: Negatives) -> dict[str, int]:
        """See `hnm_core.run.events.TUPLE_COUNTS`."""
        hard = int((separation <= 0).sum())
        told = negatives.counts()
        filtered = sum(count for name, count in told.items() if name.startswith("dropped_"))
        missing = int((negative < 0).all(1).sum())
        counts = {"mined": len(separation), "missing": missing, "hard": hard, "easy": len(separation) - hard}
        return counts | ({"filled": told["filled"], "filtered": filtered} if told else {})

    def _embed(self) -> tuple[Tensor, Tensor]:
        return (
            self.towers.embed(self._items.query_words, "query"),
            self.towers.embed(self._items.document_words, "document"),
        )

    def _embed_rows(self, row: Tensor) -> Tensor:
        """(R, E) embeddings of rows of all items."""
        documents = len(self._items.data.documents)
        of_document = row < documents
        embedded = torch.empty((len(row), self._items.config.towers.embedding))
        was, _ = self.towers.training, self.towers.eval()
        with torch.no_grad():
            embedded[of_document] = self.towers(self._items.document_words, "document", row[of_document].numpy())
            place = self._items.query_place[row[~of_document] - documents]
            embedded[~of_document] = self.towers(self._items.query_words, "query", place.numpy())
        self.towers.train(was)
        return embedded


def _negatives(lane: RetrievalLane, items: RetrievalItems, embed: Callable[[], tuple[Tensor, Tensor]]) -> Negatives:
    options, seed = lane.checked, items.config.seed
    match options:
        case SearchingOptions():
            policy = policy_of(items.told.lane(lane.name))
            seed = derived_seed(seed, "search")
            return BySearch(lane.name, options, items.lists, items.row_of_query, policy, embed, seed)
        case WordsOptions():
            assert items.data.queries.text is not None
            texts = [items.data.queries.text[place] for place in items.train.tolist()]
            barred = items.lists.positives.joined(items.lists.excluded).at(items.train)
            return ByWords(items.words_index, texts, barred, items.train, options.pool, options.negatives)
        case RandomOptions():
            return ByChance(items.lists, options.negatives)
        case _:
            return BatchOnly()


def _batches(items: RetrievalItems) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Epoch, (B,) queries and (B,) documents that are their positives, without end; the same for every lane. Each query
    comes once an epoch, but for those that are left over at its end."""
    chance = generator(items.config.seed, "batches")
    positives = items.lists.positives
    size = min(items.config.batch, len(items.train))
    epoch = 0
    while True:
        order = items.train[torch.randperm(len(items.train), generator=chance)]
        for query in order[: len(order) // size * size].split(size):
            sizes = positives.sizes[query]
            drawn = (torch.rand(len(query), generator=chance, dtype=torch.float64) * sizes).long().minimum(sizes - 1)
            yield epoch, query, positives.row[positives.offsets[query] + drawn]
        epoch += 1


def _is(place: Tensor, document: Tensor) -> Tensor:
    """(B, M) bool, which of the documents is the positive of each query."""
    return place[:, None] == torch.arange(len(document))


def _left_out(items: RetrievalItems) -> Iterator[str]:
    none = int((items.lists.positives.sizes == 0).sum())
    if none:
        yield f"{none:,} of {len(items.data.queries):,} queries have no relevant document: not trained, not measured."
    copies, itself = len(items.lists.copies.row), len(items.lists.itself.row)
    if copies or itself:
        yield (
            f"Never negatives: {copies:,} documents with the text of one that is relevant, and {itself:,} that are the "
            "query itself (counted query by query)."
        )
    for what, words in (("queries", items.query_words), ("documents", items.document_words)):
        if words.empty:
            yield f"{words.empty:,} of {len(words):,} {what} have no word; they all have one embedding."


def _started(items: RetrievalItems) -> RunStarted:
    told = items.ids if len(items.ids) <= MOST_ITEMS else items.shown_row
    return RunStarted(
        config=items.told,
        labels=frozen(items.y[items.shown_row].numpy()),
        ids=frozen(items.shown_row.numpy()),
        held_out=frozen((items.shown_row >= items.trained).numpy()),
        class_names=("document", QUERY_NAME),
        items_total=len(items.ids),
        versions=versions(items.device),
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        chance=items.measured.chance(),
        texts={row: items.text_of(row) for row in told.tolist()},
    )
