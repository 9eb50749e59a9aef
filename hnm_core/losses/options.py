"""Names and options of the losses; loads no torch. Defaults are pytorch-metric-learning's where it has the loss."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hnm_core.spec.registry import LOSSES, Options

Reduction = Literal["mean", "mean_nonzero", "anchor_mean", "sum"]

REDUCTION = "how terms become one number: mean of all, mean of those above 0, mean of the anchors' means, or sum"


class PairOptions(Options):
    """What losses over pairs share."""

    reduction: Reduction = Field("mean", description=REDUCTION)
    keep_multiplicity: bool = Field(
        False, description="a pair that was mined several times counts as often; otherwise once"
    )


class SoftmaxOptions(PairOptions):
    """What losses with a softmax over similarities share."""

    temperature: float = Field(0.07, ge=1e-4, le=1e4, description="divides the similarities; lower is sharper")
    learn_temperature: bool = Field(False, description="train the temperature as its logarithm, from that value on")


@LOSSES.register("triplet-margin", target="hnm_core.losses.triplet:TripletMarginLoss")
class TripletMarginOptions(Options):
    """Triplet margin loss: the positive nearer than the negative by a margin (Schroff 2015)."""

    margin: float = Field(0.05, ge=0, le=1e6, description="wanted lead of the positive, in units of the distance")
    squared: bool = Field(False, description="compare squared Euclidean distances, as FaceNet does")
    swap: bool = Field(False, description="use the positive's distance to the negative where that is smaller")
    smooth: bool = Field(False, description="softplus in place of the hinge; with margin 0 the soft margin")
    reduction: Reduction = Field("mean_nonzero", description=REDUCTION)


@LOSSES.register("hoffer-ailon", target="hnm_core.losses.triplet:HofferAilonLoss")
class HofferAilonOptions(Options):
    """Ratio loss of the triplet network: sigmoid(d_ap - d_an)^2, no margin (Hoffer, Ailon 2015)."""

    reduction: Reduction = Field("mean", description=REDUCTION)


@LOSSES.register("contrastive", target="hnm_core.losses.contrastive:ContrastiveLoss")
class ContrastiveOptions(Options):
    """Contrastive loss: pulls positive pairs together, pushes negative pairs apart up to a margin (Hadsell 2006)."""

    variant: Literal["hinge", "halved", "online", "squared-2019"] = Field(
        "hinge",
        description="hinge: relu(d_p - pos_margin), relu(neg_margin - d_n); halved: d^2/2 and relu(m - d)^2/2; "
        "online: d^2 and relu(m - d)^2; squared-2019: the 2019 demo's t^2 and relu(m - t)^2 with t = d^2",
    )
    pos_margin: float = Field(0.0, ge=-1e6, le=1e6, description="positives nearer than this are left alone (hinge)")
    neg_margin: float = Field(
        1.0,
        ge=-1e6,
        le=1e6,
        description="negatives farther than this are left alone; on d^2 for squared-2019, on the similarity for "
        "inner-product",
    )
    reduction: Literal["default", "mean", "mean_nonzero", "anchor_mean", "sum"] = Field(
        "default",
        description="default: hinge adds the means of its non-zero positives and negatives, the others average the "
        "joined list; otherwise " + REDUCTION,
    )
    keep_multiplicity: bool = Field(
        False, description="a pair that was mined several times counts as often; otherwise once"
    )


@LOSSES.register("margin", target="hnm_core.losses.triplet:MarginLoss")
class MarginOptions(Options):
    """Margin loss: positives inside the boundary beta, negatives outside, by a margin each (Wu 2017)."""

    margin: float = Field(0.2, ge=0, le=1e6, description="distance kept from the boundary on either side")
    beta: float = Field(1.2, ge=0, le=1e6, description="the boundary between near and far, or where it starts")
    learn_beta: Literal["no", "one", "per-class"] = Field("no", description="train the boundary")
    nu: float = Field(0.0, ge=0, le=1e6, description="pull of a trained boundary towards 0")
    reduction: Reduction = Field("mean_nonzero", description=REDUCTION)


@LOSSES.register("dtsh", target="hnm_core.losses.hashing:TripletHashingLoss")
class TripletHashingOptions(Options):
    """Deep triplet hashing: likelihood of triplet order on half inner products, plus quantisation (Wang 2016)."""

    alpha: float | None = Field(
        None, ge=0, le=1e6, description="margin in bits, less than the number of bits; none is half of them"
    )
    schedule: Literal["constant", "doubling"] = Field(
        "constant", description="doubling: alpha doubles from stage to stage and ends at its value"
    )
    stages: int = Field(5, ge=1, le=32, description="stages of the doubling schedule")
    stage_epochs: int = Field(3, ge=1, le=1_000_000, description="epochs of a stage of the doubling schedule")
    alpha_stages: tuple[Annotated[float, Field(gt=0, le=1e6)], ...] = Field(
        (),
        max_length=32,
        description="alpha of each stage, in place of alpha and schedule; none uses those",
    )
    stage_starts: tuple[Annotated[int, Field(ge=2, le=1_000_000_000)], ...] = Field(
        (),
        max_length=31,
        description="steps with which the second and later of alpha_stages begin; none shares the run's steps equally",
    )
    quantization_weight: float = Field(1.0, ge=0, le=1e6, description="weight of the squared distance to the signs")
    reduction: Reduction = Field("mean", description="of the triplets; " + REDUCTION)

    @model_validator(mode="after")
    def _check(self) -> TripletHashingOptions:
        starts, stages = self.stage_starts, self.alpha_stages
        if stages and self.schedule != "constant":
            raise ValueError(f"alpha_stages and schedule = '{self.schedule}' both say how alpha goes; leave one out")
        if starts and len(starts) != len(stages) - 1:
            raise ValueError(
                f"stage_starts has {len(starts)} steps and alpha_stages has {len(stages)} stages; every stage but the "
                "first needs the step with which it begins"
            )
        if list(starts) != sorted(set(starts)):
            raise ValueError(f"stage_starts = {list(starts)} must rise")
        return self

    @property
    def largest_alpha(self) -> float | None:
        """The largest margin of all stages, in bits; None where the number of bits settles it."""
        return max(self.alpha_stages) if self.alpha_stages else self.alpha


@LOSSES.register("snnl", target="hnm_core.losses.snnl:SoftNearestNeighborLoss")
class SoftNearestNeighborOptions(Options):
    """Soft nearest neighbour loss: how entangled the classes are, in the embedding or in every layer (Frosst 2019)."""

    layers: Literal["last", "all"] = Field("last", description="the embedding alone, or all hidden layers with it")
    agg: Literal["min", "sum", "mean"] = Field("min", description="how the layers become one number")
    temperature: float | None = Field(
        None, ge=1e-4, le=1e4, description="width of the neighbourhood; none is each layer's mean distance at first"
    )
    schedule: Literal["fixed", "annealed", "learned", "searched"] = Field(
        "fixed",
        description="annealed: temperature / (1 + epoch)^decay; learned: its logarithm is trained to lower this loss, "
        "whatever the sign of the factor; searched: each layer's is where this loss is lowest, by a line search",
    )
    decay: float = Field(0.55, ge=0, le=10, description="exponent of the annealed temperature")
    temperature_lr: float = Field(0.05, gt=0, le=100, description="learning rate of a learned temperature")
    search_every: int = Field(10, ge=1, le=1_000_000, description="steps between two searches of the temperature")
    factor: float = Field(1.0, ge=-1e6, le=1e6, description="above 0 pulls classes together, below 0 entangles them")
    primary: Literal["none", "cross-entropy", "reconstruction"] = Field(
        "none",
        description="loss that this one regularises: cross-entropy of a linear head, or the squared error of the "
        "model's reconstruction",
    )
    keep_multiplicity: bool = Field(
        False, description="a pair that was mined several times counts as often; otherwise once"
    )


@LOSSES.register("nt-xent", target="hnm_core.losses.softmax:NTXentLoss")
class NTXentOptions(SoftmaxOptions):
    """NT-Xent or InfoNCE: each positive pair against the anchor's negatives (van den Oord 2018, SimCLR 2020)."""

    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all candidates")


