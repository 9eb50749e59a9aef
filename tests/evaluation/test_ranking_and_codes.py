"""Whole rankings, codes with ties, clusters, chance: against worked vectors and brute force over every order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.chance import chance_levels
from hnm_core.evaluation.clustering import clustering
from hnm_core.evaluation.codes import code_retrieval, tie_scores
from hnm_core.evaluation.ranking import ranking, scores


def average_precision(hits: tuple[bool, ...], relevant: int, depth: int | None = None) -> float:
    found = 0
    total = 0.0
    for place, hit in enumerate(hits[:depth], 1):
        found += hit
        total += hit * found / place
    return total / relevant


def test_that_one_ranking_scores_as_worked_by_hand() -> None:
    hit = torch.tensor([[1, 0, 1, 0, 0, 1, 0, 0, 1]], dtype=torch.bool)  # the fourth relevant item comes last
    r_precision, whole, at_8, over_hits, reciprocal, recall = scores(hit, 8)[0].tolist()
    assert over_hits == pytest.approx(0.7222, abs=5e-5)
    assert at_8 == pytest.approx(0.5417, abs=5e-5)
    assert whole == pytest.approx(0.5417 + 4 / 9 / 4, abs=5e-5)
    assert (r_precision, reciprocal, recall) == (0.5, 1, 0.75)


def test_that_the_four_points_rank_as_worked_by_hand() -> None:
    angle = torch.tensor([0.0, 40.0, 90.0, 160.0]) * torch.pi / 180
    found = ranking(torch.stack((angle.cos(), angle.sin()), 1), torch.tensor([0, 0, 1, 1]))
    assert (found.precision_at_1, found.map_at_r) == (0.75, 0.75)
    assert (found.mean_average_precision, found.mean_reciprocal_rank) == (0.875, 0.875)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_that_rankings_equal_a_slow_sort(metric: str) -> None:
    draw = np.random.default_rng(2)
    x, y = draw.normal(size=(60, 4)), draw.integers(0, 7, 60)
    y[0] = 99  # nobody else
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    apart = 1 - unit @ unit.T if metric == "cosine" else np.linalg.norm(x[:, None] - x[None], axis=2)
    expected = []
    for row in range(1, 60):
        others = np.delete(np.arange(60), row)
        hits = tuple(y[others[np.argsort(apart[row, others])]] == y[row])
        relevant = sum(hits)
        if relevant:
            expected.append(
                (
                    sum(hits[:relevant]) / relevant,
                    average_precision(hits, relevant),
                    average_precision(hits, relevant, 10),
                    1 / (hits.index(True) + 1),
                    sum(hits[:10]) / relevant,
                )
            )
    found = ranking(torch.from_numpy(x), torch.from_numpy(y), Distance(metric), k=10)
    got = (
        found.r_precision,
        found.mean_average_precision,
        found.map_at_k,
        found.mean_reciprocal_rank,
        found.recall_at_k,
    )
    assert got == pytest.approx(tuple(np.mean(expected, 0)), abs=1e-6)
    assert found.queries == len(expected)


def every_order(groups: list[tuple[int, int]]) -> np.ndarray:
    """Average precision and MAP@R of every order inside the tie groups (n, r)."""
    relevant = sum(r for _, r in groups)
    parts = [set(itertools.permutations([True] * r + [False] * (n - r))) for n, r in groups]
    orders = [sum(choice, ()) for choice in itertools.product(*parts)]
    return np.array([(average_precision(o, relevant), average_precision(o, relevant, relevant)) for o in orders])


def of_groups(groups: list[tuple[int, int]]) -> list[float]:
    distances = [place for place, (n, _) in enumerate(groups) for _ in range(n)]
    hits = [index < r for n, r in groups for index in range(n)]
    return tie_scores(torch.tensor([distances]), torch.tensor([hits]), 0)[0].tolist()


def test_that_tie_scores_are_those_worked_by_hand() -> None:
    average, best, worst, at_r, first, r_precision, near = of_groups([(2, 1), (3, 2), (1, 0)])
    assert (average, best, worst) == pytest.approx((0.67037, 0.80556, 0.53333), abs=5e-6)
    assert at_r == pytest.approx(0.39815, abs=5e-6)
    assert (first, near) == (0.5, 0.5)
    assert r_precision == pytest.approx((1 + 2 / 3) / 3)
    average, _, _, at_r, *_ = of_groups([(5, 3)])
    assert (average, at_r) == pytest.approx((0.72833, 0.48333), abs=5e-6)


def test_that_tie_scores_are_the_mean_the_best_and_the_worst_over_every_order() -> None:
    draw = np.random.default_rng(0)
    for _ in range(60):
        groups = [
            (n := int(draw.integers(1, 5)), int(draw.integers(0, n + 1))) for _ in range(int(draw.integers(1, 4)))
        ]
        if not sum(r for _, r in groups):
            continue
        orders = every_order(groups)
        average, best, worst, at_r, *_ = of_groups(groups)
        assert (average, at_r) == pytest.approx(tuple(orders.mean(0)))
        assert (best, worst) == pytest.approx((orders[:, 0].max(), orders[:, 0].min()))


def test_that_codes_are_compared_by_their_signs_and_a_query_never_finds_itself() -> None:
    draw = np.random.default_rng(1)
    values, y = draw.normal(size=(40, 6)), draw.integers(0, 4, 40)
    values[values > 1.5] = 0  # counts as positive
    bits = values >= 0
    found = code_retrieval(torch.from_numpy(values), torch.from_numpy(y))
    near = []
    expected = []
    for row in range(40):
        others = np.delete(np.arange(40), row)
        apart = (bits[others] != bits[row]).sum(1)
        groups = [(int((apart == d).sum()), int((y[others][apart == d] == y[row]).sum())) for d in range(7)]
        expected.append(of_groups([group for group in groups if group[0]])[0])
        ball = y[others][apart <= 2] == y[row]
        near.append(ball.mean() if len(ball) else 0.0)
    assert found.mean_average_precision == pytest.approx(np.mean(expected))
    assert found.precision_in_radius == pytest.approx(np.mean(near))
    assert found.worst_order <= found.mean_average_precision <= found.best_order
    again = code_retrieval(torch.from_numpy(bits), torch.from_numpy(y))
    assert again == found


def test_that_chance_is_what_random_rankings_score() -> None:
    labels = np.repeat(np.arange(3), [4, 10, 26])
    expected = chance_levels(labels)
    found = [
        ranking(torch.rand(40, 30, generator=torch.Generator().manual_seed(i)), torch.from_numpy(labels))
        for i in range(100)
    ]
    for name in ("map_at_r", "mean_average_precision", "precision_at_1", "r_precision"):
        scored = np.array([getattr(one, name) for one in found])
        assert abs(scored.mean() - expected[name]) < 4 * scored.std() / len(scored) ** 0.5, name


def test_that_clusters_are_scored_against_classes() -> None:
    y = torch.arange(90) % 3
    apart = torch.nn.functional.one_hot(y, 3) * 10 + torch.rand(90, 3, generator=torch.Generator().manual_seed(0))
    assert clustering(apart, y).nmi == pytest.approx(1)
    noise = clustering(torch.rand(90, 3, generator=torch.Generator().manual_seed(1)), y)
    assert abs(noise.ami) < 0.1
    assert clustering(torch.zeros(90, 3), y).ami == pytest.approx(0, abs=1e-9)


def test_that_sets_without_a_pair_have_no_score_and_wrong_shapes_are_refused() -> None:
    assert np.isnan(ranking(torch.rand(3, 2), torch.arange(3)).mean_average_precision)
    assert np.isnan(code_retrieval(torch.rand(3, 2), torch.arange(3)).mean_average_precision)
    assert chance_levels(np.arange(4)) == {}
    with pytest.raises(InputError, match=r"\(N, b\)"):
        code_retrieval(torch.rand(3), torch.arange(3))
    with pytest.raises(InputError, match=r"Labels must have shape \(3,\), not \(4,\)"):
        code_retrieval(torch.rand(3, 2), torch.arange(4))
