"""Items with several labels each, against brute force in float64 over the table of all pairs that share one."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from hnm_core import neighbors, several_labels
from hnm_core.bank import Bank
from hnm_core.distances import METRICS, Distance
from hnm_core.errors import InputError
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.found import Neighbors
from hnm_core.relevance import SameClass, SharedLabels
from hnm_core.row_lists import RowLists
from hnm_core.several_labels import SeveralLabels
from tests.families import across

from .oracle import KINDS, _assert_best, bank_of, distances_to

APPROXIMATE = ("lsh-scan", "lsh-buckets", "routed", "faiss")
TABLES = ("0 to 5", "one on all", "common", "none", "many")


def table_of(kind: str, rows: int, seed: int = 3) -> Tensor:
    """(N, L) truth values."""
    source = torch.Generator().manual_seed(seed)

    def drawn(labels: int, share: float) -> Tensor:
        return torch.rand((rows, labels), generator=source) < share

    match kind:
        case "0 to 5":
            order = torch.rand((rows, 30), generator=source).argsort(1)
            return order < torch.randint(0, 6, (rows, 1), generator=source)
        case "one on all":
            return torch.cat((torch.ones((rows, 1), dtype=torch.bool), drawn(5, 0.2)), 1)
        case "common":  # a label on half of the rows, two on few, and rows without any
            return torch.cat((drawn(1, 0.5), drawn(2, 0.01)), 1)
        case "none":
            return torch.zeros((rows, 3), dtype=torch.bool)
        case "many":
            return drawn(400, 0.01)
    raise AssertionError(kind)


def with_labels(bank: Bank, table: Tensor) -> Bank:
    return Bank(bank.embeddings, SeveralLabels.of_table(table))


def sharing(table: Tensor) -> Tensor:
    """(N, N) truth values: who has a label in common, and everybody with itself."""
    shared = (table.double() @ table.double().T) > 0
    return shared.fill_diagonal_(True)


def built(name: str, bank: Bank, distance: Distance) -> QuerySearch:
    search = neighbors.create(name, distance=distance)
    assert isinstance(search, QuerySearch)
    search.build(bank)
    return search


def assert_exact(found: Neighbors, bank: Bank, allowed: Tensor, k: int, distance: Distance, farthest: bool) -> None:
    truth = distances_to(bank, bank.embeddings, distance)
    size = bank.embeddings.double().norm(dim=1)[:, None] * bank.embeddings.double().norm(dim=1).max()
    slack = 1e-6 * size if distance.metric == "inner-product" else 0.0
    _assert_best(found, truth, allowed, k, distance, farthest, slack)


@pytest.mark.parametrize(("table", "metric", "kind"), across(TABLES, METRICS, KINDS))
def test_that_exact_search_leaves_out_exactly_what_shares_a_label(kind: str, metric: str, table: str) -> None:
    plain, distance = bank_of(kind, 8), Distance(metric)
    given = table_of(table, len(plain))
    bank, shared = with_labels(plain, given), sharing(given)
    rows = torch.arange(len(bank))
    for name in ("exact", "auto", "dense"):
        search = built(name, bank, distance)
        for k in (1, 7, len(bank) + 5):
            assert_exact(search.nearest_negatives(rows, k), bank, ~shared, k, distance, False)
            positives = shared & ~torch.eye(len(bank), dtype=torch.bool)
            assert_exact(search.farthest_positives(rows, k), bank, positives, k, distance, True)


@pytest.mark.parametrize("name", APPROXIMATE)
@pytest.mark.parametrize("table", ["0 to 5", "common"])
def test_that_an_approximate_search_finds_most_and_never_what_shares_a_label(table: str, name: str) -> None:
    if name == "faiss":
        pytest.importorskip("faiss")
    plain, distance = bank_of("clustered", 16, n=2_000), Distance()
    given = table_of(table, len(plain))
    bank, shared = with_labels(plain, given), sharing(given)
    rows = torch.arange(200)
    found = built(name, bank, distance).nearest_negatives(rows, 5)
    there = found.row >= 0
    assert not bool((shared[:200].gather(1, found.row.clamp_min(0)) & there).any())
    best = distances_to(bank, bank.embeddings[:200], distance).masked_fill(shared[:200], torch.inf).sort(1).values
    own = found.distance.masked_fill(~there, torch.inf)
    assert float((own <= best[:, :5] * (1 + 1e-4) + 1e-6).double().mean()) > 0.8


def test_that_counts_of_positives_and_negatives_are_those_of_the_table_of_pairs() -> None:
    plain = bank_of("random", 4, n=500)
    for kind in TABLES:
        given = table_of(kind, 500)
        query = SharedLabels(with_labels(plain, given)).query(torch.arange(500))
        shared = sharing(given)
        assert torch.equal(query.positives, shared.sum(1) - 1), kind
        assert torch.equal(query.negatives, 500 - shared.sum(1)), kind
        assert bool((query.relevance.most_barred(query.which) >= shared.sum(1)).all()), kind


def test_that_no_more_pairs_are_listed_at_once_than_there_is_room_for() -> None:
    plain = bank_of("random", 4, n=600)
    bank = with_labels(plain, table_of("one on all", 600))
    listed: list[int] = []
    common = SeveralLabels.common

    def watched(labels: SeveralLabels, anchor: Tensor) -> RowLists:
        found = common(labels, anchor)
        listed.append(len(found.row))
        return found

    query = SharedLabels(bank).query(torch.arange(600))
    with patch.object(several_labels, "PAIRS_AT_ONCE", 5_000), patch.object(SeveralLabels, "common", watched):
        assert torch.equal(query.negatives, torch.zeros(600, dtype=torch.int64))
    assert len(listed) > 10
    assert max(listed) <= 5_000


def test_that_nobodys_answer_depends_on_who_else_asks() -> None:
    bank = with_labels(bank_of("random", 6, n=900), table_of("common", 900))
    for name in ("exact", "lsh-scan", "routed"):
        search = built(name, bank, Distance())
        every = search.nearest_negatives(torch.arange(900), 6)
        for which in (torch.tensor([4]), torch.tensor([14, 3, 3, 0]), torch.arange(50).flip(0)):
            some = search.nearest_negatives(which, 6)
            assert torch.equal(some.row, every.row[which])
            assert torch.equal(some.distance, every.distance[which])


def test_that_a_row_without_labels_leaves_out_itself_alone() -> None:
    bank = with_labels(bank_of("random", 5, n=40), table_of("none", 40))
    found = built("exact", bank, Distance()).nearest_negatives(torch.arange(40), 39)
    assert bool((found.row >= 0).all())
    assert not bool((found.row == torch.arange(40)[:, None]).any())


def test_that_classes_are_not_asked_of_a_bank_of_several_labels_nor_labels_of_one_of_classes() -> None:
    plain = bank_of("random", 5, n=40)
    bank = with_labels(plain, table_of("0 to 5", 40))
    with pytest.raises(InputError, match="several labels each and no class"):
        SameClass(bank).query(torch.arange(3))
    with pytest.raises(InputError, match="asked about without a label"):
        built("exact", bank, Distance()).nearest_to(plain.embeddings[:2], 3, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(InputError, match="one class each"):
        SharedLabels(plain)
    with pytest.raises(InputError, match="Anchor 40 is no row"):
        SharedLabels(bank).query(torch.tensor([40]))
    with pytest.raises(InputError, match="39 lists of labels for 40 embeddings"):
        Bank(plain.embeddings, SeveralLabels.of_table(table_of("0 to 5", 39)))
    with pytest.raises(InputError, match="holds 0 and 1 alone"):
        SeveralLabels.of_table(torch.tensor([[0, 2], [1, 1]]))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_that_anchors_among_many_that_share_a_label_are_answered_exactly(metric: str) -> None:
    source = torch.Generator().manual_seed(8)
    cluster = torch.arange(900) % 2
    points = torch.randn((900, 5), generator=source) + 20 * torch.nn.functional.one_hot(cluster, 5)
    table = torch.cat((torch.nn.functional.one_hot(cluster), torch.rand((900, 3), generator=source) < 0.05), 1).bool()
    table[::7, :2] = False  # few of a cluster have not its label, and are what is near
    bank, distance = Bank(points, SeveralLabels.of_table(table)), Distance(metric)  # type: ignore[arg-type]
    for name in ("exact", "dense"):
        found = built(name, bank, distance).nearest_negatives(torch.arange(900), 80)
        assert_exact(found, bank, ~sharing(table), 80, distance, False)
