"""Searches that choose on a probe keep the choice: one that goes on from another's state is that other one."""

from __future__ import annotations

import json

import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.neighbors.base import KeepsState
from hnm_core.neighbors.probing import PROBE_EVERY
from hnm_core.spec.registry import NEIGHBORS
from tests.families import across

K = 5


def bank(spread: float, seed: int = 0) -> Bank:
    """1,500 rows of 16 dimensions in 30 classes, whose means lie so far apart."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(1500) % 30
    means = spread * torch.randn(30, 16, generator=generator)
    return Bank(means[labels] + torch.randn(1500, 16, generator=generator), labels)


@pytest.mark.parametrize(
    ("name", "builds"),
    across(["lsh-scan", "lsh-buckets", "routed"], [1, 2, PROBE_EVERY - 1, PROBE_EVERY, PROBE_EVERY + 1]),
)
def test_that_a_search_made_anew_goes_on_as_the_one_that_told_its_state(name: str, builds: int) -> None:
    tight, wide, anchors = bank(0.3), bank(6.0, seed=1), torch.arange(0, 1500, 7)
    search = neighbors.create(name, seed=5)
    assert isinstance(search, KeepsState)
    for _ in range(builds - 1):
        search.build(tight)
        search.nearest_negatives(anchors, K)
    search.build(wide)  # where another choice would be made
    again = neighbors.create(name)
    assert isinstance(again, KeepsState)
    again.restore(json.loads(json.dumps(search.state())), wide)
    for _ in range(2):
        found, other = (each.nearest_negatives(anchors, K) for each in (search, again))
        assert torch.equal(found.row, other.row) and torch.equal(found.distance, other.distance)
        assert again.description == search.description and again.state() == search.state()
        search.build(tight)
        again.build(tight)


@pytest.mark.parametrize("name", [name for name in NEIGHBORS.names() if NEIGHBORS.entry(name).scope != "optional"])
def test_that_every_search_tells_its_state_before_and_after_a_bank(name: str) -> None:
    search = neighbors.create(name)
    assert isinstance(search, KeepsState)
    rows = bank(1.0)
    small = rows if name != "kdtree" else Bank(rows.embeddings[:, :3], rows.labels)
    for seen in (None, small):
        if seen is not None:
            search.build(seen)
        again = neighbors.create(name)
        assert isinstance(again, KeepsState)
        again.restore(search.state(), seen)
        if seen is None:
            again.build(small)
            search.build(small)
        found, other = (each.nearest_negatives(torch.arange(50), K) for each in (search, again))
        assert torch.equal(found.row, other.row)
