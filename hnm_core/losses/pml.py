"""Any loss of pytorch-metric-learning by its class name, behind the contract of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from hnm_core import seeding
from hnm_core.distances import Distance, normalize
from hnm_core.errors import InputError
from hnm_core.isolation import in_full_precision
from hnm_core.losses.base import IndicesTuple, Part, Problem, Terms, nothing
from hnm_core.losses.checks import checked_tuples, wide
from hnm_core.losses.pml_options import PmlLossOptions
from hnm_core.pml import REFUSALS, calling, check_rows, library_class, library_distance, of_one_kind
from hnm_core.spec.traits import Lock

CPU = torch.device("cpu")


def build(
    options: PmlLossOptions,
    distance: Distance | None = None,
    problem: Problem | None = None,
    generator: Generator | None = None,
) -> PmlLoss:
    """The loss that `options` describe; without a distance the library's own default.

    Raises:
        InputError: the library is missing or lacks the class, the loss is known to be wrong, it takes no such distance,
            or it has weights and no `problem` says how many.
    """
    name = options.library_name
    library = library_class("losses", name)
    if options.bug:
        raise InputError(f"{name} is refused: as of pytorch-metric-learning 2.9 {options.bug}.")
    if options.own_weights and problem is None:
        raise InputError(
            f"{name} has weights of its own: it needs the numbers of classes and of coordinates, as "
            "problem = hnm_core.losses.base.Problem(classes, embedding)."
        )
    if distance is not None and not fits(options.lock, distance):
        raise InputError(f"{name} needs {LOCKS[options.lock]}.")
    arguments: dict[str, Any] = options.model_dump()
    if distance is not None and options.lock != "snr" and name != "VICRegLoss":  # these two keep to their own
        arguments["distance"] = library_distance(distance)
    if problem is not None and options.own_weights:
        arguments |= _sizes(name, problem)
    generator = generator if generator is not None else seeding.generator(0, "loss")
    with calling(generator, CPU):
        return PmlLoss(library(**arguments), options, problem, generator)


LOCKS: Mapping[Lock, str] = {
    "unit-euclidean": 'Euclidean distance on normalised embeddings: distance = "euclidean", normalize = true',
    "unit-lp": 'distance = "euclidean" or "squared-euclidean" on normalised embeddings: normalize = true',
    "cosine": 'distance = "cosine"',
    "similarity": 'distance = "cosine" or "inner-product"',
}
"""What each lock asks for, in words; torch-free rules keep the same table by their own means."""


def fits(lock: Lock, distance: Distance) -> bool:
    """Whether a loss with that lock takes the distance."""
    match lock:
        case "unit-euclidean":
            return distance.metric == "euclidean" and distance.normalized
        case "unit-lp":
            return distance.metric in ("euclidean", "squared-euclidean") and distance.normalized
        case "cosine":
            return distance.metric == "cosine"
        case "similarity":
            return distance.metric in ("cosine", "inner-product")
        case _:
            return True


def _sizes(name: str, problem: Problem) -> dict[str, int]:
    """The library's own names for the numbers of classes and coordinates."""
    if name == "ManifoldLoss":
        return {"l": problem.embedding}
    dimension = "descriptors_dim" if name == "P2SGradLoss" else "embedding_size"
    return {"num_classes": problem.classes, dimension: problem.embedding}


def _within_one(_distance: nn.Module, _given: object, cosine: Tensor) -> Tensor:
    """Cosines a hair within -1..1: those of equal rows lie beyond by rounding, where the library's angle is NaN, or at
    1, where its slope is infinite; without a slope there they cost what they should."""
    limit = 1 - torch.finfo(cosine.dtype).eps
    return cosine.clamp(-limit, limit)


class PmlTerms(Terms):
    """Terms that know what the library's own reducer made of them."""

    scalar: Tensor


