from __future__ import annotations

import math

import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.evaluation.mining_quality import compare, probe
from hnm_core.neighbors.found import Neighbors

INF = math.inf


def found(distances: list[list[float]]) -> Neighbors:
    distance = torch.tensor(distances)
    return Neighbors(distance, torch.where(distance.isfinite(), torch.arange(distance.shape[1]), -1))


def test_that_the_measures_are_those_worked_out_by_hand() -> None:
    exact = found([[1.0, 2.0], [0.0, 4.0], [3.0, INF]])
    other = found([[1.0, 2.00015], [2.0, 8.0], [INF, INF]])
    quality = compare(other, exact)
    # hits: 1.0 and 2.00015 <= 2.0002; 2.0 <= 4.0004 but not 8.0; nothing; of 2 + 2 + 1 exact ones
    assert quality.recall == pytest.approx(3 / 5)
    # ranks with an exact distance above 0 and something found: 1/1, 2.00015/2, 8/4
    assert quality.distance_ratio == pytest.approx((1 + 1.000075 + 2) / 3)
    assert quality.hardness_regret == pytest.approx((0 + 2) / 2)
    assert quality.without_candidate == pytest.approx(1 / 3)
    assert quality.anchors == 3


def test_that_ties_at_the_last_place_count_whichever_row_was_found() -> None:
    exact = Neighbors(torch.tensor([[1.0, 1.0]]), torch.tensor([[3, 4]]))
    other = Neighbors(torch.tensor([[1.0, 1.0]]), torch.tensor([[8, 9]]))
    assert compare(other, exact).recall == 1


def test_that_similarities_as_negative_distances_are_compared_by_the_same_share() -> None:
    exact = found([[-10.0, -8.0]])
    assert compare(found([[-10.0, -7.9995]]), exact).recall == 1
    assert compare(found([[-10.0, -7.99]]), exact).recall == 0.5


def test_that_anchors_without_negatives_are_left_out() -> None:
    nothing = found([[INF, INF]])
    quality = compare(nothing, nothing)
    assert quality.anchors == 0
    assert math.isnan(quality.recall)


def test_that_an_exact_search_is_perfect_and_a_few_bits_are_not() -> None:
    source = torch.Generator().manual_seed(0)
    bank = Bank(torch.randn(400, 20, generator=source), torch.randint(5, (400,), generator=source))
    exact, rough = neighbors.create("dense"), neighbors.create("lsh-scan", bits=16, rescore=0)
    exact.build(bank)
    rough.build(bank)
    anchors = torch.arange(0, 400, 3)
    perfect, worse = probe(exact, exact, anchors, 8), probe(rough, exact, anchors, 8)
    assert (perfect.recall, perfect.distance_ratio, perfect.hardness_regret) == (1, 1, 0)
    assert worse.recall < 0.8
    assert worse.distance_ratio > 1
    assert worse.hardness_regret > 0
