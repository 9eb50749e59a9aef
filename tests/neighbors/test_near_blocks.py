"""Exact search that leaves out blocks of rows: the same answer, bit for bit, as by products with all rows."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors import dense, near_blocks
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.found import Neighbors, SearchCancelled
from hnm_core.neighbors.near_blocks import worth
from hnm_core.neighbors.sketches import Directions

from .oracle import KINDS, assert_exact, bank_of

ROWS = 1_300


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks are left out also where that does not pay."""
    monkeypatch.setattr(dense, "LEAST_ROWS", 1)
    monkeypatch.setattr(near_blocks, "_MOST_LEFT", torch.inf)
    monkeypatch.setattr(near_blocks, "_SURE", torch.inf)


def both(bank: Bank, distance: Distance, anchors: Tensor, k: int) -> tuple[Neighbors, float]:
    """The answer, which is that by products with all rows, and the share that was looked at."""
    search = Dense(distance=distance)
    search.build(bank)
    found = search.nearest_negatives(anchors, k)
    looked_at = search.looked_at
    assert search._near is not None
    assert looked_at is not None
    search._near = None
    plain = search.nearest_negatives(anchors, k)
    assert search.looked_at == 1
    assert torch.equal(found.distance, plain.distance)
    assert torch.equal(found.row, plain.row)
    return found, looked_at


@pytest.mark.parametrize("metric", ["euclidean", "squared-euclidean", "cosine", "inner-product"])
@pytest.mark.parametrize("kind", [*KINDS, "flat"])
def test_that_leaving_blocks_out_changes_no_bit(kind: str, metric: str, always: None) -> None:
    bank = bank_of("offset" if kind == "flat" else kind, 24, n=ROWS)
    if kind == "flat":  # near few directions, as training leaves them
        source = torch.Generator().manual_seed(1)
        bank = Bank(torch.randn(ROWS, 4, generator=source) @ torch.randn(4, 24, generator=source) + 3, bank.labels)
    for normalized, k in ((False, 10), (True, 1)):
        distance = Distance(metric, normalized)
        anchors = (
            torch.arange(ROWS) if k > 1 else torch.randperm(ROWS, generator=torch.Generator().manual_seed(2))[:500]
        )
        found, looked_at = both(bank, distance, anchors, k)
        few = slice(None, None, 40)
        assert_exact(Neighbors(found.distance[few], found.row[few]), bank, anchors[few], k, distance, False)
        if (
            kind == "clustered" and not metric.startswith("inner") and k > 1
        ):  # groups of few anchors are as wide as a class
            assert looked_at < 0.5


@pytest.mark.parametrize(("dim", "shift"), [(9, 0.0), (17, 100.0)])
def test_that_ties_at_the_borders_of_blocks_lose_no_neighbour(dim: int, shift: float, always: None) -> None:
    """Corners of a lattice: an anchor has many rows at the same distance, in blocks whose borders they are."""
    corner = torch.tensor(list(itertools.product((0.0, 1.0, 2.0), repeat=5)))
    points = torch.zeros(len(corner), dim)
    points[:, :5] = corner
    # Some are moved by less than rounding tells, toward the others and away from them.
    source = torch.Generator().manual_seed(3)
    points[::3] *= 1 + 2e-7 * torch.randn(len(points[::3]), 1, generator=source)
    labels = torch.randint(2, (len(points),), generator=source)
    bank, anchors, squared = Bank(points + shift, labels), torch.arange(len(points)), Distance("squared-euclidean")
    for k in (4, 30):
        answers = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found, _ = both(bank, squared, anchors, k)
            answers.append(found)
        assert torch.equal(answers[0].row, answers[1].row)
        few = anchors[::7]
        assert_exact(Neighbors(answers[0].distance[few], answers[0].row[few]), bank, few, k, squared, False)


def test_that_no_sketches_are_farther_apart_than_their_rows() -> None:
    rows = bank_of("offset", 40, n=400).embeddings
    rows[:40] = rows[0] + 1e-4 * torch.randn(40, 40)
    directions = Directions.of(rows)
    sketches, length, _ = directions.sketches(rows)
    error = length * directions.rounding
    true, seen = torch.cdist(rows.double(), rows.double()), torch.cdist(sketches.double(), sketches.double())
    assert (seen <= true + error + error[:, None]).all()
    assert seen.sum() > 0.5 * true.sum()


def test_that_it_finds_out_by_itself_whether_leaving_out_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "matrix_units", lambda: False)  # products of so few rows are fast by them
    source = torch.Generator().manual_seed(5)
    labels = torch.arange(9_000) % 2
    flat = torch.randn(9_000, 2, generator=source) @ torch.randn(2, 64, generator=source)
    wide = torch.randn(9_000, 64, generator=source)
    search = neighbors.create("exact")
    for points, pays in ((wide, False), (flat, True)):
        bank = Bank(points, labels)
        search.build(bank)
        assert search.looked_at is None
        anchors = torch.arange(9_000)
        seen: list[int] = []
        search.nearest_negatives(anchors, 5, lambda done, _total, seen=seen: seen.append(done))
        assert (search.looked_at < 0.3) is pays
        assert ("blocks of near rows" in search.description) is pays
        assert seen == sorted(seen)
        assert seen[-1] == 9_000
        with pytest.raises(SearchCancelled):
            search.nearest_negatives(anchors, 5, lambda done, _total: done == 0)
        search.nearest_negatives(anchors[:100], 5)
        assert search.looked_at == 1, "few anchors are not worth the blocks"
    assert worth(flat, bank, 5, inner=True, coarse=False) is None, (
        "lengths differ, so that no distance bounds a product"
    )


def test_that_nobody_is_asked_where_products_are_too_fast_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    flat, labels = torch.randn(9_000, 2) @ torch.randn(2, 16), torch.arange(9_000) % 2
    monkeypatch.setattr(Directions, "of", lambda _rows, _size: pytest.fail("directions were looked for"))
    assert worth(flat, Bank(flat, labels), 64, inner=False, coarse=True) is None
    wide = torch.cat([flat] * 8, 1)
    with pytest.raises(pytest.fail.Exception):
        worth(wide, Bank(wide, labels), 5, inner=False, coarse=False)


def test_that_ten_thousand_classes_change_no_bit(always: None) -> None:
    """Classes of two rows on average, all of them anchors: a block holds rows of ten classes and more."""
    source = torch.Generator().manual_seed(6)
    labels = torch.cat([torch.arange(10_000), torch.randint(10_000, (10_000,), generator=source)])
    centers = torch.randn(10_000, 3, generator=source)
    points = (centers[labels] + 0.02 * torch.randn(20_000, 3, generator=source)) @ torch.randn(3, 20, generator=source)
    mixed = torch.randperm(20_000, generator=source)
    bank, anchors = Bank(points[mixed], labels[mixed]), torch.arange(20_000)
    for distance in (Distance(), Distance("cosine", True)):
        found, looked_at = both(bank, distance, anchors, 10)
        assert looked_at < 0.5
        few = slice(None, None, 500)
        assert_exact(Neighbors(found.distance[few], found.row[few]), bank, anchors[few], 10, distance, False)
