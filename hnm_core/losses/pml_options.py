"""Names and options of pytorch-metric-learning's losses; loads no torch.

A class here is called by the library's own name. Defaults are the library's; the distance is the lane's, and numbers of
classes and coordinates come from the problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.spec.registry import LOSSES, LossOptions
from hnm_core.spec.traits import Remark, no_memory

BUILD = "hnm_core.losses.pml:build"


class PmlLossOptions(LossOptions):
    """What the factory knows of each loss beside its options."""

    library_name: ClassVar[str]
    takes_labels: ClassVar[bool] = True
    takes_angles: ClassVar[bool] = False
    """Whether it takes the angles of cosines as they are."""


@LOSSES.register("AngularLoss", target=BUILD)
class AngularLossOptions(PmlLossOptions):
    """pytorch-metric-learning: angular loss over positive pairs and all negatives (Wang 2017)."""

    library_name = "AngularLoss"
    use = "positives"
    lock = "unit-euclidean"
    alpha: float = Field(40, gt=0, lt=90, description="upper bound of the angle at the negative, in degrees")


@LOSSES.register("ArcFaceLoss", target=BUILD)
class ArcFaceLossOptions(PmlLossOptions):
    """pytorch-metric-learning: classification with an additive angular margin (Deng 2019)."""

    library_name = "ArcFaceLoss"
    use = "weights"
    lock = "cosine"
    own_weights = True
    takes_reference = False
    margin: float = Field(28.6, ge=0, le=180, description="angular margin in degrees")
    scale: float = Field(64, gt=0, le=1e6, description="factor of the cosines before the softmax")


@LOSSES.register("CircleLoss", target=BUILD)
class CircleLossOptions(PmlLossOptions):
    """pytorch-metric-learning: circle loss, pairs weighted by how far they are from done (Sun 2020)."""

    library_name = "CircleLoss"
    lock = "cosine"
    m: float = Field(0.4, ge=-1, le=2, description="relaxation: positives aim at 1 - m, negatives at m")
    gamma: float = Field(80, gt=0, le=1e6, description="scale")


@LOSSES.register("ContrastiveLoss", target=BUILD)
class ContrastiveLossOptions(PmlLossOptions):
    """pytorch-metric-learning: contrastive loss with a hinge on each side (Hadsell 2006)."""

    library_name = "ContrastiveLoss"
    distance_margins = True
    swaps_margins = True
    pos_margin: float = Field(0, ge=-1e6, le=1e6, description="positives within this are left alone")
    neg_margin: float = Field(1, ge=-1e6, le=1e6, description="negatives beyond this are left alone")


@LOSSES.register("CosFaceLoss", target=BUILD)
class CosFaceLossOptions(PmlLossOptions):
    """pytorch-metric-learning: classification with an additive cosine margin (Wang 2018)."""

    library_name = "CosFaceLoss"
    use = "weights"
    lock = "cosine"
    own_weights = True
    takes_reference = False
    margin: float = Field(0.35, ge=0, le=2, description="margin on the cosine")
    scale: float = Field(64, gt=0, le=1e6, description="factor of the cosines before the softmax")


@LOSSES.register("DynamicSoftMarginLoss", target=BUILD)
class DynamicSoftMarginLossOptions(PmlLossOptions):
    """pytorch-metric-learning: triplets weighted by their rank among recent ones; refused, it often crashes."""

    library_name = "DynamicSoftMarginLoss"
    lock = "unit-lp"
    bug = (
        "its histogram index runs out of range once a positive pair is "
        "1.6 farther than a negative one, and a second backward pass fails"
    )
    min_val: float = Field(-2.0, ge=-1e6, le=1e6, description="least value of the histogram")
    num_bins: int = Field(10, ge=2, le=100_000, description="bins of the histogram")
    momentum: float = Field(0.01, ge=0, le=1, description="share of each new batch in the histogram")


@LOSSES.register("FastAPLoss", target=BUILD)
class FastAPLossOptions(PmlLossOptions):
    """pytorch-metric-learning: average precision over soft bins of distance (Cakir 2019)."""

    library_name = "FastAPLoss"
    use = "weights"
    lock = "unit-lp"
    takes_reference = False
    num_bins: int = Field(10, ge=1, le=100_000, description="soft bins")


@LOSSES.register("GeneralizedLiftedStructureLoss", target=BUILD)
class GeneralizedLiftedStructureLossOptions(PmlLossOptions):
    """pytorch-metric-learning: soft hardest positive against soft hardest negative (Hermans 2017)."""

    library_name = "GeneralizedLiftedStructureLoss"
    distance_margins = True
    swaps_margins = True
    neg_margin: float = Field(1, ge=-1e6, le=1e6, description="margin of negatives")
    pos_margin: float = Field(0, ge=-1e6, le=1e6, description="margin of positives")


@LOSSES.register("HistogramLoss", target=BUILD)
class HistogramLossOptions(PmlLossOptions):
    """pytorch-metric-learning: chance that a random negative beats a random positive (Ustinova 2016)."""

    library_name = "HistogramLoss"
    lock = "cosine"
    takes_reference = False
    needs_triplets = True
    n_bins: int | None = Field(
        None, ge=2, le=100_000, description="bins of similarity; none is 100, or what delta asks for"
    )
    delta: float | None = Field(None, gt=0, le=1, description="width of a bin, 2 / n_bins")


@LOSSES.register("InstanceLoss", target=BUILD)
class InstanceLossOptions(PmlLossOptions):
    """pytorch-metric-learning: every item a class; refused, it takes class numbers for columns."""

    library_name = "InstanceLoss"
    use = "none"
    lock = "cosine"
    takes_reference = False
    bug = "it takes class numbers for columns of the batch, so that perfect embeddings score badly"
    gamma: float = Field(64, gt=0, le=1e6, description="scale")


@LOSSES.register("IntraPairVarianceLoss", target=BUILD)
class IntraPairVarianceLossOptions(PmlLossOptions):
    """pytorch-metric-learning: pulls the pairs of each kind to their mean similarity."""

    library_name = "IntraPairVarianceLoss"
    pos_eps: float = Field(0.01, ge=-1e6, le=1e6, description="allowed deviation of positives")
    neg_eps: float = Field(0.01, ge=-1e6, le=1e6, description="allowed deviation of negatives")


@LOSSES.register("LargeMarginSoftmaxLoss", target=BUILD)
class LargeMarginSoftmaxLossOptions(PmlLossOptions):
    """pytorch-metric-learning: classification with a multiplied angle (Liu 2016)."""

    library_name = "LargeMarginSoftmaxLoss"
    use = "weights"
    lock = "cosine"
    own_weights = True
    takes_reference = False
    margin: int = Field(4, ge=1, le=20, description="factor of the angle")
    scale: float = Field(1, gt=0, le=1e6, description="factor of the cosines before the softmax")


@LOSSES.register("LiftedStructureLoss", target=BUILD)
class LiftedStructureLossOptions(PmlLossOptions):
    """pytorch-metric-learning: lifted structure over all pairs of a batch (Song 2016)."""

    library_name = "LiftedStructureLoss"
    distance_margins = True
    swaps_margins = True
    neg_margin: float = Field(1, ge=-1e6, le=1e6, description="margin of negatives")
    pos_margin: float = Field(0, ge=-1e6, le=1e6, description="margin of positives")


@LOSSES.register("ManifoldLoss", target=BUILD)
class ManifoldLossOptions(PmlLossOptions):
    """pytorch-metric-learning: manifold similarity to random proxies (Aziere 2019); looks at no labels."""

    library_name = "ManifoldLoss"
    use = "none"
    lock = "cosine"
    own_weights = True
    takes_reference = False
    takes_labels = False
    K: int = Field(50, ge=1, le=100_000, description="proxies; a batch needs as many rows")
    lambdaC: float = Field(1.0, ge=0, le=1e6, description="weight of the context part")  # noqa: N815  (the library's name)
    alpha: float = Field(0.8, gt=0, lt=1, description="share of similarity passed on by each node")
    margin: float = Field(0.0005, ge=0, le=1e6, description="margin")

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        batch = config.sampler.batch
        if batch < self.K:
            yield Remark(
                "C33",
                f"'{lane.loss}' with K = {self.K} proxies needs as many items in a batch, not {batch}.",
                f"loss_options.K={batch}",
            )


@LOSSES.register("MarginLoss", target=BUILD)
class MarginLossOptions(PmlLossOptions):
    """pytorch-metric-learning: margin loss, a boundary between positives and negatives (Wu 2017)."""

    library_name = "MarginLoss"
    needs_triplets = True
    margin: float = Field(0.2, ge=0, le=1e6, description="half width of the band around beta")
    nu: float = Field(0, ge=0, le=1e6, description="weight of beta in the loss")
    beta: float = Field(1.2, ge=-1e6, le=1e6, description="distance of the boundary")
    triplets_per_anchor: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        "all", description="triplets drawn for an anchor where no miner gives any"
    )
    learn_beta: bool = Field(False, description="train the boundary")

    @property
    def trains_weights(self) -> bool:
        """The boundary."""
        return self.learn_beta


@LOSSES.register("MultiSimilarityLoss", target=BUILD)
class MultiSimilarityLossOptions(PmlLossOptions):
    """pytorch-metric-learning: multi-similarity loss (Wang 2019)."""

    library_name = "MultiSimilarityLoss"
    alpha: float = Field(2, gt=0, le=1e6, description="weight of positives")
    beta: float = Field(50, gt=0, le=1e6, description="weight of negatives")
    base: float = Field(0.5, ge=-1e6, le=1e6, description="similarity at which pairs begin to count")


@LOSSES.register("NCALoss", target=BUILD)
class NCALossOptions(PmlLossOptions):
    """pytorch-metric-learning: neighbourhood components analysis (Goldberger 2004)."""

    library_name = "NCALoss"
    use = "weights"
    softmax_scale: float = Field(1, gt=0, le=1e6, description="factor of the distances before the softmax")


@LOSSES.register("NPairsLoss", target=BUILD)
class NPairsLossOptions(PmlLossOptions):
    """pytorch-metric-learning: N-pairs loss, one positive pair of each class (Sohn 2016)."""

    library_name = "NPairsLoss"
    use = "one-pair"
    takes_reference = False


@LOSSES.register("NTXentLoss", target=BUILD)
class NTXentLossOptions(PmlLossOptions):
    """pytorch-metric-learning: normalised temperature-scaled cross entropy, InfoNCE (Chen 2020)."""

    library_name = "NTXentLoss"
    temperature: float = Field(0.07, gt=0, le=1e6, description="temperature")


@LOSSES.register("NormalizedSoftmaxLoss", target=BUILD)
class NormalizedSoftmaxLossOptions(PmlLossOptions):
    """pytorch-metric-learning: classification of normalised embeddings (Zhai 2018)."""

    library_name = "NormalizedSoftmaxLoss"
    use = "weights"
    own_weights = True
    takes_reference = False
    temperature: float = Field(0.05, gt=0, le=1e6, description="temperature")


@LOSSES.register("P2SGradLoss", target=BUILD)
class P2SGradLossOptions(PmlLossOptions):
    """pytorch-metric-learning: squared error of the cosines to class vectors (Zhang 2019)."""

    library_name = "P2SGradLoss"
    use = "none"
    own_weights = True
    takes_reference = False


@LOSSES.register("PNPLoss", target=BUILD)
class PNPLossOptions(PmlLossOptions):
    """pytorch-metric-learning: penalises negatives before positives in the ranking (Li 2021)."""

    library_name = "PNPLoss"
    use = "none"
    lock = "cosine"
    takes_reference = False
    b: float = Field(2, gt=0, le=1e6, description="base of the logarithm or power, by variant")
    alpha: float = Field(1, gt=0, le=1e6, description="strength, by variant")
    anneal: float = Field(0.01, gt=0, le=1e6, description="temperature of the soft ranks")
    variant: Literal["Ds", "Dq", "Iu", "Ib", "O"] = Field("O", description="which penalty")


@LOSSES.register("ProxyAnchorLoss", target=BUILD)
class ProxyAnchorLossOptions(PmlLossOptions):
    """pytorch-metric-learning: proxies as anchors for the whole batch (Kim 2020)."""

    library_name = "ProxyAnchorLoss"
    use = "weights"
    own_weights = True
    takes_reference = False
    margin: float = Field(0.1, ge=-1e6, le=1e6, description="margin")
    alpha: float = Field(32, gt=0, le=1e6, description="scale")


@LOSSES.register("ProxyNCALoss", target=BUILD)
class ProxyNCALossOptions(PmlLossOptions):
    """pytorch-metric-learning: neighbourhood components analysis to one proxy a class (Movshovitz-Attias 2017)."""

    library_name = "ProxyNCALoss"
    use = "weights"
    own_weights = True
    takes_reference = False
    softmax_scale: float = Field(1, gt=0, le=1e6, description="factor of the distances before the softmax")


@LOSSES.register("RankedListLoss", target=BUILD)
class RankedListLossOptions(PmlLossOptions):
    """pytorch-metric-learning: ranked list loss (Wang 2019); margin and Tn have no default in the library."""

    library_name = "RankedListLoss"
    use = "none"
    takes_reference = False
    margin: float = Field(0.4, ge=0, le=1e6, description="margin between positives and negatives")
    Tn: float = Field(5, ge=0, le=5, description="temperature of negative pairs")
    imbalance: float = Field(0.5, ge=0, le=1, description="weight of the negative part")
    alpha: float | None = Field(
        None, ge=0, le=1e6, description="negatives nearer than this count; none is 1 + margin / 2"
    )
    Tp: float = Field(0, ge=0, le=5, description="temperature of positive pairs")


@LOSSES.register("SignalToNoiseRatioContrastiveLoss", target=BUILD)
class SignalToNoiseRatioContrastiveLossOptions(PmlLossOptions):
    """pytorch-metric-learning: contrastive loss on the signal-to-noise distance (Yuan 2019); keeps that distance."""

    library_name = "SignalToNoiseRatioContrastiveLoss"
    lock = "snr"
    pos_margin: float = Field(0, ge=-1e6, le=1e6, description="positives within this are left alone")
    neg_margin: float = Field(1, ge=-1e6, le=1e6, description="negatives beyond this are left alone")


@LOSSES.register("SmoothAPLoss", target=BUILD)
class SmoothAPLossOptions(PmlLossOptions):
    """pytorch-metric-learning: smoothed average precision; refused, it groups rows wrongly."""

    library_name = "SmoothAPLoss"
    use = "weights"
    lock = "cosine"
    takes_reference = False
    bug = "it groups rows wrongly unless classes are as many as their items and stand in order"
    temperature: float = Field(0.01, gt=0, le=1e6, description="temperature")


@LOSSES.register("SoftTripleLoss", target=BUILD)
class SoftTripleLossOptions(PmlLossOptions):
    """pytorch-metric-learning: classification with several centres a class (Qian 2019)."""

    library_name = "SoftTripleLoss"
    use = "weights"
    lock = "similarity"
    own_weights = True
    takes_reference = False
    centers_per_class: int = Field(10, ge=1, le=10_000, description="centres of each class")
    la: float = Field(20, gt=0, le=1e6, description="scale of the classes")
    gamma: float = Field(0.1, gt=0, le=1e6, description="temperature among the centres of a class")
    margin: float = Field(0.01, ge=-1e6, le=1e6, description="margin")


@LOSSES.register("SphereFaceLoss", target=BUILD)
class SphereFaceLossOptions(PmlLossOptions):
    """pytorch-metric-learning: classification with a multiplied angle and the embedding's length (Liu 2017)."""

    library_name = "SphereFaceLoss"
    use = "weights"
    lock = "cosine"
    own_weights = True
    takes_reference = False
    margin: int = Field(4, ge=1, le=20, description="factor of the angle")
    scale: float = Field(1, gt=0, le=1e6, description="factor of the cosines before the softmax")


