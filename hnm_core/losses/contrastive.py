"""Contrastive loss (Hadsell, Chopra, LeCun, CVPR 2006) in its four common forms."""

from __future__ import annotations

from typing import NamedTuple

from torch import Generator, Tensor

from hnm_core.distances import Distance
from hnm_core.losses.base import Batch, MetricLoss, Part, Problem, Terms, reduced, total
from hnm_core.losses.checks import margins, needs
from hnm_core.losses.options import ContrastiveOptions
from hnm_core.losses.pairs import Side, pair_lines


class ContrastiveLoss(MetricLoss[ContrastiveOptions]):
    """Pulls positive pairs together and pushes negative pairs apart up to a margin.

    hinge, halved and online act on the distance d; squared-2019 acts on t = d^2 with the margin on t, as the 2019 demo
    did: its classes settle sqrt(neg_margin) apart, and a collapsed cloud is a saddle with gradient 0.
    """

    def __init__(
        self,
        options: ContrastiveOptions,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        name = f"contrastive, variant {options.variant}"
        match options.variant:
            case "halved" | "online":
                needs(name, self.distance, "euclidean", "squared-euclidean", "cosine")
            case "squared-2019":
                needs(name, self.distance, "euclidean", "squared-euclidean")
                self.distance = Distance("squared-euclidean", self.distance.normalized)
        self.pos_margin, self.neg_margin = margins(name, self.distance, options.pos_margin, options.neg_margin)

    def compute(self, batch: Batch) -> Terms:
        """Sums per anchor: hinge in two parts, positive pairs and negative pairs; else in one."""
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        d_p, d_n = lines.distances(self.distance, *batch.prepared(self.distance))
        pull, push = self._costs(d_p, d_n)
        pulled, pushed = _sums(pull, lines.positive), _sums(push, lines.negative)
        terms = Terms(self._parts(lines.anchor, pulled, pushed))
        if self.distance.metric == "inner-product":  # by which a row's distance to itself is not 0
            return terms

        def coinciding() -> tuple[Part, ...]:
            pull, push = self._costs(*pulled.value.detach().new_zeros(2, 1))
            return self._parts(lines.anchor, pulled.at(pull), pushed.at(push))

        return terms._replace(coinciding=coinciding)

    def _costs(self, d_p: Tensor, d_n: Tensor) -> tuple[Tensor, Tensor]:
        """Of positive and of negative pairs at these distances."""
        if self.options.variant == "hinge":
            return (d_p - self.pos_margin).relu(), (self.neg_margin - d_n).relu()
        half = 0.5 if self.options.variant == "halved" else 1.0
        return half * d_p.square(), half * (self.neg_margin - d_n).relu().square()

    def _parts(self, anchor: Tensor, pulled: _Sums, pushed: _Sums) -> tuple[Part, ...]:
        if self.options.variant == "hinge":
            return Part(pulled.value, anchor, *pulled[1:]), Part(pushed.value, anchor, *pushed[1:])
        value, counts, nonzeros = (left + right for left, right in zip(pulled, pushed, strict=True))
        return (Part(value, anchor, counts, nonzeros),)

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """By default hinge: mean of the non-zero positives plus mean of the non-zero negatives; else the mean over all
        pairs. See `hnm_core.losses.base.Loss`."""
        kind = self.options.reduction
        if kind == "default":
            kind = "mean_nonzero" if self.options.variant == "hinge" else "mean"
        return total(terms, embeddings, [reduced(part, kind) for part in terms.parts if len(part.value)])


class _Sums(NamedTuple):
    """Of the pairs of one side, for each anchor, (A,) each."""

    value: Tensor
    """what they cost together"""
    counts: Tensor
    nonzeros: Tensor
    """how many of them cost something"""

    def at(self, cost: Tensor) -> _Sums:
        """The same if each pair cost `cost` (1,)."""
        return _Sums(cost * self.counts, self.counts, self.counts * (cost > 0))


def _sums(costs: Tensor, side: Side) -> _Sums:
    """The entries (A, K), 0 or more, of a side added up."""
    weight = side.weights(costs)
    return _Sums((costs * weight).sum(1), weight.sum(1), (costs.detach().sign() * weight).sum(1))
