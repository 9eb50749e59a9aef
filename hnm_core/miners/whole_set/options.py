"""Names and options of the miners over the whole set; loads no torch.

A miner over another neighbour search is a class here and nothing else: `SearchingOptions` that name the search, with
what there is to choose of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from hnm_core.neighbors.options import BucketOptions, Family, RoutingOptions, ScanOptions
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.spec.registry import MINERS, NEIGHBORS, MinerOptions, Options, Part, SearchOptions
from hnm_core.spec.traits import Remark

SEARCHING = "hnm_core.miners.whole_set.searching:build"

Positives = Literal["random", "hardest", "easiest"]
Select = Literal["pool", "hardest", "semi-hard", "rank-window", "distance-weighted"]
Guard = Literal["paired", "nearest"]

ALIASES = {
    "range_min": "rank_min",
    "range_max": "rank_max",
    "num_negatives": "negatives",
    "sampling": "select",
    "sampling_strategy": "select",
}
"""What `mine_hard_negatives` of sentence-transformers calls our options. Its other names are ours too."""

_SAMPLING = {"top": "hardest", "random": "rank-window"}


class ChoiceOptions(Options):
    """Which of the nearest items that are not relevant become negatives."""

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
    def _consistent(self) -> Self:
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


class WholeSetOptions(MinerOptions):
    """What the miners over the whole set have in common."""

    positives: Positives = Field(
        "random", description="which item of the anchor's class: any, the farthest, or the nearest"
    )


class SearchingOptions(ChoiceOptions, WholeSetOptions):
    """What the miners that search have in common: which of the nearest items of other classes become negatives."""

    search: ClassVar[str]
    """The neighbour search, by its registered name. Its options are those of the same name here."""

    fill: bool = Field(True, description="an anchor that is left without a negative takes a random one")

    @property
    def hardest_only(self) -> bool:
        """See `MinerOptions`."""
        return self.pool == 1

    def search_part(self, seed: int | None) -> Part[SearchOptions]:
        """The search with its options; `seed` is for what it draws itself, and None where it draws nothing."""
        fields = NEIGHBORS.entry(self.search).options.model_fields
        values = {name: value for name, value in self if name in fields}
        return NEIGHBORS.part(self.search, values if seed is None else {**values, "seed": seed})

    @property
    def search_draws(self) -> bool:
        """Whether the search draws something itself."""
        return "seed" in NEIGHBORS.entry(self.search).options.model_fields

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """See `MinerOptions`."""
        similarity = lane.distance in ("cosine", "inner-product")
        for name, score, other in (
            ("max_score", self.max_score, "min_distance"),
            ("min_score", self.min_score, "max_distance"),
        ):
            if score is not None and not similarity:
                yield Remark(
                    "C5",
                    f"{name} of the miner '{lane.miner}' bounds a similarity, but the distance is {lane.distance}; "
                    f"bound it by {other}.",
                )
        on_sphere = lane.normalize or lane.distance == "cosine"
        if self.select == "distance-weighted" and not on_sphere:
            yield Remark(
                "C5",
                f"The miner '{lane.miner}' with select = distance-weighted needs points on the unit sphere.",
                "normalize=true",
            )

    def idle(self) -> Mapping[str, str]:
        """See `MinerOptions`."""
        reasons = {}
        if self.select != "semi-hard":
            reasons["margin"] = f"it belongs to select = semi-hard, not {self.select}"
        if self.select != "distance-weighted":
            reason = f"it belongs to select = distance-weighted, not {self.select}"
            reasons |= {"cutoff": reason, "nonzero_loss_cutoff": reason}
        return reasons


@MINERS.register("random", target="hnm_core.miners.whole_set.random_pairs:RandomMiner", scope="dataset")
class RandomOptions(WholeSetOptions):
    """Any item of another class: the baseline, and the warm-up of the others."""

    at_random = True


@MINERS.register("knn", target=SEARCHING, scope="dataset")
class KnnOptions(SearchingOptions):
    """The nearest items of other classes, found exactly."""

    search = "exact"


@MINERS.register("lsh", target=SEARCHING, scope="dataset")
class LshOptions(ScanOptions, SearchingOptions):
    """The nearest items of other classes, found approximately by hashing (Deuser 2025); exact is often as fast."""

    search = "lsh-scan"

    def remarks(self, lane: LaneConfig, items: int | None) -> Iterator[Remark]:
        """See `MinerOptions`."""
        yield from _of_hashing(lane, self.family, items)


@MINERS.register("lsh-buckets", target=SEARCHING, scope="dataset")
class LshBucketsOptions(BucketOptions, SearchingOptions):
    """Items of other classes that share a hash bucket with the anchor, nearest first; some anchors may find none."""

    search = "lsh-buckets"

    def remarks(self, lane: LaneConfig, items: int | None) -> Iterator[Remark]:
        """See `MinerOptions`."""
        yield from _of_hashing(lane, self.family, items)


@MINERS.register("routed", target=SEARCHING, scope="dataset")
class RoutedOptions(RoutingOptions, SearchingOptions):
    """The nearest items of the few other classes whose centres are nearest, found exactly there."""

    search = "routed"


def _of_hashing(lane: LaneConfig, family: Family, items: int | None) -> Iterator[Remark]:
    if family == "sign" and lane.distance in ("euclidean", "squared-euclidean") and not lane.normalize:
        yield Remark(
            "C15",
            "Sign bits see angles only, not the distance from the origin, but the lane compares distances.",
            "miner_options.family=affine",
        )
    if items is not None and items <= 100_000:
        as_fast = f"Exact search ('knn') is about as fast for {items} items in 3-D."
        yield Remark("C27", as_fast, level="info", alarm_level="hint")
