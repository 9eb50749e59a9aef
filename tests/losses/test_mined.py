"""Losses of mined tuples: both ways to the distances agree, memory stays within B x R and T, counts equal sorting."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hnm_core import losses, miners
from hnm_core.distances import Distance
from hnm_core.losses import named_pairs, pairs
from hnm_core.losses.base import checked_batch
from hnm_core.losses.named_pairs import pair_distances
from hnm_core.registry import LOSSES

from .batches import batch, value_and_gradient

OWN = [name for name in LOSSES.names() if LOSSES.entry(name).target.startswith("hnm_core.losses.") and name.islower()]
DISTANCES = [
    Distance(metric, normalized)
    for metric in ("euclidean", "squared-euclidean", "cosine", "inner-product")
    for normalized in (False, True)
]


def by_the_book(distance: Distance, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Distance of every row to the same row of the other, written out."""
    if distance.normalized or distance.metric == "cosine":
        left, right = left / left.norm(dim=1, keepdim=True), right / right.norm(dim=1, keepdim=True)
    if distance.metric in ("cosine", "inner-product"):
        return (distance.metric == "cosine") - (left * right).sum(1)
    squared = (left - right).square().sum(1)
    if distance.metric == "squared-euclidean":
        return squared
    return torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)


def random_triplets(count: int, rows: int, ref_rows: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Triplets of any rows at all, many of them more than once."""
    source = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(limit, (count,), generator=source) for limit in (rows, ref_rows, ref_rows))


@pytest.fixture(params=["matrix", "one by one"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whichever way would be taken, this one is."""
    for module in (named_pairs, pairs):
        monkeypatch.setattr(module, "are_many", lambda *_: request.param == "matrix")
    return request.param


@pytest.mark.parametrize("distance", DISTANCES, ids=str)
@pytest.mark.parametrize("dim", [3, 40])
def test_that_distances_of_named_pairs_are_those_of_their_rows_either_way(
    way: str, distance: Distance, dim: int
) -> None:
    x, _ = batch(n=12, dim=dim)
    ref, _ = batch(seed=1, n=9, dim=dim)
    anchor, positive, negative = random_triplets(200, 12, 9)
    weight = torch.randn(2, 200, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def ours(both: torch.Tensor) -> torch.Tensor:
        left, right = distance.prepare(both[:12]), distance.prepare(both[12:])
        near, far = pair_distances(distance, left, right, (anchor, positive), (anchor, negative))
        return (weight[0] * near + weight[1] * far).sum()

    def wanted(both: torch.Tensor) -> torch.Tensor:
        left, right = both[:12], both[12:]
        near, far = (by_the_book(distance, left[anchor], right[other]) for other in (positive, negative))
        return (weight[0] * near + weight[1] * far).sum()

    found, expected = value_and_gradient(ours, torch.cat((x, ref))), value_and_gradient(wanted, torch.cat((x, ref)))
    assert torch.allclose(found[0], expected[0], rtol=1e-9)
    assert torch.allclose(found[1], expected[1], atol=1e-9)


TRIPLET_LOSSES = [
    ("triplet-margin", {}),
    ("triplet-margin", {"swap": True}),
    ("triplet-margin", {"squared": True, "margin": 0.5}),
    ("triplet-margin", {"smooth": True, "reduction": "anchor_mean"}),
    ("triplet-margin", {"distance": Distance("cosine"), "reduction": "mean"}),
    ("triplet-margin", {"distance": Distance("inner-product"), "reduction": "sum"}),
    ("hoffer-ailon", {}),
    ("margin", {"learn_beta": "one", "nu": 0.1}),
    ("dtsh", {}),
]


@pytest.mark.parametrize(("name", "options"), TRIPLET_LOSSES, ids=lambda given: str(given))
@pytest.mark.parametrize("with_reference", [False, True])
def test_that_a_loss_over_triplets_is_the_same_out_of_the_matrix_and_one_by_one(
    name: str, options: dict, with_reference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = batch(n=20, dim=24)
    x[3] = x[9] = x[4]  # distance 0
    x[5] = 0.0
    ref, ref_y = batch(seed=1, n=14, dim=24) if with_reference else (None, None)
    loss = losses.create(name, **options)
    for kind, bound in ((torch.float64, 1e-7), (torch.float32, 2e-5)):
        other = None if ref is None else ref.to(kind)
        for count in (0, 1, 3, 900):
            mined = random_triplets(count, 20, 20 if ref is None else 14)
            found = []
            for many in (False, True):
                monkeypatch.setattr(named_pairs, "are_many", lambda *_, many=many: many)
                found.append(
                    value_and_gradient(lambda e, mined=mined, o=other: loss(e, y, mined, o, ref_y), x.to(kind))
                )
            (listed, slope), (matrix, matrix_slope) = found
            scale = max(1.0, float(slope.abs().max()), float(listed.abs()))
            near = 2e-3 if kind == torch.float32 and count > 3 else bound  # a pair at distance 0 is one among 900
            assert torch.isfinite(matrix_slope).all()
            assert torch.allclose(matrix, listed, atol=near * scale)
            assert torch.allclose(matrix_slope, slope, atol=near * scale)
