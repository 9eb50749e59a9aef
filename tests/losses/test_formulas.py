"""Every loss against its formula written as loops in float64, value and gradient."""

from __future__ import annotations

import math

import pytest
import torch

from hnm_core import losses
from hnm_core.distances import Distance
from hnm_core.losses.base import LossContext, Problem

from . import naive
from .batches import as_tuple, batch, value_and_gradient

UNIT = Distance("euclidean", normalized=True)


def cosine(x, ref):
    return naive.unit(x) @ naive.unit(ref).T


def unit_distance(x, ref):
    return naive.euclidean(naive.unit(x), naive.unit(ref))


FORMULAS = {
    "nt-xent": ({"temperature": 0.3}, lambda x, r, p, n, y: naive.nt_xent(1 - cosine(x, r), p, n, 0.3)),
    "nt-xent smoothed": (
        {"temperature": 0.3, "label_smoothing": 0.1},
        lambda x, r, p, n, y: naive.nt_xent(1 - cosine(x, r), p, n, 0.3, 0.1),
    ),
    "nt-xent learned": (
        {"temperature": 0.3, "learn_temperature": True},
        lambda x, r, p, n, y: naive.nt_xent(1 - cosine(x, r), p, n, math.exp(math.log(0.3))),
    ),
    "sup-con": ({"temperature": 0.2}, lambda x, r, p, n, y: naive.sup_con(1 - cosine(x, r), p, n, 0.2)),
    "hcl": ({}, lambda x, r, p, n, y: naive.hcl(cosine(x, r), p, n, 0.5, 1.0, 0.1)),
    "hcl floor": (
        {"tau_plus": 0.6, "beta": 2.0},
        lambda x, r, p, n, y: naive.hcl(cosine(x, r), p, n, 0.5, 2.0, 0.6),
    ),
    "hcl plain": (
        {"tau_plus": 0.0, "beta": 0.0},
        lambda x, r, p, n, y: naive.nt_xent(1 - cosine(x, r), [q for q in p if naive.of(n, q[0])], n, 0.5),
    ),
    "multi-similarity": (
        {"beta": 10.0},
        lambda x, r, p, n, y: naive.multi_similarity(cosine(x, r), p, n, 2.0, 10.0, 0.5),
    ),
    "circle": ({"gamma": 20.0}, lambda x, r, p, n, y: naive.circle(cosine(x, r), p, n, 0.4, 20.0)),
    "generalized-lifted-structure": (
        {"pos_margin": 0.1},
        lambda x, r, p, n, y: naive.generalized_lifted(unit_distance(x, r), p, n, 0.1, 1.0),
    ),
    "lifted-structure": (
        {"pos_margin": 0.1},
        lambda x, r, p, n, y: naive.lifted(unit_distance(x, r), p, n, 0.1, 1.0),
    ),
    "tuplet-margin": ({"scale": 8.0}, lambda x, r, p, n, y: naive.tuplet(cosine(x, r), p, n, 5.73, 8.0)),
    "snnl": (
        {"temperature": 2.0},
        lambda x, r, p, n, y: naive.snnl(naive.euclidean(x, r) ** 2, p, n, 2.0),
    ),
    "n-pairs": ({}, lambda x, r, p, n, y: naive.n_pairs(cosine(x, r), y, p)),
}


def without_a_side(positive, negative):
    """Drop what leaves some anchors with positives alone, some with negatives alone, and one with neither."""
    positive = [pair for pair in positive if pair[0] not in (0, 5)]
    return positive[::2], [pair for pair in negative if pair[0] not in (1, 5)][::3]


@pytest.mark.parametrize("form", ["all", "mined", "repeated", "kept"])
@pytest.mark.parametrize("with_reference", [False, True])
@pytest.mark.parametrize("case", FORMULAS)
def test_that_value_and_gradient_are_those_of_the_formula(case: str, with_reference: bool, form: str) -> None:
    if with_reference and case == "lifted-structure":
        pytest.skip("positives of a reference set have no negatives of their own; tested apart")
    options, formula = FORMULAS[case]
    name = case.split(" ")[0]
    x, y = batch(n=13, classes=3)
    y[12] = 9  # alone in its class
    reference, reference_y = batch(seed=1, n=8, classes=4) if with_reference else (None, None)
    positive, negative = naive.all_pairs(y, reference_y)
    mined = None
    if form != "all":
        positive, negative = without_a_side(positive, negative)
        if name == "hcl":  # whose formula has no value without negatives
            positive = [pair for pair in positive if naive.of(negative, pair[0])]
        repeats = 1 if form == "mined" else 3
        mined = as_tuple(positive * repeats, negative * repeats)
        if form == "kept":
            if name in ("n-pairs",):
                pytest.skip("takes one pair a class")
            options = options | {"keep_multiplicity": True}
            positive, negative = positive * repeats, negative * repeats
    elif name == "hcl":
        positive = [pair for pair in positive if naive.of(negative, pair[0])]
    ours = value_and_gradient(lambda e: losses.create(name, **options)(e, y, mined, reference, reference_y), x)
    theirs = value_and_gradient(lambda e: formula(e, e if reference is None else reference, positive, negative, y), x)
    assert torch.allclose(ours[0], theirs[0], atol=1e-6)
    assert torch.allclose(ours[1], theirs[1], atol=1e-6)


