"""Contrastive loss (Hadsell, Chopra, LeCun, CVPR 2006) in its four common forms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hnm_core.distances import Distance
from hnm_core.losses.base import (
    PML_DISTANCE,
    IndicesTuple,
    Part,
    Terms,
    as_pairs,
    check_input,
    mean_nonzero,
    nothing,
)
from hnm_core.losses.options import ContrastiveOptions


class ContrastiveLoss(nn.Module):
    """Pulls positive pairs together and pushes negative pairs apart up to a margin.

    hinge, halved and online act on the distance d; squared-2019 acts on t = d^2 with the margin on t, as the 2019 demo
    did: its classes settle sqrt(neg_margin) apart, and a collapsed cloud is a saddle with gradient 0.
    """

    def __init__(self, options: ContrastiveOptions, distance: Distance | None = None) -> None:
        super().__init__()
        self.options = options
        self.distance = distance or PML_DISTANCE

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
        """See `hnm_core.losses.base.Loss`. Two parts: positive pairs, negative pairs."""
        reference, reference_labels = check_input(embeddings, labels, ref_emb, ref_labels)
        anchor1, positive, anchor2, negative = as_pairs(
            indices_tuple, labels, reference_labels, same_set=ref_emb is None
        )
        prepared = self.distance.prepare(embeddings)
        prepared_ref = prepared if ref_emb is None else self.distance.prepare(reference)
        d_p = self._distance(prepared[anchor1], prepared_ref[positive])
        d_n = self._distance(prepared[anchor2], prepared_ref[negative])
        pull, push = self._pull(d_p), (self.options.neg_margin - d_n).relu()
        if self.options.variant != "hinge":
            push = push.square()
        if self.options.variant == "halved":
            pull, push = pull / 2, push / 2
        return Terms((Part(pull, anchor1), Part(push, anchor2)))

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """hinge: mean of the non-zero positives plus mean of the non-zero negatives; else the mean over all pairs."""
        pull, push = terms.parts[0].value, terms.parts[1].value
        if not len(pull) and not len(push):
            return nothing(embeddings)
        if self.options.variant == "hinge":
            return mean_nonzero(pull) + mean_nonzero(push)
        return torch.cat((pull, push)).mean()

    def _pull(self, d_p: Tensor) -> Tensor:
        return (d_p - self.options.pos_margin).relu() if self.options.variant == "hinge" else d_p.square()

    def _distance(self, left: Tensor, right: Tensor) -> Tensor:
        if self.options.variant == "squared-2019":
            return (left - right).square().sum(-1)
        return self.distance.prepared_rowwise(left, right)