class PmlLoss(nn.Module):
    """One of the library's losses. Its weights are parameters of this module, so an optimiser finds them.

    It draws under the seed of its generator. An empty tuple gives 0, where the library's weighting losses would act as
    if nothing had been mined.
    """

    uses_hidden = False

    def __init__(self, loss: nn.Module, options: PmlLossOptions, problem: Problem | None, generator: Generator) -> None:
        super().__init__()
        self.loss = loss
        self.options = options
        self.problem = problem
        self.generator = generator
        reducer = loss.reducer
        assert isinstance(reducer, nn.Module)
        loss.reducer = self._reducer = _Recorder(reducer)
        if options.takes_angles:
            distance = loss.distance
            assert isinstance(distance, nn.Module)
            distance.register_forward_hook(_within_one)

    @property
    def margin(self) -> float:
        """The option `margin`, 0 where there is none; in the library's units."""
        return float(getattr(self.options, "margin", 0.0))

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """See `hnm_core.losses.base.Loss`."""
        weights = list(self.parameters())
        return [{"params": weights}] if weights else []

    def predict(self, embeddings: Tensor) -> Tensor | None:
        """The classes whose weights or proxies lie nearest. See `hnm_core.losses.base.Classifies`."""
        logits = getattr(self.loss, "get_logits", None)
        if logits is None:
            return None
        with torch.no_grad():
            scores = logits(self._rows(embeddings))
        near_is_less = self._name != "NormalizedSoftmaxLoss" and not getattr(self.loss.distance, "is_inverted", True)
        classes: Tensor = scores.argmin(1) if near_is_less else scores.argmax(1)
        return classes

    def get_extra_state(self) -> dict[str, Any]:
        """What it draws from; the library's own tensors are parameters and buffers."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore `get_extra_state`."""
        self.generator.set_state(state["generator"])

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        context: object = None,
    ) -> Tensor:
        """See `hnm_core.losses.base.Loss`."""
        return self.reduce(self.terms(embeddings, labels, indices_tuple, ref_emb, ref_labels, context), embeddings)

    @in_full_precision
    def terms(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
        context: object = None,
    ) -> Terms:
        """See `hnm_core.losses.base.Loss`. A part for each of the library's sub-losses; one that it reduced itself is
        spread evenly over the rows.

        Raises:
            InputError: also for a tuple or a reference set that the loss does not take.
        """
        if ref_emb is embeddings and self.options.takes_labels:
            ref_emb = ref_labels = None  # the batch itself, whose rows are no partners of themselves
        self._check(embeddings, labels, indices_tuple, ref_emb, ref_labels)
        # The library counts rows below 0 from the end, and pairs vectors of several lengths with one another.
        tuples = checked_tuples(
            indices_tuple, len(embeddings), len(embeddings if ref_emb is None else ref_emb), embeddings.device
        )
        if self._has_nothing(embeddings, labels, tuples, ref_emb, ref_labels):
            return Terms(())
        rows, ref_rows = self._rows(embeddings), None if ref_emb is None else self._rows(ref_emb)
        if ref_rows is not None:
            rows, ref_rows = of_one_kind(rows, ref_rows)
        takes_labels = self.options.takes_labels
        with calling(self.generator, embeddings.device):
            try:
                scalar = self.loss(
                    rows,
                    labels.long() if takes_labels else None,  # some take others for masks, or for no numbers
                    tuples,
                    ref_rows,
                    ref_labels.long() if takes_labels and ref_labels is not None else None,
                )
            except REFUSALS as error:
                raise InputError(f"pytorch-metric-learning's {self._name} cannot work with this: {error}") from error
        losses, self._reducer.losses = self._reducer.losses, {}  # kept, they would keep the graph of the step
        terms = PmlTerms(tuple(_parts(losses, embeddings)))
        terms.scalar = scalar.reshape(())
        return terms

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """What the library's reducer made of `terms`, which must come from this loss; 0 where there are none."""
        return terms.scalar if isinstance(terms, PmlTerms) else nothing(embeddings)

    @property
    def _name(self) -> str:
        return self.options.library_name

    def _rows(self, rows: Tensor) -> Tensor:
        """The library leaves the negatives of AngularLoss as they are; they are meant to lie on the sphere."""
        rows = wide(rows)
        return normalize(rows) if self._name == "AngularLoss" else rows

    def _check(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
    ) -> None:
        check_rows("embeddings", embeddings, labels)
        if self.options.takes_labels and (ref_emb is None) != (ref_labels is None):
            raise InputError("ref_emb and ref_labels go together: give both or neither.")
        if ref_emb is not None and ref_labels is not None:
            check_rows("ref_emb", ref_emb, ref_labels)
        swapped = self._name == "TripletMarginLoss" and getattr(self.options, "swap", False)
        if ref_emb is not None and (not self.options.takes_reference or swapped):
            raise InputError(f"{self._name}{' with swap' if swapped else ''} cannot take a reference set.")
        if ref_emb is None and self._name == "VICRegLoss":
            raise InputError("VICRegLoss compares two views of the same items: give the second one as ref_emb.")
        if indices_tuple is not None and self.options.use == "none":
            raise InputError(f"{self._name} does not use mined tuples.")
        proxies = getattr(self.options, "K", 0)
        if len(embeddings) < proxies:
            raise InputError(f"{self._name} with K = {proxies} proxies needs as many rows, not {len(embeddings)}.")
        if self.problem is not None and self.options.own_weights and self.options.takes_labels and len(labels):
            low, high = int(labels.min()), int(labels.max())
            if low < 0 or high >= self.problem.classes:
                raise InputError(
                    f"Label {low if low < 0 else high} is none of the {self.problem.classes} classes that {self._name} "
                    f"was built for; labels go from 0 to {self.problem.classes - 1}."
                )

    def _has_nothing(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
    ) -> bool:
        """Whether there is no row or pair to speak of: the library gives NaN or an error for some of these."""
        if not len(embeddings) or (ref_emb is not None and not len(ref_emb)):
            return True
        if indices_tuple is not None:
            return not any(len(vector) for vector in indices_tuple)
        if self.options.own_weights or not self.options.takes_labels:
            return False
        partners = labels if ref_labels is None else ref_labels.to(labels.device)
        same = (labels[:, None] == partners[None, :]).sum()
        return int(same) == (len(labels) if ref_labels is None else 0)


class _Recorder(nn.Module):
    """Stands before the library's reducer and remembers the losses that come in."""

    def __init__(self, reducer: nn.Module) -> None:
        super().__init__()
        self.reducer = reducer
        self.losses: Mapping[str, Mapping[str, Any]] = {}

    def forward(self, losses: Mapping[str, Mapping[str, Any]], embeddings: Tensor, labels: Tensor) -> Tensor:
        self.losses = losses
        scalar: Tensor = self.reducer(losses, embeddings, labels)
        return scalar


def _parts(losses: Mapping[str, Mapping[str, Any]], embeddings: Tensor) -> list[Part]:
    everywhere = torch.arange(len(embeddings), device=embeddings.device)
    parts = []
    for entry in losses.values():
        value, rows = entry["losses"], entry["indices"]
        if not isinstance(value, Tensor):
            continue  # the library's way of saying nothing
        if rows is None or value.ndim == 0:
            value = (value.sum() / len(embeddings)).expand(len(embeddings))
            parts.append(Part(value, everywhere))
            continue
        anchor = rows if isinstance(rows, Tensor) else rows[0]
        parts.append(Part(value.reshape(-1), anchor.to(embeddings.device, torch.int64)))
    return parts
