"""Values worked out on paper: four points, collapsed batches, identities between losses."""

from __future__ import annotations

import math

import pytest
import torch

from hnm_core import losses
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import LossContext, Problem
from hnm_core.spec.registry import LOSSES

from .batches import FOUR_LABELS, RAW, batch, four_points, value_and_gradient


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
        ("hoffer-ailon", {}, 0.146400),
        ("dtsh", {"alpha": 1.0, "quantization_weight": 0.0}, 1.063644),
        ("dtsh", {"alpha": 1.0, "quantization_weight": 1.0}, 1.063644 + 0.654728),
        ("snnl", {"temperature": 0.5}, 0.522419),
        ("snnl", {"temperature": 1.0}, 0.569892),
        ("snnl", {"temperature": 100.0}, 1.088627),
        ("snnl", {"temperature": 0.5, "distance": Distance("cosine")}, 0.569892),
        ("snnl", {"temperature": 1.0, "distance": Distance("cosine")}, 0.731473),
        ("snnl", {"temperature": 100.0, "distance": Distance("cosine")}, 1.093605),
        ("nt-xent", {}, 1.117239),
        ("nt-xent", {"temperature": 0.5}, 0.569892),
        ("sup-con", {}, 0.828493),
        ("multi-similarity", {}, 0.402811),
        ("circle", {}, 19.112584),
        ("lifted-structure", {}, 1.840445),
        ("generalized-lifted-structure", {}, 1.163536),
        ("tuplet-margin", {}, 3.338511),
        ("n-pairs", {}, 0.510849),
        ("margin", {}, 0.283023),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_that_the_four_point_batch_gives_the_worked_value(name: str, options: dict, value: float, listed: bool) -> None:
    pairs = None
    if listed:
        same = FOUR_LABELS[:, None] == FOUR_LABELS[None]
        pairs = (*(same & ~torch.eye(4, dtype=torch.bool)).nonzero().T, *(~same).nonzero().T)
    loss = losses.create(name, **options)(four_points(), FOUR_LABELS, pairs)
    assert float(loss) == pytest.approx(value, abs=2e-6 * max(1.0, value))


