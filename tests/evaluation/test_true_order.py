"""Rankings against brute force in float64, where products mislead, where items coincide, and where few query."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from hnm_core.data.split import queries
from hnm_core.distances import METRICS, Distance
from hnm_core.errors import InputError
from hnm_core.evaluation import nearest
from hnm_core.evaluation.chance import chance_levels
from hnm_core.evaluation.codes import code_retrieval
from hnm_core.evaluation.ranking import ranking
from hnm_core.evaluation.retrieval import knn_accuracies, retrieval
from tests.evaluation.oracle import retrieval_scores

Made = tuple[NDArray[np.floating], NDArray[np.int64]]


def far_groups(apart: float, dim: int = 32, dtype: type = np.float32) -> Made:
    """Two groups at +-apart, of five classes each, near together in there."""
    draw = np.random.default_rng(0)
    y = np.arange(300) % 10
    x = draw.normal(size=(10, dim))[y] + 0.4 * draw.normal(size=(300, dim))
    return (x + np.where(y < 5, apart, -apart)[:, None]).astype(dtype), y


def duplicates() -> Made:
    draw = np.random.default_rng(1)
    return np.repeat(draw.normal(size=(40, 24)), 6, axis=0).astype(np.float32), draw.integers(0, 7, 240)


def whole_numbers() -> Made:
    draw = np.random.default_rng(2)
    return draw.integers(0, 3, size=(250, 20)).astype(np.float32), draw.integers(0, 6, 250)


def singletons() -> Made:
    draw = np.random.default_rng(3)
    return draw.normal(size=(120, 6)).astype(np.float32), np.r_[np.arange(60), np.repeat(np.arange(60, 75), 4)]


def far_from_zero() -> Made:
    """Float64 that float32 would merge into a few points."""
    draw = np.random.default_rng(4)
    y = np.arange(200) % 5
    return 1e8 + draw.normal(size=(5, 20))[y] + 0.3 * draw.normal(size=(200, 20)), y


def one_outlier() -> Made:
    x, y = far_groups(0)
    x[0] *= 1e6
    return x, y


def narrow_beam() -> Made:
    """Directions that differ in the fourth digit, of every length."""
    draw = np.random.default_rng(5)
    y = np.arange(200) % 5
    x = 1e-3 * (draw.normal(size=(5, 24))[y] + 0.5 * draw.normal(size=(200, 24)))
    x[:, 0] += 1
    return x * draw.uniform(0.5, 20, size=(200, 1)), y


def one_spot() -> Made:
    return np.full((150, 20), 0.7, np.float32), np.repeat(np.arange(10), 15)


SETS: dict[str, Callable[[], Made]] = {
    "groups at 500": lambda: far_groups(500),
    "groups at 50": lambda: far_groups(50),
    "groups at 500 in few dimensions": lambda: far_groups(500, dim=3),
    "duplicates": duplicates,
    "whole numbers": whole_numbers,
    "singletons": singletons,
    "far from zero": far_from_zero,
    "one outlier": one_outlier,
    "narrow beam": narrow_beam,
    "one spot": one_spot,
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", SETS)
def test_that_every_score_is_that_of_brute_force(name: str, metric: Any) -> None:
    x, y = SETS[name]()
    if name == "far from zero" and metric == "inner-product":
        x = x - 1e8  # brute force itself would round the products away
    truth = retrieval_scores(x, y, metric=metric)
    tensors = torch.from_numpy(x), torch.from_numpy(y), Distance(metric)
    found, ranked = retrieval(*tensors), ranking(*tensors)
    assert (found.precision_at_1, found.map_at_r) == pytest.approx((truth["p1"], truth["map_at_r"]), abs=2e-7)
    assert (ranked.precision_at_1, ranked.map_at_r) == (found.precision_at_1, found.map_at_r)
    got = (ranked.r_precision, ranked.mean_average_precision, ranked.mean_reciprocal_rank)
    assert got == pytest.approx((truth["r_precision"], truth["map"], truth["mrr"]), abs=1e-9)
    assert found.knn_accuracy == pytest.approx(truth["knn"])


@pytest.mark.parametrize("seed", range(2))
def test_that_few_queries_against_all_of_eleven_thousand_classes_score_as_brute_force(seed: int) -> None:
    draw = np.random.default_rng(seed)
    y = draw.permutation(np.repeat(np.arange(11_316), 5))
    x = (draw.normal(size=(11_316, 8))[y] + 0.35 * draw.normal(size=(len(y), 8))).astype(np.float32)
    asking = queries(y, 40, seed)
    truth = retrieval_scores(x, y, asking)
    found = retrieval(torch.from_numpy(x), torch.from_numpy(y), queries=torch.from_numpy(asking))
    assert found.queries == 40 and 0.2 < truth["p1"] < 1
    got = (found.precision_at_1, found.map_at_r, found.knn_accuracy)
    assert got == pytest.approx((truth["p1"], truth["map_at_r"], truth["knn"]), abs=2e-7)


def test_that_a_part_that_queries_estimates_what_all_would_give() -> None:
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(1_500), 3)
    x = torch.from_numpy((draw.normal(size=(1_500, 6))[y] + 0.5 * draw.normal(size=(len(y), 6))).astype(np.float32))
    labels = torch.from_numpy(y)
    whole = retrieval(x, labels)
    parts = [retrieval(x, labels, queries=torch.from_numpy(queries(y, 300, seed))) for seed in range(30)]
    for name in ("precision_at_1", "map_at_r", "knn_accuracy"):
        values = np.array([getattr(part, name) for part in parts])
        assert abs(values.mean() - getattr(whole, name)) < 4 * values.std() / math.sqrt(30), name


def test_that_the_order_of_rows_of_a_collapsed_set_does_not_matter() -> None:
    by_class = torch.arange(20).repeat_interleave(50)
    x = torch.zeros(1_000, 64)
    expected = chance_levels(by_class.numpy())
    for labels in (by_class, torch.arange(1_000) % 20):
        found = retrieval(x, labels)
        got = (found.precision_at_1, found.map_at_r)
        assert got == pytest.approx((expected["precision_at_1"], expected["map_at_r"]))


def test_that_ties_at_the_border_of_what_is_ranked_are_never_cut() -> None:
    x = torch.tensor([[0.0], [1.0], [1.0], [1.0], [5.0]])  # the first has one partner among three at one distance
    y = torch.tensor([0, 0, 1, 2, 3])
    first = retrieval(x, y, k=1, queries=torch.tensor([0]))
    assert (first.precision_at_1, first.map_at_r) == pytest.approx((1 / 3, 1 / 3))


@pytest.mark.parametrize("entries", [1_000, 10**6])
def test_that_tiles_do_not_change_any_score(monkeypatch: pytest.MonkeyPatch, entries: int) -> None:
    x, y = map(torch.from_numpy, duplicates())
    whole = ranking(x, y, k=7)
    monkeypatch.setattr(nearest, "TILE_ENTRIES", entries)
    part = ranking(x, y, k=7)
    for name, value in vars(whole).items():
        assert getattr(part, name) == pytest.approx(value, abs=1e-9)


class Largest(TorchDispatchMode):
    """Knows the largest tensor that was made."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, list | tuple) else (out,):
            if isinstance(value, torch.Tensor):
                self.numbers = max(self.numbers, value.untyped_storage().nbytes() // 8)
        return out


def test_that_a_thousand_voters_take_memory_for_a_thousand_and_not_for_a_million() -> None:
    x, y = torch.randn(1_500, 8, generator=torch.Generator().manual_seed(0)), torch.arange(1_500) % 6
    with Largest() as seen:
        found = retrieval(x, y, k=1_000)
    assert seen.numbers <= nearest.TILE_ENTRIES
    assert found.knn_accuracy == pytest.approx(retrieval_scores(x.numpy(), y.numpy(), k=1_000)["knn"])


def test_that_several_numbers_of_voters_are_asked_at_once() -> None:
    x, y = map(torch.from_numpy, duplicates())
    each = [retrieval(x, y, k=k).knn_accuracy for k in (1, 5, 29)]
    assert knn_accuracies(x, y, ks=(1, 5, 29)) == pytest.approx(each)


@pytest.mark.parametrize("name", ["groups at 50", "duplicates"])
def test_that_autocast_changes_nothing(name: str) -> None:
    x, y = map(torch.from_numpy, SETS[name]())
    plain = retrieval(x, y), ranking(x, y, Distance("cosine")), code_retrieval(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        assert (retrieval(x, y), ranking(x, y, Distance("cosine")), code_retrieval(x, y)) == plain


def test_that_rows_that_are_no_numbers_and_labels_that_are_no_integers_are_refused() -> None:
    x, y = torch.randn(20, 4), torch.arange(20) % 3
    x[7, 2] = torch.nan
    for scored in (retrieval, ranking):
        with pytest.raises(InputError, match="NaN or infinity"):
            scored(x, y)
        with pytest.raises(InputError, match=r"at least one column, not shape \(20, 0\)"):
            scored(torch.zeros(20, 0), y)
        with pytest.raises(InputError, match=r"integers that torch calculates with, not torch.uint16; \.long\(\)"):
            scored(torch.randn(20, 4), y.to(torch.uint16))
    with pytest.raises(InputError, match="Codes hold NaN"):
        code_retrieval(x, y)
    with pytest.raises(InputError, match="integers, not"):
        retrieval(torch.randn(20, 4), y.float())
    with pytest.raises(InputError, match="rows of the 20"):
        retrieval(torch.randn(20, 4), y, queries=torch.tensor([3, 20]))
    with pytest.raises(InputError, match=r"a tensor \(Q,\) of integers, not a list"):
        retrieval(torch.randn(20, 4), y, queries=[1, 2])
    with pytest.raises(InputError, match="overflow"):
        retrieval(torch.full((20, 4), 1e200, dtype=torch.float64), y)
