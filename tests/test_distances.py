from __future__ import annotations

import pytest
import torch

from hnm_core import losses, miners, neighbors
from hnm_core.distances import UNIT_EPS, Distance, normalize
from hnm_core.errors import InputError

METRICS = ("euclidean", "squared-euclidean", "cosine", "inner-product")
every_distance = pytest.mark.parametrize("distance", [Distance(m, n) for m in METRICS for n in (False, True)])


def by_definition(distance: Distance, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """(L, R) float64, entry by entry."""
    left, right = left.double(), right.double()
    if distance.normalized or distance.metric == "cosine":
        left, right = (x / x.norm(dim=1, keepdim=True).clamp_min(UNIT_EPS) for x in (left, right))
    product = (left[:, None] * right[None]).sum(2)
    squared = (left[:, None] - right[None]).square().sum(2)
    table = {
        "euclidean": squared.sqrt(),
        "squared-euclidean": squared,
        "cosine": 1 - product,
        "inner-product": -product,
    }
    return table[distance.metric]


@every_distance
@pytest.mark.parametrize("dim", [1, 3, 16, 17, 128])
def test_that_pairwise_and_rowwise_follow_the_definition(distance: Distance, dim: int) -> None:
    source = torch.Generator().manual_seed(dim)
    left, right = torch.randn(20, dim, generator=source), torch.randn(20, dim, generator=source)
    expected = by_definition(distance, left, right)
    assert torch.allclose(distance.pairwise(left, right).double(), expected, atol=2e-5, rtol=1e-5)
    assert torch.allclose(distance.rowwise(left, right).double(), expected.diagonal(), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("spread", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("distance", [Distance(), Distance("euclidean", True), Distance("squared-euclidean")], ids=str)
def test_that_in_many_dimensions_mended_distances_of_rows_close_by_are_those_of_their_differences(
    distance: Distance, same: bool, spread: float
) -> None:
    source = torch.Generator().manual_seed(0)
    rows = torch.randn(24, 128, generator=source).repeat(2, 1) + spread * torch.randn(48, 128, generator=source)
    left = rows.requires_grad_()
    right = rows if same else rows.detach().clone()
    prepared = distance.prepare(left)
    found = distance.prepared_pairwise(prepared, prepared if same else distance.prepare(right), mend=True)
    expected = by_definition(distance, left.detach(), right.detach())
    assert torch.allclose(found.double(), expected, atol=1e-5, rtol=1e-5)
    if spread == 0:
        assert torch.equal(found == 0, expected == 0)
    weight = torch.randn(48, 48, generator=source)
    (slope,) = torch.autograd.grad((found * weight).sum(), left)
    exact = distance.prepare(left.double())
    far = exact if same else exact.detach()
    squared = (exact[:, None] - far[None]).square().sum(2)
    root = torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)
    value = squared if distance.metric == "squared-euclidean" else root
    (wanted,) = torch.autograd.grad((value * weight).sum(), left)
    assert float((slope - wanted).abs().max()) < 2e-3 * float(wanted.abs().max())


@pytest.mark.parametrize("spots", [2, 8])
def test_that_mended_distances_hold_also_where_a_large_cloud_has_drawn_together_in_a_few_spots(spots: int) -> None:
    source = torch.Generator().manual_seed(0)
    rows = torch.randn(spots, 128, generator=source)[torch.arange(304) % spots]
    left = normalize(rows + 1e-4 * torch.randn(304, 128, generator=source)).requires_grad_()
    found = Distance().prepared_pairwise(left, left, mend=True)
    weight = torch.rand(304, 304, generator=source)
    (slope,) = torch.autograd.grad((found * weight).sum(), left)
    exact = left.detach().double().requires_grad_()
    row, column = (~torch.eye(304, dtype=torch.bool)).nonzero(as_tuple=True)
    wanted = (exact[row] - exact[column]).square().sum(1).sqrt()
    assert float((found[row, column] / wanted - 1).detach().abs().max()) < 1e-4
    (wanted_slope,) = torch.autograd.grad((wanted * weight[row, column]).sum(), exact)
    assert float((slope - wanted_slope).norm()) < 1e-2 * float(wanted_slope.norm())


@pytest.mark.parametrize("dim", [1, 3, 16])
def test_that_in_few_dimensions_a_point_far_from_the_origin_has_distance_0_to_itself(dim: int) -> None:
    points = 100 + torch.randn(40, dim, generator=torch.Generator().manual_seed(1))
    assert (Distance().pairwise(points, points).diagonal() == 0).all()
    by_product = points.square().sum(1)[:, None] + points.square().sum(1)[None] - 2 * points @ points.T
    if dim > 1:
        assert (by_product.diagonal() != 0).any()  # the form that would fail


def test_that_in_many_dimensions_an_offset_costs_no_digits() -> None:
    points = torch.randn(60, 64, generator=torch.Generator().manual_seed(2))
    moved = points + 1_000
    expected = by_definition(Distance(), moved, moved)
    off = (Distance().pairwise(moved, moved) - expected).abs()
    assert off[~torch.eye(60, dtype=torch.bool)].max() < 1e-3


@pytest.mark.parametrize("dim", [3, 64])
def test_that_the_gradient_at_distance_0_is_0(dim: int) -> None:
    for ask in ("pairwise", "rowwise"):
        points = torch.ones(4, dim, requires_grad=True)
        getattr(Distance(), ask)(points, points).sum().backward()
        assert (points.grad == 0).all()


@every_distance
def test_that_the_gradient_is_the_numerical_one(distance: Distance) -> None:
    source = torch.Generator().manual_seed(3)
    left = torch.randn(3, 4, generator=source, dtype=torch.float64, requires_grad=True)
    right = torch.randn(5, 4, generator=source, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(distance.pairwise, (left, right))
    assert torch.autograd.gradcheck(distance.rowwise, (left, right[:3]))


def test_that_normalising_a_zero_row_keeps_it_zero_with_a_bounded_gradient() -> None:
    points = torch.zeros(2, 3, requires_grad=True)
    unit = normalize(points)
    unit.sum().backward()
    assert (unit == 0).all()
    assert points.grad.abs().max() <= 1 / UNIT_EPS * 1.001


def test_that_on_unit_vectors_the_square_is_twice_the_cosine_distance() -> None:
    source = torch.Generator().manual_seed(4)
    left, right = 50 * torch.randn(30, 5, generator=source), 50 * torch.randn(30, 5, generator=source)
    squared = Distance("squared-euclidean", normalized=True).pairwise(left, right)
    assert torch.allclose(squared, 2 * Distance("cosine").pairwise(left, right), atol=1e-6)


@pytest.mark.parametrize(("module", "name"), [(losses, "triplet-margin"), (miners, "knn"), (neighbors, "exact")])
def test_that_a_distance_that_is_none_is_refused_in_words(module, name) -> None:
    with pytest.raises(InputError, match=r'for instance hnm_core.distances.Distance\("cosine"\), not \'cosine\''):
        module.create(name, distance="cosine")
    with pytest.raises(InputError, match="Unknown distance 'manhattan'"):
        Distance("manhattan")