def test_that_a_collapsed_batch_takes_the_value_of_the_table() -> None:
    b, k = 30, 5
    y = torch.arange(b) % (b // k)
    negative_share = (b - k) / (b - 1)
    chance = math.log((b - 1) / (k - 1))
    expected = [
        ("contrastive", {}, 1.0),
        ("contrastive", {"variant": "halved", "neg_margin": 0.7}, negative_share * 0.7**2 / 2),
        ("contrastive", {"variant": "squared-2019", "neg_margin": 50.0}, negative_share * 2500),
        ("triplet-margin", {}, 0.05),
        ("triplet-margin", {"smooth": True, "margin": 0.0}, math.log(2)),
        ("triplet-margin", {"smooth": True}, 0.7185),
        ("hoffer-ailon", {}, 0.25),
        ("dtsh", {"alpha": 1.5, "quantization_weight": 0.0}, math.log1p(math.exp(1.5))),
        ("margin", {"reduction": "mean"}, 1.4),
        ("snnl", {"temperature": 3.0}, chance),
        ("snnl", {}, chance),
        ("snnl", {"temperature": 1e-4, "distance": Distance("cosine")}, chance),
        ("nt-xent", {}, math.log(1 + b - k)),
        ("sup-con", {}, math.log(b - 1)),
        ("soft-info-nce", {}, math.log(1 + b - k)),
        ("hcl", {"tau_plus": 0.0}, math.log(1 + b - k)),
        ("multi-similarity", {}, 1.0168),
        ("circle", {}, 59.005),
        ("lifted-structure", {}, 12.064),
        ("generalized-lifted-structure", {}, 5.605),
        ("tuplet-margin", {}, 3.567),
        ("n-pairs", {}, math.log(b // k)),
    ]
    for point in (torch.tensor([1.0, 2.0, 2.0]) / 3, torch.tensor([4.0, -2.0, 1.0])):
        for name, options, value in expected:
            if name == "margin":  # relu(-beta + m) is 0, relu(beta + m) is not
                assert float(losses.create(name)(point.expand(b, 3), y)) == pytest.approx(1.4)
            loss = losses.create(name, **options)(point.double().expand(b, 3), y)
            assert float(loss) == pytest.approx(value, rel=2e-4), (name, options)


@pytest.mark.parametrize("reduction", [None, "mean", "mean_nonzero", "anchor_mean", "sum"])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("triplet-margin", {"margin": 0.3}),
        ("triplet-margin", {"margin": 0.3, "swap": True, "squared": True}),
        ("triplet-margin", {"margin": 0.0}),
        ("triplet-margin", {"margin": 0.3, "smooth": True, "distance": Distance("inner-product")}),
        ("hoffer-ailon", {}),
        ("margin", {"learn_beta": "per-class", "problem": Problem(4, 3)}),
        ("margin", {"margin": 1.5, "beta": 1.0, "distance": Distance("cosine")}),
        ("dtsh", {"alpha": 1.0, "quantization_weight": 0.0}),
        ("contrastive", {}),
        ("contrastive", {"distance": Distance("cosine"), "neg_margin": 0.4, "keep_multiplicity": True}),
        ("contrastive", {"variant": "halved"}),
        ("contrastive", {"variant": "online", "neg_margin": 2.0}),
        ("contrastive", {"variant": "squared-2019", "neg_margin": 50.0}),
        ("nt-xent", {"label_smoothing": 0.2}),
        ("nt-xent", {"temperature": 0.5, "distance": Distance("inner-product"), "keep_multiplicity": True}),
        ("sup-con", {}),
        ("multi-similarity", {}),
        ("multi-similarity", {"distance": Distance(), "alpha": 3.0, "beta": 2.0, "keep_multiplicity": True}),
        ("circle", {"gamma": 8.0}),
        ("generalized-lifted-structure", {}),
        ("generalized-lifted-structure", {"distance": Distance("inner-product"), "pos_margin": 1.0, "neg_margin": 0.0}),
        ("tuplet-margin", {"scale": 8.0}),
    ],
    ids=str,
)
def test_that_a_loss_tells_what_it_would_be_if_all_points_lay_at_one_spot(
    name: str, options: dict, reduction: str | None
) -> None:
    x, y = batch(n=13, classes=4)
    triplets = tuple(torch.tensor(rows) for rows in ([0, 0, 1, 2, 2], [4, 4, 5, 6, 10], [1, 1, 2, 3, 7]))
    pairs = (*triplets[:2], torch.tensor([3, 4, 4]), torch.tensor([0, 1, 2]))
    if reduction is not None and "reduction" in LOSSES.entry(name).options.model_fields:
        options = {**options, "reduction": reduction}
    loss = losses.create(name, **options)
    for tuples in (None, triplets, pairs, tuple(rows[:0] for rows in triplets)):
        terms = loss.terms(x, y, tuples)
        parts = terms.coinciding()
        assert not any(part.value.requires_grad for part in parts)
        found = loss.reduce(terms._replace(parts=parts), x).item()
        assert found == pytest.approx(loss(torch.ones_like(x), y, tuples).item(), rel=1e-6), tuples


@pytest.mark.parametrize(
    ("name", "options"), [("contrastive", {"pos_margin": 1.0, "neg_margin": 0.0}), ("multi-similarity", {})]
)
def test_that_a_loss_whose_value_at_one_spot_hangs_on_the_spot_says_none(name: str, options: dict) -> None:
    assert losses.create(name, distance=Distance("inner-product"), **options).terms(*batch()).coinciding is None


def test_that_half_the_pairs_of_a_collapsed_batch_being_negative_gives_the_2019_value() -> None:
    pairs = (torch.tensor([0, 1]), torch.tensor([6, 7]), torch.tensor([0, 1]), torch.tensor([1, 2]))
    loss = losses.create("contrastive", variant="squared-2019", neg_margin=50.0)
    assert float(loss(torch.zeros(30, 3), torch.arange(30) % 6, pairs)) == pytest.approx(1250.0)


def test_that_for_two_items_a_class_snnl_nt_xent_and_supcon_are_one() -> None:
    x, y = batch(n=16, classes=8)
    for t in (0.07, 0.5, 3.0):
        values = [
            losses.create("snnl", distance=Distance("cosine"), temperature=t),
            losses.create("nt-xent", temperature=t),
            losses.create("sup-con", temperature=t),
        ]
        found = [float(loss(x, y)) for loss in values]
        assert found[0] == pytest.approx(found[1], rel=1e-9)
        assert found[0] == pytest.approx(found[2], rel=1e-9)


def test_that_on_unit_vectors_snnl_on_squares_at_t_is_snnl_on_cosines_at_half_of_t() -> None:
    x, y = batch()
    squared = losses.create("snnl", distance=Distance("squared-euclidean", normalized=True), temperature=0.8)
    cosine = losses.create("snnl", distance=Distance("cosine"), temperature=0.4)
    assert float(squared(x, y)) == pytest.approx(float(cosine(x, y)), rel=1e-9)


def test_that_repeating_every_mined_triplet_three_times_changes_no_loss_over_pairs() -> None:
    x, y = batch()
    mined = tuple(torch.tensor(rows) for rows in ([0, 1, 2, 2], [6, 7, 8, 14], [1, 2, 3, 3]))
    tripled = tuple(rows.repeat(3) for rows in mined)
    moved = {"nt-xent", "lifted-structure", "tuplet-margin"}
    for name in (*moved, "contrastive", "sup-con", "multi-similarity", "circle", "snnl", "hcl", "soft-info-nce"):
        loss = losses.create(name)
        assert float(loss(x, y, mined)) == pytest.approx(float(loss(x, y, tripled)), rel=1e-12), name
    for name in moved:  # which shows that the test bites
        loss = losses.create(name, keep_multiplicity=True)
        assert float(loss(x, y, mined)) != pytest.approx(float(loss(x, y, tripled)), rel=1e-3), name


def test_that_triplet_hashing_is_finite_where_the_naive_form_is_not() -> None:
    for apart in (200.0, -200.0):
        theta = torch.tensor([apart, 0.0])  # theta_ap, theta_an of an anchor of length 1
        x = torch.tensor([[1.0, 0.0], [2 * theta[0], 0.0], [0.0, 1.0]])
        mined = tuple(torch.tensor([row]) for row in (0, 1, 2))
        loss = losses.create("dtsh", alpha=0.0, quantization_weight=0.0)
        value, gradient = value_and_gradient(
            lambda e, loss=loss, mined=mined: loss(e, torch.tensor([0, 0, 1]), mined), x
        )
        assert float(value) == pytest.approx(max(0.0, -apart), abs=1e-6)
        assert torch.isfinite(gradient).all()
    naive = -(torch.tensor(200.0) - (1 + torch.tensor(200.0).exp()).log())
    assert not torch.isfinite(naive)


def test_that_on_codes_the_hashing_order_counts_bits() -> None:
    source = torch.Generator().manual_seed(0)
    codes = torch.randint(2, (12, 16), generator=source) * 2.0 - 1
    y = torch.arange(12) % 3
    mined = tuple(torch.tensor(rows) for rows in ([0, 1, 2], [3, 4, 5], [1, 2, 3]))
    terms = losses.create("dtsh").terms(codes, y, mined)
    bits = (codes[:, None] != codes[None]).sum(2)
    assert torch.allclose(terms.separation, (bits[mined[0], mined[2]] - bits[mined[0], mined[1]]).float(), atol=1e-5)
    assert float(terms.figures["quantization"]) == 0.0
    assert float(terms.figures["alpha"]) == 8.0


def test_that_the_tuplet_loss_pushes_a_pair_at_2_degrees_apart_and_pulls_one_at_10() -> None:
    for degrees, outward in ((2.0, True), (10.0, False)):
        angle = torch.tensor([0.0, math.radians(degrees), math.pi / 2], dtype=torch.float64)
        mined = tuple(torch.tensor([row]) for row in (0, 1, 2))

        def loss(turned, angle=angle, mined=mined):
            own = angle + turned * torch.tensor([0.0, 1.0, 0.0])
            points = torch.stack((own.cos(), own.sin()), 1)
            return losses.create("tuplet-margin")(points, torch.tensor([0, 0, 1]), mined)

        _, slope = value_and_gradient(loss, torch.zeros((), dtype=torch.float64))
        assert (slope < 0) == outward


def test_that_the_doubling_schedule_takes_1_2_4_8_16_for_32_bits() -> None:
    x, y = batch(dim=32)
    loss = losses.create("dtsh", schedule="doubling", stage_epochs=3)
    alphas = []
    for epoch in range(0, 21, 3):
        loss.terms(x, y, context=LossContext(epoch=epoch))
        alphas.append(loss.margin)
    assert alphas == [1, 2, 4, 8, 16, 16, 16]


def alphas_of(steps: int, **options: object) -> list[float]:
    """Alpha of every step of a run, the first of which is 1."""
    x, y = batch(dim=32)
    loss = losses.create("dtsh", **options)
    found = []
    for step in range(1, steps + 1):
        loss.terms(x, y, context=LossContext(step=step, steps=steps))
        found.append(loss.margin)
    return found


def test_that_any_list_of_alphas_shares_the_steps_of_a_run_equally() -> None:
    assert alphas_of(10, alpha_stages=[1, 2, 4, 8, 16]) == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16]
    assert alphas_of(6, alpha_stages=[20.5, 3]) == [20.5] * 3 + [3] * 3, "it may fall as well"
    shares = [alphas_of(steps, alpha_stages=[3, 1, 2]) for steps in (3, 4, 7, 11, 100)]
    for found in shares:
        lengths = [found.count(alpha) for alpha in (3, 1, 2)]
        assert found == [3] * lengths[0] + [1] * lengths[1] + [2] * lengths[2]
        assert max(lengths) - min(lengths) <= 1
    assert alphas_of(2, alpha_stages=[5]) == [5, 5]