def test_that_lifted_with_a_reference_set_counts_the_anchors_negatives() -> None:
    x, y = batch(n=9, classes=3)
    reference, reference_y = batch(seed=1, n=8, classes=4)
    positive, negative = naive.all_pairs(y, reference_y)

    def formula(e):
        d = unit_distance(e, reference)
        terms = [
            (sum((1 - d[a, n]).exp() for n in naive.of(negative, a)).log() + d[a, p]).relu() ** 2 / 2
            for a, p in positive
        ]
        return torch.stack(terms).mean()

    ours = value_and_gradient(lambda e: losses.create("lifted-structure")(e, y, None, reference, reference_y), x)
    theirs = value_and_gradient(formula, x)
    assert torch.allclose(ours[0], theirs[0], atol=1e-9)
    assert torch.allclose(ours[1], theirs[1], atol=1e-9)


TRIPLET_TERMS = {
    "triplet-margin": ({"margin": 0.3}, lambda v: (v + 0.3).relu()),
    "triplet-margin smooth": ({"margin": 0.3, "smooth": True}, lambda v: (1 + (v + 0.3).exp()).log()),
    "triplet-margin swap": ({"margin": 0.3, "swap": True}, lambda v: (v + 0.3).relu()),
    "hoffer-ailon": ({"distance": UNIT}, lambda v: 1 / (1 + (-v).exp()) ** 2),
}
REDUCTIONS = {
    "mean": lambda values, a: values.mean(),
    "mean_nonzero": lambda values, a: values[values > 0].mean(),
    "sum": lambda values, a: values.sum(),
    "anchor_mean": lambda values, a: torch.stack([values[a == row].mean() for row in a.unique()]).mean(),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("form", ["all", "four", "three"])
@pytest.mark.parametrize("case", TRIPLET_TERMS)
def test_that_losses_over_triplets_are_their_formula_in_every_reduction(case: str, form: str, reduction: str) -> None:
    options, term = TRIPLET_TERMS[case]
    for with_reference in (False, True):
        x, y = batch(n=13, classes=3)
        y[12] = 9
        reference, reference_y = batch(seed=1, n=8, classes=4) if with_reference else (None, None)
        positive, negative = naive.all_pairs(y, reference_y)
        mined = None
        if form != "all":
            positive, negative = without_a_side(positive, negative)
            mined = as_tuple(positive, negative)
        chosen = naive.triplets(positive, negative)
        if form == "three":
            chosen = chosen[::2] + chosen[:3]  # triplets count as often as they are given
            mined = tuple(torch.tensor(chosen).T)
        loss = losses.create(case.split(" ")[0], reduction=reduction, **options)

        def formula(e, reference=reference, chosen=chosen):
            ref = e if reference is None else reference
            d_pn = unit_distance(ref, ref) if "swap" in options else None
            values = naive.over_triplets(unit_distance(e, ref), chosen, term, d_pn)
            return REDUCTIONS[reduction](values, torch.tensor(chosen)[:, 0])

        ours = value_and_gradient(
            lambda e, loss=loss, y=y, mined=mined, r=reference, ry=reference_y: loss(e, y, mined, r, ry), x
        )
        theirs = value_and_gradient(formula, x)
        assert torch.allclose(ours[0], theirs[0], atol=1e-9)
        assert torch.allclose(ours[1], theirs[1], atol=1e-9)


@pytest.mark.parametrize("form", ["all", "four", "three"])
def test_that_the_margin_loss_is_its_formula_and_trains_its_boundary(form: str) -> None:
    x, y = batch(n=13, classes=3)
    positive, negative = naive.all_pairs(y)
    mined = None
    if form != "all":
        positive, negative = without_a_side(positive, negative)
        mined = as_tuple(positive, negative)
    chosen = naive.triplets(positive, negative)
    if form == "three":
        chosen = chosen[::2]
        mined = tuple(torch.tensor(chosen).T)
    problem = Problem(classes=3, embedding=3)
    for learn_beta in ("no", "one", "per-class"):
        loss = losses.create("margin", learn_beta=learn_beta, nu=0.1, problem=problem)
        beta = torch.full((3 if learn_beta == "per-class" else 1,), 1.2, dtype=torch.float64, requires_grad=True)

        def formula(e, beta=beta, learn_beta=learn_beta):
            d = unit_distance(e, e)
            a = torch.tensor(chosen)[:, 0]
            own = beta[y[a]] if learn_beta == "per-class" else beta
            pull = (d[a, torch.tensor(chosen)[:, 1]] - own + 0.2).relu()
            push = (own - d[a, torch.tensor(chosen)[:, 2]] + 0.2).relu()
            divisor = (pull > 0).sum() + (push > 0).sum()
            pulled = {"no": 0.0, "one": 0.1 * own.sum(), "per-class": 0.1 * own.sum() / divisor}[learn_beta]
            return (pull.sum() + push.sum()) / divisor + pulled

        ours = value_and_gradient(lambda e, loss=loss: loss(e, y, mined), x)
        theirs = value_and_gradient(formula, x)
        assert torch.allclose(ours[0], theirs[0], atol=1e-6)
        assert torch.allclose(ours[1], theirs[1], atol=1e-6)
        if learn_beta != "no":
            loss(x, y, mined).backward()
            (wanted,) = torch.autograd.grad(formula(x), beta)
            assert torch.allclose(loss.beta.grad.double(), wanted, atol=1e-6)


@pytest.mark.parametrize("mined", [False, True])
def test_that_soft_info_nce_is_its_formula_with_given_and_with_measured_weights(mined: bool) -> None:
    x, y = batch(n=12, classes=3)
    positive, negative = naive.all_pairs(y)
    tuples = None
    if mined:
        positive, negative = positive[::2], negative[::3]
        tuples = as_tuple(positive, negative)
    given = torch.rand(12, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    features = torch.randn(12, 2, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def measured(rows):
        raw = 1 - 0.5 * (naive.unit(rows) @ naive.unit(rows).T).clamp(0, 1)
        for a in range(12):
            raw[a] /= torch.stack([raw[a, n] for n in naive.of(negative, a)]).mean()
        return raw

    cases = [
        ({"weighting": "given"}, LossContext(negative_weights=given), given),
        ({"weighting": "embeddings"}, None, measured(x)),
        ({"weighting": "features"}, LossContext(features=features), measured(features.flatten(1))),
        ({"weighting": "embeddings", "strength": 0.0}, None, torch.ones(12, 12, dtype=torch.float64)),
    ]
    for options, context, weight in cases:
        loss = losses.create("soft-info-nce", temperature=0.3, **options)
        ours = value_and_gradient(lambda e, loss=loss, context=context: loss(e, y, tuples, context=context), x)
        theirs = value_and_gradient(
            lambda e, weight=weight: naive.soft_info_nce(1 - cosine(e, e), positive, negative, 0.3, weight), x
        )
        assert torch.allclose(ours[0], theirs[0], atol=1e-9)
        assert torch.allclose(ours[1], theirs[1], atol=1e-9)


@pytest.mark.parametrize("form", ["all", "three"])
def test_that_triplet_hashing_is_its_formula(form: str) -> None:
    x, y = batch(n=12, classes=3, dim=8)
    chosen = naive.triplets(*naive.all_pairs(y))
    mined = None
    if form == "three":
        chosen = chosen[::3]
        mined = tuple(torch.tensor(chosen).T)

    def formula(u):
        a, p, n = torch.tensor(chosen).T
        theta = u @ u.T / 2
        ordered = theta[a, p] - theta[a, n] - 2.5
        signs = torch.where(u.detach() >= 0, 1.0, -1.0)
        return (1 + (-ordered).exp()).log().mean() + 0.7 * (u - signs).square().sum(1).mean()

    ours = value_and_gradient(lambda e: losses.create("dtsh", alpha=2.5, quantization_weight=0.7)(e, y, mined), x)
    theirs = value_and_gradient(formula, x)
    assert torch.allclose(ours[0], theirs[0], atol=1e-9)
    assert torch.allclose(ours[1], theirs[1], atol=1e-9)


@pytest.mark.parametrize("name", ["nt-xent", "sup-con", "hcl", "soft-info-nce"])
def test_that_a_learned_temperature_has_the_numerical_gradient(name: str) -> None:
    x, y = batch(n=12, classes=3)
    loss = losses.create(name, learn_temperature=True, temperature=0.3).double()
    loss(x, y).backward()
    found = float(loss.log_temperature.grad)
    values = [float(losses.create(name, temperature=0.3 * math.exp(step))(x, y)) for step in (1e-5, -1e-5)]
    assert found == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-4, abs=1e-6)
    assert loss.parameter_groups(0.1) == [{"params": [loss.log_temperature], "lr": 0.1, "weight_decay": 0.0}]


@pytest.mark.parametrize(
    "distance",
    [Distance(m, n) for m in ("euclidean", "squared-euclidean", "cosine", "inner-product") for n in (False, True)],
    ids=str,
)
@pytest.mark.parametrize("name", ["nt-xent", "sup-con", "soft-info-nce", "multi-similarity", "hoffer-ailon"])
def test_that_a_loss_on_any_distance_has_the_numerical_gradient(name: str, distance: Distance) -> None:
    x, y = batch(n=8, classes=3)
    options = {"weighting": "given"} if name == "soft-info-nce" else {}
    context = LossContext(negative_weights=torch.ones(8, 8)) if options else None
    loss = losses.create(name, distance=distance, **options)
    assert torch.autograd.gradcheck(lambda e: loss(e, y, context=context), (x.requires_grad_(),), eps=1e-7, atol=1e-4)
