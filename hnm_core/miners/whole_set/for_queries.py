"""Negatives for queries whose positives are judged: the searching miners' choice, asked about vectors (ANCE, Xiong
2021, is this with documents and queries embedded by a snapshot of the network); and negatives by chance."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from hnm_core.errors import InputError
from hnm_core.isolation import isolated
from hnm_core.miners.base import MiningContext
from hnm_core.miners.whole_set.measuring import distances_to
from hnm_core.miners.whole_set.positives import draw_unbarred
from hnm_core.miners.whole_set.searching import SearchingMiner
from hnm_core.neighbors.base import nearest
from hnm_core.relevance import JudgedQuery, RowQuery
from hnm_core.run.timing import Phase


class MinedForQueries(NamedTuple):
    """Negatives of Q queries, m at most for each."""

    negative: Tensor
    """(Q, m) int64 rows of the documents; -1 where there is none"""
    filled: Tensor
    """(Q, m) bool, which were drawn by chance because nothing was left to mine"""


class QueryMiner(SearchingMiner):
    """Draws each query's negatives from the documents nearest to it that may come back, as `SearchingMiner` does for
    rows: the same options, filters and choices. `counts` tells of it likewise, but for what is filled."""

    @isolated
    def mine_for(self, query: JudgedQuery, positive: Tensor, context: MiningContext) -> MinedForQueries:
        """Mine for queries about the bank that the miner was given last.

        Args:
            query: Q queries.
            positive: (Q,) int64 rows of the documents, the positive that each query is trained with and that margins
                speak of; -1 has no negatives.
            context: of the step.

        Raises:
            InputError: the miner has seen no bank, or another than the query's.
        """
        if self._bank is None:
            raise InputError("The miner has seen no bank yet: call refresh before mine_for.")
        with context.clock(Phase.SEARCH) if context.clock else nullcontext():
            found = nearest(self.search, query, self._list_length()).row
        column = self._choose(query, positive, found, self._draw(found, context))
        negative = found.gather(1, column.clamp(min=0)).where(column >= 0, -1)
        missing = (negative < 0) & (positive >= 0)[:, None]
        if not self.options.fill or not bool(missing.any()):
            return MinedForQueries(negative, torch.zeros_like(missing))
        drawn = draw_unbarred(query.barred, negative.shape[1], context.generator)
        filled = missing & (drawn >= 0)
        return MinedForQueries(torch.where(filled, drawn, negative), filled)

    def counts_of(self, mined: MinedForQueries) -> dict[str, int]:
        """`counts` of the last call, which gave `mined`."""
        counts = self.counts()
        return counts | {"filled": int(mined.filled.sum()), "mined": int((mined.negative >= 0).sum())}

    def _nearest_positive(self, query: RowQuery | JudgedQuery) -> Tensor:
        if not isinstance(query, JudgedQuery):
            return super()._nearest_positive(query)
        lists = query.relevant
        nearest_row = torch.full((len(query),), -1, dtype=torch.int64, device=lists.row.device)
        if not len(lists.row):
            return nearest_row
        # One line for each pair of query and positive, so that a query with very many widens nobody else's line.
        distance = distances_to(query.at(lists.anchor), lists.row[:, None], self.distance)[:, 0]
        order = distance.argsort(stable=True)
        order = order[lists.anchor[order].argsort(stable=True)]
        some = lists.sizes > 0
        nearest_row[some] = lists.row[order[lists.offsets[:-1][some]]]
        return nearest_row
