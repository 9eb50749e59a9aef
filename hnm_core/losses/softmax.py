"""Losses with a softmax over similarities: NT-Xent, SupCon, Soft-InfoNCE, hard contrastive.

The similarity is the distance turned round, s = -d: on cosine that is s - 1, and a softmax does not see the constant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from hnm_core.distances import Distance, normalize
from hnm_core.errors import InputError
from hnm_core.losses.base import Batch, MetricLoss, Part, Problem, Terms
from hnm_core.losses.checks import check_rows
from hnm_core.losses.options import (
    HardContrastiveOptions,
    NTXentOptions,
    SoftInfoNCEOptions,
    SoftmaxOptions,
    SupConOptions,
)
from hnm_core.losses.pairs import Entries, Lines, Side, entries, pair_lines, pair_part

TEMPERATURES = (1e-4, 1e4)
"""A learned temperature stays between these."""

SoftmaxOptionsT = TypeVar("SoftmaxOptionsT", bound=SoftmaxOptions)


class _Logits(NamedTuple):
    lines: Lines
    positive: Tensor
    """(A, P) similarity over temperature"""
    negative: Tensor
    """(A, N)"""
    pairs: Entries
    """the positive pairs as a list"""
    figures: Mapping[str, Tensor]

    def part(self, value: Tensor) -> Part:
        """(T,) terms of the positive pairs."""
        return pair_part(value, self.pairs, self.lines)


class _SoftmaxLoss(MetricLoss[SoftmaxOptionsT]):
    """Temperature, fixed or trained as its logarithm, and the logits of the pairs."""

    default_distance = Distance("cosine")

    def __init__(
        self,
        options: SoftmaxOptionsT,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        start = torch.tensor(math.log(options.temperature), dtype=torch.float64)
        self.log_temperature: Tensor
        if options.learn_temperature:
            self.log_temperature = nn.Parameter(start.float())
        else:
            self.register_buffer("log_temperature", start, persistent=False)

    def temperature(self, like: Tensor) -> Tensor:
        """The temperature now, a scalar with gradient if it is learned."""
        if not self.options.learn_temperature:
            return torch.tensor(self.options.temperature, dtype=like.dtype, device=like.device)
        return self.log_temperature.to(like).exp().clamp(*TEMPERATURES)

    def logits(self, batch: Batch) -> _Logits:
        lines = pair_lines(batch, keep_multiplicity=self.options.keep_multiplicity)
        temperature = self.temperature(batch.x)
        d_p, d_n = lines.distances(self.distance, *batch.prepared(self.distance))
        positive = d_p / -temperature
        negative = positive if d_n is d_p else d_n / -temperature
        figures = {"temperature": temperature.detach()}
        return _Logits(lines, positive, negative, entries(lines.positive, positive), figures)


class NTXentLoss(_SoftmaxLoss[NTXentOptions]):
    """softplus(log sum of exp over the anchor's negatives - positive), per positive pair.

    The candidates are this positive and the negatives, not the other positives (van den Oord 2018; SimCLR 2020).
    """

    def compute(self, batch: Batch) -> Terms:
        """One part: the positive pairs."""
        logits = self.logits(batch)
        lines, pairs = logits.lines, logits.pairs
        value = functional.softplus(lines.negative.lse(logits.negative)[pairs.line] - pairs.value)
        if self.options.label_smoothing > 0:  # share of the target that goes to every candidate alike
            weight = lines.negative.weights(logits.negative)
            sums, counts = (weight * logits.negative).sum(1)[pairs.line], weight.sum(1)[pairs.line]
            mean = (pairs.value + sums) / (1 + counts)
            value = value + self.options.label_smoothing * (pairs.value - mean)

        def coinciding() -> tuple[Part, ...]:
            return (logits.part(functional.softplus(lines.negative.level(0.0))[pairs.line]),)

        return Terms((logits.part(value),), figures=logits.figures, coinciding=coinciding)


class SupConLoss(_SoftmaxLoss[SupConOptions]):
    """-mean over the anchor's positives of (positive - log sum of exp over all its pairs) (Khosla 2020)."""

    def compute(self, batch: Batch) -> Terms:
        """One part: the anchors that have a positive."""
        logits = self.logits(batch)
        lines = logits.lines
        usable = lines.positive.any()
        if batch.tuples is None:  # where mined, a pair may be both
            both = Side(lines.positive.row, lines.positive.mask | lines.negative.mask)
            all_pairs = both.lse(logits.positive)[usable]
        else:
            all_pairs = torch.logaddexp(
                lines.positive.lse(logits.positive)[usable], lines.negative.lse(logits.negative)[usable]
            )
        weight = lines.positive.weights(logits.positive)[usable]
        positive = (weight * logits.positive[usable]).sum(1) / weight.sum(1)
        anchor = lines.anchor[usable]

        def coinciding() -> tuple[Part, ...]:
            return (Part(torch.logaddexp(lines.positive.level(0.0), lines.negative.level(0.0))[usable], anchor),)

        return Terms((Part(all_pairs - positive, anchor),), figures=logits.figures, coinciding=coinciding)


class SoftInfoNCELoss(_SoftmaxLoss[SoftInfoNCEOptions]):
    """softplus(log sum of w exp over the anchor's negatives - positive), per positive pair (Li 2023, arXiv 2310.08069).

    w = 1 - strength * likeness, likeness = the cosine (at least 0) of anchor and negative without gradient, divided by
    its mean over the anchor's negatives; or the context's `negative_weights` as they are. Equal weights are InfoNCE.
    """

    def compute(self, batch: Batch) -> Terms:
        """One part: the positive pairs."""
        logits = self.logits(batch)
        lines, pairs = logits.lines, logits.pairs
        weight = self._weights(batch, lines).to(logits.negative)
        nothing_left = ~(weight > 0)
        weighted = (logits.negative + weight.masked_fill(nothing_left, 1).log()).masked_fill(nothing_left, -torch.inf)
        value = functional.softplus(lines.negative.lse(weighted)[pairs.line] - pairs.value)
        return Terms((logits.part(value),), figures=logits.figures)

    @torch.no_grad()
    def _weights(self, batch: Batch, lines: Lines) -> Tensor:
        """(A, N) weights of the negatives."""
        given = batch.context.negative_weights
        row = lines.negative.row
        if given is not None or self.options.weighting == "given":
            wanted = (len(batch.x), len(batch.ref))
            if given is None or given.shape != wanted or not bool((given >= 0).all() & given.isfinite().all()):
                raise InputError(
                    f"Loss 'soft-info-nce' needs the context's negative_weights: {wanted}, finite, 0 or more."
                )
            return given.to(batch.x.device)[lines.anchor].gather(1, row)
        seen, other = batch.x, batch.ref
        if self.options.weighting == "features":
            features = batch.context.features
            if features is None or len(features) != len(batch.x) or not batch.same_set:
                raise InputError(
                    "Loss 'soft-info-nce' with weighting = features needs the context's features, a row an embedding, "
                    "and no reference set."
                )
            check_rows("features", features)
            seen = other = features.reshape(len(features), -1).to(batch.x)
        likeness = (normalize(seen)[lines.anchor] @ normalize(other).T).gather(1, row).clamp(0, 1)
        weight = 1 - self.options.strength * likeness
        times = lines.negative.weights(weight)
        mean = (times * weight).sum(1, keepdim=True) / times.sum(1, keepdim=True).clamp_min(1)
        return torch.where(mean > 0, weight / mean.where(mean > 0, 1.0), 1.0)


class HardContrastiveLoss(_SoftmaxLoss[HardContrastiveOptions]):
    """-log(e_p / (e_p + N)), N = max((W - tau_plus n e_p) / (1 - tau_plus), n e_least), per positive pair.

    e = exp(s / temperature); W = n times the mean of e over the anchor's n negatives weighted by e^beta; e_least is
    that of the smallest similarity there can be (Robinson et al., ICLR 2021). beta 0 and tau_plus 0 are InfoNCE.
    """

    def __init__(
        self,
        options: HardContrastiveOptions,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        if options.tau_plus > 0 and not self.distance.normalized and self.distance.metric != "cosine":
            raise InputError(
                "Loss 'hcl' with tau_plus > 0 needs a bounded distance: cosine, or any normalised one; "
                f"not {self.distance.metric}."
            )
        farthest = {"euclidean": 2.0, "squared-euclidean": 4.0, "cosine": 2.0, "inner-product": 1.0}
        self._farthest = farthest[self.distance.metric]

    def compute(self, batch: Batch) -> Terms:
        """One part: the positive pairs, 0 where the anchor has no negative."""
        logits = self.logits(batch)
        lines, pairs, tau_plus = logits.lines, logits.pairs, self.options.tau_plus
        has_negative = lines.negative.any()
        beta, log_n = self.options.beta, lines.negative.weights(logits.negative).sum(1).log()
        weighted = lines.negative.lse((1 + beta) * logits.negative) - lines.negative.lse(beta * logits.negative) + log_n
        weighted = torch.where(has_negative, weighted, 0.0)[pairs.line]
        log_n = torch.where(has_negative, log_n, 0.0)[pairs.line]
        if tau_plus > 0:
            floor = log_n - self._farthest / self.temperature(batch.x)
            hidden = math.log(tau_plus) + log_n + pairs.value - weighted  # log of the share that is subtracted
            some_left = hidden < -1e-6
            left = torch.log1p(-hidden.where(some_left, -1.0).exp())
            weighted = torch.maximum(torch.where(some_left, weighted + left - math.log1p(-tau_plus), floor), floor)
        value = functional.softplus(weighted - pairs.value)
        return Terms((logits.part(torch.where(has_negative[pairs.line], value, 0.0)),), figures=logits.figures)
