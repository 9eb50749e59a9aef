"""Where a lane over queries and documents takes its negatives from, beside the positives of the other queries."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Protocol

import torch
from torch import Tensor

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.evaluation.mining_quality import compare
from hnm_core.miners.base import MiningContext
from hnm_core.miners.whole_set.bm25 import Bm25
from hnm_core.miners.whole_set.drift import PROBE, drift
from hnm_core.miners.whole_set.for_queries import MinedForQueries, QueryMiner
from hnm_core.miners.whole_set.options import SearchingOptions
from hnm_core.miners.whole_set.positives import draw_unbarred
from hnm_core.miners.whole_set.refresh import RefreshPolicy, Snapshot
from hnm_core.neighbors.base import nearest
from hnm_core.relevance import Judged
from hnm_core.row_lists import RowLists
from hnm_core.run.timing import Phase
from hnm_core.seeding import generator
from hnm_core.training.judged_lists import JudgedLists
from hnm_core.training.missing import Measured, Probed, figures_of, misses_of

COSINE = Distance("cosine")

NO_COUNTS: Mapping[str, int] = {}


class Negatives(Protocol):
    """Gives each query of a step its negatives."""

    @property
    def words(self) -> str:
        """How it searches and why; empty where nothing is searched."""

    def mine(self, query: Tensor, positive: Tensor, context: MiningContext) -> MinedForQueries:
        """Negatives of queries (B,), rows of the set, whose positives in this step are documents (B,)."""

    def counts(self) -> Mapping[str, int]:
        """What the last call did, by the names that `SearchingMiner.counts` has."""

    def measure(self, step: int) -> Measured:
        """What is to be told of it at a step."""


class _Plain:
    """What nothing is told of."""

    words = ""

    def counts(self) -> Mapping[str, int]:
        return NO_COUNTS

    def measure(self, step: int) -> Measured:
        return Measured({})


class BatchOnly(_Plain):
    """None beside the batch's."""

    def mine(self, query: Tensor, positive: Tensor, context: MiningContext) -> MinedForQueries:
        """See `Negatives`."""
        none = positive.new_empty((len(positive), 0))
        return MinedForQueries(none, none.bool())


class ByChance(_Plain):
    """Documents by chance, of those that may be negatives."""

    def __init__(self, lists: JudgedLists, count: int) -> None:
        """`count` for each query."""
        self._barred = lists.positives.joined(lists.excluded)
        self._count = count

    def mine(self, query: Tensor, positive: Tensor, context: MiningContext) -> MinedForQueries:
        """See `Negatives`."""
        drawn = draw_unbarred(self._barred.at(query), self._count, context.generator)
        return MinedForQueries(drawn, torch.zeros_like(drawn, dtype=torch.bool))


class ByWords(_Plain):
    """Documents drawn from those with the highest scores of BM25, which are searched for once."""

    def __init__(self, index: Bm25, texts: list[str], barred: RowLists, asking: Tensor, pool: int, count: int) -> None:
        """
        Args:
            index: of the documents.
            texts: of the queries that will ask.
            barred: for each of these what may not come back.
            asking: (A,) the queries that these are, rows of the set, ascending.
            pool: so many of the highest are drawn from.
            count: negatives for each query.
        """
        self._found = index.nearest(texts, pool, barred).row
        self._asking, self._count = asking, count

    def mine(self, query: Tensor, positive: Tensor, context: MiningContext) -> MinedForQueries:
        """See `Negatives`. A query that shares a word with fewer documents gets fewer."""
        found = self._found[torch.searchsorted(self._asking, query)]
        order = (
            torch.rand(found.shape, generator=context.generator, dtype=torch.float64)
            .masked_fill(found < 0, 2)
            .argsort(dim=1)
        )
        negative = found.gather(1, order[:, : self._count])
        return MinedForQueries(negative, torch.zeros_like(negative, dtype=torch.bool))


