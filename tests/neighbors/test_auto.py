"""The search that chooses between exact and routed."""

from __future__ import annotations

import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.probing import recall

from .oracle import assert_exact, bank_of


def tight(rows: int, dim: int = 96) -> Bank:
    """A hundred classes about centres that come in pairs: negatives lie in the class beside."""
    source = torch.Generator().manual_seed(0)
    labels = torch.arange(rows) % 100
    centers = torch.randn(50, dim, generator=source)[torch.arange(100) // 2] + 0.3 * torch.randn(
        100, dim, generator=source
    )
    return Bank(centers[labels] + 0.3 * torch.randn(rows, dim, generator=source), labels)


def test_that_it_searches_exactly_unless_less_recall_will_do_and_routing_should_be_faster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bank, every, few = tight(6_000), torch.arange(6_000), torch.arange(0, 6_000, 60)
    exact = neighbors.create("exact")
    exact.build(bank)
    truth = exact.nearest_negatives(few, 5)
    search = neighbors.create("auto")
    assert not search.approximate
    search.build(bank)
    assert torch.equal(search.nearest_negatives(few, 5).row, truth.row)
    assert "exact, by" in search.description
    assert "all neighbours are asked for: about" in search.description

    search = neighbors.create("auto", recall=0.9)
    assert search.approximate
    search.build(bank)
    assert torch.equal(search.nearest_negatives(few, 5).row, truth.row)
    assert "to prepare routing" in search.description, "a hundred anchors are not worth it"
    assert search._routed is None
    monkeypatch.setattr("hnm_core.neighbors.auto._INTO_CELLS", 0.0)
    found = search.nearest_negatives(every, 5)
    assert "routing to the nearest classes" in search.description
    assert "s exactly" in search.description
    assert recall(found.distance[few], truth.distance) >= 0.87
    assert_exact(search.farthest_positives(few, 5), bank, few, 5, Distance(), True)


def test_that_it_says_why_where_routing_does_not_help() -> None:
    for bank, why in ((bank_of("random", 3), "nothing is known to be faster"), (bank_of("random", 40), "to prepare")):
        search = neighbors.create("auto", recall=0.5)
        search.build(bank)
        anchors = torch.arange(300)
        assert_exact(search.nearest_negatives(anchors, 3), bank, anchors, 3, Distance(), False)
        assert why in search.description
