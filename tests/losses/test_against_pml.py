"""Value and gradient against pytorch-metric-learning, where that is right, and its own miners' tuples."""

from __future__ import annotations

import itertools

import pytest
import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning import reducers as pml_reducers

from hnm_core import losses
from hnm_core.distances import Distance
from hnm_core.losses.base import Problem

from .batches import batch, value_and_gradient


def l2(power: int = 1, normalized: bool = True) -> pml_distances.LpDistance:
    return pml_distances.LpDistance(power=power, normalize_embeddings=normalized)


TWINS = {
    "triplet-margin": ({}, pml_losses.TripletMarginLoss()),
    "triplet-margin swap": ({"margin": 0.3, "swap": True}, pml_losses.TripletMarginLoss(margin=0.3, swap=True)),
    "triplet-margin smooth": (
        {"margin": 0.3, "smooth": True},
        pml_losses.TripletMarginLoss(margin=0.3, smooth_loss=True),
    ),
    "triplet-margin squared": (
        {"margin": 1.0, "squared": True, "reduction": "mean"},
        pml_losses.TripletMarginLoss(margin=1.0, distance=l2(2), reducer=pml_reducers.MeanReducer()),
    ),
    "triplet-margin raw": (
        {"margin": 1.0, "distance": Distance("squared-euclidean"), "reduction": "mean"},
        pml_losses.TripletMarginLoss(margin=1.0, distance=l2(2, False), reducer=pml_reducers.MeanReducer()),
    ),
    "triplet-margin cosine": (
        {"distance": Distance("cosine")},
        pml_losses.TripletMarginLoss(distance=pml_distances.CosineSimilarity()),
    ),
    "contrastive": ({}, pml_losses.ContrastiveLoss()),
    "contrastive margins": (
        {"pos_margin": 0.2, "neg_margin": 0.9},
        pml_losses.ContrastiveLoss(pos_margin=0.2, neg_margin=0.9),
    ),
    "contrastive cosine": (
        {"distance": Distance("cosine"), "neg_margin": 0.8},
        pml_losses.ContrastiveLoss(pos_margin=1, neg_margin=0.2, distance=pml_distances.CosineSimilarity()),
    ),
    "contrastive inner": (
        {"distance": Distance("inner-product", True), "pos_margin": 1.0, "neg_margin": 0.2},
        pml_losses.ContrastiveLoss(pos_margin=1, neg_margin=0.2, distance=pml_distances.DotProductSimilarity()),
    ),
    "margin": ({}, pml_losses.MarginLoss()),
    "margin learned": (
        {"learn_beta": "one", "nu": 0.1},
        pml_losses.MarginLoss(learn_beta=True, nu=0.1),
    ),
    "margin per class": (
        {"learn_beta": "per-class", "nu": 0.1},
        pml_losses.MarginLoss(learn_beta=True, nu=0.1, num_classes=6),
    ),
    "nt-xent": ({}, pml_losses.NTXentLoss()),
    "nt-xent euclidean": (
        {"distance": Distance("euclidean"), "temperature": 0.5},
        pml_losses.NTXentLoss(0.5, distance=l2(1, False)),
    ),
    "sup-con": ({}, pml_losses.SupConLoss()),
    "multi-similarity": ({}, pml_losses.MultiSimilarityLoss()),
    "multi-similarity euclidean": (
        {"distance": Distance(normalized=True)},
        pml_losses.MultiSimilarityLoss(distance=l2()),
    ),
    "circle": ({}, pml_losses.CircleLoss()),
    "lifted-structure": ({}, pml_losses.LiftedStructureLoss()),
    "lifted-structure cosine": (
        {"distance": Distance("cosine")},
        pml_losses.LiftedStructureLoss(neg_margin=0, pos_margin=1, distance=pml_distances.CosineSimilarity()),
    ),
    "generalized-lifted-structure": ({}, pml_losses.GeneralizedLiftedStructureLoss()),
    "tuplet-margin": ({}, pml_losses.TupletMarginLoss()),
    "n-pairs": ({}, pml_losses.NPairsLoss()),
    "snnl": (
        {"temperature": 2.0},
        pml_losses.NCALoss(softmax_scale=0.5, distance=l2(2, False)),
    ),
}


def create(case: str):
    return losses.create(case.split(" ")[0], problem=Problem(6, 3), **TWINS[case][0])


@pytest.mark.parametrize("tuples", [None, 3, 4])
@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("case", TWINS)
def test_that_defaults_value_and_gradient_are_pytorch_metric_learnings(
    case: str, with_reference: bool, tuples: int | None
) -> None:
    if with_reference and ("swap" in case or case.startswith(("lifted", "n-pairs", "margin per"))):
        pytest.skip("pytorch-metric-learning reads rows of the reference set as rows of the batch, or refuses one")
    if tuples and case.startswith(("snnl", "generalized")):
        pytest.skip("tuples weigh items there (NCA), or rows without pairs count in its mean")
    x, y = batch()
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
    ours, twin = create(case), TWINS[case][1]
    found = value_and_gradient(lambda e: ours(e, y, mined, reference, reference_y), x)
    wanted = value_and_gradient(lambda e: twin(e, y, mined, reference, reference_y).sum(), x)
    assert found[0].item() == pytest.approx(wanted[0].item(), abs=1e-5)
    assert torch.allclose(found[1], wanted[1], atol=1e-5)


@pytest.mark.parametrize(
    "miner",
    [pml_miners.MultiSimilarityMiner(), pml_miners.BatchHardMiner(), pml_miners.TripletMarginMiner(0.3)],
    ids=lambda miner: type(miner).__name__,
)
@pytest.mark.parametrize(
    "case",
    ["nt-xent", "sup-con", "lifted-structure", "tuplet-margin", "multi-similarity", "circle", "contrastive", "margin"],
)
def test_that_with_multiplicity_kept_a_miners_tuples_give_the_same_number(case: str, miner: torch.nn.Module) -> None:
    x, y = batch()
    mined = miner(x, y)
    assert len(mined[0])
    masks = case in ("sup-con", "multi-similarity", "circle", "margin")  # these read tuples as sets there too
    ours = losses.create(case.split(" ")[0], **({} if masks else {"keep_multiplicity": True}))
    twin = TWINS[case][1]
    found = value_and_gradient(lambda e: ours(e, y, mined), x)
    wanted = value_and_gradient(lambda e: twin(e, y, mined), x)
    assert found[0].item() == pytest.approx(wanted[0].item(), abs=1e-5)
    assert torch.allclose(found[1], wanted[1], atol=1e-5)


@pytest.mark.parametrize("case", ["nt-xent", "lifted-structure", "tuplet-margin", "triplet-margin", "sup-con"])
def test_that_single_precision_in_many_dimensions_agrees_too(case: str) -> None:
    x, y = batch(n=64, dim=128, classes=8)
    found = value_and_gradient(lambda e: create(case)(e, y), x.float())
    wanted = value_and_gradient(lambda e: TWINS[case][1](e, y), x)
    assert found[0].item() == pytest.approx(wanted[0].item(), rel=1e-5, abs=1e-5)
    assert torch.allclose(found[1].double(), wanted[1], atol=1e-5)
