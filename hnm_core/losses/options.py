"""Names and options of the losses; loads no torch. Defaults are pytorch-metric-learning's where it has the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.spec.registry import LOSSES, LossOptions
from hnm_core.spec.traits import TRUE_DISTANCES, Remark, no_memory, other_distance

Reduction = Literal["mean", "mean_nonzero", "anchor_mean", "sum"]

REDUCTION = "how terms become one number: mean of all, mean of those above 0, mean of the anchors' means, or sum"


class RelationOptions(LossOptions):
    """What losses share that ask of two rows only whether they are of one kind."""

    @property
    def shares_labels(self) -> bool:
        """See `LossOptions`."""
        return True


class PairOptions(RelationOptions):
    """What losses over pairs share."""

    reduction: Reduction = Field("mean", description=REDUCTION)
    keep_multiplicity: bool = Field(
        False, description="a pair that was mined several times counts as often; otherwise once"
    )


class SoftmaxOptions(PairOptions):
    """What losses with a softmax over similarities share."""

    temperature: float = Field(0.07, ge=1e-4, le=1e4, description="divides the similarities; lower is sharper")
    learn_temperature: bool = Field(False, description="train the temperature as its logarithm, from that value on")

    @property
    def trains_weights(self) -> bool:
        """The temperature."""
        return self.learn_temperature


@LOSSES.register("triplet-margin", target="hnm_core.losses.triplet:TripletMarginLoss")
class TripletMarginOptions(RelationOptions):
    """Triplet margin loss: the positive nearer than the negative by a margin (Schroff 2015)."""

    needs_triplets = True
    margin: float = Field(0.05, ge=0, le=1e6, description="wanted lead of the positive, in units of the distance")
    squared: bool = Field(False, description="compare squared Euclidean distances, as FaceNet does")
    swap: bool = Field(False, description="use the positive's distance to the negative where that is smaller")
    smooth: bool = Field(False, description="softplus in place of the hinge; with margin 0 the soft margin")
    reduction: Reduction = Field("mean_nonzero", description=REDUCTION)

    @property
    def squares_distances(self) -> bool:
        """See `LossOptions`."""
        return self.squared

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        if self.squared:
            yield from other_distance(lane, ("euclidean",), " with squared = true")


@LOSSES.register("hoffer-ailon", target="hnm_core.losses.triplet:HofferAilonLoss")
class HofferAilonOptions(RelationOptions):
    """Ratio loss of the triplet network: sigmoid(d_ap - d_an)^2, no margin (Hoffer, Ailon 2015)."""

    needs_triplets = True
    reduction: Reduction = Field("mean", description=REDUCTION)


@LOSSES.register("contrastive", target="hnm_core.losses.contrastive:ContrastiveLoss")
class ContrastiveOptions(RelationOptions):
    """Contrastive loss: pulls positive pairs together, pushes negative pairs apart up to a margin (Hadsell 2006)."""

    distance_margins = True
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

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        if self.variant != "hinge":
            allowed = TRUE_DISTANCES[:2] if self.variant == "squared-2019" else TRUE_DISTANCES
            yield from other_distance(lane, allowed, f" with variant = {self.variant}")
        yield from _margins_in_order(lane, self.pos_margin, self.neg_margin, on_similarity=self.variant == "hinge")


@LOSSES.register("margin", target="hnm_core.losses.triplet:MarginLoss")
class MarginOptions(LossOptions):
    """Margin loss: positives inside the boundary beta, negatives outside, by a margin each (Wu 2017)."""

    needs_triplets = True
    margin: float = Field(0.2, ge=0, le=1e6, description="distance kept from the boundary on either side")
    beta: float = Field(1.2, ge=0, le=1e6, description="the boundary between near and far, or where it starts")
    learn_beta: Literal["no", "one", "per-class"] = Field("no", description="train the boundary")
    nu: float = Field(0.0, ge=0, le=1e6, description="pull of a trained boundary towards 0")
    reduction: Reduction = Field("mean_nonzero", description=REDUCTION)

    @property
    def trains_weights(self) -> bool:
        """The boundary."""
        return self.learn_beta != "no"

    @property
    def needs_more(self) -> str:
        """The number of classes, for a boundary of each."""
        return "these options" if self.learn_beta == "per-class" else ""

    @property
    def shares_labels(self) -> bool:
        """Unless each class has a boundary of its own."""
        return self.learn_beta != "per-class"

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        yield from other_distance(lane, TRUE_DISTANCES)


@LOSSES.register("dtsh", target="hnm_core.losses.hashing:TripletHashingLoss")
class TripletHashingOptions(RelationOptions):
    """Deep triplet hashing: likelihood of triplet order on half inner products, plus quantisation (Wang 2016)."""

    needs_triplets = True
    lock = "raw-inner-product"
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
    def margin_in_bits(self) -> float | None:
        """The largest margin of all stages; None where the number of bits settles it."""
        return max(self.alpha_stages) if self.alpha_stages else self.alpha


OUTWEIGHS = 1.0
"""Factor of the soft nearest neighbour loss from which on a classifier beside it was seen to learn late."""


@LOSSES.register("snnl", target="hnm_core.losses.snnl:SoftNearestNeighborLoss")
class SoftNearestNeighborOptions(LossOptions):
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

    @property
    def trains_weights(self) -> bool:
        """The head of the cross-entropy, or the temperature."""
        return self.primary == "cross-entropy" or self.schedule == "learned"

    @property
    def needs_more(self) -> str:
        """The number of classes, the model's reconstruction, or its hidden layers."""
        return "these options" if self.primary != "none" or self.layers == "all" else ""

    @property
    def shares_labels(self) -> bool:
        """Unless it regularises a classifier, whose rows have one class each."""
        return self.primary != "cross-entropy"

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`. What another package's model gives is not known here."""
        yield from other_distance(lane, TRUE_DISTANCES)
        if self.layers == "all":
            yield from no_memory(lane, "layers", "all", "last")
        model = config.model.part.options
        if self.primary == "reconstruction" and model.reconstructs is False:
            yield Remark(
                "C31",
                f"'{lane.loss}' with primary = reconstruction needs a model that gives its input back, such as the "
                f"autoencoder, and '{config.model.name}' does not.",
                "loss_options.primary=none",
            )
        if self.layers == "all" and model.has_hidden is False:
            yield Remark(
                "C31",
                f"'{lane.loss}' with layers = all needs a model with hidden layers; '{config.model.name}' has none.",
                "loss_options.layers=last",
            )

    def remarks(self, lane: LaneConfig, items: int | None) -> Iterator[Remark]:
        """See `LossOptions`."""
        # The mean distance of unit rows is at most half the largest; of others it shows in the first batch.
        mean = 1.0 if lane.distance == "cosine" else 2.0 if lane.normalize else math.inf
        if self.schedule == "fixed" and self.temperature is not None and self.temperature > 10 * mean:
            yield Remark(
                "C22",
                f"At temperature {self.temperature:g} every neighbour looks equal and the loss sits on its chance "
                f"line: the mean distance is at most {mean:g}. Without a temperature given, it is the mean distance.",
                level="warn",
                alarm_level="hint",
            )
        of_distances = self.temperature is None or self.schedule in ("learned", "searched")
        if self.primary == "cross-entropy" and of_distances and abs(self.factor) >= OUTWEIGHS:
            wide = "distance=cosine loss_options.layers=all loss_options.temperature=1 loss_options.schedule=annealed"
            cure = (
                "Cosine distances in all layers at a temperature of 1 that is annealed, as in pt-snnl, leave it alone; "
                "a factor of 0.1 nearly does."
                if self.factor > 0
                else "A factor nearer 0 entangles with less harm."
            )
            yield Remark(
                "C40",
                f"A factor of {self.factor:g} outweighs the cross-entropy: at a temperature like the mean distance the "
                f"classifier learns late or not at all. {cure}",
                wide if self.factor > 0 else "loss_options.factor=-0.1",
                level="warn",
            )
        if self.schedule in ("learned", "searched") and self.factor < 0:
            yield Remark(
                "C21",
                f"The temperature is {self.schedule} apart from the network: it goes where the classes look least "
                "entangled, while the negative factor has the network entangle them.",
                level="info",
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

    @property
    def needs_more(self) -> str:
        """What the network was given."""
        return "weighting = features" if self.weighting == "features" else ""

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        if self.weighting == "features":
            yield from no_memory(lane, "weighting", "features", "embeddings")
        if self.weighting == "given":
            yield Remark(
                "C30",
                f"'{lane.loss}' with weighting = given takes its weights from the caller of the library; a lane has "
                "none to give.",
                "loss_options.weighting=embeddings",
            )


@LOSSES.register("hcl", target="hnm_core.losses.softmax:HardContrastiveLoss")
class HardContrastiveOptions(SoftmaxOptions):
    """Hard contrastive loss: debiased InfoNCE that weighs hard negatives more (Robinson 2021)."""

    temperature: float = Field(0.5, ge=1e-4, le=1e4, description="divides the similarities; lower is sharper")
    beta: float = Field(1.0, ge=0, le=1e3, description="how much harder negatives weigh; 0: all the same")
    tau_plus: float = Field(0.1, ge=0, lt=1, description="chance that a negative is a hidden positive; 0: none is")

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        if self.tau_plus > 0 and not lane.normalize and lane.distance != "cosine":
            yield Remark(
                "C6",
                f"The loss '{lane.loss}' with tau_plus > 0 needs a bounded distance: cosine, or any on normalised "
                "embeddings.",
                "distance=cosine",
            )


@LOSSES.register("multi-similarity", target="hnm_core.losses.structured:MultiSimilarityLoss")
class MultiSimilarityOptions(PairOptions):
    """Multi-similarity loss: soft thresholds on each anchor's positives and negatives (Wang 2019)."""

    alpha: float = Field(2.0, gt=0, le=1e4, description="sharpness on positives")
    beta: float = Field(50.0, gt=0, le=1e4, description="sharpness on negatives")
    base: float = Field(0.5, ge=-1e6, le=1e6, description="threshold: a similarity, or a distance on Euclidean ones")


@LOSSES.register("circle", target="hnm_core.losses.structured:CircleLoss")
class CircleOptions(PairOptions):
    """Circle loss: pairs far from their optimum weigh more; cosine only (Sun 2020)."""

    lock = "cosine"
    m: float = Field(0.4, ge=0, le=1, description="relaxation: positives aim at 1 - m, negatives at m")
    gamma: float = Field(80.0, gt=0, le=1e4, description="scale")
    reduction: Reduction = Field("mean_nonzero", description=REDUCTION)


class LiftedOptions(PairOptions):
    """What the two lifted losses share."""

    distance_margins = True
    pos_margin: float = Field(0.0, ge=-1e6, le=1e6, description="positives are pulled from beyond this")
    neg_margin: float = Field(1.0, ge=-1e6, le=1e6, description="negatives are pushed from within this")

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        yield from _margins_in_order(lane, self.pos_margin, self.neg_margin)


@LOSSES.register("lifted-structure", target="hnm_core.losses.structured:LiftedStructureLoss")
class LiftedStructureOptions(LiftedOptions):
    """Lifted structure loss: each positive pair against the negatives of both its ends (Song 2016)."""


@LOSSES.register("generalized-lifted-structure", target="hnm_core.losses.structured:GeneralizedLiftedStructureLoss")
class GeneralizedLiftedStructureOptions(LiftedOptions):
    """Generalised lifted structure loss: one soft farthest positive and one soft nearest negative (Hermans 2017)."""


@LOSSES.register("tuplet-margin", target="hnm_core.losses.structured:TupletMarginLoss")
class TupletMarginOptions(PairOptions):
    """Tuplet margin loss: each positive pair against the anchor's negatives, with slack on the angle (Yu, Tao 2019)."""

    lock = "cosine"
    margin: float = Field(
        5.73, ge=0, le=180, description="slack of the positive's angle", json_schema_extra={"unit": "degrees"}
    )
    scale: float = Field(64.0, gt=0, le=1e4, description="sharpness")


@LOSSES.register("n-pairs", target="hnm_core.losses.structured:NPairsLoss")
class NPairsOptions(LossOptions):
    """N-pairs loss: one positive pair a class, each against the other classes' positives (Sohn 2016)."""

    use = "one-pair"
    takes_reference = False
    l2_weight: float = Field(0.0, ge=0, le=1e6, description="weight of the mean squared length of the embeddings used")
    reduction: Reduction = Field("mean", description=REDUCTION)


def _margins_in_order(lane: LaneConfig, pos: float, neg: float, *, on_similarity: bool = True) -> Iterator[Remark]:
    """That margins must rise, or fall on a similarity, where they do not; `on_similarity` says whether they can."""
    if lane.distance == "inner-product":
        if on_similarity and pos <= neg:
            yield Remark(
                "C8",
                f"The margins of '{lane.loss}' (pos_margin = {pos:g}, neg_margin = {neg:g}) are for distances, but "
                "inner-product is a similarity: positives should lie above negatives.",
                "loss_options.pos_margin=1 loss_options.neg_margin=0",
            )
    elif not 0 <= pos < neg:
        yield Remark(
            "C8",
            f"The margins of '{lane.loss}' must be 0 <= pos_margin < neg_margin on the {lane.distance} distance, "
            f"not {pos:g} and {neg:g}.",
            "loss_options.pos_margin=0 loss_options.neg_margin=1",
        )
