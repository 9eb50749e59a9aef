"""Names and options of the miners that look inside one batch; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hnm_core.spec.registry import LOSSES, MINERS, LossOptions, MinerOptions, Part

Range = tuple[float, float]
Side = Literal["easy", "semihard", "hard", "all"]
Margin = Annotated[float, Field(ge=0, le=1e6)]


class BatchOptions(MinerOptions):
    """What all miners inside a batch have in common: how many tuples to keep at most."""

    cap_option = "max_tuples"
    max_per_anchor: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="keep at most so many tuples of an anchor, drawn evenly; none keeps all",
    )
    max_tuples: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="keep at most so many triplets, or positive and negative pairs each, drawn evenly; none keeps all",
    )

    @property
    def shares_labels(self) -> bool:
        """See `MinerOptions`."""
        return True

    def most_tuples(self, batch: int) -> int | None:
        """See `MinerOptions`."""
        each = self.max_per_anchor
        caps = [self.max_tuples, None if each is None else each * batch]
        return min((cap for cap in caps if cap is not None), default=None)

    @property
    def enough(self) -> float | None:
        """Lead of the nearest negative over the farthest positive that leaves nothing to mine; None where no lead
        does."""
        return None


@MINERS.register("none", target="hnm_core.miners.in_batch.none:NoMiner", scope="batch")
class NoMinerOptions(MinerOptions):
    """No mining: the loss looks at every pair or triplet of the batch."""

    leaves_choice = True

    @property
    def shares_labels(self) -> bool:
        """See `MinerOptions`: the loss has the say."""
        return True


@MINERS.register("triplet-margin", target="hnm_core.miners.in_batch.triplets:triplet_margin", scope="batch")
class TripletMarginOptions(BatchOptions):
    """Triplets of the batch by how far the negative is beyond the positive (Schroff 2015)."""

    triplet_share = 1.0
    margin: Margin = Field(0.2, description="lead of the positive that counts as enough")
    type_of_triplets: Literal["all", "hard", "semihard", "easy"] = Field(
        "all",
        description="with D = d_an - d_ap; hard: D <= 0, semihard: 0 < D <= margin, all: both, easy: D > margin",
    )

    @property
    def enough(self) -> float | None:
        """See `BatchOptions`."""
        return None if self.type_of_triplets == "easy" else self.margin


@MINERS.register("batch-hard", target="hnm_core.miners.in_batch.pairs:batch_hard", scope="batch")
class BatchHardOptions(BatchOptions):
    """One triplet an anchor: its farthest positive and nearest negative in the batch (Hermans 2017)."""

    @property
    def hardest_only(self) -> bool:
        """See `MinerOptions`."""
        return True


@MINERS.register("batch-easy-hard", target="hnm_core.miners.in_batch.pairs:batch_easy_hard", scope="batch")
class BatchEasyHardOptions(BatchOptions):
    """One positive and one negative pair an anchor, each easy, semi-hard or hard (Xuan 2020)."""

    pos_strategy: Side = Field(
        "easy",
        description="easy: the nearest positive, hard: the farthest, semihard: the farthest that is nearer than the "
        "negative, all: every positive pair",
    )
    neg_strategy: Side = Field(
        "semihard",
        description="hard: the nearest negative, easy: the farthest, semihard: the nearest that is farther than the "
        "positive, all: every negative pair",
    )
    allowed_pos_range: Range | None = Field(
        None, description="lowest and highest distance of a positive that is taken (not with all); none is no limit"
    )
    allowed_neg_range: Range | None = Field(
        None, description="lowest and highest distance of a negative that is taken (not with all); none is no limit"
    )

    @model_validator(mode="after")
    def _check(self) -> BatchEasyHardOptions:
        sides = (self.pos_strategy, self.neg_strategy)
        if sides in (("semihard", "semihard"), ("semihard", "all"), ("all", "semihard")):
            raise ValueError(
                f"pos_strategy = {sides[0]} cannot go with neg_strategy = {sides[1]}: semihard needs one chosen pair "
                "of the other side"
            )
        for name, limits in (
            ("allowed_pos_range", self.allowed_pos_range),
            ("allowed_neg_range", self.allowed_neg_range),
        ):
            if limits is not None and limits[0] > limits[1]:
                raise ValueError(f"{name} = {list(limits)} must name the lower end first")
        return self


@MINERS.register("pair-margin", target="hnm_core.miners.in_batch.pairs:pair_margin", scope="batch")
class PairMarginOptions(BatchOptions):
    """Positive pairs farther than one margin and negative pairs nearer than another."""

    many_pairs = True
    pos_margin: float = Field(0.2, ge=-1e6, le=1e6, description="positive pairs farther apart than this are taken")
    neg_margin: float = Field(0.8, ge=-1e6, le=1e6, description="negative pairs nearer than this are taken")


@MINERS.register("multi-similarity", target="hnm_core.miners.in_batch.pairs:multi_similarity", scope="batch")
class MultiSimilarityOptions(BatchOptions):
    """Pairs that compete: negatives as near as the farthest positive, positives as far as the nearest negative."""

    many_pairs = True
    epsilon: float = Field(0.1, ge=-1e6, le=1e6, description="slack of both comparisons, in units of the distance")

    @property
    def enough(self) -> float:
        """See `BatchOptions`."""
        return self.epsilon


@MINERS.register("distance-weighted", target="hnm_core.miners.in_batch.triplets:distance_weighted", scope="batch")
class DistanceWeightedOptions(BatchOptions):
    """Negatives drawn evenly over all distances, as often for an anchor as its class has rows (Wu 2017)."""

    unit_euclidean_only = True
    weighs_by_density = True
    cutoff: float = Field(0.5, gt=0, lt=2, description="nearer negatives are weighted as if at this distance")
    nonzero_loss_cutoff: float = Field(1.4, gt=0, le=1e6, description="negatives as far as this are never drawn")


@MINERS.register("angular", target="hnm_core.miners.in_batch.triplets:angular", scope="batch")
class AngularOptions(BatchOptions):
    """Triplets in which the negative sees the positive pair under a wide angle (Wang 2017)."""

    unit_euclidean_only = True
    triplet_share = 1.0
    angle: float = Field(
        20.0, ge=0, lt=90, description="half angles above this are taken", json_schema_extra={"unit": "degrees"}
    )


@MINERS.register("hdc", target="hnm_core.miners.in_batch.pairs:hdc", scope="batch")
class HdcOptions(BatchOptions):
    """The hardest share of all pairs of the batch: farthest positives, nearest negatives (Yuan 2017)."""

    many_pairs = True
    filter_percentage: float = Field(0.5, gt=0, le=1, description="share of the pairs that is taken, rounded up")


@MINERS.register("uniform-histogram", target="hnm_core.miners.in_batch.pairs:uniform_histogram", scope="batch")
class UniformHistogramOptions(BatchOptions):
    """Pairs drawn, with repeats, so that every range of distances comes up as often."""

    num_bins: int = Field(100, ge=1, le=100_000, description="equal ranges between the least and the largest distance")
    pos_per_bin: int = Field(10, ge=1, le=100_000, description="positive pairs drawn from each range that has some")
    neg_per_bin: int = Field(10, ge=1, le=100_000, description="negative pairs drawn from each range that has some")


@MINERS.register("all-pairs", target="hnm_core.miners.in_batch.pairs:all_pairs", scope="batch")
class AllPairsOptions(BatchOptions):
    """Every pair of the batch once, with as many negative as positive pairs if wanted."""

    many_pairs = True
    balance: bool = Field(True, description="draw as many negative pairs as there are positive ones")


@MINERS.register("hard-negative-pairs", target="hnm_core.miners.in_batch.pairs:hard_negative_pairs", scope="batch")
class HardNegativePairsOptions(BatchOptions):
    """Every positive pair of the batch and as many of its nearest negative pairs."""


@MINERS.register("all-triplets", target="hnm_core.miners.in_batch.triplets:all_triplets", scope="batch")
class AllTripletsOptions(BatchOptions):
    """Every positive pair of the batch with every negative of its first row."""

    triplet_share = 0.5  # every positive pair once, not from both of its ends


class SelectorOptions(BatchOptions):
    """What the selectors of one negative for each positive pair have in common."""

    margin: Margin = Field(
        1.0, description="negatives count while d_an - d_ap is below this, in units of the distance; match the loss"
    )

    @property
    def wanted_margin(self) -> float:
        """See `MinerOptions`."""
        return self.margin

    @property
    def enough(self) -> float:
        """See `BatchOptions`."""
        return self.margin


@MINERS.register("hardest-negative", target="hnm_core.miners.in_batch.triplets:hardest_negative", scope="batch")
class HardestNegativeOptions(SelectorOptions):
    """Every positive pair of the batch with its anchor's nearest negative, if that violates the margin."""

    @property
    def hardest_only(self) -> bool:
        """See `MinerOptions`."""
        return True


