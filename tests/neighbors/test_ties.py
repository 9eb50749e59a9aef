"""Of equally far rows the lowest come first, at the k-th place too, whoever else is asked."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.found import Neighbors
from tests.families import across

from .oracle import distances

METRICS = ("euclidean", "squared-euclidean", "cosine", "inner-product")
KINDS = ("integers", "copies", "equal")
N = 420


def bank_of_ties(kind: str, dim: int) -> Bank:
    """Rows of small integers, each of forty rows in many copies, or all rows equal; classes lie mixed."""
    source = torch.Generator().manual_seed(dim)
    points = torch.randint(-1, 2, (N, dim), generator=source).float()
    if kind != "integers":
        points = torch.randn(N, dim, generator=source)[
            torch.randint(1 if kind == "equal" else 40, (N,), generator=source)
        ]
    points[~points.any(1)] = 1.0  # the cosine of nothing is none
    return Bank(points, torch.randint(7, (N,), generator=source))


def parts() -> list[Tensor]:
    """Anchors alone, in halves, and in another order."""
    shuffled = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    return [*torch.tensor([4, 77, N - 1]).split(1), *torch.arange(N).split(N // 2), shuffled[:50], shuffled]


def asked(search: QuerySearch, bank: Bank, which: Tensor, k: int) -> list[Neighbors]:
    """Every way to ask about rows."""
    return [
        search.nearest_negatives(which, k),
        search.farthest_positives(which, k),
        search.nearest_to(bank.embeddings[which], k, bank.labels[which]),
        search.nearest_to(bank.embeddings[which], k),
    ]


def same_whoever_asks(search: QuerySearch, bank: Bank, k: int) -> None:
    """The same rows, in the same order, and of equal rows the lowest."""
    search.build(bank)
    together = asked(search, bank, torch.arange(N), k)
    for part in parts():
        for all_of_them, some in zip(together, asked(search, bank, part, k), strict=True):
            assert torch.equal(all_of_them.row[part], some.row)
            assert torch.equal(all_of_them.distance[part], some.distance)
    equal = (bank.embeddings[:, None] == bank.embeddings[None]).all(2)
    lower = equal & (torch.arange(N)[None] < torch.arange(N)[:, None])
    same = bank.labels[:, None] == bank.labels[None]
    allowed = (~same, same & ~torch.eye(N, dtype=torch.bool), ~same, torch.ones_like(same))
    for found, may in zip(together, allowed, strict=True):
        there = found.row >= 0
        listed = torch.zeros(N, N + 1, dtype=torch.bool).scatter_(1, found.row.where(there, N), True)[:, :N]
        missing = may & ~listed
        for place in range(found.row.shape[1]):
            before = lower[found.row[:, place].clamp_min(0)] & there[:, place, None]
            assert not (before & missing).any()


@pytest.mark.parametrize(("kind", "metric"), across(KINDS, METRICS))
@pytest.mark.parametrize("dim", [3, 24])
def test_that_the_rows_of_an_anchor_do_not_depend_on_who_else_is_asked(kind: str, metric: str, dim: int) -> None:
    distance = Distance(metric)
    bank = bank_of_ties(kind, dim)
    for name in ("exact", "dense", "auto", "routed"):
        search = neighbors.create(name, distance=distance)
        assert isinstance(search, QuerySearch)
        for k in (1, 5):
            same_whoever_asks(search, bank, k)


@pytest.mark.parametrize(("kind", "metric"), across(KINDS, METRICS))
@pytest.mark.parametrize("dim", [3, 24])
def test_that_tiles_without_kernels_give_the_rows_that_kernels_give(
    kind: str, metric: str, dim: int, no_kernels: object
) -> None:
    search = Dense(distance=Distance(metric))
    bank = bank_of_ties(kind, dim)
    for k in (1, 5, 40):
        same_whoever_asks(search, bank, k)
    assert search.description == "exact, by tiles of distances"


@pytest.mark.parametrize("metric", ["euclidean", "squared-euclidean", "inner-product"])
@pytest.mark.parametrize("dim", [3, 24])
@pytest.mark.parametrize("compiled", [True, False])
def test_that_of_equally_far_rows_the_lowest_are_found(
    metric: str, dim: int, compiled: bool, request: pytest.FixtureRequest
) -> None:
    """Small integers: every distance is exact, so that the order is known."""
    if not compiled:
        request.getfixturevalue("no_kernels")
    distance, bank = Distance(metric), bank_of_ties("integers", dim)
    apart = distances(bank, torch.arange(N), distance)
    apart[bank.labels[:, None] == bank.labels[None]] = torch.inf
    order = apart.argsort(dim=1, stable=True)
    for name in ("exact", "dense"):
        search = neighbors.create(name, distance=distance)
        search.build(bank)
        for k in (1, 7, 60):
            assert torch.equal(search.nearest_negatives(torch.arange(N), k).row, order[:, :k])
