"""Distances within and between classes, against all pairs one by one."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.spread import class_spread


def one_by_one(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    squares: dict[bool, list[float]] = {True: [], False: []}
    for a, b in itertools.combinations(range(len(y)), 2):
        squares[bool(y[a] == y[b])].append(float(((x[a].astype(np.float64) - x[b].astype(np.float64)) ** 2).sum()))
    within, between = (math.sqrt(np.mean(some)) if some else math.nan for some in (squares[True], squares[False]))
    return within, between


@pytest.mark.parametrize("far", [0.0, 1e6])
@pytest.mark.parametrize("distance", [Distance(), Distance("euclidean", normalized=True), Distance("cosine")])
def test_that_it_is_the_mean_of_all_pairs(far: float, distance: Distance) -> None:
    source = np.random.default_rng(0)
    y = source.choice([-3, 0, 10**12], size=40, p=[0.6, 0.38, 0.02])  # one of them may be alone
    x = source.normal(size=(40, 5)) + y[:, None] % 7 + far
    rows = x / np.linalg.norm(x, axis=1, keepdims=True) if distance.scale_free else x
    found = class_spread(torch.from_numpy(x), torch.from_numpy(y), distance)
    within, between = one_by_one(rows, y)
    assert (found.within, found.between) == pytest.approx((within, between), rel=1e-6)
    assert found.ratio == pytest.approx(within / between, rel=1e-6)


def test_that_classes_at_one_point_each_have_no_spread_and_what_is_not_there_is_undefined() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]]).repeat_interleave(4, 0)
    found = class_spread(x, torch.arange(2).repeat_interleave(4))
    assert (found.within, found.between, found.ratio) == (0.0, 5.0, 0.0)
    assert math.isnan(class_spread(x, torch.arange(8)).within)
    assert math.isnan(class_spread(x, torch.zeros(8, dtype=torch.int64)).ratio)
    assert math.isnan(class_spread(torch.ones(4, 2), torch.tensor([0, 0, 1, 1])).ratio)
    with pytest.raises(InputError, match="NaN or infinity"):
        class_spread(torch.full((4, 2), torch.nan), torch.tensor([0, 0, 1, 1]))
