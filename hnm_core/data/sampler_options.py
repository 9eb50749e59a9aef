"""Names and options of the samplers: which anchors make a batch. Loads no numpy and no torch."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import Field, model_validator

from hnm_core.spec.registry import NEIGHBORS, SAMPLERS, Part, SamplerOptions, SearchOptions


@SAMPLERS.register("random", target="hnm_core.data.sampling:RandomSampler")
class RandomSamplerOptions(SamplerOptions):
    """Every item once an epoch, in random order."""

    any_order = True
    ignores_classes = True


@SAMPLERS.register("balanced", target="hnm_core.data.sampling:BalancedSampler")
class BalancedSamplerOptions(SamplerOptions):
    """The same number of items of each of a few classes in every batch; every item at least once an epoch."""

    any_order = True
    shares_labels = True
    classes: int = Field(8, ge=2, le=100_000, description="classes in a batch; all of them where there are fewer")
    per_class: int = Field(4, ge=1, le=100_000, description="items of each class in a batch")
    cap: int | None = Field(
        None,
        ge=1,
        le=1_000_000_000,
        description="items of a class in an epoch at most, other ones in the next; none for all, however many",
    )

    @property
    def own_batch(self) -> int:
        """classes times per_class."""
        return self.classes * self.per_class

    @property
    def of_each_class(self) -> int:
        """See `SamplerOptions`."""
        return self.per_class


@SAMPLERS.register("neighbours", target="hnm_core.data.neighbour_batches:NeighbourSampler")
class NeighbourSamplerOptions(SamplerOptions):
    """Mined batches: an anchor, its nearest items of other classes and random ones of its pool (Deuser 2023, 2025)."""

    search: str = Field("exact", description="neighbour search, run with the weights at each start of an epoch")
    search_options: dict[str, Any] = Field(default_factory=dict, description="options of the search")
    pool: int = Field(128, ge=1, le=100_000, description="nearest items of other classes that an anchor draws from")
    nearest: int = Field(32, ge=0, le=100_000, description="items taken from the front of the pool")
    random: int = Field(32, ge=0, le=100_000, description="items taken at random from the rest of the pool")

    @model_validator(mode="after")
    def _check(self) -> NeighbourSamplerOptions:
        _ = self.search_part  # raises what is wrong with it
        if not 1 <= self.nearest + self.random <= self.pool:
            raise ValueError(
                f"nearest = {self.nearest} and random = {self.random} must be 1 .. pool = {self.pool} items together"
            )
        return self

    @cached_property
    def search_part(self) -> Part[SearchOptions]:
        """The search with its typed options."""
        return NEIGHBORS.part(self.search, self.search_options)