@LOSSES.register("SubCenterArcFaceLoss", target=BUILD)
class SubCenterArcFaceLossOptions(PmlLossOptions):
    """pytorch-metric-learning: ArcFace with several centres a class (Deng 2020)."""

    library_name = "SubCenterArcFaceLoss"
    use = "weights"
    lock = "cosine"
    own_weights = True
    takes_reference = False
    margin: float = Field(28.6, ge=0, le=180, description="angular margin in degrees")
    scale: float = Field(64, gt=0, le=1e6, description="factor of the cosines before the softmax")
    sub_centers: int = Field(3, ge=1, le=10_000, description="centres of each class")


@LOSSES.register("SupConLoss", target=BUILD)
class SupConLossOptions(PmlLossOptions):
    """pytorch-metric-learning: supervised contrastive loss (Khosla 2020)."""

    library_name = "SupConLoss"
    temperature: float = Field(0.1, gt=0, le=1e6, description="temperature")


@LOSSES.register("ThresholdConsistentMarginLoss", target=BUILD)
class ThresholdConsistentMarginLossOptions(PmlLossOptions):
    """pytorch-metric-learning: pairs on the wrong side of two fixed similarities (Zhang 2023)."""

    library_name = "ThresholdConsistentMarginLoss"
    lock = "cosine"
    takes_reference = False
    lambda_plus: float = Field(1.0, ge=0, le=1e6, description="weight of positives")
    lambda_minus: float = Field(1.0, ge=0, le=1e6, description="weight of negatives")
    margin_plus: float = Field(0.9, ge=-1, le=1, description="positives below this count")
    margin_minus: float = Field(0.5, ge=-1, le=1, description="negatives above this count")


