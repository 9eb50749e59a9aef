"""Names and options of the miners over the whole set; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hnm_core.spec.registry import MINERS, Options

Positives = Literal["random", "hardest", "easiest"]
Select = Literal["pool", "hardest", "semi-hard", "rank-window", "distance-weighted"]
Guard = Literal["paired", "nearest"]
Family = Literal["auto", "sign", "affine"]

ALIASES = {
    "range_min": "rank_min",
    "range_max": "rank_max",
    "num_negatives": "negatives",
    "sampling": "select",
    "sampling_strategy": "select",
}
"""What `mine_hard_negatives` of sentence-transformers calls our options. Its other names are ours too."""

_SAMPLING = {"top": "hardest", "random": "rank-window"}


class WholeSetOptions(Options):
    """What the miners over the whole set have in common."""

    positives: Positives = Field(
        "random", description="which item of the anchor's class: any, the farthest, or the nearest"
    )


class SearchingOptions(WholeSetOptions):
    """What the miners that search have in common: which of the nearest items of other classes become negatives."""

    pool: int = Field(3, ge=1, le=10_000, description="the negative is drawn from so many nearest ones")
    select: Select = Field(
        "pool",
        description="pool: drawn from the `pool` nearest; hardest: the nearest; semi-hard: the nearest that is farther "
        "than the positive; rank-window: drawn from all that are left; distance-weighted: drawn evenly over distances "
        "(Wu 2017), on the unit sphere only",
    )
    negatives: int = Field(1, ge=1, le=1_000, description="negatives for each anchor, all different")
    candidates: int = Field(
        64, ge=1, le=10_000, description="nearest ones to choose from, where more than the pool has to be looked at"
    )
    rank_min: int = Field(0, ge=0, le=10_000, description="so many of the nearest ones are passed over")
    rank_max: int | None = Field(
        None, ge=1, le=20_000, description="only so many of the nearest ones are looked at; empty looks at `candidates`"
    )
    min_distance: float | None = Field(None, description="nearer negatives are left out")
    max_distance: float | None = Field(None, description="farther negatives are left out")
    min_score: float | None = Field(
        None, description="negatives with a lower similarity are left out (cosine and inner product)"
    )
    max_score: float | None = Field(
        None, description="negatives with a higher similarity are left out (cosine and inner product)"
    )
    absolute_margin: float | None = Field(
        None, description="a negative must be farther than the positive by so much (similarity: lower by so much)"
    )
    relative_margin: float | None = Field(
        None,
        ge=0,
        le=100,
        description="a negative must be farther than the positive by this share of the positive's distance "
        "(similarity: lower by this share of its size); 0.05 is usual",
    )
    guard: Guard = Field(
        "paired", description="which positive the margins speak of: the anchor's own in the triplet, or its nearest one"
    )
    margin: float | None = Field(
        None, gt=0, description="semi-hard: at most so much farther than the positive; empty sets no bound"
    )
    cutoff: float = Field(
        0.5, gt=0, le=2, description="distance-weighted: nearer negatives weigh as if at this distance"
    )
    nonzero_loss_cutoff: float = Field(
        1.4, gt=0, le=2, description="distance-weighted: negatives from this distance on are not drawn"
    )
    fill: bool = Field(True, description="an anchor that is left without a negative takes a random one")

    @model_validator(mode="before")
    @classmethod
    def _familiar_names(cls, values: Any) -> Any:
        """Translate the names of sentence-transformers."""
        if not isinstance(values, Mapping) or not ALIASES.keys() & values.keys():
            return values
        own = {name: value for name, value in values.items() if name not in ALIASES}
        for alias, name in ALIASES.items():
            if alias not in values:
                continue
            if name in own:
                raise ValueError(f"{alias} is another name of {name}; give one of the two")
            value = values[alias]
            if name == "select":
                if value not in ("top", "random"):
                    raise ValueError(f"{alias} = {value!r} is not allowed: it is 'top' or 'random'")
                value = _SAMPLING[value]
            own[name] = value
        return own

    @model_validator(mode="after")
    def _consistent(self) -> SearchingOptions:
        if self.rank_max is not None and self.rank_max <= self.rank_min:
            raise ValueError(f"rank_max = {self.rank_max} must be larger than rank_min = {self.rank_min}")
        for low, high, what in (
            (self.min_distance, self.max_distance, "distance"),
            (self.min_score, self.max_score, "score"),
        ):
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{what} = {low} must not be larger than max_{what} = {high}")
        if self.min_distance is not None and self.max_score is not None:
            raise ValueError("min_distance and max_score bound the same side; give one of the two")
        if self.max_distance is not None and self.min_score is not None:
            raise ValueError("max_distance and min_score bound the same side; give one of the two")
        return self


@MINERS.register("random", target="hnm_core.miners.whole_set.random_pairs:RandomMiner", scope="dataset")
class RandomOptions(WholeSetOptions):
    """Any item of another class: the baseline, and the warm-up of the others."""


@MINERS.register("knn", target="hnm_core.miners.whole_set.knn:build", scope="dataset")
class KnnOptions(SearchingOptions):
    """The nearest items of other classes, found exactly."""


@MINERS.register("lsh", target="hnm_core.miners.whole_set.lsh:build", scope="dataset")
class LshOptions(SearchingOptions):
    """The nearest items of other classes, found approximately by hashing (Deuser 2025); exact is faster in 3-D."""

    bits: int = Field(256, ge=8, le=4_096, description="bits a point is hashed to")
    family: Family = Field(
        "auto",
        description="sign sees angles, affine sees distances; auto takes sign on unit vectors, affine otherwise",
    )
    rescore: int | Literal["auto"] = Field(
        "auto", description="candidates to re-score exactly; auto takes the fewest for recall 0.95, judged by a probe"
    )
    center: bool = Field(True, description="hash about the mean")


@MINERS.register("lsh-buckets", target="hnm_core.miners.whole_set.lsh_buckets:build", scope="dataset")
class LshBucketsOptions(SearchingOptions):
    """Items of other classes that share a hash bucket with the anchor, nearest first; some anchors may find none."""

    tables: int = Field(16, ge=1, le=256, description="hash tables; more find more")
    bits: Annotated[int, Field(ge=1, le=30)] | Literal["auto"] = Field(
        "auto",
        description="bits of a table's key; auto takes the most that reach `recall` by theory, if no anchor is then "
        "compared with more than some 2,000",
    )
    recall: float = Field(0.9, gt=0, lt=1, description="share of the true nearest ones to be found, where bits is auto")
    probes: int = Field(4, ge=0, le=1_000, description="further buckets searched in each table, the likeliest first")
    family: Family = Field(
        "auto",
        description="sign sees angles, affine sees distances; auto takes sign on unit vectors, affine otherwise",
    )
    center: bool = Field(True, description="hash about the mean")


@MINERS.register("routed", target="hnm_core.miners.whole_set.routed:build", scope="dataset")
class RoutedOptions(SearchingOptions):
    """The nearest items of the few other classes whose centres are nearest, found exactly there."""

    recall: float = Field(
        0.9, gt=0, le=1, description="share of the true nearest ones to be found, where classes is auto"
    )
    classes: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = Field(
        "auto", description="classes searched for each anchor; auto takes the fewest that reach the recall on a probe"
    )
