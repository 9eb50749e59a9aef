"""Products of leading coordinates: bounds that no row among the nearest misses, so the answer is that of whole
products, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from hnm_core import kernels
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors import dense, filtered_products, leading
from hnm_core.neighbors.cpu import byte_products
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.found import Neighbors
from hnm_core.neighbors.leading import Cells, Leading, worth
from hnm_core.relevance import SameClass, VectorQuery

from .oracle import KINDS, bank_of

ROWS, ASKED = 1_500, 200

pytestmark = pytest.mark.skipif(not byte_products.available(), reason="the processor has no products of bytes")


@pytest.fixture(autouse=True)
def in_float32(compile_kernels: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole products are not made by matrix units, which are quicker still."""
    compile_kernels(kernels.SEARCH_KERNELS)
    monkeypatch.setattr(dense, "matrix_units", lambda: False)
    monkeypatch.setattr(filtered_products, "LEAST_ANCHORS", 0)


def directions(points: Tensor, width: int) -> Leading:
    rows = points.double()
    basis = torch.linalg.eigh((rows - rows.mean(0)).T @ (rows - rows.mean(0))).eigenvectors.flip(1)
    return Leading(rows.mean(0), basis[:, :width].contiguous())


def asked(bank: Bank, distance: Distance, vectors: Tensor, k: int, labels: Tensor | None = None) -> Neighbors:
    search = Dense(distance=distance)
    search.build(bank)
    query = SameClass(bank).of_vectors(vectors) if labels is None else SameClass(bank).of_vectors(vectors, labels)
    assert isinstance(query, VectorQuery)
    return search.nearest(query, k)


def assert_same(
    bank: Bank,
    distance: Distance,
    vectors: Tensor,
    k: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    width: int = 8,
    labels: Tensor | None = None,
) -> None:
    """By whole products, and by those of the leading `width` coordinates, whether that pays or not."""
    monkeypatch.setattr(filtered_products, "worth", lambda *_: None)
    whole = asked(bank, distance, vectors, k, labels)
    used = []

    def made(points: Tensor, *_: object) -> Leading:
        used.append(width)
        return directions(points[:, : bank.dim], width)

    monkeypatch.setattr(filtered_products, "worth", made)
    found = asked(bank, distance, vectors, k, labels)
    assert used == [width]
    assert torch.equal(found.distance, whole.distance)
    assert torch.equal(found.row, whole.row)


