"""Names and options of pytorch-metric-learning's miners; loads no torch.

A class here is called by the library's own name. Defaults are the library's; the distance is the lane's.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from hnm_core.miners.in_batch.options import Range, Side
from hnm_core.spec.registry import MINERS, MinerOptions

BUILD = "hnm_core.miners.pml:build"


class PmlMinerOptions(MinerOptions):
    """What the factory knows of each miner beside its options."""

    library_name: ClassVar[str]
    gives: ClassVar[Literal["triplets", "pairs"]] = "pairs"


@MINERS.register("AngularMiner", target=BUILD, scope="batch")
class AngularMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: triplets in which the negative sees the positive pair under a wide angle."""

    library_name = "AngularMiner"
    gives = "triplets"
    unit_euclidean_only = True
    triplet_share = 1.0
    angle: float = Field(20, ge=0, lt=90, description="half angles above this are taken, in degrees")


@MINERS.register("BatchEasyHardMiner", target=BUILD, scope="batch")
class BatchEasyHardMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: one positive and one negative pair an anchor, each easy, semi-hard or hard."""

    library_name = "BatchEasyHardMiner"
    pos_strategy: Side = Field("easy", description="which positive of an anchor")
    neg_strategy: Side = Field("semihard", description="which negative of an anchor")
    allowed_pos_range: Range | None = Field(None, description="lowest and highest distance of a positive")
    allowed_neg_range: Range | None = Field(None, description="lowest and highest distance of a negative")

    @model_validator(mode="after")
    def _check(self) -> BatchEasyHardMinerOptions:
        if "semihard" in (self.pos_strategy, self.neg_strategy) and (
            self.pos_strategy == self.neg_strategy or "all" in (self.pos_strategy, self.neg_strategy)
        ):
            raise ValueError(
                f"pos_strategy = {self.pos_strategy} cannot go with neg_strategy = {self.neg_strategy}: semihard needs "
                "one chosen pair of the other side"
            )
        return self


@MINERS.register("BatchHardMiner", target=BUILD, scope="batch")
class BatchHardMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: the farthest positive and the nearest negative of each anchor."""

    library_name = "BatchHardMiner"
    gives = "triplets"

    @property
    def hardest_only(self) -> bool:
        """See `MinerOptions`."""
        return True


@MINERS.register("DistanceWeightedMiner", target=BUILD, scope="batch")
class DistanceWeightedMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: negatives drawn evenly over all distances."""

    library_name = "DistanceWeightedMiner"
    gives = "triplets"
    unit_euclidean_only = True
    weighs_by_density = True
    cutoff: float = Field(0.5, gt=0, lt=2, description="nearer negatives are weighted as if at this distance")
    nonzero_loss_cutoff: float = Field(1.4, gt=0, le=1e6, description="negatives as far as this are never drawn")


@MINERS.register("EmbeddingsAlreadyPackagedAsTriplets", target=BUILD, scope="batch")
class EmbeddingsAlreadyPackagedAsTripletsOptions(PmlMinerOptions):
    """pytorch-metric-learning: rows already come in the order anchor, positive, negative."""

    library_name = "EmbeddingsAlreadyPackagedAsTriplets"
    gives = "triplets"
    in_order = True


@MINERS.register("HDCMiner", target=BUILD, scope="batch")
class HDCMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: the hardest share of all pairs of the batch."""

    library_name = "HDCMiner"
    many_pairs = True
    filter_percentage: float = Field(0.5, gt=0, le=1, description="share of the pairs that is taken, rounded up")


@MINERS.register("MultiSimilarityMiner", target=BUILD, scope="batch")
class MultiSimilarityMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: pairs that compete with the hardest pair of the other kind."""

    library_name = "MultiSimilarityMiner"
    many_pairs = True
    epsilon: float = Field(0.1, ge=-1e6, le=1e6, description="slack of the comparison")


@MINERS.register("PairMarginMiner", target=BUILD, scope="batch")
class PairMarginMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: positive pairs beyond one margin, negative pairs within another."""

    library_name = "PairMarginMiner"
    many_pairs = True
    pos_margin: float = Field(0.2, ge=-1e6, le=1e6, description="positive pairs beyond this are taken")
    neg_margin: float = Field(0.8, ge=-1e6, le=1e6, description="negative pairs within this are taken")


@MINERS.register("TripletMarginMiner", target=BUILD, scope="batch")
class TripletMarginMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: triplets that violate a margin."""

    library_name = "TripletMarginMiner"
    gives = "triplets"
    triplet_share = 1.0
    margin: float = Field(0.2, ge=0, le=1e6, description="lead of the positive that counts as enough")
    type_of_triplets: Literal["all", "hard", "semihard", "easy"] = Field("all", description="which triplets are taken")


@MINERS.register("UniformHistogramMiner", target=BUILD, scope="batch")
class UniformHistogramMinerOptions(PmlMinerOptions):
    """pytorch-metric-learning: pairs drawn so that every range of distances comes up as often."""

    library_name = "UniformHistogramMiner"
    num_bins: int = Field(100, ge=1, le=100_000, description="equal ranges of distance")
    pos_per_bin: int = Field(10, ge=1, le=100_000, description="positive pairs drawn from each range")
    neg_per_bin: int = Field(10, ge=1, le=100_000, description="negative pairs drawn from each range")


@MINERS.register("MaximumLossMiner", target=BUILD, scope="batch")
class MaximumLossMinerOptions(PmlMinerOptions):
    """Gone from pytorch-metric-learning since 1.0; the miner maximum-loss takes its place."""

    library_name = "MaximumLossMiner"
    gone = "pytorch-metric-learning has no MaximumLossMiner since 1.0; take the miner 'maximum-loss'."
