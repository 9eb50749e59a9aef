"""Anchors that are vectors and no rows of the bank, in every search, against brute force in float64."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hnm_core import miners, neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.base import MiningContext
from hnm_core.neighbors.base import NeighborSearch, QuerySearch, nearest
from hnm_core.neighbors.cpu import amx
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.found import Neighbors, SearchCancelled
from hnm_core.neighbors.probing import recall
from hnm_core.relevance import SameClass
from tests.families import across
from tests.forked import Forks

from .oracle import UNKNOWN, assert_exact_for_vectors, bank_of, distances_to, queries_for

METRICS = ("euclidean", "squared-euclidean", "cosine", "inner-product")
HAS_FAISS = importlib.util.find_spec("faiss") is not None
SEARCHES = [
    ("exact", {}),
    ("dense", {}),
    ("kdtree", {}),
    ("lsh-scan", {}),
    ("lsh-scan", {"bits": 64, "rescore": 20}),
    ("lsh-buckets", {}),
    ("routed", {}),
    ("routed", {"classes": 2}),
    *(
        pytest.param(
            "faiss", {"index": index}, marks=pytest.mark.skipif(not HAS_FAISS, reason="faiss is not installed")
        )
        for index in ("flat", "ivf", "hnsw", "binary")
    ),
]
every_search = pytest.mark.parametrize(("name", "options"), SEARCHES)


def built(name: str, bank: Bank, distance: Distance | None = None, **options: object) -> QuerySearch:
    search = neighbors.create(name, distance=distance, **options)
    search.build(bank)
    assert isinstance(search, QuerySearch)
    return search


def check(search: QuerySearch, bank: Bank, distance: Distance, ks: tuple[int, ...]) -> None:
    vectors, every = queries_for(bank)
    search.build(bank)
    for labels in every.values():
        for k in ks:
            found = search.nearest_to(vectors, k, labels)
            assert_exact_for_vectors(found, bank, vectors, labels, k, distance, False)
            farthest = search.farthest(SameClass(bank).of_vectors(vectors, labels), k)
            assert_exact_for_vectors(farthest, bank, vectors, labels, k, distance, True)


def exact_searches(dim: int, metric: str) -> list[str]:
    return ["kdtree", "dense"] if dim <= 8 and metric != "inner-product" else ["dense"]


@pytest.mark.parametrize(
    ("dim", "kind"), across([2, 3, 16, 128], ["random", "duplicated", "collapsed", "offset", "many", "one"])
)
def test_that_exact_answers_for_vectors_are_those_of_brute_force(dim: int, kind: str) -> None:
    for name in exact_searches(dim, "euclidean"):
        check(neighbors.create(name), bank_of(kind, dim), Distance(), (1, 10, 350))


@pytest.mark.parametrize("dim", [2, 3, 16, 128])
def test_that_a_large_bank_is_searched_exactly_for_vectors(dim: int) -> None:
    bank = bank_of("clustered", dim, n=5_000)
    vectors, every = queries_for(bank)
    for name in exact_searches(dim, "euclidean"):
        found = built(name, bank).nearest_to(vectors, 10, every["mixed"])
        assert_exact_for_vectors(found, bank, vectors, every["mixed"], 10, Distance(), False)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [2, 16, 40])
def test_that_the_metric_is_applied_to_vectors_as_to_rows(dim: int, metric: str) -> None:
    for normalized in (False, True):
        distance = Distance(metric, normalized)
        for name in exact_searches(dim, metric):
            check(neighbors.create(name, distance=distance), bank_of("clustered", dim), distance, (7,))


@pytest.mark.parametrize("dim", [3, 24])
@pytest.mark.parametrize("metric", METRICS)
def test_that_vectors_are_searched_exactly_without_compiled_kernels(dim: int, metric: str, no_kernels: object) -> None:
    search = Dense(distance=Distance(metric))
    check(search, bank_of("clustered", dim), Distance(metric), (1, 10))
    assert search.description == "exact, by tiles of distances"


@pytest.mark.parametrize(("metric", "units"), across(METRICS, sorted({amx.available(), False})))
def test_that_a_limit_guessed_from_a_sample_loses_no_neighbour_of_a_vector(
    units: bool, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amx, "available", lambda: units)
    search = Dense(distance=Distance(metric))
    check(search, bank_of("random", 24, n=9_000), Distance(metric), (1, 100))
    assert search._filtered is not None
    assert search._filtered._side(False, search._filtered._own).sample is not None


def test_that_products_are_about_the_mean_also_where_vectors_are_not() -> None:
    """Far from the bank float32 products tell rows from each other no more; differences still do."""
    bank = bank_of("random", 24, n=600)
    vectors = bank.embeddings[:30] + 1e4
    for search in (built("dense", bank), built("routed", bank, classes=99)):
        assert_exact_for_vectors(search.nearest_to(vectors, 10), bank, vectors, None, 10, Distance(), False)


@every_search
def test_that_vectors_equal_to_rows_get_what_these_rows_get(name: str, options: dict) -> None:
    rows = torch.randint(700, (90,), generator=torch.Generator().manual_seed(1))
    for dim in (3,) if name == "kdtree" else (3, 16):
        bank = bank_of("clustered", dim, n=700)
        for metric in ("euclidean", "cosine") if name == "kdtree" else METRICS:
            search = built(name, bank, Distance(metric), **options)
            by_row = search.nearest_negatives(rows, 9)
            found = search.nearest_to(bank.embeddings[rows], 9, bank.labels[rows])
            assert torch.equal(found.row, by_row.row)
            assert torch.equal(found.distance, by_row.distance)


@every_search
def test_that_a_row_at_distance_0_comes_back_unless_its_class_may_not(name: str, options: dict) -> None:
    bank, rows = bank_of("random", 8, n=400), torch.arange(0, 400, 7)
    search = built(name, bank, **options)
    for labels in (None, torch.full_like(rows, UNKNOWN)):
        found = search.nearest_to(bank.embeddings[rows], 3, labels)
        assert torch.equal(found.row[:, 0], rows)
        assert (found.distance[:, 0] == 0).all()
    other = search.nearest_to(bank.embeddings[rows], 3, bank.labels[rows])
    there = other.row >= 0
    assert (bank.labels[other.row] != bank.labels[rows, None])[there].all()


@every_search
def test_that_few_vectors_none_and_those_of_other_types_are_no_trouble(name: str, options: dict) -> None:
    bank = bank_of("random", 6)
    search = built(name, bank, **options)
    vectors = torch.randn(25, 6, generator=torch.Generator().manual_seed(3)).half().float()  # fits all types
    plain = search.nearest_to(vectors, 4)
    wide = torch.zeros(25, 12)
    wide[:, ::2] = vectors
    for same in (vectors.half(), vectors.double(), wide[:, ::2], vectors.clone().requires_grad_()):
        found = search.nearest_to(same, 4)
        assert torch.equal(found.row, plain.row)
        assert not found.distance.requires_grad
    order = torch.randint(25, (60,), generator=torch.Generator().manual_seed(4))
    mixed = search.nearest_to(vectors[order], 4)
    assert torch.equal(mixed.row, plain.row[order])
    assert torch.equal(mixed.distance, plain.distance[order])
    alone = search.nearest_to(vectors[3:4], 4)
    assert torch.equal(alone.row[0], plain.row[3])
    for labels in (None, torch.zeros(0, dtype=torch.int64)):
        none = search.nearest_to(vectors[:0], 4, labels)
        assert none.row.shape == none.distance.shape == (0, 4)
        query = SameClass(bank).of_vectors(vectors[:0], labels)
        assert search.farthest(query, 4).row.shape == (0, 4)


@every_search
def test_that_the_farthest_of_a_class_are_found_and_none_without_one(name: str, options: dict) -> None:
    bank = bank_of("clustered", 8)
    vectors, every = queries_for(bank)
    search = built(name, bank, **options)
    for labels in every.values():
        found = search.farthest(SameClass(bank).of_vectors(vectors, labels), 5)
        assert_exact_for_vectors(found, bank, vectors, labels, 5, Distance(), True)


@every_search
def test_that_neither_threads_nor_company_change_what_a_vector_gets(name: str, options: dict) -> None:
    bank = bank_of("clustered", 8, n=900)
    vectors, every = queries_for(bank)
    answers = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        answers.append(built(name, bank, **options).nearest_to(vectors, 5, every["mixed"]))
    assert torch.equal(answers[0].row, answers[1].row)
    assert torch.equal(answers[0].distance, answers[1].distance)
    twin = copy.deepcopy(built(name, bank, **options))
    assert torch.equal(twin.nearest_to(vectors[-9:], 5, every["mixed"][-9:]).row, answers[0].row[-9:])


@every_search
def test_that_a_search_for_vectors_can_be_watched_and_cancelled(name: str, options: dict) -> None:
    bank = bank_of("random", 6)
    search = built(name, bank, **options)
    vectors, mixed = bank.embeddings[:200] + 1, bank.labels[:200].where(torch.arange(200) < 50, UNKNOWN)
    for labels in (None, mixed):
        seen: list[tuple[int, int]] = []
        search.nearest_to(vectors, 3, labels, lambda done, total, seen=seen: seen.append((done, total)))
        assert seen[-1] == (200, 200)
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        with pytest.raises(SearchCancelled):
            search.nearest_to(vectors, 3, labels, lambda _done, _total: False)


def clusters(rows: int, dim: int, classes: int, spread: float = 0.4) -> tuple[Bank, Tensor]:
    """A bank of 60 clusters, with labels that say nothing of these, and vectors of the same kind that are no rows."""
    source = torch.Generator().manual_seed(11)
    centers = torch.randn(60, dim, generator=source)
    points = centers[torch.randint(60, (rows + 200,), generator=source)]
    points += spread * torch.randn(rows + 200, dim, generator=source)
    return Bank(points[:rows], torch.randint(classes, (rows,), generator=source)), points[rows:]


@pytest.mark.parametrize("classes", [1, 20])
@pytest.mark.parametrize(
    ("name", "options", "dim", "least"),
    [
        ("lsh-scan", {}, 3, 0.93),
        ("lsh-scan", {}, 16, 0.93),
        ("lsh-scan", {}, 128, 0.93),
        ("lsh-buckets", {"recall": 0.9}, 3, 0.85),
        ("lsh-buckets", {"recall": 0.9}, 16, 0.85),
        ("routed", {"recall": 0.9}, 16, 0.87),
        ("routed", {"recall": 0.9}, 128, 0.87),
    ],
)
def test_that_the_share_asked_for_is_found_of_all_rows_also_where_there_is_but_one_class(
    name: str, options: dict, dim: int, least: float, classes: int
) -> None:
    bank, vectors = clusters(5_000, dim, classes)
    found = built(name, bank, **options).nearest_to(vectors, 10)
    exact = distances_to(bank, vectors, Distance()).sort(1).values[:, :10].float()
    assert recall(found.distance, exact) >= least


def test_that_rows_and_vectors_have_choices_of_their_own() -> None:
    """Tight clusters that are classes: few candidates hold the negatives, which codes tell apart, and many the rows of
    the own cluster, which they do not."""
    source = torch.Generator().manual_seed(2)
    labels = torch.arange(4_000) // 200
    points = 5 * torch.randn(20, 12, generator=source)[labels] + 0.3 * torch.randn(4_000, 12, generator=source)
    bank, search = Bank(points, labels), neighbors.create("lsh-scan", bits=32)
    search.build(bank)
    rows = torch.arange(0, 4_000, 40)
    by_row = search.nearest_negatives(rows, 5)
    first = search.candidates
    vectors = points[rows] + 0.1
    found = search.nearest_to(vectors, 5)
    exact = distances_to(bank, vectors, Distance()).sort(1).values[:, :5].float()
    assert recall(found.distance, exact) >= 0.93
    assert search.candidates != first
    assert torch.equal(search.nearest_negatives(rows, 5).row, by_row.row)
    assert search.candidates == first
    mixed = labels[rows].where(torch.arange(100) % 2 > 0, UNKNOWN * 100)
    both = search.nearest_to(vectors, 5, mixed)
    assert torch.equal(both.row[::2], found.row[::2]), "nobody's answer depends on who else is asked about"
    assert torch.equal(both.row[1::2], search.nearest_to(vectors[1::2], 5, mixed[1::2]).row)


@pytest.mark.skipif(not HAS_FAISS, reason="faiss is not installed")
@pytest.mark.parametrize(("index", "least"), [("flat", 0.999), ("ivf", 0.8), ("hnsw", 0.9), ("binary", 0.5)])
def test_that_faiss_finds_for_vectors_what_its_indexes_find(index: str, least: float) -> None:
    bank, vectors = clusters(5_000, 16, 20)
    found = built("faiss", bank, index=index).nearest_to(vectors, 10)
    exact = distances_to(bank, vectors, Distance()).sort(1).values[:, :10].float()
    assert recall(found.distance, exact) >= least


@pytest.mark.parametrize("dim", [3, 40])
def test_that_a_full_bucket_gives_equal_vectors_the_same_rows(dim: int) -> None:
    bank, vectors = clusters(3_000, dim, 5)
    search = built("lsh-buckets", bank, tables=2, bits=1, probes=0, cap=40)
    one, two = search.nearest_to(vectors, 5), search.nearest_to(vectors.flip(0), 5)
    assert search.capped == 1
    assert torch.equal(one.row, two.row.flip(0))


@pytest.mark.parametrize("name", ["kdtree", "dense", "lsh-scan", "lsh-buckets", "routed"])
@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_that_tiny_and_huge_vectors_neither_vanish_nor_overflow(name: str, size: float) -> None:
    plain = bank_of("random", 8)
    bank, rows = Bank(plain.embeddings * size, plain.labels), torch.arange(50)
    search = built(name, bank)
    vectors = bank.embeddings[rows]
    found = search.nearest_to(vectors, 3)
    assert torch.equal(found.row[:, 0], rows)
    if not search.approximate:
        assert_exact_for_vectors(found, bank, vectors, None, 3, Distance(), False)


@every_search
def test_that_vectors_too_far_from_the_bank_for_float32_are_refused(name: str, options: dict) -> None:
    search = built(name, bank_of("random", 8), **options)
    assert search.nearest_to(torch.full((1, 8), 1e15), 1).distance.isfinite().all()
    with pytest.raises(InputError, match=r"coordinates up to 1e\+20 lie too far from this bank: the squares of"):
        search.nearest_to(torch.full((1, 8), 1e20), 1)


@pytest.mark.parametrize("name", ["kdtree", "dense", "lsh-scan", "lsh-buckets", "routed"])
@pytest.mark.parametrize("distance", [Distance("cosine"), Distance(normalized=True), Distance()])
def test_that_a_zero_vector_is_as_far_from_all_on_the_sphere(name: str, distance: Distance) -> None:
    bank = bank_of("random", 8)
    found = built(name, bank, distance).nearest_to(torch.zeros(2, 8), 4)
    there = distances_to(bank, torch.zeros(2, 8), distance).gather(1, found.row)
    torch.testing.assert_close(found.distance.double(), there, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("vectors", "labels", "words"),
    [
        (torch.ones(4, 5), None, "as wide as the bank's embeddings, 3, not 5"),
        (torch.ones(3), None, r"floating-point tensor of shape \(Q, D\), not torch.float32 of shape \(3,\)"),
        (torch.ones(4, 3, dtype=torch.int64), None, "floating-point tensor"),
        ([[1.0, 2.0, 3.0]], None, "not a list"),
        (torch.tensor([[1.0, torch.nan, 0.0], [0.0, 0.0, 0.0]]), None, "1 of 2 vectors hold NaN or infinity"),
        (torch.tensor([[1e300, 0.0, 0.0]], dtype=torch.float64), None, "1 of 1 vectors hold NaN or infinity"),
        (
            torch.ones(4, 3),
            torch.ones(3, dtype=torch.int64),
            "4 integers, one for each vector, not torch.int64 of shape",
        ),
        (torch.ones(4, 3), torch.ones(4), "4 integers, one for each vector, not torch.float32"),
        (torch.ones(4, 3), [1, 2, 3, 4], "one for each vector, not a list"),
    ],
)
def test_that_wrong_vectors_are_refused_in_a_sentence(vectors: Tensor, labels: Tensor | None, words: str) -> None:
    search = neighbors.create("exact")
    with pytest.raises(InputError, match="Build the search on a bank"):
        search.nearest_to(vectors, 1, labels)
    search.build(bank_of("random", 3))
    with pytest.raises(InputError, match=words):
        search.nearest_to(vectors, 1, labels)
    with pytest.raises(InputError, match="k = 0"):
        search.nearest_to(torch.ones(4, 3), 0)


class RowsOnly:
    """A search that knows rows and their classes alone."""

    description, approximate = "rows only", False

    def build(self, bank: Bank) -> None:
        self.inner = built("dense", bank)

    def nearest_negatives(self, anchors: Tensor, k: int, progress: object = None) -> Neighbors:
        return self.inner.nearest_negatives(anchors, k)

    def farthest_positives(self, anchors: Tensor, k: int, progress: object = None) -> Neighbors:
        return self.inner.farthest_positives(anchors, k)


def test_that_what_needs_rows_says_so() -> None:
    bank = bank_of("random", 3)
    search: NeighborSearch = RowsOnly()
    search.build(bank)
    assert torch.equal(nearest(search, SameClass(bank).query(torch.arange(5)), 2).row[:, 0] >= 0, torch.ones(5) > 0)
    with pytest.raises(InputError, match="Here anchors must be rows of the bank; vectors that are none"):
        nearest(search, SameClass(bank).of_vectors(bank.embeddings[:5]), 2)
    context = MiningContext(0, 0, torch.Generator().manual_seed(0), Distance())
    for name in ("knn", "random"):
        miner = miners.create(name)
        miner.refresh(bank, context)
        with pytest.raises(InputError, match=r"one-dimensional tensor of integer rows, not torch\.float32"):
            miner.mine(bank.embeddings[:5], context)


PEAK = """
import torch
from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance

def bytes_of(name):
    return 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name + ":"))

rows = torch.randn(60_000, 128, generator=torch.Generator().manual_seed(0))
search = neighbors.create("exact", distance=Distance("cosine"))
few = Bank(rows[:99])
search.build(few)
search.nearest_to(few.embeddings, 5)  # all is loaded
open("/proc/self/clear_refs", "w").write("5")  # and the peak so far forgotten
before = bytes_of("VmRSS")
search.build(Bank(rows))
search.nearest_to(rows[:500], 5)
print((bytes_of("VmHWM") - before) / rows.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a process its peak")
def test_that_vectors_are_searched_exactly_in_a_few_times_the_memory_of_the_bank(forks: Forks, tmp_path: Path) -> None:
    """It holds the bank, and prepared rows twice: to measure, and half as long to multiply."""
    assert float(forks.python(PEAK, cwd=tmp_path)) < 7
