"""Retrieval where items have several labels each, against the definitions over the table of pairs that share one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.chance import chance_levels, chance_of_partners
from hnm_core.evaluation.ranking import ranking
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.several_labels import SeveralLabels

SOURCE = torch.Generator().manual_seed(2)
X = torch.randn((150, 5), generator=SOURCE)
TABLE = torch.rand((150, 7), generator=SOURCE) < 0.15


def by_definition(queries: list[int]) -> dict[str, float]:
    shared = (TABLE.int() @ TABLE.T.int()) > 0
    apart = torch.cdist(X.double(), X.double())
    sums, asking = np.zeros(5), 0
    for query in queries:
        order = [row for row in apart[query].argsort().tolist() if row != query]
        hit = [bool(shared[query, row]) for row in order]
        r = sum(hit)
        if not r:
            continue
        asking += 1
        precision = [sum(hit[: place + 1]) / (place + 1) * hit[place] for place in range(len(hit))]
        sums += (hit[0], sum(precision[:r]) / r, sum(precision) / r, 1 / (hit.index(True) + 1), sum(hit[:20]) / r)
    names = ("precision_at_1", "map_at_r", "mean_average_precision", "mean_reciprocal_rank", "recall_at_k")
    return dict(zip(names, sums / asking, strict=True)) | {"queries": asking}


@pytest.mark.parametrize("queries", [None, [3, 7, 9, 140, 20]])
def test_that_rankings_are_scored_by_what_shares_a_label(queries: list[int] | None) -> None:
    asked = None if queries is None else torch.tensor(queries)
    found = ranking(X, SeveralLabels.of_table(TABLE), Distance(), k=20, queries=asked)
    for name, value in by_definition(queries or list(range(150))).items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-6), name
    assert math.isnan(found.knn_accuracy)


def test_that_one_label_of_each_item_scores_as_its_class() -> None:
    classes = torch.randint(6, (150,), generator=SOURCE)
    table = torch.nn.functional.one_hot(classes)
    several, plain = retrieval(X, SeveralLabels.of_table(table)), retrieval(X, classes)
    assert (several.precision_at_1, several.map_at_r) == (plain.precision_at_1, plain.map_at_r)
    assert (several.queries, several.skipped) == (plain.queries, plain.skipped)


def test_that_chance_is_that_of_so_many_partners() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    by_class = chance_levels(labels)
    by_partners = chance_of_partners(np.array([2, 2, 2, 1, 1, 0]), 5)
    assert by_partners == {name: pytest.approx(by_class[name]) for name in by_partners}
    assert chance_of_partners(np.zeros(3, np.int64), 5) == {}


def test_that_labels_of_other_items_are_refused() -> None:
    with pytest.raises(InputError, match="labels of 149 items for 150 embeddings"):
        retrieval(X, SeveralLabels.of_table(TABLE[:149]))


def test_that_recall_at_k_of_ties_is_the_mean_over_their_orders() -> None:
    points = torch.zeros(5, 2)  # all others are equally far from each
    table = torch.tensor([[1, 0], [1, 0], [1, 1], [0, 1], [0, 1]])
    partners = np.array([2, 2, 4, 2, 2])
    found = ranking(points, SeveralLabels.of_table(table), Distance(), k=3)
    assert found.recall_at_k == pytest.approx(3 / 4), "k of 4 others, whatever is relevant"
    assert found.precision_at_1 == pytest.approx(partners.mean() / 4)
