"""Contrastive loss (Hadsell, Chopra, LeCun, CVPR 2006) in its four common forms."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from hnm_core.distances import Distance
from hnm_core.losses.base import Batch, MetricLoss, Part, Problem, Terms, reduced, total
from hnm_core.losses.checks import margins, needs
from hnm_core.losses.options import ContrastiveOptions
from hnm_core.losses.pairs import Entries, Lines, entries, pair_lines


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
        """Two parts: positive pairs, negative pairs."""
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        d_p, d_n = lines.distances(self.distance, *batch.prepared(self.distance))
        pulled, pushed = entries(lines.positive, d_p), entries(lines.negative, d_n)
        pull, push = self._pull(pulled.value), (self.neg_margin - pushed.value).relu()
        if self.options.variant != "hinge":
            push = push.square()
        if self.options.variant == "halved":
            pull, push = pull / 2, push / 2
        return Terms((pair_part(pull, pulled, lines), pair_part(push, pushed, lines)))

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """By default hinge: mean of the non-zero positives plus mean of the non-zero negatives; else the mean over all
        pairs. See `hnm_core.losses.base.Loss`."""
        parts = [part for part in terms.parts if len(part.value)]
        kind = self.options.reduction
        if self.options.variant == "hinge":
            each = "mean_nonzero" if kind == "default" else kind
            return total(terms, embeddings, [reduced(part, each) for part in parts])
        joined = [_joined(parts)] if parts else []
        return total(terms, embeddings, [reduced(part, "mean" if kind == "default" else kind) for part in joined])

    def _pull(self, d_p: Tensor) -> Tensor:
        return (d_p - self.pos_margin).relu() if self.options.variant == "hinge" else d_p.square()


def pair_part(value: Tensor, pairs: Entries, lines: Lines) -> Part:
    """Terms of single pairs, each counted as often as its pair."""
    anchor = lines.anchor[pairs.line]
    if pairs.times is None:
        return Part(value, anchor)
    return Part(value * pairs.times.to(value.dtype), anchor, pairs.times, pairs.times * (value > 0))


def _joined(parts: list[Part]) -> Part:
    ones = [torch.ones_like(part.anchor) if part.counts is None else part.counts for part in parts]
    nonzero = [(part.value > 0).long() if part.nonzeros is None else part.nonzeros for part in parts]
    value, anchor = torch.cat([part.value for part in parts]), torch.cat([part.anchor for part in parts])
    return Part(value, anchor, torch.cat(ones), torch.cat(nonzero))
