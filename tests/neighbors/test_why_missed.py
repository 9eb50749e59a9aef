"""What kept a search from a true neighbour, against a count of it by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.mining_quality import compare, worst_misses
from hnm_core.neighbors.base import ExplainsMisses, Hashing, NeighborSearch, nearest
from hnm_core.neighbors.found import Neighbors
from hnm_core.neighbors.hashing import Hash
from hnm_core.neighbors.lsh_buckets import _DRAWN
from hnm_core.neighbors.lsh_scan import PREFIX_BITS
from hnm_core.relevance import Judged, SameClass
from hnm_core.row_lists import RowLists
from hnm_core.run.misses import CellUnvisited, CodesDiffer, TablesPart, unpacked

from .oracle import distances

METRICS = ("euclidean", "cosine", "inner-product")


def loose(rows: int = 900, dim: int = 12, classes: int = 15, spread: float = 0.8) -> Bank:
    source = torch.Generator().manual_seed(5)
    labels = torch.randint(classes, (rows,), generator=source)
    points = torch.randn(classes, dim, generator=source)[labels] + spread * torch.randn(rows, dim, generator=source)
    return Bank(points, labels * 7 + 3)


def true_nearest(bank: Bank, distance: Distance) -> torch.Tensor:
    """(N,) the nearest negative of each row, by brute force."""
    truth = distances(bank, torch.arange(len(bank)), distance)
    return truth.masked_fill(bank.labels[:, None] == bank.labels, torch.inf).argmin(1)


def missed(search: NeighborSearch, bank: Bank, distance: Distance, k: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of the anchors whose nearest negative is not among the k returned, and that negative."""
    search.build(bank)
    anchors = torch.arange(len(bank))
    nearest = true_nearest(bank, distance)
    found = search.nearest_negatives(anchors, k)
    lost = (found.row != nearest[:, None]).all(1).nonzero()[:, 0]
    assert len(lost) >= 8
    return lost, nearest[lost]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kernels_ready", [True, False])
def test_that_a_scan_tells_the_bits_that_differ_and_the_rank_of_the_true_one_among_the_codes(
    metric: str, kernels_ready: bool, request: pytest.FixtureRequest
) -> None:
    if not kernels_ready:
        request.getfixturevalue("no_kernels")
    distance, bank, bits = Distance(metric), loose(), 40
    search = neighbors.create("lsh-scan", distance=distance, bits=bits, rescore=8, seed=3)
    anchors, negatives = missed(search, bank, distance)
    assert isinstance(search, ExplainsMisses)
    reason = search.why_missed(SameClass(bank).query(anchors), negatives)
    assert isinstance(reason, CodesDiffer) and (reason.bits, reason.candidates) == (bits, 8)

    hashed = Hash(search.family, bits, bank.dim, 3)
    prepared = distance.prepare(bank.embeddings)
    hashed.fit(distance.prepare(bank.sorted_embeddings), center=True)
    code = (hashed.project(prepared) > hashed.thresholds).numpy()
    apart = code[anchors.numpy()] != code[negatives.numpy()]
    np.testing.assert_array_equal(unpacked(reason.mask, bits), apart)
    np.testing.assert_array_equal(reason.differing, apart.sum(1))
    for place, (anchor, negative) in enumerate(zip(anchors.tolist(), negatives.tolist(), strict=True)):
        others = (bank.labels != bank.labels[anchor]).numpy()
        differing = (code[anchor] != code[others]).sum(1)
        assert reason.negatives[place] == others.sum()
        own = (code[anchor] != code[negative]).sum()
        assert (differing < own).sum() < reason.rank[place] <= (differing <= own).sum()
        # Without kernels it is left open which of equally similar codes are measured.
        last = reason.rank[place] if kernels_ready else (differing <= own).sum()
        assert last > 8, "it would have been measured exactly"


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("probes", [0, 3])
def test_that_tables_tell_where_a_bucket_is_shared_or_searched(metric: str, probes: int) -> None:
    distance, bank, tables, bits = Distance(metric), loose(), 5, 6
    search = neighbors.create("lsh-buckets", distance=distance, tables=tables, bits=bits, probes=probes, seed=2)
    anchors, negatives = missed(search, bank, distance)
    reason = search.why_missed(SameClass(bank).query(anchors), negatives)
    assert isinstance(reason, TablesPart)
    assert (reason.tables, reason.probes, reason.bits, reason.cap) == (tables, probes, bits, 1000)

    hashed = Hash(search.family, tables * bits, bank.dim, 2, drawn=_DRAWN)
    hashed.fit(distance.prepare(bank.sorted_embeddings), center=True)
    margin = (hashed.project(distance.prepare(bank.embeddings)) - hashed.thresholds).numpy()
    code = (margin > 0).reshape(len(bank), tables, bits)
    apart = code[anchors.numpy()] != code[negatives.numpy()]
    np.testing.assert_array_equal(unpacked(reason.shared, tables), ~apart.any(2))
    np.testing.assert_array_equal(reason.differing, apart.sum(2).min(1))
    searched = unpacked(reason.probed, tables)
    for place, anchor in enumerate(anchors.tolist()):
        for table in range(tables):
            sizes = np.abs(margin[anchor].reshape(tables, bits)[table])
            flips = sorted(
                itertools.chain.from_iterable(itertools.combinations(range(bits), count) for count in range(bits + 1)),
                key=lambda flip: sizes[list(flip)].sum(),
            )[: probes + 1]
            assert searched[place, table] == (tuple(np.flatnonzero(apart[place, table])) in flips)
    assert not searched.any(), "no bucket is over the cap, so what was searched would have been found"


