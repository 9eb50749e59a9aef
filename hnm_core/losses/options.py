"""Names and options of the losses; loads no torch. Defaults are pytorch-metric-learning's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hnm_core.registry import LOSSES, Options

Reduction = Literal["mean", "mean_nonzero", "sum"]


@LOSSES.register("triplet-margin", target="hnm_core.losses.triplet:TripletMarginLoss")
class TripletMarginOptions(Options):
    """Triplet margin loss: the positive nearer than the negative by a margin (Schroff 2015)."""

    margin: float = Field(0.05, ge=0, le=1e6, description="wanted lead of the positive, in units of the distance")
    squared: bool = Field(False, description="compare squared distances, as FaceNet does")
    swap: bool = Field(False, description="use the positive's distance to the negative where that is smaller")
    smooth: bool = Field(False, description="softplus in place of the hinge")
    reduction: Reduction = Field("mean_nonzero", description="how terms become one number")


@LOSSES.register("contrastive", target="hnm_core.losses.contrastive:ContrastiveLoss")
class ContrastiveOptions(Options):
    """Contrastive loss: pulls positive pairs together, pushes negative pairs apart up to a margin (Hadsell 2006)."""

    variant: Literal["hinge", "halved", "online", "squared-2019"] = Field(
        "hinge",
        description="hinge: relu(d_p - pos_margin), relu(neg_margin - d_n); halved: d^2/2 and relu(m - d)^2/2; "
        "online: d^2 and relu(m - d)^2; squared-2019: the 2019 demo's t^2 and relu(m - t)^2 with t = d^2",
    )
    pos_margin: float = Field(0.0, ge=0, le=1e6, description="positives nearer than this are left alone (hinge)")
    neg_margin: float = Field(
        1.0, gt=0, le=1e6, description="negatives farther than this are left alone; on d^2 for squared-2019"
    )
