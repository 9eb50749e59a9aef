"""Losses that see an anchor's positives and negatives together: multi-similarity, circle, lifted, tuplet, N-pairs."""

from __future__ import annotations

import math
from typing import ClassVar, TypeVar

import torch
from torch import Generator, Tensor
from torch.nn import functional

from hnm_core.distances import Distance, safe_sqrt
from hnm_core.losses.base import Batch, MetricLoss, Part, Problem, Terms
from hnm_core.losses.checks import margins, needs, one_class
from hnm_core.losses.options import (
    CircleOptions,
    GeneralizedLiftedStructureOptions,
    LiftedOptions,
    LiftedStructureOptions,
    MultiSimilarityOptions,
    NPairsOptions,
    TupletMarginOptions,
)
from hnm_core.losses.pairs import entries, pair_lines, pair_masks, pair_part

LiftedOptionsT = TypeVar("LiftedOptionsT", bound=LiftedOptions)


class MultiSimilarityLoss(MetricLoss[MultiSimilarityOptions]):
    """log(1 + sum_p exp(-alpha (s - base))) / alpha + log(1 + sum_n exp(beta (s - base))) / beta, per row (Wang 2019).

    On a Euclidean distance the base is a distance, as in pytorch-metric-learning. The mean is over all rows of the
    batch; one without pairs costs 0.
    """

    default_distance = Distance("cosine")

    def compute(self, batch: Batch) -> Terms:
        """One part: every row of the batch."""
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        d_p, d_n = lines.distances(self.distance, *batch.prepared(self.distance))
        base = self.options.base
        alpha, beta = self.options.alpha, self.options.beta
        threshold = {"cosine": 1 - base, "inner-product": -base}.get(self.distance.metric, base)

        def part(pull: Tensor, push: Tensor) -> Part:
            cost = functional.softplus(pull) / alpha + functional.softplus(push) / beta
            value = batch.x.new_zeros(len(batch.x)).index_add(0, lines.anchor, cost.to(batch.x))
            return Part(value, torch.arange(len(value), device=value.device))

        pull, push = lines.positive.lse(alpha * (d_p - threshold)), lines.negative.lse(beta * (threshold - d_n))
        terms = Terms((part(pull, push),))
        if self.distance.metric == "inner-product":  # by which a row's distance to itself is not 0
            return terms

        def coinciding() -> tuple[Part, ...]:
            return (part(lines.positive.level(-alpha * threshold), lines.negative.level(beta * threshold)),)

        return terms._replace(coinciding=coinciding)