@LOSSES.register("TripletMarginLoss", target=BUILD)
@LOSSES.register("TripleMarginLoss", target=BUILD)  # a common slip of the pen
class TripletMarginLossOptions(PmlLossOptions):
    """pytorch-metric-learning: triplet margin loss (Schroff 2015)."""

    library_name = "TripletMarginLoss"
    needs_triplets = True
    margin: float = Field(0.05, ge=-1e6, le=1e6, description="wanted lead of the positive")
    swap: bool = Field(False, description="use the positive's distance to the negative where that is smaller")
    smooth_loss: bool = Field(False, description="softplus in place of the hinge")
    triplets_per_anchor: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        "all", description="triplets drawn for an anchor where no miner gives any"
    )

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        if self.swap:
            yield from no_memory(lane, "swap", "true", "false")


@LOSSES.register("TupletMarginLoss", target=BUILD)
class TupletMarginLossOptions(PmlLossOptions):
    """pytorch-metric-learning: tuplet margin loss, one positive against all negatives (Yu 2019)."""

    library_name = "TupletMarginLoss"
    takes_angles = True
    lock = "cosine"
    margin: float = Field(5.73, ge=0, le=180, description="slack in degrees")
    scale: float = Field(64, gt=0, le=1e6, description="scale")


@LOSSES.register("VICRegLoss", target=BUILD)
class VICRegLossOptions(PmlLossOptions):
    """pytorch-metric-learning: variance, invariance, covariance of two views (Bardes 2022); looks at no labels."""

    library_name = "VICRegLoss"
    use = "none"
    takes_labels = False
    invariance_lambda: float = Field(25, ge=0, le=1e6, description="weight of the invariance part")
    variance_mu: float = Field(25, ge=0, le=1e6, description="weight of the variance part")
    covariance_v: float = Field(1, ge=0, le=1e6, description="weight of the covariance part")
    eps: float = Field(0.0001, gt=0, le=1e6, description="added to variances")

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `LossOptions`."""
        yield Remark("C32", f"'{lane.loss}' compares two views of the same items, and a lane has one.")