@LOSSES.register("sup-con", target="hnm_core.losses.softmax:SupConLoss")
class SupConOptions(SoftmaxOptions):
    """Supervised contrastive loss: every positive against all other rows, averaged per anchor (Khosla 2020)."""

    temperature: float = Field(0.1, ge=1e-4, le=1e4, description="divides the similarities; lower is sharper")
    reduction: Reduction = Field("mean_nonzero", description=REDUCTION)


@LOSSES.register("soft-info-nce", target="hnm_core.losses.softmax:SoftInfoNCELoss")
class SoftInfoNCEOptions(SoftmaxOptions):
    """InfoNCE whose negatives weigh less where they are like the anchor (Li 2023, arXiv 2310.08069)."""

    weighting: Literal["features", "embeddings", "given"] = Field(
        "embeddings",
        description="likeness by cosine of what the network was given, or of the embeddings; given: by the caller",
    )
    strength: float = Field(0.5, ge=0, le=1, description="0: all negatives weigh the same; 1: equal ones weigh nothing")


@LOSSES.register("hcl", target="hnm_core.losses.softmax:HardContrastiveLoss")
class HardContrastiveOptions(SoftmaxOptions):
    """Hard contrastive loss: debiased InfoNCE that weighs hard negatives more (Robinson 2021)."""

    temperature: float = Field(0.5, ge=1e-4, le=1e4, description="divides the similarities; lower is sharper")
    beta: float = Field(1.0, ge=0, le=1e3, description="how much harder negatives weigh; 0: all the same")
    tau_plus: float = Field(0.1, ge=0, lt=1, description="chance that a negative is a hidden positive; 0: none is")


