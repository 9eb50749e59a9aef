"""Triplet margin loss (Schroff, Kalenichenko, Philbin: FaceNet, arXiv 1503.03832)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hnm_core.distances import Distance
from hnm_core.losses.base import (
    PML_DISTANCE,
    IndicesTuple,
    Part,
    Terms,
    as_triplets,
    check_input,
    mean_nonzero,
    nothing,
)
from hnm_core.losses.options import TripletMarginOptions


class TripletMarginLoss(nn.Module):
    """relu(d_ap - d_an + margin) over triplets; on screen, positives close in and negatives stop at the margin.

    At collapse it equals the margin (softplus(margin) when smooth), the plateau to watch for.
    """

    def __init__(self, options: TripletMarginOptions, distance: Distance | None = None) -> None:
        super().__init__()
        self.options = options
        self.distance = distance or PML_DISTANCE

    @property
    def margin(self) -> float:
        """Wanted d_an - d_ap, in the units of `Terms.separation`."""
        return self.options.margin

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """See `hnm_core.losses.base.Loss`."""
        return self.reduce(self.terms(embeddings, labels, indices_tuple, ref_emb, ref_labels), embeddings)

    def terms(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Terms:
        """See `hnm_core.losses.base.Loss`."""
        reference, reference_labels = check_input(embeddings, labels, ref_emb, ref_labels)
        anchor, positive, negative = as_triplets(indices_tuple, labels, reference_labels, same_set=ref_emb is None)
        prepared = self.distance.prepare(embeddings)
        prepared_ref = prepared if ref_emb is None else self.distance.prepare(reference)
        at_anchor, at_positive = prepared[anchor], prepared_ref[positive]
        at_negative = prepared_ref[negative]
        d_ap = self._distance(at_anchor, at_positive)
        d_an = self._distance(at_anchor, at_negative)
        if self.options.swap:
            d_an = torch.minimum(d_an, self._distance(at_positive, at_negative))
        violation = d_ap - d_an
        shifted = violation + self.options.margin
        value = functional.softplus(shifted) if self.options.smooth else shifted.relu()
        return Terms((Part(value, anchor),), -violation.detach())

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """See `hnm_core.losses.base.Loss`."""
        value = terms.parts[0].value
        if not len(value):
            return nothing(embeddings)
        match self.options.reduction:
            case "mean":
                return value.mean()
            case "sum":
                return value.sum()
            case "mean_nonzero":
                return mean_nonzero(value)

    def _distance(self, left: Tensor, right: Tensor) -> Tensor:
        if self.options.squared and self.distance.metric == "euclidean":
            return (left - right).square().sum(-1)
        distance = self.distance.prepared_rowwise(left, right)
        return distance.square() if self.options.squared else distance
