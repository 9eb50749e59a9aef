"""Retrieval metrics against worked vectors and a slow float64 ranking."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.retrieval import retrieval
from tests.evaluation.oracle import retrieval_scores


def test_that_the_four_points_score_as_worked_by_hand() -> None:
    angle = torch.tensor([0.0, 40.0, 90.0, 160.0]) * math.pi / 180
    found = retrieval(torch.stack((angle.cos(), angle.sin()), 1), torch.tensor([0, 0, 1, 1]))
    assert (found.precision_at_1, found.map_at_r) == (0.75, 0.75)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k", [1, 5, 60])
def test_that_every_metric_equals_a_slow_sort(seed: int, k: int) -> None:
    source = np.random.default_rng(seed)
    y = source.choice([-5, 0, 7, 10**12], size=50, p=[0.5, 0.3, 0.19, 0.01])
    x = source.integers(0, 60, size=(50, 1)).astype(np.float64)  # equal distances occur, and float32 holds them all
    found = retrieval(torch.from_numpy(x), torch.from_numpy(y), k=k)
    got = (found.precision_at_1, found.map_at_r, found.knn_accuracy)
    truth = retrieval_scores(x, y, k=k)
    assert got == pytest.approx((truth["p1"], truth["map_at_r"], truth["knn"]), abs=1e-6)


def test_that_tiles_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    source = torch.Generator().manual_seed(1)
    x, y = torch.randn(200, 5, generator=source), torch.arange(200) % 7
    whole = retrieval(x, y, Distance("cosine"))
    monkeypatch.setattr("hnm_core.evaluation.nearest.TILE_ENTRIES", 900)
    assert retrieval(x, y, Distance("cosine")) == pytest.approx(whole)


def test_that_queries_without_a_partner_are_left_out_and_counted() -> None:
    x = torch.tensor([[0.0], [1.0], [5.0]])
    found = retrieval(x, torch.tensor([1, 1, 2]))
    assert (found.queries, found.skipped, found.precision_at_1) == (2, 1, 1.0)


def test_that_metrics_without_any_partner_are_undefined_and_not_zero() -> None:
    found = retrieval(torch.randn(3, 2), torch.tensor([0, 1, 2]))
    assert math.isnan(found.map_at_r)


def test_that_non_finite_embeddings_are_refused() -> None:
    with pytest.raises(InputError, match="NaN or infinity"):
        retrieval(torch.full((4, 2), torch.nan), torch.tensor([0, 0, 1, 1]))
