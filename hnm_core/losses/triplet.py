"""Losses over triplets: triplet margin, Hoffer and Ailon's ratio, Wu's margin loss."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import Batch, MetricLoss, Part, Problem, Terms
from hnm_core.losses.checks import class_rows, needs
from hnm_core.losses.named_pairs import pair_distances
from hnm_core.losses.options import HofferAilonOptions, MarginOptions, TripletMarginOptions
from hnm_core.losses.pairs import compact, pair_lines
from hnm_core.losses.triplet_sums import Swap, TripletTerm, hinge, ratio, soft_hinge, triplet_sums


class TripletMarginLoss(MetricLoss[TripletMarginOptions]):
    """relu(d_ap - d_an + margin) over triplets (Schroff, Kalenichenko, Philbin: FaceNet, arXiv 1503.03832).

    On screen, positives close in and negatives stop at the margin. At collapse it equals the margin (softplus(margin)
    when smooth), the plateau to watch for.
    """

    def __init__(
        self,
        options: TripletMarginOptions,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        if options.squared:
            needs("triplet-margin, squared", self.distance, "euclidean")
            self.distance = Distance("squared-euclidean", self.distance.normalized)

    @property
    def margin(self) -> float:
        """Wanted d_an - d_ap, in the units of `Terms.separation`."""
        return self.options.margin

    def compute(self, batch: Batch) -> Terms:
        """One part: the triplets, or their sums per anchor where all are taken."""
        term = soft_hinge(self.margin) if self.options.smooth else hinge(self.margin)
        return triplet_terms(batch, self.distance, term, swap=self.options.swap)


class HofferAilonLoss(MetricLoss[HofferAilonOptions]):
    """sigmoid(d_ap - d_an)^2: the squared error of the two distances' softmax (Hoffer, Ailon, arXiv 1412.6622).

    No margin; the scale of the embedding acts as inverse temperature. 0.25 means no order yet.
    """

    default_distance = Distance("euclidean")

    def compute(self, batch: Batch) -> Terms:
        """One part: the triplets, or their sums per anchor where all are taken."""
        return triplet_terms(batch, self.distance, ratio())


class MarginLoss(MetricLoss[MarginOptions]):
    """relu(d_ap - beta + margin) + relu(beta - d_an + margin) over triplets (Wu et al., ICCV 2017).

    mean_nonzero divides by the number of non-zero halves, as pytorch-metric-learning does.
    """

    def __init__(
        self,
        options: MarginOptions,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        needs("margin", self.distance, "euclidean", "squared-euclidean", "cosine")
        if options.learn_beta == "per-class" and problem is None:
            raise InputError("Loss 'margin' with learn_beta = per-class needs the number of classes: give a problem.")
        betas = problem.classes if problem is not None and options.learn_beta == "per-class" else 1
        start = torch.full((betas,), options.beta, dtype=torch.float32)
        self.beta: Tensor
        if options.learn_beta == "no":
            self.register_buffer("beta", start)
        else:
            self.beta = nn.Parameter(start)

    @property
    def margin(self) -> float:
        """Wanted d_an - d_ap: the margin on either side of the boundary."""
        return 2 * self.options.margin

    def compute(self, batch: Batch) -> Terms:
        """One part: the triplets, or their sums per anchor where all are taken."""
        x, ref = batch.prepared(self.distance)
        if batch.tuples is not None and len(batch.tuples) == 3:
            anchor, positive, negative = batch.tuples
            d_ap, d_an = pair_distances(self.distance, x, ref, (anchor, positive), (anchor, negative))
            pull, push = self._halves(d_ap, d_an, self._beta(batch, anchor))
            part = Part(pull + push, anchor, None, (pull > 0).byte() + (push > 0))
            return self._terms(batch, part, (d_an - d_ap).detach())
        lines = pair_lines(batch)
        d_p, d_n = lines.distances(self.distance, x, ref)
        pull, push = self._halves(d_p, d_n, self._beta(batch, lines.anchor)[:, None])
        has_p, has_n = lines.positive.mask, lines.negative.mask
        positives, negatives = has_p.sum(1), has_n.sum(1)
        pull, push = pull * has_p, push * has_n
        part = Part(
            pull.sum(1) * negatives + push.sum(1) * positives,
            lines.anchor,
            positives * negatives,
            (pull > 0).sum(1) * negatives + (push > 0).sum(1) * positives,
        )
        return self._terms(batch, part, None)

    def _halves(self, d_ap: Tensor, d_an: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        margin = self.options.margin
        return (d_ap - beta + margin).relu(), (beta - d_an + margin).relu()

    def _beta(self, batch: Batch, anchor: Tensor) -> Tensor:
        """(A,) boundary of each anchor."""
        beta = self.beta.to(batch.x)
        if self.options.learn_beta != "per-class":
            return beta.expand(len(anchor))
        return beta[class_rows("margin", batch.labels, len(beta))[anchor]]

    def _at_one_spot(self, batch: Batch, part: Part) -> Part:
        """What the part would be with all distances 0."""
        beta = self._beta(batch, part.anchor).detach()
        pull, push = self._halves(torch.zeros_like(beta), torch.zeros_like(beta), beta)
        counts = torch.ones_like(part.anchor) if part.counts is None else part.counts
        nonzeros = counts * ((pull > 0).byte() + (push > 0))
        return Part((pull + push) * counts, part.anchor, counts, nonzeros)

    def _terms(self, batch: Batch, part: Part, separation: Tensor | None) -> Terms:
        extra = None
        pulled = self.options.learn_beta != "no" and self.options.nu > 0
        if pulled and bool(len(part.anchor) if part.counts is None else part.counts.any()):
            beta = self._beta(batch, part.anchor)
            count = torch.ones_like(part.anchor) if part.counts is None else part.counts
            if self.options.learn_beta == "per-class":  # the paper divides the boundaries' sum like the terms
                divisor = count if part.nonzeros is None else part.nonzeros
                extra = self.options.nu * (beta * count).sum() / divisor.sum().clamp_min(1)
            else:
                extra = self.options.nu * self.beta[0]
        return Terms((part,), separation, extra=extra, coinciding=lambda: (self._at_one_spot(batch, part),))


def triplet_terms(batch: Batch, distance: Distance, term: TripletTerm, *, swap: bool = False) -> Terms:
    """`term` of every triplet handed in; of all triplets, or of a tuple of four joined by anchor, sums per anchor."""
    x, ref = batch.prepared(distance)
    if batch.tuples is not None and len(batch.tuples) == 3:
        anchor, positive, negative = batch.tuples
        d_ap, d_an = pair_distances(distance, x, ref, (anchor, positive), (anchor, negative))
        if swap:
            d_an = torch.minimum(d_an, *pair_distances(distance, ref, ref, (positive, negative)))
        violation = d_ap - d_an
        part = Part(term.value(violation), anchor)
        return Terms((part,), -violation.detach(), coinciding=lambda: (_at_one_spot(part, term),))
    lines = pair_lines(batch)
    d_p, d_n = lines.distances(distance, x, ref)
    positives, d_p = compact(lines.positive, d_p)
    negatives, d_n = compact(lines.negative, d_n)
    other = Swap(distance.prepared_pairwise(ref, ref, mend=True), positives.row, negatives.row) if swap else None
    sums = triplet_sums(d_p, d_n, positives.mask, negatives.mask, term, other)
    part = Part(sums.value, lines.anchor, sums.counts, sums.nonzeros)
    return Terms((part,), coinciding=lambda: (_at_one_spot(part, term),))


def _at_one_spot(part: Part, term: TripletTerm) -> Part:
    """`part` if the violation of each of its terms were 0."""
    value = term.value(part.value.detach().new_zeros(1))
    if part.counts is None:
        return Part(value.expand_as(part.value), part.anchor)
    return Part(value * part.counts, part.anchor, part.counts, part.counts * (value > 0))
