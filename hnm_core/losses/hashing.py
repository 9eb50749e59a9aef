"""Deep triplet hashing, DTSH (Wang, Shi, Kitani, ACCV 2016, arXiv 1612.03900)."""

from __future__ import annotations

from bisect import bisect_right

import torch
from torch import Generator, Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import Batch, LossContext, MetricLoss, Part, Problem, Terms, reduced, total
from hnm_core.losses.checks import needs
from hnm_core.losses.options import TripletHashingOptions
from hnm_core.losses.triplet import triplet_terms
from hnm_core.losses.triplet_sums import soft_hinge

FIRST_STEP = LossContext(step=1, steps=1)


class TripletHashingLoss(MetricLoss[TripletHashingOptions]):
    """softplus(alpha - theta_ap + theta_an) over triplets + weight * |u - sign(u)|^2 over rows, theta = u v / 2.

    For codes of +1 and -1 theta_ap - theta_an counts bits, so alpha is a margin in bits. sign(0) = +1, and sign carries
    no gradient. Without triplets the quantisation alone remains.
    """

    default_distance = Distance("inner-product")

    def __init__(
        self,
        options: TripletHashingOptions,
        distance: Distance | None = None,
        problem: Problem | None = None,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(options, distance, problem, generator)
        needs("dtsh", self.distance, "inner-product", raw=True)
        if problem is not None:
            self._check(problem.embedding)
        self.margin = self._alpha(problem.embedding if problem else 0, FIRST_STEP)
        """alpha of the last call: wanted theta_ap - theta_an, in bits"""

    def compute(self, batch: Batch) -> Terms:
        """Two parts: the triplets, the rows' quantisation."""
        bits = batch.x.shape[1]
        self._check(bits)
        self.margin = self._alpha(bits, batch.context)
        # theta = u v / 2 is the inner product of u / sqrt(2) and v / sqrt(2)
        halved = batch._replace(x=batch.x * 0.5**0.5, ref=batch.ref * 0.5**0.5)
        triplets = triplet_terms(halved, self.distance, soft_hinge(self.margin))
        sign = torch.where(batch.x.detach() >= 0, 1.0, -1.0).to(batch.x)
        off = (batch.x - sign).square().sum(1)
        weighted = Part(self.options.quantization_weight * off, torch.arange(len(off), device=off.device))
        figures = {"alpha": off.new_tensor(self.margin)}
        if len(off):
            figures["quantization"] = off.detach().mean()

        def coinciding() -> tuple[Part, ...]:
            still = weighted._replace(value=weighted.value.detach())  # wherever the spot is
            return (*triplets.coinciding(), still) if triplets.coinciding is not None else ()

        return Terms((*triplets.parts, weighted), triplets.separation, figures, coinciding=coinciding)

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """The reduced triplets plus the mean quantisation. See `hnm_core.losses.base.Loss`."""
        triplets, quantization = terms.parts
        numbers = [reduced(triplets, self.options.reduction)] if len(triplets.value) else []
        if len(quantization.value) and self.options.quantization_weight > 0:
            numbers.append(reduced(quantization, "mean"))
        return total(terms, embeddings, numbers)

    def _alpha(self, bits: int, context: LossContext) -> float:
        if self.options.alpha_stages:
            return self.options.alpha_stages[self._stage(context)]
        last = bits / 2 if self.options.alpha is None else self.options.alpha
        if self.options.schedule == "constant":
            return last
        stage = min(context.epoch // self.options.stage_epochs, self.options.stages - 1)
        return last * 0.5 ** (self.options.stages - 1 - stage)

    def _stage(self, context: LossContext) -> int:
        """Place in `alpha_stages` of the context's step, the first of which is 1."""
        stages, starts = len(self.options.alpha_stages), self.options.stage_starts
        if starts or stages == 1:
            return bisect_right(starts, context.step)
        if context.steps is None:
            raise InputError(
                "Loss 'dtsh': alpha_stages shares out the steps of a run; say how many there are in "
                "LossContext(step, steps=...), or give stage_starts."
            )
        return min(max(context.step - 1, 0) * stages // context.steps, stages - 1)

    def _check(self, bits: int) -> None:
        largest = self.options.margin_in_bits
        if largest is not None and largest >= bits > 0:
            raise InputError(
                f"Loss 'dtsh': alpha = {largest:g} is a margin in bits and codes have only {bits} bits; "
                f"use less, for instance {bits / 2:g}."
            )