class BySearch:
    """Documents that a search finds near the query, both embedded by the weights of the last refresh (ANCE, Xiong et
    al., ICLR 2021)."""

    def __init__(
        self,
        lane: str,
        options: SearchingOptions,
        lists: JudgedLists,
        query_id: Tensor,
        policy: RefreshPolicy,
        embed: Callable[[], tuple[Tensor, Tensor]],
        seed: int,
    ) -> None:
        """
        Args:
            lane: its name.
            options: of the miner, its search among them.
            lists: of the set.
            query_id: (Q,) int64, what the run calls each query; documents are called by their rows.
            policy: when to embed anew.
            embed: gives (Q, E) queries and (N, E) documents by the weights of the moment.
            seed: of what the search draws itself.
        """
        part = options.search_part(seed if options.search_draws else None)
        self._miner = QueryMiner(options, neighbors.build(part, distance=COSINE), COSINE)
        self._lane, self._query_id = lane, query_id
        self._lists, self._policy, self._embed = lists, policy, embed
        self._excluded = lists.excluded
        self._snapshot: Snapshot | None = None
        self._judged: Judged | None = None
        self._queries = torch.empty((0, 0))
        self._last: MinedForQueries | None = None
        self._probe = torch.randperm(lists.positives.rows, generator=generator(seed, "drift probe"))[:PROBE]
        self._asked = torch.randperm(len(lists.positives), generator=generator(seed, "recall probe"))[:PROBE]

    @property
    def words(self) -> str:
        """See `Negatives`."""
        return self._miner.search.description if self._snapshot is not None else ""

    def mine(self, query: Tensor, positive: Tensor, context: MiningContext) -> MinedForQueries:
        """See `Negatives`."""
        if self._snapshot is None or self._policy.due(self._snapshot, context, self._drift):
            self._refresh(context)
        assert self._judged is not None
        self._last = self._miner.mine_for(self._judged.query(self._queries[query], query), positive, context)
        return self._last

    def counts(self) -> Mapping[str, int]:
        """See `Negatives`."""
        return NO_COUNTS if self._last is None else self._miner.counts_of(self._last)

    def measure(self, step: int) -> Measured:
        """See `Negatives`."""
        if self._snapshot is None:
            return Measured({})
        age = {"bank_age": float(step - self._snapshot.step)}
        if not self._miner.search.approximate:
            return Measured(age)
        found, misses = self._mining_quality(step)
        return Measured(age | found, misses)

    def _mining_quality(self, step: int) -> Measured:
        """Of an approximate search, how much it finds of the true nearest of a fixed probe of queries, in a bank of the
        moment. A copy of it is asked, so that measuring never changes what is mined next."""
        queries, documents = self._embed()
        bank = Bank(documents)
        query = Judged(bank, self._lists.positives, self._excluded).query(queries[self._asked], self._asked)
        exact, mine = neighbors.create("exact", distance=COSINE), copy.deepcopy(self._miner.search)
        exact.build(bank)
        mine.build(bank)
        found, true = (nearest(search, query, self._miner.reach) for search in (mine, exact))
        probed = Probed(query.unrestricted(), found, true, self._query_id[self._asked], torch.arange(len(bank)))
        misses = misses_of(self._lane, step, mine, probed)
        return Measured(figures_of(compare(found, true)), misses)

    def _refresh(self, context: MiningContext) -> None:
        with context.clock(Phase.EMBED) if context.clock else nullcontext():
            self._queries, documents = self._embed()
        with context.clock(Phase.BUILD) if context.clock else nullcontext():
            bank = Bank(documents, step=context.step)
            self._miner.refresh(bank, context)
            self._judged = Judged(bank, self._lists.positives, self._excluded)
        self._snapshot = Snapshot(context.step, context.epoch)

    def _drift(self) -> float:
        assert self._judged is not None
        then, now = self._judged.bank.embeddings[self._probe], self._embed()[1][self._probe]
        return drift(then, now, torch.arange(len(then)), COSINE).of_limit
