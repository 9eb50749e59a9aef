"""What every loss promises: one call contract, the terms behind the number, and how terms become the number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from hnm_core.distances import Distance
from hnm_core.errors import InputError, StateUntoldError
from hnm_core.isolation import in_full_precision
from hnm_core.losses.checks import IndicesTuple as IndicesTuple  # part of the contract told here
from hnm_core.losses.checks import check_input as check_input
from hnm_core.losses.checks import checked_tuples, wide
from hnm_core.losses.checks import nothing as nothing
from hnm_core.losses.options import Reduction
from hnm_core.spec.registry import Options

PML_DISTANCE = Distance("euclidean", normalized=True)
"""pytorch-metric-learning's default distance, taken by most losses when they are created without one."""

NO_FIGURES: Mapping[str, Tensor] = MappingProxyType({})


@dataclass(frozen=True)
class Problem:
    """What a loss with weights of its own needs to know. Labels must then be 0 ... classes - 1."""

    classes: int
    embedding: int


@dataclass(frozen=True)
class LossContext:
    """What a loss may know of the step; all of it optional."""

    step: int = 0
    epoch: int = 0
    features: Tensor | None = None
    """(B, ...) what the network was given"""
    hidden: Mapping[str, Tensor] = field(default_factory=dict)
    """activations by layer name, in order, after the non-linearity; the same rows as the embeddings"""
    negative_weights: Tensor | None = None
    """(B, R) weight of each pair as a negative, 0 or more; `soft-info-nce` uses it"""
    steps: int | None = None
    """of the whole run, 1 or more; None where that is not known"""


NO_CONTEXT = LossContext()


class Part(NamedTuple):
    """Loss terms that are reduced together."""

    value: Tensor
    """(T,) with gradient"""
    anchor: Tensor
    """(T,) row of the anchor of each term"""
    counts: Tensor | None = None
    """(T,) how many terms each value is the sum of; None is 1"""
    nonzeros: Tensor | None = None
    """(T,) how many of those are above 0; None counts the values above 0"""

    @property
    def terms(self) -> int:
        """How many terms there are, those that a value is the sum of one by one."""
        return len(self.value) if self.counts is None else int(self.counts.sum())

    @property
    def nonzero_terms(self) -> int:
        """How many of them are not 0."""
        return int(self.value.count_nonzero() if self.nonzeros is None else self.nonzeros.sum())


class Terms(NamedTuple):
    """The terms of a loss before reduction."""

    parts: tuple[Part, ...]
    separation: Tensor | None = None
    """(T,) d_an - d_ap of each triplet handed in, in the loss's own units, without gradient; None for other losses, and
    where a loss went through all triplets without listing them."""
    figures: Mapping[str, Tensor] = NO_FIGURES
    """scalars without gradient worth plotting, by name"""
    extra: Tensor | None = None
    """scalar with gradient that is added after the reduction"""
    coinciding: Callable[[], tuple[Part, ...]] | None = None
    """gives what the parts would be if all points lay at one spot, without gradient: the plateau to watch for. Called
    at few steps; None where the loss does not say"""


class Loss(Protocol):
    """pytorch-metric-learning's call contract; `terms` shows what the number is made of.

    A loss that wants `LossContext.hidden` says `uses_hidden = True`.
    """

    uses_hidden: bool

    def __call__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        context: LossContext | None = None,
    ) -> Tensor:
        """The loss, a scalar in float32 or better; exactly 0 and connected to the graph when there is no usable row.

        Args:
            embeddings: (B, D), finite.
            labels: (B,) integers; or (B, L) of 0 and 1, which of L labels each row has: positives share one. Losses
                whose options do not say `shares_labels` refuse those.
            indices_tuple: mined rows, anchors of `embeddings`, the rest of `ref_emb`; None takes all there are.
            ref_emb, ref_labels: where positives and negatives come from; None is the batch itself.
            context: of the step.

        Raises:
            InputError: wrong shapes or rows, NaN or infinity in the embeddings, or numbers too large for the loss.
        """

    def terms(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        context: LossContext | None = None,
    ) -> Terms:
        """The terms behind the loss. Arguments as above."""

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """The scalar that `terms` of `embeddings` come to."""

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The loss's own weights as optimiser groups, with their learning rates; empty where it has none."""


@runtime_checkable
class HasMargin(Protocol):
    """A loss that wants the positive to lead by so much, which parts semi-hard triplets from easy ones."""

    @property
    def margin(self) -> float:
        """In units of the loss's distance."""


@runtime_checkable
class Classifies(Protocol):
    """A loss that may hold a classifier on the embedding, trained with it."""

    def predict(self, embeddings: Tensor) -> Tensor | None:
        """(B,) int64 classes that the classifier names for (B, D) embeddings, without gradient; None where the loss, by
        its options, has none."""


class Batch(NamedTuple):
    """Checked arguments of a call, in float32 or better."""

    x: Tensor
    """(B, D) embeddings"""
    labels: Tensor
    ref: Tensor
    """(R, D) where positives and negatives come from"""
    ref_labels: Tensor
    tuples: tuple[Tensor, ...] | None
    """three or four int64 vectors, or None for all pairs there are"""
    same_set: bool
    """whether `ref` is `x`, so that no row pairs with itself"""
    context: LossContext

    def prepared(self, distance: Distance) -> tuple[Tensor, Tensor]:
        """Embeddings and reference as `distance` sees them."""
        x = distance.prepare(self.x)
        return x, x if self.same_set else distance.prepare(self.ref)


