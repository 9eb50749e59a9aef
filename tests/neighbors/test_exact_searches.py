"""The exact searches against brute force in float64."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import NeighborSearch
from hnm_core.neighbors.cpu import amx, pair_kernels
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.euclidean import has_form
from hnm_core.neighbors.filtered_products import FilteredProducts
from hnm_core.neighbors.found import Neighbors, SearchCancelled
from hnm_core.neighbors.kdtree import KdTree
from hnm_core.relevance import Placed
from tests.families import across, one_in

from .oracle import KINDS, assert_exact, bank_of

METRICS = ("euclidean", "squared-euclidean", "cosine", "inner-product")


def searches(dim: int, distance: Distance) -> list[str]:
    return ["kdtree", "dense", "exact"] if dim <= 8 and has_form(distance) else ["dense"]


def check(search: NeighborSearch, bank: Bank, distance: Distance, ks: tuple[int, ...]) -> None:
    anchors = torch.randperm(len(bank), generator=torch.Generator().manual_seed(1))[:70]
    search.build(bank)
    for k in ks:
        assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, distance, False)
        assert_exact(search.farthest_positives(anchors, k), bank, anchors, k, distance, True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", one_in(2, [1, 2, 3, 5, 8, 16, 40, 128]))
def test_that_answers_are_those_of_brute_force(dim: int, kind: str) -> None:
    for name in searches(dim, Distance()):
        check(neighbors.create(name), bank_of(kind, dim), Distance(), (1, 3, 10, 64, 350))


@pytest.mark.parametrize(("dim", "metric"), across([2, 8, 16, 40], METRICS))
def test_that_every_metric_is_searched_exactly(dim: int, metric: str) -> None:
    for normalized in (False, True):
        distance = Distance(metric, normalized)
        for name in searches(dim, distance):
            for kind in ("clustered", "duplicated", "offset"):
                check(neighbors.create(name, distance=distance), bank_of(kind, dim), distance, (1, 10))


@pytest.mark.parametrize("dim", [3, 16, 64])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_that_short_and_zero_embeddings_are_searched_exactly(dim: int, metric: str) -> None:
    bank = bank_of("random", dim)
    points = bank.embeddings * torch.logspace(-7, 1, len(bank))[:, None]
    points[7] = 0
    bank = Bank(points, bank.labels)
    for name in searches(dim, Distance(metric)):
        check(neighbors.create(name, distance=Distance(metric)), bank, Distance(metric), (1, 10))


@pytest.mark.parametrize("dim", [3, 16, 64])
@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_that_tiny_and_huge_coordinates_neither_vanish_nor_overflow(dim: int, size: float) -> None:
    plain = bank_of("random", dim)
    for name in searches(dim, Distance()):
        check(neighbors.create(name), Bank(plain.embeddings * size, plain.labels), Distance(), (3,))


@pytest.mark.parametrize("dim", [12, 33, 128])
@pytest.mark.parametrize("kind", KINDS)
def test_that_dense_is_exact_without_compiled_kernels(dim: int, kind: str, no_kernels: object) -> None:
    search = neighbors.create("dense")
    check(search, bank_of(kind, dim), Distance(), (1, 10, 64))
    assert search.description == "exact, by tiles of distances"


@pytest.mark.parametrize("dim", [2, 3, 8])
@pytest.mark.parametrize("metric", ["euclidean", "squared-euclidean", "cosine"])
def test_that_tree_and_tiles_agree_to_the_last_bit(dim: int, metric: str) -> None:
    bank, anchors = bank_of("clustered", dim), torch.arange(300)
    for ask in ("nearest_negatives", "farthest_positives"):
        answers = []
        for search in (KdTree(distance=Distance(metric)), Dense(distance=Distance(metric))):
            search.build(bank)
            answers.append(getattr(search, ask)(anchors, 10))
        assert torch.equal(answers[0].distance, answers[1].distance)
        assert torch.equal(answers[0].row, answers[1].row)


@pytest.mark.skipif(not amx.available(), reason="the processor has no matrix units for bfloat16")
@pytest.mark.parametrize(("kind", "metric"), across([*KINDS, "outliers"], METRICS))
def test_that_the_precision_of_the_products_changes_no_bit(
    kind: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = bank_of("random" if kind == "outliers" else kind, 40, n=700)
    if kind == "outliers":
        bank = Bank(torch.cat([bank.embeddings[:690], 1e4 * bank.embeddings[690:]]), bank.labels)
    answers = []
    for units in (True, False):
        monkeypatch.setattr(amx, "available", lambda units=units: units)
        search = Dense(distance=Distance(metric))
        search.build(bank)
        assert ("bfloat16" in search.description) is units
        for k in (1, 40, 200):
            answers.append((search.nearest_negatives(torch.arange(0, 700, 7), k), units))
            answers.append((search.farthest_positives(torch.arange(0, 700, 7), k), units))
    coarse = [answer for answer, units in answers if units]
    fine = [answer for answer, units in answers if not units]
    for one, other in zip(coarse, fine, strict=True):
        assert torch.equal(one.row, other.row)
        assert torch.equal(one.distance, other.distance)
    check(search, bank, Distance(metric), (1, 40))


@pytest.mark.parametrize("dim", [48, 200])
def test_that_coarse_products_lose_no_neighbour_among_near_ties(dim: int) -> None:
    """Negatives whose distances to the anchors differ by less than bfloat16 can tell, far from the origin."""
    source = torch.Generator().manual_seed(3)
    n = 3_000
    direction = torch.nn.functional.normalize(torch.randn(n, dim, generator=source))
    points = direction * (1 + 1e-4 * torch.rand(n, 1, generator=source)) + 5
    points[:20] = 5 + 1e-3 * torch.randn(20, dim, generator=source)
    labels = torch.ones(n, dtype=torch.int64)
    labels[:20] = 0
    bank, anchors = Bank(points, labels), torch.arange(20)
    search = Dense()
    search.build(bank)
    assert "measured again in float32" in search.description
    for k in (1, 10, 100):
        assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, Distance(), False)


@pytest.mark.parametrize("metric", METRICS)
def test_that_a_limit_guessed_from_a_sample_of_a_large_bank_loses_no_neighbour(metric: str) -> None:
    """Classes come nearest last, all rows are equal, or every row has twenty copies."""
    source = torch.Generator().manual_seed(4)
    labels = torch.arange(9_000) // 900
    ring = torch.randn(9_000, 24, generator=source) + (10 - labels[:, None]) * 0.5
    copies = ring[torch.arange(9_000) // 20 * 20]
    for points in (ring, torch.ones(9_000, 24), (9 - labels[:, None]) * torch.ones(24), copies):
        bank = Bank(points, labels)
        anchors = torch.randint(9_000, (40,), generator=source)
        search = Dense(distance=Distance(metric))
        search.build(bank)
        for k in (1, 300):
            assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, Distance(metric), False)


@pytest.mark.parametrize("units", sorted({amx.available(), False}))
def test_that_a_wrong_guess_is_noticed_and_searched_again(units: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample, which is every m-th row, is nearer to all anchors than anything else, but holds too few."""
    monkeypatch.setattr(amx, "available", lambda: units)
    source = torch.Generator().manual_seed(6)
    labels = torch.cat([torch.zeros(64, dtype=torch.int64), torch.ones(9_936, dtype=torch.int64)])
    points = torch.randn(10_000, 24, generator=source)
    probe = Dense()
    probe.build(Bank(points, labels))
    assert probe._filtered is not None
    sample = probe._filtered._side(False, probe._filtered._own).sample
    assert sample is not None
    points[:: sample.every] *= 0.1
    points[:64] = 0.01 * torch.randn(64, 24, generator=source)
    bank, anchors, k = Bank(points, labels), torch.arange(64), 1_000
    search = Dense()
    search.build(bank)
    ranks = []
    plain = FilteredProducts._pass

    def note(self: FilteredProducts, anchors: Placed, k: int, side: object, rank: int, progress: object) -> object:
        ranks.append((rank > 0, len(anchors.place)))
        return plain(self, anchors, k, side, rank, progress)

    monkeypatch.setattr(FilteredProducts, "_pass", note)
    monkeypatch.setattr(FilteredProducts, "_rank", lambda *_: 20)
    assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, Distance(), False)
    assert ranks == [(True, 64), (False, 64)]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13])
