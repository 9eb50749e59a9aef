"""Losses against worked values, pytorch-metric-learning and float64 autograd."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import reducers as pml_reducers

from hnm_core import losses
from hnm_core.distances import Distance
from hnm_core.errors import InputError

RAW = Distance("euclidean")
LABELS = torch.tensor([0, 0, 1, 1])


def four_points() -> torch.Tensor:
    """Unit vectors at 0, 40, 90 and 160 degrees."""
    angle = torch.tensor([0.0, 40.0, 90.0, 160.0], dtype=torch.float64) * math.pi / 180
    return torch.stack((angle.cos(), angle.sin()), dim=1)


def batch(seed: int = 0, n: int = 30, dim: int = 3, classes: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=source, dtype=torch.float64), torch.arange(n) % classes


@pytest.mark.parametrize(
    ("name", "options", "value"),
    [
        ("contrastive", {}, 1.070360),
        ("contrastive", {"variant": "halved"}, 0.150652),
        ("contrastive", {"variant": "squared-2019", "neg_margin": 50.0}, 1511.854954),
        ("triplet-margin", {"squared": True, "margin": 1.0, "reduction": "mean"}, 0.333873),
        ("triplet-margin", {"margin": 0.2, "reduction": "mean"}, 0.067590),
        ("triplet-margin", {"margin": 0.2, "reduction": "mean_nonzero"}, 0.270360),
        ("triplet-margin", {"margin": 0.0, "smooth": True, "reduction": "mean"}, 0.473097),
    ],
)
def test_that_the_four_point_batch_gives_the_worked_value(name: str, options: dict, value: float) -> None:
    loss = losses.create(name, distance=RAW, **options)(four_points(), LABELS)
    assert float(loss) == pytest.approx(value, abs=2e-5 * max(1.0, value))


PML_TWINS = [
    ("triplet-margin", {}, pml_losses.TripletMarginLoss()),
    ("triplet-margin", {"margin": 0.3, "swap": True}, pml_losses.TripletMarginLoss(margin=0.3, swap=True)),
    ("triplet-margin", {"margin": 0.3, "smooth": True}, pml_losses.TripletMarginLoss(margin=0.3, smooth_loss=True)),
    (
        "triplet-margin",
        {"margin": 1.0, "squared": True, "reduction": "mean"},
        pml_losses.TripletMarginLoss(
            margin=1.0, distance=pml_distances.LpDistance(power=2), reducer=pml_reducers.MeanReducer()
        ),
    ),
    ("contrastive", {}, pml_losses.ContrastiveLoss()),
    ("contrastive", {"pos_margin": 0.2, "neg_margin": 0.9}, pml_losses.ContrastiveLoss(pos_margin=0.2, neg_margin=0.9)),
]


@pytest.mark.parametrize(("name", "options", "twin"), PML_TWINS)
@pytest.mark.parametrize("tuples", [None, 3, 4])
@pytest.mark.parametrize("with_reference", [False, True])
def test_that_defaults_value_and_gradient_are_pytorch_metric_learnings(
    name: str, options: dict, twin: torch.nn.Module, tuples: int | None, with_reference: bool
) -> None:
    if with_reference and options.get("swap"):
        pytest.skip("pytorch-metric-learning's swap is wrong with a reference set (its thread 748)")
    x, y = batch()
    x = 4 * x  # far from 0, where our normalisation bounds the gradient and theirs does not
    reference, reference_y = batch(seed=5, n=24) if with_reference else (None, None)
    seen = y if reference_y is None else reference_y
    mined = None
    if tuples:
        positive = [(a, p) for a, p in itertools.product(range(30), range(len(seen))) if y[a] == seen[p] and a != p]
        negative = [(a, n) for a, n in itertools.product(range(30), range(len(seen))) if y[a] != seen[n]]
        p, n = torch.tensor(positive[::7]), torch.tensor(negative[::31])
        if tuples == 4:
            mined = (p[:, 0], p[:, 1], n[:, 0], n[:, 1])
        else:
            other = torch.tensor([int((seen != y[a]).nonzero()[a % 5]) for a in p[:, 0]])
            mined = (p[:, 0], p[:, 1], other)
    ours_x, twin_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    ours = losses.create(name, **options)(ours_x, y, mined, reference, reference_y)
    theirs = twin(twin_x, y, mined, reference, reference_y)
    ours.backward()
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    assert torch.allclose(ours_x.grad, twin_x.grad, atol=1e-5)


@pytest.mark.parametrize("name", ["triplet-margin", "contrastive"])
@pytest.mark.parametrize(
    "distance", [RAW, Distance("cosine"), Distance("squared-euclidean"), Distance(normalized=True)]
)
def test_that_the_gradient_is_the_numerical_one(name: str, distance: Distance) -> None:
    x, y = batch(n=8, classes=3)
    assert torch.autograd.gradcheck(
        lambda e: losses.create(name, distance=distance)(e, y), (x.requires_grad_(),), eps=1e-7, atol=1e-4
    )


def test_that_a_collapsed_batch_takes_the_value_of_the_table() -> None:
    x, y = torch.zeros(30, 3, dtype=torch.float64), torch.arange(30) % 6
    expected = {
        ("triplet-margin", ()): 0.05,
        ("triplet-margin", (("smooth", True),)): math.log1p(math.exp(0.05)),
        ("contrastive", ()): 1.0,
    }
    for (name, options), value in expected.items():
        assert float(losses.create(name, **dict(options))(x, y)) == pytest.approx(value)
    pairs = (torch.tensor([0, 1]), torch.tensor([6, 7]), torch.tensor([0, 1]), torch.tensor([1, 2]))
    seed_form = losses.create("contrastive", variant="squared-2019", neg_margin=50.0)
    assert float(seed_form(x, y, pairs)) == pytest.approx(1250.0)


def test_that_no_usable_row_gives_a_connected_zero_even_beside_nan() -> None:
    empty = torch.zeros(0, dtype=torch.int64)
    for name in ("triplet-margin", "contrastive"):
        x, y = batch()
        x.requires_grad_()
        loss = losses.create(name)(x, y, (empty, empty, empty))
        loss.backward()
        assert loss.item() == 0.0
        assert torch.equal(x.grad, torch.zeros_like(x))


def test_that_repeating_every_triplet_leaves_the_contrastive_value_alone() -> None:
    x, y = batch()
    mined = tuple(torch.tensor(rows) for rows in ([0, 1, 2], [6, 7, 8], [1, 2, 3]))
    tripled = tuple(rows.repeat(3) for rows in mined)
    loss = losses.create("contrastive", distance=RAW, variant="online", neg_margin=5.0)
    assert float(loss(x, y, mined)) == pytest.approx(float(loss(x, y, tripled)))


def test_that_identical_rows_and_a_zero_row_have_finite_gradients() -> None:
    x = torch.zeros(6, 3, dtype=torch.float64)
    x[1:3] = 1.0
    for name, distance in itertools.product(("triplet-margin", "contrastive"), (RAW, Distance(normalized=True))):
        rows = x.clone().requires_grad_()
        losses.create(name, distance=distance)(rows, torch.tensor([0, 0, 1, 1, 2, 2])).backward()
        assert torch.isfinite(rows.grad).all()


def test_that_a_row_with_nan_is_refused_in_words() -> None:
    x, y = batch()
    x[3, 1] = math.nan
    with pytest.raises(InputError, match="1 of 30 rows of embeddings hold NaN or infinity"):
        losses.create("triplet-margin")(x, y)


def test_that_half_a_reference_set_is_refused() -> None:
    x, y = batch()
    with pytest.raises(InputError, match="ref_emb and ref_labels go together"):
        losses.create("contrastive")(x, y, None, x, None)


def test_that_separation_is_the_lead_of_the_positive() -> None:
    terms = losses.create("triplet-margin", distance=RAW).terms(
        four_points(), LABELS, (torch.tensor([0]), torch.tensor([1]), torch.tensor([2]))
    )
    assert float(terms.separation[0]) == pytest.approx(1.4142 - 0.6840, abs=1e-4)


@pytest.mark.parametrize(("n", "dim"), [(0, 3), (1, 3), (2, 1), (5, 512)])
@pytest.mark.parametrize("name", ["triplet-margin", "contrastive"])
def test_that_odd_batches_give_a_finite_number(name: str, n: int, dim: int) -> None:
    x, y = batch(n=n, dim=dim, classes=3)
    loss = losses.create(name)(x.requires_grad_(), y)
    loss.backward()
    assert math.isfinite(loss.item())