OptionsT = TypeVar("OptionsT", bound=Options)


class MetricLoss(nn.Module, Generic[OptionsT]):
    """Base of the losses here: a subclass gives `compute`, and `default_distance` where it is not pml's."""

    default_distance: ClassVar[Distance] = PML_DISTANCE
    uses_hidden: bool = False

    def __init__(
        self,
        options: OptionsT,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.options = options
        self.distance = distance or self.default_distance

    def compute(self, batch: Batch) -> Terms:
        """The terms of a checked batch."""
        raise NotImplementedError

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        context: LossContext | None = None,
    ) -> Tensor:
        """See `Loss`."""
        loss = self.reduce(self.terms(embeddings, labels, indices_tuple, ref_emb, ref_labels, context), embeddings)
        if not bool(torch.isfinite(loss)):
            raise InputError(
                f"The loss is {loss.item()}: the embeddings are too large for it; normalise or scale them."
            )
        return loss

    @in_full_precision
    def terms(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        context: LossContext | None = None,
    ) -> Terms:
        """See `Loss`."""
        return self.compute(checked_batch(embeddings, labels, indices_tuple, ref_emb, ref_labels, context))

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """The reduced parts, added up. See `Loss`."""
        kind: Reduction = getattr(self.options, "reduction", "mean")
        return total(terms, embeddings, [reduced(part, kind) for part in terms.parts if len(part.value)])

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """One group at the common learning rate, without weight decay. See `Loss`."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [{"params": parameters, "lr": lr, "weight_decay": 0.0}] if parameters else []


def total(terms: Terms, embeddings: Tensor, numbers: Sequence[Tensor]) -> Tensor:
    """The sum of `numbers` and `terms.extra`; a connected 0 where there is neither."""
    numbers = [*numbers, *([] if terms.extra is None else [terms.extra])]
    if not any(number.requires_grad for number in numbers):
        numbers.append(nothing(embeddings))
    return torch.stack([number.to(numbers[0].dtype) for number in numbers]).sum() if len(numbers) > 1 else numbers[0]


def reduced(part: Part, kind: Reduction) -> Tensor:
    """One number for the terms of a part.

    mean: over all terms; mean_nonzero: over those above 0; anchor_mean: over the anchors' means; sum.
    """
    value = part.value
    match kind:
        case "sum":
            return value.sum()
        case "mean":
            return value.mean() if part.counts is None else value.sum() / part.counts.sum().clamp_min(1)
        case "mean_nonzero":
            nonzero = (value > 0).count_nonzero() if part.nonzeros is None else part.nonzeros.sum()
            return value.sum() / nonzero.clamp_min(1)
        case "anchor_mean":
            count = torch.ones_like(value) if part.counts is None else part.counts.to(value.dtype)
            anchors = int(part.anchor.max()) + 1
            sums = value.new_zeros(anchors).index_add(0, part.anchor, value)
            counts = value.new_zeros(anchors).index_add(0, part.anchor, count)
            return (sums / counts.clamp_min(1)).sum() / (counts > 0).sum().clamp_min(1)


def loss_state(loss: object, name: str) -> dict[str, Any]:
    """What `loss`, called `name` in words, is beside its options: as a torch module tells it. Raises
    `StateUntoldError` where it is none."""
    if not isinstance(loss, nn.Module):
        raise StateUntoldError(f"{name} is no torch module and does not tell its state")
    return dict(loss.state_dict())


def restore_loss(loss: object, state: Mapping[str, Any]) -> None:
    """Give a loss the state that one like it told. Raises `RuntimeError` where it does not fit."""
    assert isinstance(loss, nn.Module), "another one like it has told the state"
    loss.load_state_dict(state)


def checked_batch(
    embeddings: Tensor,
    labels: Tensor,
    indices_tuple: IndicesTuple | None,
    ref_emb: Tensor | None,
    ref_labels: Tensor | None,
    context: LossContext | None,
) -> Batch:
    """The arguments of a call, checked and in float32 or better. Raises `InputError` on what no loss can use."""
    ref, ref_labels = check_input(embeddings, labels, ref_emb, ref_labels)
    same_set = ref_emb is None or ref_emb is embeddings
    if ref.shape[1] != embeddings.shape[1]:
        raise InputError(f"embeddings have {embeddings.shape[1]} columns and ref_emb {ref.shape[1]}; they must agree.")
    x, ref = wide(embeddings), ref if same_set else wide(ref)
    kind = x.dtype if same_set else torch.promote_types(x.dtype, ref.dtype)
    x = x.to(kind)
    ref = x if same_set else ref.to(x)
    tuples = checked_tuples(indices_tuple, len(x), len(ref), x.device)
    labels, ref_labels = labels.to(x.device), ref_labels.to(x.device)
    return Batch(x, labels, ref, ref_labels, tuples, same_set, context or NO_CONTEXT)