def test_that_a_tournament_pairs_all_once_and_none_twice_in_a_round(count: int) -> None:
    met = []
    for pairs in pair_kernels.rounds(count):
        assert (pairs[:, 0] <= pairs[:, 1]).all()
        busy = pairs.ravel() if (pairs[:, 0] < pairs[:, 1]).any() else pairs[:, 0]
        assert len(np.unique(busy)) == len(busy)
        met += pairs.tolist()
    assert sorted(met) == [[one, other] for one in range(count) for other in range(one, count)]


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        ("clustered", "euclidean"),
        ("duplicated", "cosine"),
        ("collapsed", "euclidean"),
        ("offset", "inner-product"),
        ("offset", "squared-euclidean"),
        ("imbalanced", "euclidean"),
    ],
)
def test_that_products_used_for_both_of_their_rows_give_the_same_answer(
    kind: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amx, "available", lambda: False)
    bank, anchors = bank_of(kind, 24, n=6_603), torch.arange(6_603)
    search = Dense(distance=Distance(metric))
    search.build(bank)
    calls = []
    paired = FilteredProducts._pass_pairs
    monkeypatch.setattr(FilteredProducts, "_pass_pairs", lambda *given: calls.append(1) or paired(*given))
    both = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        both.append(search.nearest_negatives(anchors, 7))
    assert len(calls) == 2
    monkeypatch.setattr(FilteredProducts, "_may_pair", lambda *_: False)
    once = search.nearest_negatives(anchors, 7)
    for answer in both:
        assert torch.equal(answer.row, once.row)
        assert torch.equal(answer.distance, once.distance)
    probe = torch.arange(0, 6_603, 131)
    assert_exact(Neighbors(both[0].distance[probe], both[0].row[probe]), bank, probe, 7, Distance(metric), False)