class CircleLoss(MetricLoss[CircleOptions]):
    """softplus(LSE_p(-gamma [1 + m - s]+ (s - 1 + m)) + LSE_n(gamma [s + m]+ (s - m))), per anchor (Sun 2020).

    The brackets carry no gradient. Anchors without a positive or without a negative cost nothing.
    """

    default_distance = Distance("cosine")

    def __init__(
        self,
        options: CircleOptions,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        needs("circle", self.distance, "cosine")

    def compute(self, batch: Batch) -> Terms:
        """One part: the anchors with both a positive and a negative."""
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        d_p, d_n = lines.distances(self.distance, *batch.prepared(self.distance))
        m, gamma = self.options.m, self.options.gamma
        pull = gamma * (m + d_p.detach()).relu() * (d_p - m)  # 1 + m - s = m + d and s - (1 - m) = m - d
        push = gamma * (1 + m - d_n.detach()).relu() * (1 - m - d_n)
        usable = lines.positive.any() & lines.negative.any()
        anchor = lines.anchor[usable]
        value = functional.softplus((lines.positive.lse(pull) + lines.negative.lse(push))[usable])

        def coinciding() -> tuple[Part, ...]:
            level = lines.positive.level(-gamma * m**2) + lines.negative.level(gamma * (1 - m**2))
            return (Part(functional.softplus(level[usable]), anchor),)

        return Terms((Part(value, anchor),), coinciding=coinciding)


class _LiftedLoss(MetricLoss[LiftedOptionsT]):
    """Margins of the two lifted losses."""

    name: ClassVar[str]

    def __init__(
        self,
        options: LiftedOptionsT,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        self.pos_margin, self.neg_margin = margins(self.name, self.distance, options.pos_margin, options.neg_margin)


class LiftedStructureLoss(_LiftedLoss[LiftedStructureOptions]):
    """relu(log(sum of exp(neg_margin - d) over both ends' negatives) + d_ap - pos_margin)^2 / 2, per positive pair.

    Song, Xiang, Jegelka, Savarese, CVPR 2016.
    With a reference set, positives have no negatives of their own and the anchor's count. A pair without negatives is
    dropped.
    """

    name = "lifted-structure"

    def compute(self, batch: Batch) -> Terms:
        """One part: the positive pairs."""
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        d_p, d_n = lines.distances(self.distance, *batch.prepared(self.distance))
        pairs = entries(lines.positive, d_p)
        repelled = lines.negative.lse(self.neg_margin - d_n)
        of_anchor = repelled[pairs.line]
        if batch.same_set:
            of_row = repelled.new_full((len(batch.x),), -torch.inf).index_copy(0, lines.anchor, repelled)
            of_both = _logaddexp(of_anchor, of_row[pairs.row])
        else:
            of_both = of_anchor
        usable = of_both > -torch.inf
        times = None if pairs.times is None else pairs.times[usable]
        pairs = pairs._replace(value=pairs.value[usable], line=pairs.line[usable], row=pairs.row[usable], times=times)
        value = (of_both[usable] + pairs.value - self.pos_margin).relu().square() / 2
        return Terms((pair_part(value, pairs, lines),))


class GeneralizedLiftedStructureLoss(_LiftedLoss[GeneralizedLiftedStructureOptions]):
    """relu(LSE_p(d - pos_margin) + LSE_n(neg_margin - d)), per anchor with both (Hermans 2017, arXiv 1703.07737)."""

    name = "generalized-lifted-structure"

    def compute(self, batch: Batch) -> Terms:
        """One part: the anchors with both a positive and a negative."""
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        d_p, d_n = lines.distances(self.distance, *batch.prepared(self.distance))
        usable = lines.positive.any() & lines.negative.any()
        anchor = lines.anchor[usable]
        pull, push = lines.positive.lse(d_p - self.pos_margin), lines.negative.lse(self.neg_margin - d_n)

        def coinciding() -> tuple[Part, ...]:
            level = lines.positive.level(-self.pos_margin) + lines.negative.level(self.neg_margin)  # what d is cancels
            return (Part(level[usable].relu(), anchor),)

        return Terms((Part((pull + push)[usable].relu(), anchor),), coinciding=coinciding)


class TupletMarginLoss(MetricLoss[TupletMarginOptions]):
    """softplus(LSE_n(scale cos) - scale cos(angle_ap - margin)), per positive pair (Yu, Tao, ICCV 2019).

    The pull turns round below the margin: the optimum is at that angle, not at 0.
    """

    default_distance = Distance("cosine")

    def __init__(
        self,
        options: TupletMarginOptions,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        needs("tuplet-margin", self.distance, "cosine")

    def compute(self, batch: Batch) -> Terms:
        """One part: the positive pairs."""
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        d_p, d_n = lines.distances(self.distance, *batch.prepared(self.distance))
        pairs = entries(lines.positive, d_p)
        scale, margin = self.options.scale, math.radians(self.options.margin)
        cosine, sine = 1 - pairs.value, safe_sqrt((pairs.value * (2 - pairs.value)).clamp_min(0))
        positive = scale * (cosine * math.cos(margin) + sine * math.sin(margin))  # scale cos(angle - margin)
        value = functional.softplus(lines.negative.lse(scale * (1 - d_n))[pairs.line] - positive)

        def coinciding() -> tuple[Part, ...]:
            level = functional.softplus(lines.negative.level(scale * (1 - math.cos(margin))))
            return (pair_part(level[pairs.line], pairs, lines),)

        return Terms((pair_part(value, pairs, lines),), coinciding=coinciding)


class NPairsLoss(MetricLoss[NPairsOptions]):
    """log(sum over classes c' of exp(a_c p_c')) - a_c p_c, one positive pair (a_c, p_c) a class (Sohn 2016).

    The first pair of each class among the tuples, or among all pairs, is taken; mined negatives are not used.
    """

    default_distance = Distance("inner-product", normalized=True)

    def compute(self, batch: Batch) -> Terms:
        """One part: the classes that have a pair."""
        one_class("n-pairs", batch.labels)
        if batch.tuples is None:
            anchor, positive = pair_masks(batch)[0].nonzero(as_tuple=True)
        else:
            anchor, positive = batch.tuples[:2]
        classes, kind = torch.unique(batch.labels, return_inverse=True)
        first = _first_of_each(kind.index_select(0, anchor), len(classes))
        anchor, positive = anchor[first], positive[first]
        x, ref = batch.prepared(self.distance)
        logits = -self.distance.prepared_pairwise(x[anchor], ref[positive])
        value = functional.cross_entropy(logits, torch.arange(len(anchor), device=logits.device), reduction="none")
        extra = None
        if self.options.l2_weight > 0 and len(anchor):
            used = torch.cat((batch.x[anchor], batch.ref[positive]))
            extra = self.options.l2_weight * used.square().sum(1).mean()
        return Terms((Part(value, anchor),), extra=extra)


def _logaddexp(left: Tensor, right: Tensor) -> Tensor:
    """log(e^left + e^right), with a gradient that has one itself, also where one of them is -inf or both are."""
    alone = (left == -torch.inf) | (right == -torch.inf)
    total = torch.logaddexp(left.masked_fill(alone, 0.0), right.masked_fill(alone, 0.0))
    return torch.where(alone, torch.where(left == -torch.inf, right, left), total)


def _first_of_each(kind: Tensor, kinds: int) -> Tensor:
    """(C,) place of the first entry of each kind 0 ... kinds - 1 that there is."""
    places = torch.arange(len(kind), device=kind.device)
    first = kind.new_full((kinds,), len(kind)).scatter_reduce_(0, kind, places, "amin")
    return first[first < len(kind)]