@pytest.mark.parametrize("metric", ["euclidean", "squared-euclidean", "cosine", "inner-product"])
@pytest.mark.parametrize("kind", KINDS)
def test_that_the_answer_is_that_of_whole_products(kind: str, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = bank_of(kind, 40, n=ROWS)
    source = torch.Generator().manual_seed(4)
    vectors = bank.embeddings[torch.randperm(ROWS, generator=source)[:ASKED]].clone()
    vectors[::2] += 0.3 * torch.randn(len(vectors[::2]), 40, generator=source)  # every second one is a row
    for k, width, normalized in ((1, 8, False), (10, 16, True), (64, 32, False)):
        assert_same(bank, Distance(metric, normalized), vectors, k, monkeypatch, width=width)


@pytest.mark.parametrize("metric", ["euclidean", "inner-product"])
def test_that_rows_of_an_anchors_class_do_not_come_back(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bank = bank_of("clustered", 32, n=ROWS)
    labels = bank.labels[torch.arange(0, ROWS, 7)]
    vectors = bank.embeddings[torch.arange(0, ROWS, 7)] + 0.01
    assert_same(bank, Distance(metric), vectors, 9, monkeypatch, labels=labels)


@pytest.mark.parametrize("scale", [1e-13, 1.0, 1e12])
def test_that_lengths_of_any_size_and_rows_at_the_mean_change_nothing(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = torch.Generator().manual_seed(5)
    points = torch.randn(ROWS, 33, generator=source) * torch.logspace(-4, 2, ROWS)[:, None]
    points[::50] = points.mean(0)
    points[7::50] = 0
    bank = Bank(points * scale, torch.zeros(ROWS, dtype=torch.int64))
    vectors = torch.cat((points[:90] * scale, torch.zeros(3, 33), points.mean(0, keepdim=True) * scale))
    assert_same(bank, Distance("squared-euclidean"), vectors, 5, monkeypatch)


def test_that_ties_and_copies_come_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = torch.randint(3, (ROWS, 36), generator=torch.Generator().manual_seed(6)).float()
    grid[:, 5:] = 0
    assert_same(Bank(grid, torch.zeros(ROWS, dtype=torch.int64)), Distance("euclidean"), grid[:ASKED], 20, monkeypatch)


def test_that_fewer_rows_than_are_asked_for_leave_the_rest_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = bank_of("random", 32, n=50)
    assert_same(bank, Distance("euclidean"), bank.embeddings[:40] + 1, 60, monkeypatch)


def test_that_numbers_bound_products_from_above() -> None:
    source = torch.Generator().manual_seed(7)
    rows, others = torch.randn(300, 48, generator=source) + 5, torch.randn(40, 48, generator=source) * 3
    rows[0] = rows.mean(0)
    above = []
    for width in (8, 40):
        made = directions(rows, width)
        bound = (made.of(others).double() @ made.of(rows).double().T).numpy()
        true = ((others.double() - made.center) @ (rows.double() - made.center).T).numpy()
        assert (bound >= true - 1e-6 * np.abs(true).max()).all()
        above.append(float((bound - true).mean()))
    assert above[1] < 0.4 * above[0]


def test_that_bytes_are_a_rows_coordinates_to_half_a_step() -> None:
    source = np.random.default_rng(8)
    rows = (source.normal(size=(70, 19)) * 10.0 ** source.integers(-6, 6, (70, 1))).astype(np.float32)
    rows[3], rows[5] = 0, 1e-40
    which, wide = np.array([*range(70), -1, 5]), 24
    packed = byte_products.room(len(which), rows.shape[1])
    step, total = np.zeros(96, np.float32), np.zeros(96, np.float32)
    lost = np.zeros(96)
    byte_products.pack(rows, which, 19, 64, packed, step, total, lost)
    lines = packed.reshape(3, wide // 4, 32, 4).transpose(0, 2, 1, 3).reshape(96, wide)
    assert not lines[70].any() and not lines[72:].any()
    for place, row in enumerate(which):
        if row >= 0:
            bytes_of = lines[place, :19].astype(int) - 64
            away = rows[row] - step[place] * bytes_of.astype(np.float64)
            assert np.abs(bytes_of).max() <= 63 and (np.abs(away) <= 0.501 * step[place]).all()
            assert not (row == 5 and bytes_of.any())
            assert lost[place] == pytest.approx(np.linalg.norm(away), rel=1e-6, abs=1e-30)
            assert total[place] == bytes_of.sum()


def test_that_every_row_is_in_the_cell_whose_center_is_nearest() -> None:
    numbers = torch.randn(900, 9, generator=torch.Generator().manual_seed(9))
    cells = Cells(numbers)
    assert sorted(cells.members.tolist()) == list(range(900))
    centers = numbers[:: -(-900 // leading.cells_of(900)), :-1]
    nearest = torch.cdist(numbers[:, :-1], centers).argmin(1).numpy()
    own = np.repeat(np.arange(len(centers)), np.diff(cells.offsets))
    assert (nearest[cells.members] == own).mean() > 0.999  # but for ties that rounding decides
    assert (cells.near(numbers[:50])[:, 0] == nearest[:50]).all()


def test_that_directions_are_taken_where_rows_spread_in_few_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "LEAST_ROWS", 1_000)
    source = torch.Generator().manual_seed(10)
    few = torch.randn(5_000, 20, generator=source) @ torch.randn(20, 256, generator=source)
    flat = few + 0.1 * torch.randn(5_000, 256, generator=source)
    round_ = torch.randn(5_000, 256, generator=source)
    for rows, pays in ((flat, True), (round_, False)):
        center = rows.double().mean(0)
        term = (rows.double() - center).square().sum(1) / -2
        found = worth(rows, rows[:2_000] + 0.01, center, term, 5)
        assert (found is not None) == pays
        if found is not None:
            assert 16 <= found.basis.shape[1] <= 64
            assert torch.allclose(found.basis.T @ found.basis, torch.eye(found.basis.shape[1]).double(), atol=1e-10)
    monkeypatch.setattr(byte_products, "available", lambda: False)
    assert worth(flat, flat[:2_000], flat.double().mean(0), flat.double().square().sum(1) / -2, 5) is None