def test_that_a_row_of_a_searched_bucket_can_be_missed_where_the_bucket_is_cut_down() -> None:
    bank, distance = loose(), Distance()
    search = neighbors.create("lsh-buckets", tables=1, bits=1, probes=0, cap=10)
    anchors, negatives = missed(search, bank, distance)
    reason = search.why_missed(SameClass(bank).query(anchors), negatives)
    assert isinstance(reason, TablesPart) and reason.cap == 10
    assert unpacked(reason.probed, 1).mean() > 0.5


@pytest.mark.parametrize("metric", METRICS)
def test_that_routing_tells_the_class_that_was_not_visited_and_how_near_its_centre_is(metric: str) -> None:
    distance, bank = Distance(metric), loose(rows=1_500)
    search = neighbors.create("routed", distance=distance, classes=2)
    anchors, negatives = missed(search, bank, distance)
    reason = search.why_missed(SameClass(bank).query(anchors), negatives)
    assert isinstance(reason, CellUnvisited)
    assert (reason.cells, reason.visited) == (15, 2), "no class is split and none shares a cell"
    np.testing.assert_array_equal(reason.label, bank.labels[negatives].numpy())

    points = distance.prepare(bank.embeddings).double()
    centres = torch.stack([points[bank.labels == label].mean(0) for label in bank.classes])
    for place, anchor in enumerate(anchors.tolist()):
        gap = -(centres @ points[anchor]) if metric == "inner-product" else (centres - points[anchor]).norm(dim=1)
        gap[bank.classes == bank.labels[anchor]] = torch.inf
        order = bank.classes[gap.argsort()].tolist()
        assert reason.rank[place] == order.index(reason.label[place]) + 1
        assert reason.rank[place] > 2


def test_that_a_search_that_hands_over_to_the_exact_one_gives_no_reason(no_kernels: object) -> None:
    bank = loose()
    for name in ("lsh-buckets", "routed"):
        search = neighbors.create(name)
        search.build(bank)
        search.nearest_negatives(torch.arange(5), 2)
        assert isinstance(search, ExplainsMisses)
        assert search.why_missed(SameClass(bank).query(torch.arange(1)), torch.tensor([700])) is None


def test_that_an_exact_search_explains_nothing() -> None:
    assert not isinstance(neighbors.create("exact"), ExplainsMisses)


