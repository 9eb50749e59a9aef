"""Names and options of the miners; loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hnm_core.registry import MINERS, Options

Positives = Literal["random", "hardest", "easiest"]


class WholeSetOptions(Options):
    """What the miners over the whole set have in common."""

    positives: Positives = Field(
        "random", description="which item of the anchor's class: any, the farthest, or the nearest"
    )


class SearchingOptions(WholeSetOptions):
    """What the miners that search have in common."""

    pool: int = Field(3, ge=1, le=10_000, description="the negative is drawn from so many nearest ones")


@MINERS.register("random", target="hnm_core.miners.random_pairs:RandomMiner", scope="dataset")
class RandomOptions(WholeSetOptions):
    """Any item of another class: the baseline, and the warm-up of the others."""


@MINERS.register("knn", target="hnm_core.miners.knn:build", scope="dataset")
class KnnOptions(SearchingOptions):
    """The nearest items of other classes, found exactly."""


@MINERS.register("lsh", target="hnm_core.miners.lsh:build", scope="dataset")
class LshOptions(SearchingOptions):
    """The nearest items of other classes, found approximately by hashing (Deuser 2025); exact is faster in 3-D."""

    bits: int = Field(256, ge=8, le=4_096, description="bits a point is hashed to")
    family: Literal["auto", "sign", "affine"] = Field(
        "auto",
        description="sign sees angles, affine sees distances; auto takes sign on unit vectors, affine otherwise",
    )
    rescore: int | Literal["auto"] = Field(
        "auto", description="candidates to re-score exactly; auto takes the fewest that reach recall 0.95 on a probe"
    )
    center: bool = Field(True, description="hash about the mean")
