"""Scores of whole rankings and of tied ones, chance levels: worked vectors, and brute force over every order."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from hnm_core.errors import InputError
from hnm_core.evaluation.chance import (
    chance_knn_accuracy,
    chance_map,
    chance_map_at_r,
    chance_precision_at_1,
    harmonic,
)
from hnm_core.evaluation.hashing import codes_of, hamming_retrieval, tied_scores
from hnm_core.evaluation.ranking import mean_scores, rank_scores
from hnm_core.evaluation.retrieval import retrieval


def relevances(text: str) -> torch.Tensor:
    return torch.tensor([[letter == "1" for letter in text.split()]])


def test_that_the_first_worked_vector_comes_out_with_each_divisor() -> None:
    found = mean_scores(relevances("1 0 1 0 0 1 0 0"), torch.tensor([4]))
    assert found.map_over_hits_at_k == pytest.approx(0.7222, abs=5e-5)
    assert found.mean_average_precision == pytest.approx(0.5417, abs=5e-5)
    assert found.map_at_r == pytest.approx(0.4167, abs=5e-5)
    assert (found.r_precision, found.precision_at_1, found.mrr_at_k) == (0.5, 1.0, 1.0)
    cut = mean_scores(relevances("0 0 1 0 0 1 0 0"), torch.tensor([4]), k=2)
    assert (cut.map_at_k, cut.map_over_hits_at_k, cut.mrr_at_k, cut.k) == (0.0, 0.0, 0.0, 2)
    cut = mean_scores(relevances("0 0 1 0 0 1 0 0"), torch.tensor([4]), k=3)
    assert cut.map_at_k == pytest.approx(1 / 12) and cut.map_over_hits_at_k == pytest.approx(1 / 3)
    assert cut.mrr_at_k == pytest.approx(1 / 3)


def test_that_the_four_points_score_as_worked_by_hand() -> None:
    angle = torch.tensor([0.0, 40.0, 90.0, 160.0]) * math.pi / 180
    found = rank_scores(torch.stack((angle.cos(), angle.sin()), 1), torch.tensor([0, 0, 1, 1]))
    assert (found.precision_at_1, found.map_at_r, found.mean_average_precision, found.mrr_at_k) == (
        0.75,
        0.75,
        0.875,
        0.875,
    )


@pytest.mark.parametrize("seed", range(3))
def test_that_rankings_agree_with_a_slow_sort_with_retrieval_and_with_scikit_learn(seed: int, monkeypatch) -> None:
    source = np.random.default_rng(seed)
    y = source.choice([-5, 0, 7, 10**12], size=60, p=[0.5, 0.3, 0.18, 0.02])
    x = torch.from_numpy(source.normal(size=(60, 3))).float()
    monkeypatch.setattr("hnm_core.evaluation.ranking.TILE_ENTRIES", 500)
    found = rank_scores(x, torch.from_numpy(y), k=7)
    known = retrieval(x, torch.from_numpy(y))
    assert (found.precision_at_1, found.map_at_r) == pytest.approx((known.precision_at_1, known.map_at_r), abs=1e-6)
    assert (found.queries, found.skipped) == (known.queries, known.skipped)
    full, at_k, over_hits, reciprocal, r_precision = [], [], [], [], []
    for row in range(60):
        others = np.delete(np.arange(60), row)
        near = np.linalg.norm(x.numpy()[others].astype(np.float64) - x.numpy()[row], axis=1)
        rel = (y[others] == y[row])[np.argsort(near, kind="stable")]
        r = int(rel.sum())
        if not r:
            continue
        full.append(average_precision_score((y[others] == y[row]).astype(int), -near))
        gains = [rel[: i + 1].mean() for i in range(7) if rel[i]]
        at_k.append(sum(gains) / r)
        over_hits.append(np.mean(gains) if gains else 0)
        reciprocal.append(next((1 / (i + 1) for i in range(7) if rel[i]), 0))
        r_precision.append(rel[:r].mean())
    got = (found.mean_average_precision, found.map_at_k, found.map_over_hits_at_k, found.mrr_at_k, found.r_precision)
    expected = [np.mean(values) for values in (full, at_k, over_hits, reciprocal, r_precision)]
    assert got == pytest.approx(tuple(map(float, expected)), abs=1e-9)


def test_that_what_is_not_defined_is_nan_and_what_is_wrong_is_refused() -> None:
    alone = rank_scores(torch.randn(3, 2), torch.tensor([0, 1, 2]))
    assert math.isnan(alone.map_at_r) and (alone.queries, alone.skipped) == (0, 3)
    for n in (0, 1):
        assert rank_scores(torch.zeros(n, 2), torch.zeros(n, dtype=torch.long)).skipped == n
    with pytest.raises(InputError, match="k = 0"):
        rank_scores(torch.randn(3, 2), torch.tensor([0, 0, 1]), k=0)
    with pytest.raises(InputError, match="NaN"):
        rank_scores(torch.full((3, 2), torch.nan), torch.tensor([0, 0, 1]))


NAMES = ("expected", "best", "worst", "map_at_r", "p1", "r_precision")


def tied(sizes: list[int], hits: list[int]) -> dict[str, float]:
    values = tied_scores(torch.tensor([sizes]), torch.tensor([hits]))
    return dict(zip(NAMES, values[:, 0].tolist(), strict=True))


def test_that_the_worked_vectors_of_tied_rankings_come_out() -> None:
    found = tied([2, 3, 1], [1, 2, 0])
    assert found["expected"] == pytest.approx(0.67037, abs=5e-6)
    assert found["best"] == pytest.approx(0.80556, abs=5e-6)
    assert found["worst"] == pytest.approx(0.53333, abs=5e-6)
    assert found["map_at_r"] == pytest.approx(0.39815, abs=5e-6)
    found = tied([5], [3])
    assert found["expected"] == pytest.approx(0.72833, abs=5e-6)
    assert found["map_at_r"] == pytest.approx(0.48333, abs=5e-6)
    assert found["map_at_r"] == pytest.approx(chance_map_at_r(5, 3))
    assert found["expected"] == pytest.approx(chance_map(5, 3))


def every_order(sizes: tuple[int, ...], hits: tuple[int, ...]) -> dict[str, float]:
    """Means, best and worst over every order inside the groups, each score by its definition."""
    total = sum(hits)
    groups = [
        sorted(set(itertools.permutations([1] * hit + [0] * (size - hit))))
        for size, hit in zip(sizes, hits, strict=True)
    ]
    scores = []
    for order in itertools.product(*groups):
        rel = [value for group in order for value in group]
        gains = [sum(rel[: i + 1]) / (i + 1) * rel[i] for i in range(len(rel))]
        scores.append((sum(gains) / total, sum(gains[:total]) / total, rel[0], sum(rel[:total]) / total))
    average = np.array(scores)
    means = average.mean(0)
    return dict(zip(NAMES, (means[0], average[:, 0].max(), average[:, 0].min(), *means[1:]), strict=True))


def test_that_tied_scores_equal_brute_force_for_all_small_groups() -> None:
    checked = 0
    for sizes in [s for length in (1, 2, 3) for s in itertools.product(range(4), repeat=length) if sum(s) > 0]:
        for hits in itertools.product(*(range(size + 1) for size in sizes)):
            if sum(hits) == 0:
                assert not any(tied(list(sizes), list(hits)).values())
                continue
            found, expected = tied(list(sizes), list(hits)), every_order(sizes, hits)
            assert found == pytest.approx(expected, abs=1e-12), (sizes, hits)
            checked += 1
    assert checked > 500


def test_that_codes_are_scored_by_their_ties_and_never_by_the_order_of_rows() -> None:
    source = torch.Generator().manual_seed(0)
    codes = torch.rand(40, 4, generator=source) < 0.5
    y = torch.arange(40) % 3
    found = hamming_retrieval(codes, y)
    shuffled = torch.randperm(40, generator=source)
    again = hamming_retrieval(codes[shuffled], y[shuffled])
    assert list(vars(again).values()) == pytest.approx(list(vars(found).values()), abs=1e-12)
    rows = []
    for row in range(40):
        distances = (codes != codes[row]).sum(1)
        others = torch.arange(40) != row
        sizes = [int(((distances == bits) & others).sum()) for bits in range(5)]
        hits = [int(((distances == bits) & others & (y == y[row])).sum()) for bits in range(5)]
        near, right = sum(sizes[:3]), sum(hits[:3])
        rows.append((*tied(sizes, hits).values(), right / near if near else 0.0))
    expected = np.array(rows).mean(0)
    got = (found.mean_average_precision, found.map_best, found.map_worst, found.map_at_r, found.precision_at_1)
    assert got == pytest.approx(tuple(expected[:5]), abs=1e-12)
    assert (found.r_precision, found.precision_within_radius) == pytest.approx(tuple(expected[5:]), abs=1e-12)
    assert found.map_worst < found.mean_average_precision < found.map_best


def test_that_many_bits_without_ties_are_an_ordinary_ranking(monkeypatch) -> None:
    source = torch.Generator().manual_seed(1)
    codes = torch.randn(60, 4000, generator=source)
    codes[:30] += 0.3
    y = (torch.arange(60) >= 30).long()
    monkeypatch.setattr("hnm_core.evaluation.hashing.TILE_ENTRIES", 700)
    found = hamming_retrieval(codes, y)
    plain = rank_scores(codes_of(codes).float() * 2 - 1, y)
    assert found.map_best - found.map_worst < 0.02
    assert found.map_worst - 1e-9 <= plain.mean_average_precision <= found.map_best + 1e-9


def test_that_a_collapsed_code_scores_chance_and_an_item_without_partner_is_left_out() -> None:
    y = torch.tensor([0] * 6 + [1] * 6 + [2])
    found = hamming_retrieval(torch.ones(13, 8, dtype=torch.bool), y)
    assert (found.queries, found.skipped) == (12, 1)
    assert found.mean_average_precision == pytest.approx(chance_map(12, 5))
    assert found.map_at_r == pytest.approx(chance_map_at_r(12, 5))
    assert found.precision_at_1 == found.r_precision == pytest.approx(chance_precision_at_1(12, 5))
    assert found.precision_within_radius == pytest.approx(5 / 12)
    perfect = hamming_retrieval(torch.nn.functional.one_hot(y, 3).repeat(1, 4) > 0, y)
    assert perfect.map_worst == perfect.precision_within_radius == 1.0


@pytest.mark.parametrize(
    ("codes", "labels", "radius", "word"),
    [
        (torch.ones(3), torch.zeros(3, dtype=torch.long), 2, r"\(N, bits\)"),
        (torch.ones(3, 2), torch.zeros(4, dtype=torch.long), 2, r"\(N,\) integer labels"),
        (torch.ones(3, 2), torch.zeros(3), 2, "integer labels"),
        (torch.full((3, 2), torch.nan), torch.zeros(3, dtype=torch.long), 2, "NaN"),
        (torch.ones(3, 2), torch.zeros(3, dtype=torch.long), -1, "radius = -1"),
    ],
)
def test_that_codes_that_are_none_are_refused(codes, labels, radius, word) -> None:
    with pytest.raises(InputError, match=word):
        hamming_retrieval(codes, labels, radius=radius)


def test_that_no_codes_are_no_queries() -> None:
    found = hamming_retrieval(torch.ones(0, 4, dtype=torch.bool), torch.zeros(0, dtype=torch.long))
    assert math.isnan(found.mean_average_precision) and (found.queries, found.skipped) == (0, 0)


@pytest.mark.parametrize(
    ("classes", "p1", "full", "at_r"),
    [
        (2, 0.5, 0.5015, 0.2515),
        (5, 0.2, 0.2025, 0.0424),
        (10, 0.1, 0.1028, 0.0125),
        (20, 0.0495, 0.0529, 0.0049),
        (50, 0.0195, 0.0230, 0.0025),
        (100, 0.0095, 0.0131, 0.0018),
    ],
)
def test_that_chance_is_what_the_published_table_says(classes: int, p1: float, full: float, at_r: float) -> None:
    n, r = 1999, 2000 // classes - 1
    assert chance_precision_at_1(n, r) == pytest.approx(p1, abs=6e-4)
    assert chance_map(n, r) == pytest.approx(full, abs=6e-5)
    assert chance_map_at_r(n, r) == pytest.approx(at_r, abs=6e-5)


def test_that_chance_is_the_mean_over_all_rankings() -> None:
    for n in range(1, 8):
        for r in range(1, n + 1):
            expected = every_order((n,), (r,))
            assert chance_map(n, r) == pytest.approx(expected["expected"])
            assert chance_map_at_r(n, r) == pytest.approx(expected["map_at_r"])
            assert chance_precision_at_1(n, r) == pytest.approx(expected["p1"])


def test_that_chance_is_not_defined_where_nothing_is_relevant() -> None:
    for chance in (chance_precision_at_1, chance_map, chance_map_at_r):
        assert math.isnan(chance(5, 0)) and math.isnan(chance(2, 3)) and math.isnan(chance(0, 0))
    assert chance_knn_accuracy([5, 3, 2]) == 0.5


def test_that_harmonic_numbers_of_any_size_are_exact() -> None:
    for n in (0, 1, 2, 63, 64, 65, 66, 1000, 100_000):
        assert harmonic(n) == pytest.approx(math.fsum(1 / i for i in range(1, n + 1)), rel=1e-14)
