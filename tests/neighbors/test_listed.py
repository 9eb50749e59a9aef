"""Queries whose positives are listed, against brute force in float64 that leaves out what is listed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import METRICS, Distance, Metric
from hnm_core.errors import InputError
from hnm_core.neighbors import listed
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.found import Neighbors, SearchCancelled
from hnm_core.relevance import Judged, JudgedQuery
from hnm_core.row_lists import RowLists
from hnm_core.spec.registry import NEIGHBORS
from tests.families import across

from .oracle import KINDS, _assert_best, bank_of, distances_to

APPROXIMATE = ("lsh-scan", "lsh-buckets", "routed", "faiss")
LENGTHS = (0, 1, 3, 4, 5, 17, 63, 64, 65, 200, 256, 257, 290, 299, 300)
"""Of lists for a bank of 300: none, about the sizes at which they are asked about together, most of it and all."""


def lists_of(lengths: Sequence[int], rows: int, seed: int = 0) -> RowLists:
    """Rows drawn for each query, so many as its list is long."""
    source = torch.Generator().manual_seed(seed)
    chosen = [torch.randperm(rows, generator=source)[:length] for length in lengths]
    anchor = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(list(map(len, chosen))))
    return RowLists.of_pairs(anchor, torch.cat(chosen), len(lengths), rows)


def vectors_for(bank: Bank, count: int) -> Tensor:
    """Half of them rows of the bank, half of them beside one."""
    source = torch.Generator().manual_seed(5)
    rows = torch.randint(len(bank), (count,), generator=source)
    aside = 0.1 * torch.randn(count, bank.dim, generator=source)
    return bank.embeddings[rows] + aside * (torch.arange(count) % 2)[:, None]


def judged_for(bank: Bank, lengths: Sequence[int]) -> JudgedQuery:
    """Positives of these numbers, and a few rows besides that may not come back."""
    positives = lists_of(lengths, len(bank))
    excluded = lists_of([min(3 * (place % 2), len(bank)) for place in range(len(lengths))], len(bank), seed=1)
    return Judged(bank, positives, excluded).query(vectors_for(bank, len(lengths)))


def mask_of(lists: RowLists) -> Tensor:
    mask = torch.zeros(len(lists), lists.rows, dtype=torch.bool)
    mask[lists.anchor, lists.row] = True
    return mask


def assert_exact(found: Neighbors, query: JudgedQuery, k: int, distance: Distance, *, farthest: bool = False) -> None:
    truth = distances_to(query.bank, query.vectors, distance)
    allowed = mask_of(query.relevant) if farthest else ~mask_of(query.barred)
    size = query.vectors.double().norm(dim=1)[:, None] * query.bank.embeddings.double().norm(dim=1).max()
    slack = 1e-6 * size if distance.metric == "inner-product" else 0.0
    _assert_best(found, truth, allowed, k, distance, farthest, slack)


def built(name: str, bank: Bank, distance: Distance) -> QuerySearch:
    search = neighbors.create(name, distance=distance)
    assert isinstance(search, QuerySearch)
    search.build(bank)
    return search


@pytest.mark.parametrize(("dim", "metric", "kind"), across([3, 24], METRICS, KINDS))
def test_that_exact_search_is_exact_whatever_is_listed(kind: str, metric: str, dim: int) -> None:
    bank, distance = bank_of(kind, dim), Distance(metric)
    query = judged_for(bank, LENGTHS)
    for name in ("exact", "auto", "dense"):
        search = built(name, bank, distance)
        for k in (1, 7, 310):
            assert_exact(search.nearest(query, k), query, k, distance)
            assert_exact(search.farthest(query, k), query, k, distance, farthest=True)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["random", "duplicated", "offset"])
def test_that_a_list_of_ten_thousand_rows_is_left_out_exactly(kind: str, metric: str) -> None:
    bank, distance = bank_of(kind, 20, n=12_000), Distance(metric)
    query = judged_for(bank, (0, 2, 10_000, 11_990, 12_000, 300))
    assert_exact(built("exact", bank, distance).nearest(query, 20), query, 20, distance)


@pytest.mark.parametrize("name", APPROXIMATE)
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "inner-product"])
def test_that_an_approximate_search_finds_most_and_never_what_is_listed(name: str, metric: str) -> None:
    if name == "faiss":
        pytest.importorskip("faiss")
    bank, distance = bank_of("clustered", 16, n=2_000), Distance(metric)
    lengths = [0, 1, 3, 9, 40, 1_000, 1_999, 2_000] * 8
    query = judged_for(bank, lengths)
    found = built(name, bank, distance).nearest(query, 5)
    assert not bool(query.barred.hold(found.row).any())
    assert torch.equal(found.row < 0, found.distance.isposinf()), "-1 is nobody, not the last row"
    allowed = ~mask_of(query.barred)
    truth = distances_to(bank, query.vectors, distance).masked_fill(~allowed, torch.inf)
    best = truth.sort(1).values[:, :5]
    own = truth.gather(1, found.row.clamp_min(0)).masked_fill(found.row < 0, torch.inf)
    hit = (own <= best + 1e-4 * best.abs() + 1e-6) & best.isfinite()
    assert float(hit.sum() / best.isfinite().sum()) > 0.8


@pytest.mark.parametrize("name", [name for name in NEIGHBORS.names() if name != "faiss"])
def test_that_nobodys_answer_depends_on_who_else_asks(name: str) -> None:
    bank = bank_of("random", 6)
    query = judged_for(bank, LENGTHS)
    search = built(name, bank, Distance())
    every = search.nearest(query, 6)
    for which in (torch.tensor([4]), torch.tensor([14, 3, 3, 0]), torch.arange(len(LENGTHS)).flip(0)):
        some = search.nearest(query.at(which), 6)
        assert torch.equal(some.row, every.row[which])
        assert torch.equal(some.distance, every.distance[which])


@pytest.mark.parametrize("name", ["exact", "lsh-scan", "routed"])
def test_that_no_queries_and_queries_without_positives_are_answered(name: str) -> None:
    bank = bank_of("random", 16)
    search = built(name, bank, Distance())
    nothing = RowLists.empty(3, len(bank))
    query = Judged(bank, nothing, nothing).query(vectors_for(bank, 3))
    plain = search.nearest_to(query.vectors, 4)
    found = search.nearest(query, 4)
    assert torch.equal(found.row, plain.row)
    assert torch.equal(search.farthest(query, 2).row, torch.full((3, 2), -1))
    for answer in (search.nearest, search.farthest):
        none = answer(query.at(torch.zeros(0, dtype=torch.int64)), 4)
        assert none.row.shape == none.distance.shape == (0, 4)


def test_that_a_query_stands_beside_itself_unless_it_is_left_out() -> None:
    bank = bank_of("random", 12)
    rows = torch.arange(40)
    nothing, itself = RowLists.empty(40, len(bank)), RowLists.of_pairs(rows, rows, 40, len(bank))
    search = built("exact", bank, Distance())
    vectors = bank.embeddings[:40]
    assert torch.equal(search.nearest(Judged(bank, nothing, nothing).query(vectors), 1).row[:, 0], rows)
    found = search.nearest(Judged(bank, nothing, itself).query(vectors), 5)
    assert not bool((found.row == rows[:, None]).any())


def test_that_classes_of_the_bank_say_nothing_where_positives_are_listed() -> None:
    bank = bank_of("clustered", 12)
    query = judged_for(bank, LENGTHS)
    apart = Judged(Bank(bank.embeddings), query.relevance.positives, query.relevance.excluded).query(query.vectors)
    found = built("exact", bank, Distance()).nearest(query, 9)
    assert torch.equal(found.row, built("exact", apart.bank, Distance()).nearest(apart, 9).row)


def test_that_progress_counts_queries_and_can_call_it_off() -> None:
    bank = bank_of("random", 12)
    query, search = judged_for(bank, LENGTHS), built("exact", bank, Distance())
    calls: list[tuple[int, int]] = []
    search.nearest(query, 3, lambda done, total: calls.append((done, total)))
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert calls[-1] == (len(LENGTHS), len(LENGTHS))
    with pytest.raises(SearchCancelled):
        search.nearest(query, 3, lambda _done, _total: False)


@pytest.mark.parametrize("metric", METRICS)
def test_that_long_lists_are_measured_in_parts_that_change_nothing(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, distance = bank_of("duplicated", 20), Distance(metric)
    query, search = judged_for(bank, (257, 280, 299, 300)), built("exact", bank, distance)
    whole, far = search.nearest(query, 8), search.farthest(query, 8)
    monkeypatch.setattr(listed, "MEASURED_AT_ONCE", 700)
    monkeypatch.setattr(listed, "PREPARED_AT_ONCE", 700)
    for at_once, answer in ((whole, search.nearest(query, 8)), (far, search.farthest(query, 8))):
        assert torch.equal(at_once.row, answer.row)
        assert torch.equal(at_once.distance, answer.distance)


@pytest.mark.parametrize(
    ("which", "words"),
    [
        (torch.tensor([0, 3]), "Queries must be 0 to 2, as there are judgements of 3"),
        (torch.tensor([0, -1]), "Queries must be 0 to 2"),
        (torch.tensor([0.0, 1.0]), "a one-dimensional tensor of integers"),
        (torch.tensor([0]), "2 vectors for 1 queries"),
        (None, "2 vectors for 3 queries"),
    ],
)
def test_that_what_is_no_query_of_the_set_cannot_be_asked_about(which: Tensor | None, words: str) -> None:
    bank = bank_of("random", 4)
    nothing = RowLists.empty(3, len(bank))
    with pytest.raises(InputError, match=words):
        Judged(bank, nothing, nothing).query(torch.zeros(2, 4), which)


def test_that_lists_of_another_bank_or_other_queries_are_refused() -> None:
    bank = bank_of("random", 4)
    fit = RowLists.empty(3, len(bank))
    with pytest.raises(InputError, match="The positives are of 299 rows, but the bank has 300"):
        Judged(bank, RowLists.empty(3, 299), fit)
    with pytest.raises(InputError, match="positives of 3 queries, but rows left out of 2"):
        Judged(bank, fit, RowLists.empty(2, len(bank)))
