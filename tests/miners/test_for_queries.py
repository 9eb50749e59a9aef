"""Negatives for queries with judged positives, against brute force in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.base import MiningContext
from hnm_core.miners.whole_set.for_queries import MinedForQueries, QueryMiner
from hnm_core.miners.whole_set.options import KnnOptions
from hnm_core.miners.whole_set.positives import draw_unbarred
from hnm_core.relevance import Judged, JudgedQuery
from hnm_core.row_lists import RowLists

N, Q, D = 60, 11, 20
COSINE = Distance("cosine")


def asked() -> tuple[JudgedQuery, Tensor, np.ndarray]:
    """Queries, the first positive of each (-1 for the last, which has none), and (Q, N) float64 cosine distances."""
    generator = torch.Generator().manual_seed(0)
    documents, vectors = (torch.randn((count, D), generator=generator) for count in (N, Q))
    anchor = torch.arange(Q - 1).repeat_interleave(4)
    positives = RowLists.of_pairs(anchor, torch.randint(N, (len(anchor),), generator=generator), Q, N)
    excluded = RowLists.of_pairs(torch.arange(Q), torch.arange(Q) * 3, Q, N)
    judged = Judged(Bank(documents), positives, excluded)
    query = judged.query(vectors)
    positive = torch.full((Q,), -1)
    positive[:-1] = positives.row[positives.offsets[: Q - 1]]
    d, v = (np.asarray(t, np.float64) for t in (documents, vectors))
    d, v = d / np.linalg.norm(d, axis=1, keepdims=True), v / np.linalg.norm(v, axis=1, keepdims=True)
    return query, positive, 1 - v @ d.T


def mined(query: JudgedQuery, positive: Tensor, seed: int = 0, **options: Any) -> MinedForQueries:
    miner = QueryMiner(KnnOptions(**options), neighbors.create("exact", distance=COSINE), COSINE)
    miner.refresh(query.bank, MiningContext())
    context = MiningContext(generator=torch.Generator().manual_seed(seed))
    return miner.mine_for(query, positive, context)


def allowed(query: JudgedQuery, place: int, true: np.ndarray) -> np.ndarray:
    """The rows that may come back for a query, nearest first."""
    rows = np.setdiff1d(np.arange(N), query.barred.at(torch.tensor([place])).row)
    return rows[np.argsort(true[place, rows])]


def test_that_the_hardest_negatives_are_the_nearest_that_are_not_barred() -> None:
    query, positive, true = asked()
    found = mined(query, positive, pool=1, select="hardest", negatives=5)
    for place in range(Q - 1):
        assert found.negative[place].tolist() == allowed(query, place, true)[:5].tolist()
    assert not found.filled.any()


@pytest.mark.parametrize("guard", ["paired", "nearest"])
def test_that_a_positive_aware_filter_leaves_negatives_beyond_the_positive(guard: str) -> None:
    query, positive, true = asked()
    options = {"select": "hardest", "negatives": 3, "relative_margin": 0.05, "candidates": N, "fill": False}
    found = mined(query, positive, guard=guard, **options)
    for place in range(Q - 1):
        of = [int(positive[place])] if guard == "paired" else query.relevant.at(torch.tensor([place])).row.tolist()
        similarity = 1 - min(true[place, row] for row in of)
        limit = similarity - 0.05 * abs(similarity)
        wanted = [row for row in allowed(query, place, true) if 1 - true[place, row] <= limit][:3]
        assert found.negative[place][found.negative[place] >= 0].tolist() == wanted
    assert (found.negative[-1] < 0).all() or guard == "paired", "without a positive there is nothing to be guarded by"


def test_that_what_filters_leave_empty_is_filled_by_chance_without_the_barred_and_counted() -> None:
    query, positive, _ = asked()
    miner = QueryMiner(KnnOptions(min_distance=3.0), neighbors.create("exact", distance=COSINE), COSINE)
    miner.refresh(query.bank, MiningContext())
    found = miner.mine_for(query, positive, MiningContext())
    assert found.filled[:-1].all() and not query.barred.hold(found.negative).any()
    assert found.negative[-1].item() == -1, "a query without a positive gets none"
    counts = miner.counts_of(found)
    assert (counts["filled"], counts["mined"], counts["dropped_min_distance"]) == (Q - 1, Q - 1, counts["considered"])


def test_that_rows_drawn_by_chance_are_uniform_over_all_that_are_not_barred() -> None:
    pairs = torch.tensor([[0, 0, 0, 2, 2], [0, 1, 5, 6, 3]])
    barred = RowLists.of_pairs(pairs[0], pairs[1], 4, 7).joined(
        RowLists.of_pairs(torch.full((7,), 3), torch.arange(7), 4, 7)
    )
    drawn = draw_unbarred(barred, 7000, torch.Generator().manual_seed(0))
    for place in range(3):
        count = torch.bincount(drawn[place], minlength=7)
        free = [row for row in range(7) if row not in pairs[1][pairs[0] == place]]
        assert count[free].sum() == 7000
        assert (count[free] - 7000 / len(free)).abs().max() < 5 * (7000 / len(free)) ** 0.5
    assert (drawn[3] == -1).all()
    assert (draw_unbarred(RowLists.empty(2, 3), 50, torch.Generator()) < 3).all()


def test_that_a_miner_without_a_bank_says_so() -> None:
    query, positive, _ = asked()
    with pytest.raises(InputError, match="seen no bank"):
        QueryMiner(KnnOptions(), neighbors.create("exact")).mine_for(query, positive, MiningContext())
