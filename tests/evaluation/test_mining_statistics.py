"""The table of what was mined, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hnm_core import miners
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.mining_statistics import mining_statistics, summarise
from hnm_core.miners.base import MiningContext


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 100, 1001])
def test_that_a_summary_is_numpys(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    got = summarise(torch.from_numpy(values))
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    sd = values.std(ddof=1) if n > 1 else np.nan
    expected = [n, values.mean(), median, sd, values.min(), lower, upper, values.max()]
    assert list(vars(got).values()) == pytest.approx(expected, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("distance", "unit"),
    [
        (Distance(), "distance"),
        (Distance("squared-euclidean"), "distance"),
        (Distance("cosine"), "similarity"),
        (Distance("inner-product"), "similarity"),
    ],
)
def test_that_scores_are_those_of_the_metric(distance: Distance, unit: str) -> None:
    source = torch.Generator().manual_seed(0)
    bank = Bank(torch.randn(80, 5, generator=source), torch.arange(80) % 4)
    miner = miners.create("knn", distance=distance, relative_margin=0.1)
    context = MiningContext(1, 0, source, distance)
    miner.refresh(bank, context)
    triplets = miner.mine(torch.arange(80), context)
    found = mining_statistics(bank, triplets, distance, miner.counts())
    x = bank.embeddings.double().numpy()
    unit_x = x / np.linalg.norm(x, axis=1, keepdims=True)
    score = {
        "euclidean": lambda a, b: np.linalg.norm(x[a] - x[b], axis=1),
        "squared-euclidean": lambda a, b: ((x[a] - x[b]) ** 2).sum(1),
        "cosine": lambda a, b: (unit_x[a] * unit_x[b]).sum(1),
        "inner-product": lambda a, b: (x[a] * x[b]).sum(1),
    }[distance.metric]
    anchor, positive, negative = (vector.numpy() for vector in triplets)
    s_p, s_n = score(anchor, positive), score(anchor, negative)
    assert found.unit == unit
    assert found.positive.mean == pytest.approx(s_p.mean(), rel=1e-9)
    assert found.negative.median == pytest.approx(np.median(s_n), rel=1e-9)
    gap = s_p - s_n if unit == "similarity" else s_n - s_p
    assert found.difference is not None
    assert found.difference.min == pytest.approx(gap.min(), rel=1e-9)
    assert found.removed["dropped_relative_margin"] > 0
    table = found.rows()
    assert [row[0] for row in table] == ["score", "positive", "negative", "difference"]
    assert len({len(row) for row in table}) == 1 and table[1][1] == "80"


def test_that_pairs_have_no_difference_and_nothing_mined_is_a_table_of_nothing() -> None:
    bank = Bank(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1]))
    pairs = [torch.tensor(rows) for rows in ([0, 1], [1, 0], [0], [2])]
    found = mining_statistics(bank, pairs, Distance())
    assert found.difference is None and (found.positive.count, found.negative.count) == (2, 1)
    assert (found.positive.mean, found.negative.max) == (1.0, 3.0)
    empty = mining_statistics(bank, [torch.zeros(0, dtype=torch.int64)] * 3, Distance())
    assert empty.positive.count == 0 and np.isnan(empty.positive.mean)
    with pytest.raises(InputError, match="three or four vectors, not 2"):
        mining_statistics(bank, pairs[:2], Distance())
