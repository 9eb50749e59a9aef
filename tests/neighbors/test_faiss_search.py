"""FAISS behind the protocol."""

from __future__ import annotations

import copy
import importlib.util

import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from tests.families import across

from .oracle import KINDS, assert_exact, bank_of

needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="faiss is not installed")
INDEXES = ("flat", "ivf", "hnsw", "binary")


@needs_faiss
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("offset", "near-ties")])
def test_that_the_flat_index_is_exact(kind: str) -> None:
    for metric in ("euclidean", "cosine"):
        bank, distance, anchors = bank_of(kind, 12), Distance(metric), torch.arange(0, 300, 4)
        search = neighbors.create("faiss", index="flat", distance=distance)
        search.build(bank)
        for k in (1, 10, 350):
            found = search.nearest_negatives(anchors, k)
            expected = neighbors.create("dense", distance=distance)
            expected.build(bank)
            exact = expected.nearest_negatives(anchors, k)
            assert torch.equal(found.row >= 0, exact.row >= 0)
            there = exact.row >= 0
            assert torch.allclose(found.distance[there], exact.distance[there], rtol=1e-4, atol=1e-5)
        assert_exact(search.farthest_positives(anchors, 5), bank, anchors, 5, distance, True)


@needs_faiss
@pytest.mark.parametrize(("metric", "index"), across(["euclidean", "cosine", "inner-product"], [*INDEXES]))
def test_that_tight_classes_are_fetched_through(index: str, metric: str) -> None:
    """An anchor's 60 nearest rows are of its own class: only fetching more finds a negative."""
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(1_200) // 60
    points = torch.randn(20, 16, generator=source)[labels] + 0.02 * torch.randn(1_200, 16, generator=source)
    bank, distance = Bank(points, labels), Distance(metric)
    search, exact = (
        neighbors.create("faiss", index=index, distance=distance),
        neighbors.create("dense", distance=distance),
    )
    search.build(bank)
    exact.build(bank)
    anchors = torch.arange(1_200)
    found, best = search.nearest_negatives(anchors, 3), exact.nearest_negatives(anchors, 3)
    there = found.row >= 0
    assert (bank.labels[found.row] != bank.labels[:, None])[there].all()
    span = best.distance.abs().mean()
    assert float((found.distance <= best.distance + 0.1 * span).double().mean()) > 0.7
    assert "FAISS" in search.description


@needs_faiss
@pytest.mark.parametrize("index", INDEXES)
def test_that_few_rows_and_one_class_are_no_trouble(index: str) -> None:
    for bank in (Bank(torch.ones(1, 3), torch.tensor([9])), bank_of("one", 3), Bank(torch.eye(3), torch.arange(3))):
        search = neighbors.create("faiss", index=index)
        search.build(bank)
        found = copy.deepcopy(search).nearest_negatives(torch.tensor([0]), 3)
        assert (found.row >= 0).sum() <= len(bank) - 1
        assert (found.row[found.row >= 0] != 0).all()
    with pytest.raises(InputError, match="Anchor 9 is no row"):
        search.nearest_negatives(torch.tensor([9]), 3)


def test_that_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnm_core.neighbors.faiss_search.find_spec", lambda _name: None)
    with pytest.raises(InputError, match="pip install faiss-cpu"):
        neighbors.create("faiss")