@MINERS.register("random-negative", target="hnm_core.miners.in_batch.triplets:random_negative", scope="batch")
class RandomNegativeOptions(SelectorOptions):
    """Every positive pair of the batch with any one negative that violates the margin."""


@MINERS.register("semihard-negative", target="hnm_core.miners.in_batch.triplets:semihard_negative", scope="batch")
class SemihardNegativeOptions(SelectorOptions):
    """Every positive pair of the batch with any one negative beyond the positive but within the margin."""


@MINERS.register("maximum-loss", target="hnm_core.miners.in_batch.maximum_loss:build", scope="batch")
class MaximumLossOptions(MinerOptions):
    """All pairs of the random sub-batch with the largest loss, or what another miner finds in it."""

    loss: str = Field("triplet-margin", description="loss that rates a sub-batch")
    loss_options: dict[str, Any] = Field(default_factory=dict, description="options of that loss")
    miner: str | None = Field(None, description="in-batch miner that looks inside a sub-batch; none takes all pairs")
    miner_options: dict[str, Any] = Field(default_factory=dict, description="options of that miner")
    num_trials: int = Field(5, ge=1, le=10_000, description="sub-batches that are tried")
    output_batch_size: int | None = Field(
        None, ge=2, le=1_000_000, description="rows of a sub-batch; none is half of the batch"
    )

    @cached_property
    def loss_part(self) -> Part[LossOptions]:
        """The loss with its typed options. Raises `InputError` where there is no such loss or option."""
        return LOSSES.part(self.loss, self.loss_options)

    @cached_property
    def miner_part(self) -> Part[MinerOptions] | None:
        """The miner inside with its typed options; None takes all pairs. Raises `InputError` as `loss_part`."""
        return None if self.miner is None else MINERS.part(self.miner, self.miner_options)

    @property
    def shares_labels(self) -> bool:
        """Where both that it runs do."""
        miner = self.miner_part
        return self.loss_part.options.shares_labels and (miner is None or miner.options.shares_labels)

    def inside(self) -> Mapping[str, Any]:
        """See `MinerOptions`."""
        return {
            "miner": self.miner or "all-pairs",
            "miner_options": self.miner_options,
            "loss": self.loss,
            "loss_options": self.loss_options,
        }
