"""Soft nearest neighbour loss (Frosst, Papernot, Hinton, ICML 2019, arXiv 1902.01889), alone or as a regulariser."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import Batch, MetricLoss, Part, Problem, Terms
from hnm_core.losses.checks import check_rows, class_rows, needs, wide
from hnm_core.losses.options import SoftNearestNeighborOptions
from hnm_core.losses.pairs import Lines, pair_lines
from hnm_core.losses.snnl_temperature import search_temperature

EMBEDDING = "embedding"
RECONSTRUCTION = "reconstruction"
"""Names of the two layers that are not hidden ones."""
MOST_LAYERS = 256
"""Layers with a learned temperature of their own, more than any network here has; its optimiser is made before a layer
is seen. Layers beyond share the last."""


class SoftNearestNeighborLoss(MetricLoss[SoftNearestNeighborOptions]):
    """log(sum over all others of exp(-D / T)) - log(sum over the row's own class), per row; D is squared Euclidean or
    cosine distance.

    Low means untangled classes; log((B - 1) / (K - 1)) is chance. On the Euclidean distance D is its square. A layer's
    temperature starts at the option or at the layer's mean distance in the first batch. A learned or a searched
    temperature always goes where this loss is lower, and the network sees it as a constant.

    Figures: `entanglement/LAYER`, the mean of these terms whatever the factor, and `temperature/LAYER` of each layer
    (`temperature` where the embedding is the only one), `entanglement_chance` to compare with, and `wideness`, the
    least of the layers' fixed temperatures over their mean distances.
    """

    default_distance = Distance("squared-euclidean")

    def __init__(
        self,
        options: SoftNearestNeighborOptions,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        needs("snnl", self.distance, "euclidean", "squared-euclidean", "cosine")
        if self.distance.metric == "euclidean":
            self.distance = Distance("squared-euclidean", self.distance.normalized)
        self.uses_hidden = options.layers == "all" or options.primary == "reconstruction"
        self._measured: dict[str, float] = {}
        """by layer: the mean distance in the first batch, or the temperature that was searched last"""
        start = torch.zeros(MOST_LAYERS, dtype=torch.float32)
        self.log_scales = nn.Parameter(start) if options.schedule == "learned" else None
        """logarithms of what multiplies the starting temperatures, layer by layer; those without a layer stay 0"""
        self.head = None
        if options.primary == "cross-entropy":
            if problem is None:
                raise InputError(
                    "Loss 'snnl' with primary = cross-entropy needs the number of classes: give a problem."
                )
            self.head = LinearHead(problem, generator)

    def compute(self, batch: Batch) -> Terms:
        """A part for each layer that counts, and one for the primary loss."""
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        usable = lines.positive.any()
        anchor = lines.anchor[usable]
        figures: dict[str, Tensor] = {}
        found: list[Tensor] = []
        layers = self._layers(batch)
        by_temperature: list[Tensor] = []
        for place, (name, layer, ref) in enumerate(layers):
            entangled, own, temperature = self._layer(place, name, layer, ref, lines, usable, batch)
            found.append(entangled)
            by_temperature.append(own)
            figures["temperature" if self.options.layers == "last" else f"temperature/{name}"] = temperature
            if len(anchor):
                figures[f"entanglement/{name}"] = entangled.detach().mean()
        if len(anchor):
            figures["entanglement_chance"] = _chance(lines, batch.x)[usable].mean()
            if self.options.agg == "min":
                found = [min(found, key=lambda entangled: float(entangled.detach().mean()))]
        share = 1 / len(found) if self.options.agg == "mean" else 1.0
        if len(anchor) and self.options.factor > 0 and self.options.primary == "none":
            figures["chance"] = self.options.factor * share * len(found) * figures["entanglement_chance"]
        if self.options.schedule == "fixed" and self.options.temperature is not None:
            for name, layer, ref in layers:
                self._measure(name, layer, ref)
            if self._measured:
                figures["wideness"] = torch.tensor(
                    self.options.temperature / max(self._measured.values()), dtype=torch.float32
                )
        parts = [Part(self.options.factor * share * entangled, anchor) for entangled in found]
        extra = None
        if self.log_scales is not None and len(anchor):
            whole = torch.stack([own.mean() for own in by_temperature]).sum()
            extra = whole - whole.detach()  # nothing for the value, each temperature's own gradient
        primary = self._primary(batch)
        if primary is not None and len(batch.x):
            parts.append(Part(primary, torch.arange(len(primary), device=primary.device)))
            figures["primary"] = primary.detach().mean()
        return Terms(tuple(parts), figures=figures, extra=extra)

    def predict(self, embeddings: Tensor) -> Tensor | None:
        """The classes that the head of the cross-entropy names. See `hnm_core.losses.base.Classifies`."""
        if self.head is None:
            return None
        with torch.no_grad():
            classes: Tensor = self.head(wide(embeddings)).argmax(1)
        return classes

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The head at the common learning rate, temperatures at their own. See `hnm_core.losses.base.Loss`."""
        groups: list[dict[str, Any]] = []
        if self.head is not None:
            groups.append({"params": list(self.head.parameters()), "lr": lr})
        if self.log_scales is not None:
            groups.append({"params": [self.log_scales], "lr": self.options.temperature_lr, "weight_decay": 0.0})
        return groups

    def get_extra_state(self) -> dict[str, float]:
        """What was measured, by layer."""
        return dict(self._measured)

    def set_extra_state(self, state: dict[str, float]) -> None:
        """Restore `get_extra_state`."""
        self._measured = dict(state)

    def _layers(self, batch: Batch) -> list[tuple[str, Tensor, Tensor]]:
        """(name, rows, reference) of every layer, prepared for the distance."""
        layers: list[tuple[str, Tensor, Tensor]] = []
        if self.options.layers == "all":
            if not batch.same_set:
                raise InputError("Loss 'snnl' with layers = all takes no reference set: it has no hidden activations.")
            hidden = {k: v for k, v in batch.context.hidden.items() if k != RECONSTRUCTION and v is not batch.x}
            if not hidden:
                raise InputError("Loss 'snnl' with layers = all needs the model's hidden activations in the context.")
            for name, activation in hidden.items():
                rows = _rows(name, activation, batch)
                prepared = self.distance.prepare(rows)
                layers.append((name, prepared, prepared))
        layers.append((EMBEDDING, *batch.prepared(self.distance)))
        return layers

    def _layer(
        self, place: int, name: str, rows: Tensor, ref: Tensor, lines: Lines, usable: Tensor, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(U,) terms with the network's gradient, (U,) the same with the temperature's gradient, the temperature."""
        d_p, d_n = lines.distances(self.distance, rows, ref)
        fixed_p, fixed_n = d_p.detach(), d_n.detach()
        if self._searches(name, batch) and bool(usable.any()):
            centre = self.options.temperature or self._mean_distance(rows, ref) or 1.0

            def value(temperature: float) -> float:
                return float(_entanglement(lines, fixed_p, fixed_n, temperature)[usable].mean())

            self._measured[name] = search_temperature(value, centre)
        temperature = self._temperature(place, name, rows, ref, batch.context.epoch)
        constant = temperature.detach()
        entangled = _entanglement(lines, d_p, d_n, constant)[usable]
        if self.log_scales is None:
            return entangled, entangled, constant
        return entangled, _entanglement(lines, fixed_p, fixed_n, temperature)[usable], constant

    def _searches(self, name: str, batch: Batch) -> bool:
        """Whether the temperature is searched now: at first, and where the batch itself is looked at, now and then."""
        if self.options.schedule != "searched":
            return False
        return name not in self._measured or (batch.same_set and batch.context.step % self.options.search_every == 0)

    def _temperature(self, place: int, name: str, rows: Tensor, ref: Tensor, epoch: int) -> Tensor:
        searched = self.options.schedule == "searched"
        start = (None if searched else self.options.temperature) or self._measure(name, rows, ref)
        if self.options.schedule == "annealed":
            start /= (1 + epoch) ** self.options.decay
        temperature = torch.tensor(start, dtype=rows.dtype, device=rows.device)
        if self.log_scales is not None:
            own = self.log_scales[min(place, MOST_LAYERS - 1)]
            temperature = temperature * own.to(rows).clamp(-20, 20).exp()
        return temperature

    def _measure(self, name: str, rows: Tensor, ref: Tensor) -> float:
        """What is known of the layer, at first its mean distance, kept for later batches; 1 where all rows coincide."""
        if name not in self._measured:
            mean = self._mean_distance(rows, ref)
            if mean == 0:
                return 1.0
            self._measured[name] = mean
        return self._measured[name]

    @torch.no_grad()
    def _mean_distance(self, rows: Tensor, ref: Tensor) -> float:
        """Mean distance between different rows; 0 where all of them coincide."""
        distances = self.distance.prepared_pairwise(rows, ref)
        same = rows is ref
        pairs = distances.numel() - (len(rows) if same else 0)
        mean = float(distances.sum() - (distances.diagonal().sum() if same else 0)) / max(pairs, 1)
        return mean if mean > 1e-8 else 0.0

    def _primary(self, batch: Batch) -> Tensor | None:
        """(B,) terms of the loss that this one regularises."""
        if self.head is not None:
            classes = class_rows("snnl", batch.labels, self.head.classes)
            return functional.cross_entropy(self.head(batch.x), classes, reduction="none")
        if self.options.primary == "none":
            return None
        features, made = batch.context.features, batch.context.hidden.get(RECONSTRUCTION)
        if features is None or made is None:
            raise InputError(
                "Loss 'snnl' with primary = reconstruction needs the context's features and a model that gives a "
                "'reconstruction', such as an autoencoder."
            )
        wanted, made = _rows("features", features, batch), _rows(RECONSTRUCTION, made, batch)
        if made.shape != wanted.shape:
            raise InputError(
                f"Loss 'snnl': the reconstruction has {made.shape[1]} numbers a row and the features {wanted.shape[1]}."
            )
        return (made - wanted).square().mean(1)


class LinearHead(nn.Module):
    """A linear classifier on the embedding, drawn from a generator as torch draws its linear layers."""

    def __init__(self, problem: Problem, generator: Generator | None = None) -> None:
        super().__init__()
        self.classes = problem.classes
        source = generator or torch.Generator().manual_seed(0)
        bound = max(problem.embedding, 1) ** -0.5
        self.weight = nn.Parameter(torch.empty(problem.classes, problem.embedding, dtype=torch.float32))
        self.bias = nn.Parameter(torch.empty(problem.classes, dtype=torch.float32))
        with torch.no_grad():
            for parameter in (self.weight, self.bias):
                parameter.uniform_(-bound, bound, generator=source)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) logits of (B, E) embeddings."""
        if x.shape[1] != self.weight.shape[1]:
            raise InputError(f"The head was made for embeddings of size {self.weight.shape[1]}, not {x.shape[1]}.")
        return functional.linear(x, self.weight.to(x), self.bias.to(x))


def _entanglement(lines: Lines, d_p: Tensor, d_n: Tensor, temperature: Tensor | float) -> Tensor:
    """(A,) log((P + N) / P) for the sums P and N of exp(-D / T) over positives and negatives."""
    return functional.softplus(lines.negative.lse(d_n / -temperature) - lines.positive.lse(d_p / -temperature))


def _chance(lines: Lines, like: Tensor) -> Tensor:
    """(A,) the value at which distances say nothing."""
    positives, negatives = (side.weights(like).sum(1) for side in (lines.positive, lines.negative))
    return ((positives + negatives) / positives.clamp_min(1)).log()


def _rows(name: str, activation: Tensor, batch: Batch) -> Tensor:
    """(B, F) an activation, one row an embedding."""
    if len(activation) != len(batch.x):
        raise InputError(f"Layer '{name}' has {len(activation)} rows for {len(batch.x)} embeddings.")
    check_rows(f"layer '{name}'", activation)
    return wide(activation).flatten(1)