@LOSSES.register("multi-similarity", target="hnm_core.losses.structured:MultiSimilarityLoss")
class MultiSimilarityOptions(PairOptions):
    """Multi-similarity loss: soft thresholds on each anchor's positives and negatives (Wang 2019)."""

    alpha: float = Field(2.0, gt=0, le=1e4, description="sharpness on positives")
    beta: float = Field(50.0, gt=0, le=1e4, description="sharpness on negatives")
    base: float = Field(0.5, ge=-1e6, le=1e6, description="threshold: a similarity, or a distance on Euclidean ones")


@LOSSES.register("circle", target="hnm_core.losses.structured:CircleLoss")
class CircleOptions(PairOptions):
    """Circle loss: pairs far from their optimum weigh more; cosine only (Sun 2020)."""

    m: float = Field(0.4, ge=0, le=1, description="relaxation: positives aim at 1 - m, negatives at m")
    gamma: float = Field(80.0, gt=0, le=1e4, description="scale")
    reduction: Reduction = Field("mean_nonzero", description=REDUCTION)


class LiftedOptions(PairOptions):
    """What the two lifted losses share."""

    pos_margin: float = Field(0.0, ge=-1e6, le=1e6, description="positives are pulled from beyond this")
    neg_margin: float = Field(1.0, ge=-1e6, le=1e6, description="negatives are pushed from within this")


@LOSSES.register("lifted-structure", target="hnm_core.losses.structured:LiftedStructureLoss")
class LiftedStructureOptions(LiftedOptions):
    """Lifted structure loss: each positive pair against the negatives of both its ends (Song 2016)."""


@LOSSES.register("generalized-lifted-structure", target="hnm_core.losses.structured:GeneralizedLiftedStructureLoss")
class GeneralizedLiftedStructureOptions(LiftedOptions):
    """Generalised lifted structure loss: one soft farthest positive and one soft nearest negative (Hermans 2017)."""


@LOSSES.register("tuplet-margin", target="hnm_core.losses.structured:TupletMarginLoss")
class TupletMarginOptions(PairOptions):
    """Tuplet margin loss: each positive pair against the anchor's negatives, with slack on the angle (Yu, Tao 2019)."""

    margin: float = Field(
        5.73, ge=0, le=180, description="slack of the positive's angle", json_schema_extra={"unit": "degrees"}
    )
    scale: float = Field(64.0, gt=0, le=1e4, description="sharpness")


@LOSSES.register("n-pairs", target="hnm_core.losses.structured:NPairsLoss")
class NPairsOptions(Options):
    """N-pairs loss: one positive pair a class, each against the other classes' positives (Sohn 2016)."""

    l2_weight: float = Field(0.0, ge=0, le=1e6, description="weight of the mean squared length of the embeddings used")
    reduction: Reduction = Field("mean", description=REDUCTION)
