"""What all losses promise: odd batches, extreme options, refusals, memory; and the kit that checks it."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hnm_core import losses, miners
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import LossContext, Part, Problem, Terms, nothing
from hnm_core.losses.triplet_sums import BLOCK
from hnm_core.spec.registry import LOSSES
from hnm_core.testing.losses import check_loss
from tests.families import one_in

from .batches import batch, value_and_gradient

OWN = [name for name in LOSSES.names() if LOSSES.entry(name).target.startswith("hnm_core.losses.") and name.islower()]


def hidden(embeddings: torch.Tensor) -> LossContext:
    rows = embeddings if embeddings.is_floating_point() else embeddings.float()
    layers = {"1": torch.stack((rows, rows.square()), 2).relu(), "reconstruction": 2 * rows}
    return LossContext(features=rows.detach().float(), hidden=layers)


@pytest.mark.parametrize("name", one_in(2, [*OWN]))
def test_that_a_loss_passes_the_conformance_kit(name: str) -> None:
    check_loss(lambda: losses.create(name))


@pytest.mark.parametrize(
    ("name", "options"),
    one_in(
        2,
        [
            ("triplet-margin", {"swap": True, "reduction": "anchor_mean"}),
            ("contrastive", {"variant": "squared-2019", "keep_multiplicity": True}),
            ("nt-xent", {"temperature": 1e-4, "keep_multiplicity": True, "label_smoothing": 0.1}),
            ("nt-xent", {"temperature": 1e4, "learn_temperature": True}),
            ("sup-con", {"temperature": 1e-4, "distance": Distance("inner-product")}),
            ("hcl", {"temperature": 1e-4, "beta": 10.0}),
            ("snnl", {"temperature": 1e-4, "distance": Distance("cosine")}),
            ("snnl", {"temperature": 1e4, "schedule": "learned", "factor": -10.0}),
            ("snnl", {"schedule": "searched", "factor": -10.0}),
            ("snnl", {"schedule": "searched", "distance": Distance("cosine"), "keep_multiplicity": True}),
            ("lifted-structure", {"distance": Distance("cosine"), "keep_multiplicity": True}),
            ("multi-similarity", {"distance": Distance("euclidean")}),
        ],
    ),
)
def test_that_extreme_options_pass_the_conformance_kit(name: str, options: dict) -> None:
    check_loss(lambda: losses.create(name, **options), embedding=3)


def test_that_losses_with_weights_and_hidden_layers_pass_the_conformance_kit() -> None:
    options = {"layers": "all", "agg": "mean", "primary": "reconstruction", "schedule": "learned"}
    check_loss(lambda: losses.create("snnl", **options), embedding=3, reference=False, context=hidden)
    problem = Problem(classes=4, embedding=3)
    for name, own in (("snnl", {"primary": "cross-entropy"}), ("margin", {"learn_beta": "per-class", "nu": 0.1})):
        check_loss(
            lambda name=name, own=own: losses.create(name, problem=problem, **own), embedding=3, any_labels=False
        )


class Simple(nn.Module):
    """A loss that keeps every promise, to be broken in one way each."""

    uses_hidden = False

    def terms(self, embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None, context=None) -> Terms:
        if not torch.isfinite(embeddings).all():
            raise InputError("not finite")
        wide = embeddings.float() if embeddings.itemsize < 4 else embeddings
        return Terms((Part(wide.square().sum(1), torch.arange(len(embeddings))),))

    def reduce(self, terms: Terms, embeddings: torch.Tensor) -> torch.Tensor:
        return terms.parts[0].value.sum()

    def forward(self, embeddings, *args) -> torch.Tensor:
        return self.reduce(self.terms(embeddings, *args), embeddings)


class Detached(Simple):
    def forward(self, embeddings, *args):
        return super().forward(embeddings.detach(), *args)


class Averaged(Simple):
    def reduce(self, terms, embeddings):
        return terms.parts[0].value.mean()  # of nothing: NaN


class Silent(Simple):
    def terms(self, embeddings, *args):
        return super().terms(embeddings.nan_to_num(0.0, 0.0, 0.0), *args)


class Rooted(Simple):
    def reduce(self, terms, embeddings):
        return terms.parts[0].value.sqrt().sum()  # infinite slope at a zero row


class OtherNumber(Simple):
    def forward(self, embeddings, *args):
        return 2 * super().forward(embeddings, *args)


class Narrow(Simple):
    def forward(self, embeddings, *args):
        return super().forward(embeddings, *args).half()


class InPlace(Simple):
    def forward(self, embeddings, *args):
        with torch.no_grad():
            embeddings.add_(1)
        return super().forward(embeddings, *args)


class Dicing(Simple):
    def forward(self, embeddings, *args):
        torch.rand(1)
        return super().forward(embeddings, *args)


class Numbering(Simple):
    def forward(self, embeddings, labels, *args):
        return super().forward(embeddings, labels, *args) + labels.sum()

    def reduce(self, terms, embeddings):
        return super().reduce(terms, embeddings)


class Elsewhere(Simple):
    def terms(self, embeddings, *args):
        (part,) = super().terms(embeddings, *args).parts
        return Terms((part._replace(anchor=part.anchor + 1),))


def test_that_the_kit_accepts_a_loss_that_keeps_its_promises() -> None:
    check_loss(Simple)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Detached, "not connected to the embeddings"),
        (Averaged, "the loss is nan .no row"),
        (Silent, "must raise InputError"),
        (Rooted, "the gradient is not finite .*zero"),
        (OtherNumber, "reduce.terms. is"),
        (Narrow, "less than float32"),
        (InPlace, "changed in place"),
        (Dicing, "global random state"),
        (Numbering, "reduce.terms. is"),
        (Elsewhere, "not rows of the embeddings"),
    ],
)
def test_that_the_kit_finds_a_broken_promise(broken: type, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_loss(broken)


@pytest.mark.parametrize("name", OWN)
def test_that_empty_tuples_give_a_connected_0_with_gradient_0(name: str) -> None:
    x, y = batch()
    empty = torch.zeros(0, dtype=torch.int64)
    options = {"quantization_weight": 0.0} if name == "dtsh" else {}  # which does not hang on triplets
    for tuples in ((empty,) * 3, (empty,) * 4):
        value, gradient = value_and_gradient(lambda e, t=tuples: losses.create(name, **options)(e, y, t), x)
        assert float(value) == 0.0
        assert torch.equal(gradient, torch.zeros_like(x))


def test_that_nothing_is_0_even_beside_nan() -> None:
    value, gradient = value_and_gradient(nothing, torch.full((3, 2), torch.nan))
    assert float(value) == 0.0
    assert torch.equal(gradient, torch.zeros(3, 2))


@pytest.mark.parametrize("name", OWN)
def test_that_the_batch_as_its_own_reference_object_is_no_reference(name: str) -> None:
    x, y = batch()
    loss = losses.create(name)
    assert loss(x, y, None, x, y).item() == loss(x, y).item()


@pytest.mark.parametrize("name", OWN)
def test_that_no_loss_makes_a_tensor_larger_than_a_few_batches_squared(name: str) -> None:
    n = 128

    class Largest(TorchDispatchMode):
        numbers = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes = [
                leaf.untyped_storage().nbytes() // leaf.itemsize for leaf in tree_leaves(out) if torch.is_tensor(leaf)
            ]
            self.numbers = max([self.numbers, *sizes])
            return out

    x, y = batch(n=n, classes=2)  # 516,096 triplets
    x.requires_grad_()
    pairs = None
    for tuples in (False, True):
        if tuples:
            same = y[:, None] == y[None]
            pairs = (*(same & ~torch.eye(n, dtype=torch.bool)).nonzero().T, *(~same).nonzero().T)
        with Largest() as seen:
            losses.create(name)(x, y, pairs).backward()
        assert 0 < seen.numbers <= max(6 * n * n, BLOCK)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("circle", {"distance": Distance()}, "Loss 'circle' needs the distance cosine, not euclidean."),
        (
            "tuplet-margin",
            {"distance": Distance("inner-product", True)},
            "Loss 'tuplet-margin' needs the distance cosine, not normalised inner-product.",
        ),
        (
            "dtsh",
            {"distance": Distance("inner-product", True)},
            "Loss 'dtsh' needs the distance inner-product without normalising, not normalised inner-product.",
        ),
        ("snnl", {"distance": Distance("inner-product")}, "not inner-product."),
        ("margin", {"distance": Distance("inner-product")}, "not inner-product."),
        ("hcl", {"distance": Distance()}, "Loss 'hcl' with tau_plus > 0 needs a bounded distance"),
        (
            "triplet-margin",
            {"distance": Distance("cosine"), "squared": True},
            "needs the distance euclidean, not cosine",
        ),
        (
            "contrastive",
            {"distance": Distance("inner-product")},
            "margins are for distances and inner-product is a similarity; use pos_margin 1, neg_margin 0",
        ),
        ("lifted-structure", {"distance": Distance("inner-product")}, "use pos_margin 1, neg_margin 0"),
        (
            "contrastive",
            {"distance": Distance("cosine"), "pos_margin": 1.0, "neg_margin": 0.0},
            "on the cosine distance 0 <= pos_margin < neg_margin must hold, for instance 0 and 1, not 1 and 0",
        ),
        ("contrastive", {"distance": Distance("cosine"), "variant": "squared-2019"}, "not cosine."),
        ("contrastive", {"neg_margin": -1.0}, "0 <= pos_margin < neg_margin must hold"),
        ("margin", {"learn_beta": "per-class"}, "needs the number of classes"),
        (
            "dtsh",
            {"alpha": 8.0, "problem": Problem(4, 8)},
            "alpha = 8 is a margin in bits and codes have only 8 bits; use less, for instance 4.",
        ),
        ("nt-xent", {"temperature": 0.0}, "temperature = 0.0 is not allowed"),
        ("nt-xent", {"label_smoothing": 1.0}, "label_smoothing = 1.0 is not allowed"),
        ("hcl", {"tau_plus": 1.0}, "tau_plus = 1.0 is not allowed"),
        ("snnl", {"agg": "max"}, "agg = 'max' is not allowed"),
    ],
)
def test_that_impossible_combinations_are_refused_when_the_loss_is_made(name: str, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        losses.create(name, **options)


def test_that_a_margin_of_as_many_bits_as_the_codes_is_refused_at_the_first_batch_at_the_latest() -> None:
    x, y = batch(dim=4)
    with pytest.raises(InputError, match="codes have only 4 bits"):
        losses.create("dtsh", alpha=4.0)(x, y)


ROWS = torch.tensor([0, 1])
WRONG_CALLS = [
    (lambda x, y: (x[None], y), "embeddings must have shape"),
    (lambda x, y: (x.long(), y), "embeddings must be floating-point numbers, not torch.int64"),
    (lambda x, y: (x, y[:-1]), r"labels of embeddings must have shape \(30,\), not \(29,\)"),
    (lambda x, y: (x, y[:, None]), r"not \(30, 1\)"),
    (lambda x, y: (x, y.float()), "labels of embeddings must be integers"),
    (lambda x, y: (x, y, None, x, y.to(torch.uint16)), "labels of ref_emb must be integers that torch calculates with"),
    (lambda x, y: (x, y, None, x, None), "ref_emb and ref_labels go together"),
    (lambda x, y: (x, y, None, x[:, :2], y), "embeddings have 3 columns and ref_emb 2"),
    (lambda x, y: (x, y, (ROWS, ROWS)), "three or four vectors, not 2"),
    (lambda x, y: (x, y, (ROWS, ROWS, torch.tensor([2, 30]))), r"negative holds rows outside 0 \.\.\. 29"),
    (lambda x, y: (x, y, (ROWS, ROWS, torch.tensor([2, -1]))), r"negative holds rows outside 0 \.\.\. 29"),
    (lambda x, y: (x, y, (ROWS, ROWS, ROWS), x[:1], y[:1]), r"positive holds rows outside 0 \.\.\. 0"),
    (lambda x, y: (x, y, (ROWS, ROWS, ROWS[:1])), "differ in length"),
    (lambda x, y: (x, y, (ROWS, ROWS[:1], ROWS, ROWS)), "differ in length"),
    (lambda x, y: (x, y, (ROWS.float(), ROWS, ROWS)), "anchor must be a vector of integers, not torch.float32"),
    (lambda x, y: (x, y, (ROWS.to(torch.uint16), ROWS, ROWS)), "anchor must be a vector of integers that torch calc"),
    (lambda x, y: (x.index_fill(0, ROWS, torch.nan), y), "2 of 30 rows of embeddings hold NaN or infinity"),
    (lambda x, y: (x, y, None, x.index_fill(0, ROWS[1:], -torch.inf), y), "1 of 30 rows of ref_emb.*first is row 1"),
    (lambda x, y: (x.numpy(), y), "embeddings must be a tensor, not a ndarray"),
    (lambda x, y: (x, y.tolist()), "labels of embeddings must be a tensor, not a list"),
    (lambda x, y: (x, y, ([0], [1], [2])), "anchor must be a tensor, not a list"),
    (lambda x, y: (x, y, miners.create("batch-hard")), r"call the miner: miner\(embeddings, labels\)"),
    (lambda x, y: (1e25 * x.float(), y), "embeddings hold numbers beyond"),
]


@pytest.mark.parametrize("place", range(len(WRONG_CALLS)))
def test_that_a_wrong_call_is_refused_in_words(place: int) -> None:
    call, words = WRONG_CALLS[place]
    x, y = batch()
    for name in ("triplet-margin", "nt-xent"):
        with pytest.raises(InputError, match=words):
            losses.create(name)(*call(x, y))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("circle", {"gamma": 1e4, "reduction": "sum"}),
        ("contrastive", {"variant": "squared-2019", "reduction": "sum"}),
        ("nt-xent", {"temperature": 1e-3}),
    ],
)
def test_that_gradients_that_half_precision_cannot_hold_are_the_largest_it_can(
    name: str, options: dict, kind: torch.dtype
) -> None:
    source = torch.Generator().manual_seed(0)
    for scale in (0.0, 1e-4, 1.0, 3e3):
        rows = torch.randn(12, 4, generator=source) * scale
        rows[3] = 0.0
        narrow, broad = rows.to(kind).requires_grad_(), rows.to(kind).float().requires_grad_()
        for embeddings in (narrow, broad):
            losses.create(name, **options)(embeddings, torch.arange(12) % 3).backward()
        largest = torch.finfo(kind).max
        assert torch.isfinite(narrow.grad).all()
        assert torch.equal(narrow.grad, broad.grad.clamp(-largest, largest).to(kind))


def test_that_a_loss_that_overflows_says_so() -> None:
    x, y = batch()
    with pytest.raises(InputError, match=r"The loss is (inf|nan): the embeddings are too large"):
        losses.create("contrastive", distance=Distance(), variant="squared-2019")(1e15 * x.float(), y)


@pytest.mark.parametrize("name", ["nt-xent", "sup-con", "hcl", "n-pairs", "dtsh"])
def test_that_logits_of_10000_are_exact(name: str) -> None:
    options = {"hcl": {"tau_plus": 0.0}, "dtsh": {"quantization_weight": 0.0}}.get(name, {})
    if name not in ("n-pairs", "dtsh"):
        options = options | {"temperature": 1.0}
    loss = losses.create(name, distance=Distance("inner-product"), **options)
    x, y = torch.tensor([[100.0, 0.0], [100.0, 0.0], [-100.0, 0.0], [-100.0, 0.0]]), torch.tensor([0, 0, 1, 1])
    ordered, gradient = value_and_gradient(lambda e: loss(e, y), x)
    assert float(ordered) == 0.0
    assert torch.isfinite(gradient).all()
    wrong, gradient = value_and_gradient(lambda e: loss(e, torch.tensor([0, 1, 0, 1])), x)
    if name == "n-pairs":  # both pairs are equally wrong
        assert float(wrong) == pytest.approx(math.log(2))
    else:
        assert float(wrong) >= 1e4 / 2
    assert torch.isfinite(gradient).all()


def test_that_separation_is_the_lead_of_the_positive_of_each_triplet_handed_in() -> None:
    x, y = batch()
    mined = tuple(torch.tensor(rows) for rows in ([0, 1, 2], [6, 7, 8], [1, 2, 3]))
    d = (x[:, None] - x[None]).norm(dim=2)
    wanted = d[mined[0], mined[2]] - d[mined[0], mined[1]]
    for name in ("triplet-margin", "hoffer-ailon", "margin"):
        terms = losses.create(name, distance=Distance()).terms(x, y, mined)
        assert torch.allclose(terms.separation, wanted)
        assert not terms.separation.requires_grad
    assert losses.create("triplet-margin").terms(x, y).separation is None
    assert losses.create("nt-xent").terms(x, y, mined).separation is None


def test_that_a_figure_tells_the_temperature() -> None:
    x, y = batch()
    assert float(losses.create("nt-xent").terms(x, y).figures["temperature"]) == pytest.approx(0.07)


def test_that_the_vectors_of_triplets_may_be_the_rows_of_one_tensor() -> None:
    x, y = torch.randn(12, 3, generator=torch.Generator().manual_seed(1)), torch.arange(12) % 3
    triplets, loss = miners.create("triplet-margin", type_of_triplets="all")(x, y), losses.create("triplet-margin")
    assert torch.equal(loss(x, y, torch.stack(tuple(triplets))), loss(x, y, triplets))


def test_that_the_value_does_not_hang_on_the_order_of_rows_or_tuples() -> None:
    x, y = batch()
    order = torch.randperm(30, generator=torch.Generator().manual_seed(4))
    for name in OWN:
        if name != "n-pairs":  # which takes the first pair of each class
            plain, moved = losses.create(name)(x, y), losses.create(name)(x[order], y[order])
            assert float(moved) == pytest.approx(float(plain), rel=1e-9), name


def test_that_autocast_leaves_the_precision_alone() -> None:
    x, y = batch()
    for name in ("nt-xent", "snnl", "n-pairs"):
        plain = losses.create(name)(x.float(), y)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = losses.create(name)(x.float(), y)
        assert cast.dtype == torch.float32
        assert torch.equal(plain, cast)
