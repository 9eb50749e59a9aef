"""Deep triplet hashing, DTSH (Wang, Shi, Kitani, ACCV 2016, arXiv 1612.03900)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import Batch, MetricLoss, Part, Problem, Terms, reduced, total
from hnm_core.losses.checks import needs
from hnm_core.losses.options import TripletHashingOptions
from hnm_core.losses.triplet import triplet_terms
from hnm_core.losses.triplet_sums import soft_hinge


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
        self.margin = self._alpha(problem.embedding if problem else 0, 0)
        """alpha of the last call: wanted theta_ap - theta_an, in bits"""

    def compute(self, batch: Batch) -> Terms:
        """Two parts: the triplets, the rows' quantisation."""
        bits = batch.x.shape[1]
        self._check(bits)
        self.margin = self._alpha(bits, batch.context.epoch)
        # theta = u v / 2 is the inner product of u / sqrt(2) and v / sqrt(2)
        halved = batch._replace(x=batch.x * 0.5**0.5, ref=batch.ref * 0.5**0.5)
        triplets = triplet_terms(halved, self.distance, soft_hinge(self.margin))
        sign = torch.where(batch.x.detach() >= 0, 1.0, -1.0).to(batch.x)
        off = (batch.x - sign).square().sum(1)
        weighted = Part(self.options.quantization_weight * off, torch.arange(len(off), device=off.device))
        figures = {"alpha": off.new_tensor(self.margin)}
        if len(off):
            figures["quantization"] = off.detach().mean()
        return Terms((*triplets.parts, weighted), triplets.separation, figures)

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """The reduced triplets plus the mean quantisation. See `hnm_core.losses.base.Loss`."""
        triplets, quantization = terms.parts
        numbers = [reduced(triplets, self.options.reduction)] if len(triplets.value) else []
        if len(quantization.value) and self.options.quantization_weight > 0:
            numbers.append(reduced(quantization, "mean"))
        return total(terms, embeddings, numbers)

    def _alpha(self, bits: int, epoch: int) -> float:
        last = bits / 2 if self.options.alpha is None else self.options.alpha
        if self.options.schedule == "constant":
            return last
        stage = min(epoch // self.options.stage_epochs, self.options.stages - 1)
        return last * 0.5 ** (self.options.stages - 1 - stage)

    def _check(self, bits: int) -> None:
        if self.options.alpha is not None and self.options.alpha >= bits > 0:
            raise InputError(
                f"Loss 'dtsh': alpha = {self.options.alpha:g} is a margin in bits and codes have only {bits} bits; "
                f"use less, for instance {bits / 2:g}."
            )