def test_that_stages_of_alpha_begin_with_the_steps_that_are_named() -> None:
    assert alphas_of(6, alpha_stages=[1, 9, 4], stage_starts=[2, 5]) == [1, 9, 9, 9, 4, 4]
    loss = losses.create("dtsh", alpha_stages=[1, 9], stage_starts=[2])
    x, y = batch(dim=32)
    for context, alpha in ((None, 1), (LossContext(step=7), 9)):
        loss.terms(x, y, context=context)
        assert loss.margin == alpha, "with named steps the length of the run need not be known"
    with pytest.raises(InputError, match=r"shares out the steps of a run; say how many there are in LossContext"):
        losses.create("dtsh", alpha_stages=[1, 9])(x, y)


def test_that_the_loss_of_a_stage_is_that_of_its_alpha_alone() -> None:
    x, y = batch(dim=32)
    staged = losses.create("dtsh", alpha_stages=[1, 2, 4, 8, 16])
    for step, alpha in enumerate((1, 2, 4, 8, 16), 1):
        terms = staged.terms(x, y, context=LossContext(step=step, steps=5))
        assert float(staged.reduce(terms, x)) == pytest.approx(
            float(losses.create("dtsh", alpha=alpha)(x, y)), rel=1e-9
        )
        assert float(terms.figures["alpha"]) == alpha


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha_stages": [1, 0]}, "alpha_stages.1 = 0 is not allowed"),
        ({"alpha_stages": [1, float("nan")]}, "alpha_stages.1 = nan is not allowed"),
        ({"alpha_stages": [1] * 33}, "at most 32"),
        ({"alpha_stages": [1, 2], "schedule": "doubling"}, "both say how alpha goes"),
        ({"alpha_stages": [1, 2, 4], "stage_starts": [10]}, "stage_starts has 1 steps and alpha_stages has 3 stages"),
        ({"stage_starts": [10]}, "stage_starts has 1 steps and alpha_stages has 0 stages"),
        ({"alpha_stages": [1, 2, 4], "stage_starts": [10, 10]}, r"stage_starts = \[10, 10\] must rise"),
        ({"alpha_stages": [1, 2], "stage_starts": [1]}, "stage_starts.0 = 1 is not allowed"),
    ],
)
def test_that_stages_of_alpha_that_cannot_be_are_refused(options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        losses.create("dtsh", **options)


def test_that_no_stage_asks_for_a_lead_of_all_bits() -> None:
    x, y = batch(dim=16)
    with pytest.raises(InputError, match="alpha = 16 is a margin in bits and codes have only 16 bits"):
        losses.create("dtsh", alpha_stages=[1, 16, 2], stage_starts=[5, 9])(x, y)


def test_that_raw_euclidean_is_not_the_normalised_one() -> None:
    x, y = batch()
    assert float(losses.create("lifted-structure", distance=RAW)(x, y)) != pytest.approx(
        float(losses.create("lifted-structure")(x, y)), rel=1e-2
    )