def test_that_the_worst_misses_come_first_and_ties_are_none() -> None:
    inf = float("inf")
    exact = Neighbors(
        torch.tensor([[1.0, 2], [1, 2], [1, 2], [1, 2], [inf, inf], [1, 2], [0, 2]]),
        torch.tensor([[10, 11], [12, 13], [14, 15], [16, 17], [-1, -1], [18, 19], [20, 21]]),
    )
    found = Neighbors(
        torch.tensor([[1.0, 2], [1.5, 2], [inf, inf], [3, 3], [inf, inf], [1.00001, 2], [1.5, inf]]),
        torch.tensor([[10, 11], [30, 13], [-1, -1], [17, 31], [-1, -1], [32, 19], [33, -1]]),
    )
    assert worst_misses(found, exact).tolist() == [2, 3, 6, 1]
    assert compare(found, exact).anchors == 6


@pytest.mark.parametrize("rows", [900, 9_000])
@pytest.mark.parametrize("bits", [8, 40])
def test_that_a_scan_puts_rows_in_buckets_by_the_first_bits_of_their_codes(rows: int, bits: int) -> None:
    bank = loose(rows=rows)
    search = neighbors.create("lsh-scan", bits=bits, rescore=8, seed=3)
    assert isinstance(search, Hashing) and not search.hashes and search.compared is None
    search.build(bank)
    search.nearest_negatives(torch.arange(30), 3)
    hashed = Hash(search.family, bits, bank.dim, 3)
    hashed.fit(bank.sorted_embeddings, center=True)
    code = (hashed.project(bank.embeddings) > hashed.thresholds).long()[:, :PREFIX_BITS]
    assert search.hashes and torch.equal(search.bucket_of_row(0), (code * 2 ** torch.arange(PREFIX_BITS)).sum(1))
    assert search.compared.tolist() == [8] * 30
    with pytest.raises(InputError, match="no table 1"):
        search.bucket_of_row(1)


def test_that_a_scan_tells_the_candidates_of_each_vector_where_only_some_have_a_class() -> None:
    bank = loose()
    search = neighbors.create("lsh-scan", bits=24, seed=3)
    assert isinstance(search, Hashing)
    search.build(bank)
    vectors, labels, counts = bank.embeddings[:8] + 0.01, bank.labels[:8].clone(), []
    for shared in (bank.labels[:8], None):
        search.nearest_to(vectors, 3, shared)
        assert search.compared is not None
        counts.append(search.compared)
    labels[::2] = -1
    search.nearest_to(vectors, 3, labels)
    assert search.compared is not None and counts[0][0] != counts[1][0]
    assert torch.equal(search.compared, torch.where(labels < 0, counts[1], counts[0]))


def test_that_tables_tell_how_many_rows_each_anchor_is_compared_with() -> None:
    bank = loose()
    search = neighbors.create("lsh-buckets", tables=3, bits=5, probes=0)
    assert isinstance(search, Hashing) and not search.hashes
    search.build(bank)
    anchors = torch.arange(0, 900, 7)
    search.nearest_negatives(anchors, 4)
    bucket = torch.stack([search.bucket_of_row(table) for table in range(3)])
    shared = (bucket[:, anchors, None] == bucket[:, None, :]).any(0) & (bank.labels[anchors, None] != bank.labels)
    assert search.compared.tolist() == shared.sum(1).tolist()
    assert not isinstance(neighbors.create("routed"), Hashing)


def judged(bank: Bank, lists: int) -> tuple[Judged, torch.Tensor]:
    """Queries beside the rows of a bank, each with as many relevant rows, and others that have one; and their
    vectors."""
    source = torch.Generator().manual_seed(8)
    vectors = bank.embeddings[:200] + 0.3 * torch.randn(200, bank.dim, generator=source)
    sizes = torch.ones(200, dtype=torch.int64)
    sizes[::4] = lists
    nearest = torch.cdist(vectors, bank.embeddings).argsort(1)
    pairs = [(query, row) for query, size in enumerate(sizes.tolist()) for row in nearest[query, :size].tolist()]
    anchor, row = torch.tensor(pairs).T
    return Judged(bank, RowLists.of_pairs(anchor, row, 200, len(bank)), RowLists.empty(200, len(bank))), vectors