def test_that_a_search_of_all_rows_can_be_cancelled_between_two_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amx, "available", lambda: False)
    search = Dense()
    search.build(bank_of("random", 24, n=6_603))
    seen: list[tuple[int, int]] = []
    search.nearest_negatives(torch.arange(6_603), 3, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6_603, 6_603)
    assert len(seen) > 4
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    with pytest.raises(SearchCancelled):
        search.nearest_negatives(torch.arange(6_603), 3, lambda done, _total: done == 0)


@pytest.mark.parametrize(("name", "dim"), [("kdtree", 3), ("dense", 3), ("dense", 40)])
def test_that_ten_thousand_classes_are_searched_exactly(name: str, dim: int) -> None:
    source = torch.Generator().manual_seed(5)
    labels = torch.randint(10_000, (20_000,), generator=source)
    bank = Bank(torch.randn(20_000, dim, generator=source), labels)
    anchors = torch.randint(20_000, (60,), generator=source)
    search = neighbors.create(name)
    search.build(bank)
    for farthest, ask in ((False, search.nearest_negatives), (True, search.farthest_positives)):
        assert_exact(ask(anchors, 5), bank, anchors, 5, Distance(), farthest)


@pytest.mark.parametrize(("name", "dim"), [("kdtree", 3), ("dense", 3), ("dense", 40), ("lsh-scan", 3)])
def test_that_the_number_of_threads_changes_nothing(name: str, dim: int) -> None:
    bank, anchors = bank_of("clustered", dim, n=1_500), torch.arange(1_500)
    answers = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        search = neighbors.create(name)
        search.build(bank)
        answers.append((search.nearest_negatives(anchors, 7), search.farthest_positives(anchors, 7)))
    for one, two in zip(*answers, strict=True):
        assert torch.equal(one.row, two.row)
        assert torch.equal(one.distance, two.distance)


@pytest.mark.parametrize(("name", "dim"), [("kdtree", 3), ("dense", 3), ("dense", 40), ("lsh-scan", 40)])
def test_that_a_search_reports_progress_and_can_be_cancelled(name: str, dim: int) -> None:
    bank, anchors = bank_of("clustered", dim, n=1_500), torch.arange(1_500)
    search = neighbors.create(name)
    search.build(bank)
    for ask in (search.nearest_negatives, search.farthest_positives):
        seen: list[tuple[int, int]] = []
        ask(anchors, 3, lambda done, total, seen=seen: seen.append((done, total)))
        assert seen[-1] == (1_500, 1_500)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        with pytest.raises(SearchCancelled):
            ask(anchors, 3, lambda _done, _total: False)


def test_that_a_collapsed_cloud_visits_few_nodes() -> None:
    """Visiting nodes at the k-th distance is quadratic: 4e8 pairs, over a second even at full speed."""
    labels = torch.arange(20_000) % 10
    for points in (torch.zeros(20_000, 3), labels[:, None] * torch.ones(3)):
        search = KdTree()
        search.build(Bank(points, labels))
        took = []
        for _ in range(3):
            start = time.perf_counter()
            found = search.nearest_negatives(torch.arange(20_000), 10)
            took.append(time.perf_counter() - start)
        assert (found.row >= 0).all()
        assert min(took) < 0.4


def test_that_few_dimensions_are_searched_by_filtered_products_where_no_tree_can() -> None:
    bank, anchors = bank_of("clustered", 3), torch.arange(0, 300, 3)
    for distance, how in (
        (Distance("inner-product"), "products"),
        (Distance("inner-product", normalized=True), "KD-tree"),
        (Distance(), "KD-tree"),
    ):
        search = neighbors.create("exact", distance=distance)
        search.build(bank)
        assert how in search.description
        assert_exact(search.nearest_negatives(anchors, 10), bank, anchors, 10, distance, False)
