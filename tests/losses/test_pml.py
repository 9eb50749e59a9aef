"""Losses of pytorch-metric-learning by name."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
import torch
from pytorch_metric_learning import losses as library
from torch import Tensor

from hnm_core import losses, miners
from hnm_core.distances import Distance, normalize
from hnm_core.errors import InputError
from hnm_core.losses.pml import PmlLoss, build
from hnm_core.losses.pml_options import PmlLossOptions
from hnm_core.seeding import generator
from hnm_core.spec.registry import LOSSES
from tests.miners.test_pml import constructor

NAMES = [
    name
    for name in LOSSES.names()
    if issubclass(LOSSES.entry(name).options, PmlLossOptions) and name != "TripleMarginLoss"
]
WRAPPERS = {"CrossBatchMemory", "GenericPairLoss", "MultipleLosses", "SelfSupervisedLoss"}
SIZES = {"num_classes", "embedding_size", "descriptors_dim", "l"}
EXTRAS = {
    "reducer", "embedding_regularizer", "embedding_reg_weight", "weight_regularizer", "weight_reg_weight",
    "weight_init_func", "mat_based_loss", "loss",
}  # fmt: skip
WITHOUT_DEFAULT = {"RankedListLoss": {"margin", "Tn"}}
PROBLEM = SimpleNamespace(classes=4, embedding=3)


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    chance = generator(seed, "batch")
    return torch.randn(60, 3, generator=chance, dtype=torch.float64).requires_grad_(), torch.arange(60) % 4


def made(name: str, **options: object) -> PmlLoss:
    return build(LOSSES.validate(name, options), problem=PROBLEM)


def options_of(name: str) -> type[PmlLossOptions]:
    return LOSSES.entry(name).options


WORKING = [name for name in NAMES if not options_of(name).bug]


def test_that_every_loss_of_the_library_is_listed() -> None:
    there = {name for name, kind in vars(library).items() if inspect.isclass(kind)}
    there = {name for name in there if not name.startswith("Base") and not name.endswith("Mixin")}
    assert set(NAMES) == there - WRAPPERS


@pytest.mark.parametrize("name", NAMES)
def test_that_options_and_defaults_are_those_of_the_constructor(name: str) -> None:
    wanted = {key: value for key, value in constructor(getattr(library, name)).items() if key not in SIZES | EXTRAS}
    ours = LOSSES.validate(name, {}).model_dump()
    assert set(ours) == set(wanted)
    for option in set(ours) - WITHOUT_DEFAULT.get(name, set()):
        assert ours[option] == wanted[option], option


@pytest.mark.parametrize("name", WORKING)
def test_that_the_number_is_the_library_s_and_its_parts_have_anchors(name: str) -> None:
    points, labels = batch()
    reference = (batch(1)[0],) if name == "VICRegLoss" else ()
    ours = made(name)
    terms = ours.terms(points, labels, None, *reference)
    value = ours.reduce(terms, points)
    value.backward()
    assert bool(torch.isfinite(points.grad).all()) and float(points.grad.abs().sum()) > 0
    for part in terms.parts:
        assert part.value.shape == part.anchor.shape
        assert bool((part.anchor >= 0).all() and (part.anchor < 60).all())
    if name == "ManifoldLoss":
        return  # it draws anew at each call
    if name == "HistogramLoss":
        return  # called directly, it warns
    rows = normalize(points) if name == "AngularLoss" else points
    again = {"ref_emb": reference[0]} if reference else {}
    theirs = ours.loss(rows, labels if ours.options.takes_labels else None, **again)
    assert value.item() == pytest.approx(theirs.item(), rel=1e-6)


@pytest.mark.parametrize("name", WORKING)
def test_that_an_empty_tuple_or_batch_is_exactly_nothing(name: str) -> None:
    points, labels = batch()
    ours = made(name)
    reference = (points,) if name == "VICRegLoss" else ()
    empty = (torch.zeros(0, dtype=torch.int64),) * 3
    if ours.options.use == "none":
        with pytest.raises(InputError, match="does not use mined tuples"):
            ours(points, labels, empty, *reference)
    else:
        value = ours(points, labels, empty)
        value.backward()
        assert value.item() == 0 and float(points.grad.abs().sum()) == 0
    if name not in ("ManifoldLoss", "VICRegLoss"):
        assert ours(points[:0], labels[:0]).item() == 0


@pytest.mark.parametrize("name", [name for name in WORKING if name != "VICRegLoss"])
def test_that_labels_of_any_kind_of_integers_give_the_same_number(name: str) -> None:
    embeddings, labels = batch()

    def number_of(kind: torch.dtype) -> Tensor:
        torch.manual_seed(0)
        return made(name)(embeddings, labels.to(kind)).detach()

    plain = number_of(torch.int64)
    for kind in (torch.uint8, torch.int8, torch.int16, torch.int32):
        assert torch.equal(number_of(kind), plain), kind


def test_that_embeddings_without_columns_and_those_that_are_no_tensor_are_refused_as_that() -> None:
    labels = torch.arange(8) // 2
    with pytest.raises(InputError, match=r"embeddings need at least one column, not shape \(8, 0\)"):
        made("ContrastiveLoss")(torch.zeros(8, 0), labels)
    with pytest.raises(InputError, match="shape \\(B, D\\), not a ndarray"):
        made("ContrastiveLoss")(torch.zeros(8, 2).numpy(), labels)


@pytest.mark.parametrize("name", [name for name in WORKING if options_of(name).use != "none" and name != "VICRegLoss"])
def test_that_tuples_of_rows_that_are_not_there_are_refused_in_a_sentence(name: str) -> None:
    """The library takes -1 for the last row."""
    embeddings, labels = batch()
    three = torch.arange(3)
    for wrong, says in (
        ((three - 1, three + 4, three + 1), r"anchor holds rows outside 0 \.\.\. 59"),
        ((three, three + 58, three + 1), r"positive holds rows outside 0 \.\.\. 59"),
        ((three, three[:2], three + 1), r"differ in length: \[3, 2, 3\]"),
        ((three,), "three or four vectors, not 1"),
        ((labels == 0,) * 3, "anchor must be a vector of integers, not torch.bool"),
        (([0], [4], [1]), "anchor must be a tensor, not a list"),
    ):
        with pytest.raises(InputError, match=f"indices_tuple.* {says}"):
            made(name)(embeddings, labels, wrong)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_that_a_reference_set_of_another_kind_of_floats_is_taken_and_one_of_another_width_refused(
    kind: torch.dtype,
) -> None:
    embeddings, labels = batch()
    reference = torch.randn(20, 3, generator=generator(1, "reference"), dtype=torch.float64)
    for loss in (made("ContrastiveLoss"), made("MultiSimilarityLoss")):
        plain = loss(embeddings, labels, None, reference, labels[:20])
        other = loss(embeddings.to(kind), labels, None, reference.to(torch.float32), labels[:20])
        assert torch.allclose(plain, other.double(), rtol=1e-4)
        with pytest.raises(InputError, match="embeddings have 3 columns and ref_emb 2; they must agree"):
            loss(embeddings, labels, None, reference[:, :2], labels[:20])
    for name in ("BatchHardMiner", "MultiSimilarityMiner"):
        miner = miners.create(name)
        mined = miner(embeddings.to(kind), labels, reference.float(), labels[:20])
        assert all(map(torch.equal, mined, miner(embeddings.to(kind), labels, reference.float().to(kind), labels[:20])))
        with pytest.raises(InputError, match="embeddings have 3 columns and ref_emb 2; they must agree"):
            miner(embeddings, labels, reference[:, :2], labels[:20])


def test_that_a_batch_without_positives_is_no_nan() -> None:
    points, _ = batch()
    for name in ("NCALoss", "TripletMarginLoss", "NTXentLoss", "SupConLoss"):
        assert made(name)(points, torch.arange(60)).item() == 0


@pytest.mark.parametrize("name", [name for name in WORKING if options_of(name).own_weights])
def test_that_weights_are_parameters_that_an_optimiser_finds(name: str) -> None:
    points, labels = batch()
    ours, again = made(name), made(name)
    parameters = list(ours.parameters())
    assert parameters
    assert all(torch.equal(a, b) for a, b in zip(parameters, again.parameters(), strict=True))
    ours(points.detach().float(), labels).backward()
    assert any(float(parameter.grad.abs().sum()) > 0 for parameter in parameters if parameter.grad is not None)
    with pytest.raises(InputError, match="needs the numbers of classes"):
        build(LOSSES.validate(name, {}))
    if ours.options.takes_labels:
        with pytest.raises(InputError, match="none of the 4 classes"):
            ours(points, labels + 1)


def test_that_a_learned_boundary_is_a_parameter() -> None:
    assert len(list(made("MarginLoss", learn_beta=True).parameters())) == 1


def test_that_the_misspelt_name_is_the_same_loss() -> None:
    points, labels = batch()
    assert losses.create("TripleMarginLoss", margin=0.3)(points, labels) == losses.create(
        "TripletMarginLoss", margin=0.3
    )(points, labels)


@pytest.mark.parametrize("miner", ["triplet-margin", "multi-similarity", "TripletMarginMiner", "HDCMiner"])
@pytest.mark.parametrize("loss", ["TripletMarginLoss", "ContrastiveLoss", "MultiSimilarityLoss", "ArcFaceLoss"])
def test_that_miners_of_both_worlds_feed_the_library_s_losses(miner: str, loss: str) -> None:
    points, labels = batch()
    made(loss)(points, labels, miners.create(miner)(points, labels)).backward()
    assert bool(torch.isfinite(points.grad).all())


def test_that_angular_loss_does_not_change_with_the_length_of_rows() -> None:
    points, labels = batch()
    lengths = torch.linspace(0.5, 5, 60)[:, None]
    values = [made("AngularLoss")(rows, labels).item() for rows in (points, lengths * points)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)


@pytest.mark.parametrize("name", [name for name in NAMES if options_of(name).bug])
def test_that_losses_known_to_be_wrong_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is refused: as of pytorch-metric-learning 2.9"):
        made(name)


@pytest.mark.parametrize("name", NAMES)
def test_that_locks_are_the_library_s_own(name: str) -> None:
    if options_of(name).bug or name == "SignalToNoiseRatioContrastiveLoss":
        return
    points, labels = batch()
    for distance in (Distance(), Distance("euclidean", normalized=True), Distance("cosine"), Distance("inner-product")):
        try:
            loss = build(LOSSES.validate(name, {}), distance=distance, problem=PROBLEM)
        except InputError as error:
            assert "needs" in str(error)
            continue
        reference = (points,) if name == "VICRegLoss" else ()
        assert bool(torch.isfinite(loss(points, labels, None, *reference)))


def test_that_reference_sets_are_refused_where_the_library_gets_them_wrong() -> None:
    points, labels = batch()
    for name, options in (
        ("TripletMarginLoss", {"swap": True}),
        ("ThresholdConsistentMarginLoss", {}),
        ("PNPLoss", {}),
    ):
        with pytest.raises(InputError, match="cannot take a reference set"):
            made(name, **options)(points, labels, None, points.detach(), labels)
    with pytest.raises(InputError, match="hold NaN or infinity"):
        made("ContrastiveLoss")(points * torch.nan, labels)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_that_equal_and_opposite_rows_have_a_finite_tuplet_margin_and_slope(kind: torch.dtype) -> None:
    base = torch.randn(6, 3, generator=generator(1, "rows"), dtype=torch.float64)
    rows = torch.cat((base.repeat_interleave(4, 0), -base)).to(kind).requires_grad_()
    labels = torch.cat((torch.arange(24) // 8, torch.arange(6) // 2))
    value = made("TupletMarginLoss")(rows, labels)
    value.backward()
    assert rows.grad is not None and bool(torch.isfinite(rows.grad).all())
    ours = losses.create("tuplet-margin")(rows.detach(), labels)
    torch.testing.assert_close(value.detach(), ours, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", sorted(set(WORKING) - {"HistogramLoss", "VICRegLoss"}))
def test_that_a_batch_of_rows_that_are_equal_in_fours_has_a_finite_slope(name: str) -> None:
    rows = torch.randn(15, 3, generator=generator(1, "rows")).repeat_interleave(4, 0).requires_grad_()
    value = made(name)(rows, torch.arange(60) // 8 % 4)
    value.backward()
    assert bool(value.isfinite()) and rows.grad is not None and bool(torch.isfinite(rows.grad).all())