def missed_of_queries(
    search: NeighborSearch, about: Judged, vectors: torch.Tensor, distance: Distance
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries whose nearest row that is not relevant is not among the two returned, and that row, by brute force."""
    search.build(about.bank)
    found = nearest(search, about.query(vectors), 2)
    prepared = (distance.prepare(side.double()) for side in (vectors, about.bank.embeddings))
    gaps = torch.cdist(*prepared)
    gaps[about.positives.anchor, about.positives.row] = torch.inf
    true = gaps.argmin(1)
    lost = (found.row != true[:, None]).all(1).nonzero()[:, 0]
    assert len(lost) >= 8
    return lost, true[lost]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("kernels_ready", [True, False])
def test_that_a_scan_tells_of_queries_the_bits_and_the_rank_among_all_rows(
    metric: str, kernels_ready: bool, request: pytest.FixtureRequest
) -> None:
    if not kernels_ready:
        request.getfixturevalue("no_kernels")
    distance, bank, bits = Distance(metric), Bank(loose().embeddings), 24
    about, vectors = judged(bank, 3)
    search = neighbors.create("lsh-scan", distance=distance, bits=bits, rescore=8, seed=3)
    assert isinstance(search, ExplainsMisses) and isinstance(search, Hashing)
    which, true = missed_of_queries(search, about, vectors, distance)
    reason = search.why_missed(about.query(vectors).at(which).unrestricted(), true)
    assert isinstance(reason, CodesDiffer) and reason.candidates == 8
    assert set(reason.negatives.tolist()) == {len(bank)}
    hashed = Hash(search.family, bits, bank.dim, 3)
    hashed.fit(distance.prepare(bank.sorted_embeddings), center=True)
    code, asked = (
        (hashed.project(distance.prepare(side)) > hashed.thresholds).numpy() for side in (bank.embeddings, vectors)
    )
    apart = asked[which.numpy()] != code[true.numpy()]
    np.testing.assert_array_equal(unpacked(reason.mask, bits), apart)
    np.testing.assert_array_equal(reason.differing, apart.sum(1))
    for place, query in enumerate(which.tolist()):
        differing, own = (asked[query] != code).sum(1), apart[place].sum()
        assert (differing < own).sum() < reason.rank[place] <= (differing <= own).sum()
        assert (reason.rank[place] if kernels_ready else (differing <= own).sum()) > 8


def test_that_tables_and_cells_tell_what_parted_a_query_from_its_nearest() -> None:
    distance, bank = Distance(), Bank(loose(rows=3_000, dim=24).embeddings)
    about, vectors = judged(bank, 3)
    tables = neighbors.create("lsh-buckets", tables=4, bits=6, probes=1, seed=2)
    cells = neighbors.create("routed", classes=1)
    for search, kind in ((tables, TablesPart), (cells, CellUnvisited)):
        which, true = missed_of_queries(search, about, vectors, distance)
        assert isinstance(search, ExplainsMisses)
        reason = search.why_missed(about.query(vectors).at(which).unrestricted(), true)
        assert isinstance(reason, kind)
        if isinstance(reason, CellUnvisited):
            assert (reason.rank > reason.visited).all() and reason.rank.max() <= reason.cells
            continue
        hashed = Hash("affine", 24, bank.dim, 2, drawn=_DRAWN)
        hashed.fit(bank.sorted_embeddings, center=True)
        code, asked = (
            (hashed.project(side) > hashed.thresholds).numpy().reshape(-1, 4, 6) for side in (bank.embeddings, vectors)
        )
        apart = asked[which.numpy()] != code[true.numpy()]
        np.testing.assert_array_equal(reason.differing, apart.sum(2).min(1))
        np.testing.assert_array_equal(unpacked(reason.shared, 4), ~apart.any(2))
        assert not unpacked(reason.probed, 4).any(), "what was searched would have been found"


def test_that_a_search_tells_of_every_query_how_many_rows_it_was_compared_with() -> None:
    bank = Bank(loose().embeddings)
    about, vectors = judged(bank, 300)
    search = neighbors.create("lsh-scan", bits=24, rescore=1, seed=3)
    assert isinstance(search, Hashing)
    search.build(bank)
    nearest(search, about.query(vectors), 2)
    assert search.compared is not None
    few, many = search.compared.unique().tolist()
    assert (few, many) == (2 + 4, 2 + 256), "a list of one asks for four more, one of 300 for 256 more at first"
    assert torch.equal(search.compared == many, about.positives.sizes == 300)
