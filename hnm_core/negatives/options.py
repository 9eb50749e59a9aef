"""What there is to choose about the negatives of a whole set; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from hnm_core.errors import InputError
from hnm_core.miners.whole_set.options import ChoiceOptions, Select
from hnm_core.spec.explaining import explain

Like = Literal["hnm-lab", "sentence-transformers"]
Kept = Literal["all", "random", "hardest", "easiest"]

OURS_ALONE = ("pool", "candidates", "min_distance", "max_distance", "guard", "margin", "cutoff", "nonzero_loss_cutoff")
"""Options that `mine_hard_negatives` of sentence-transformers has nothing like."""


class MineOptions(ChoiceOptions):
    """Which negatives each anchor gets. Margins speak of its positive, of several of the farthest ("paired") or of the
    nearest."""

    negatives: int = Field(3, ge=1, le=1_000, description="negatives for each anchor, all different")
    select: Select = Field(
        "hardest",
        description="hardest: the nearest that are left; rank-window: drawn from all that are left; pool: drawn from "
        "the `pool` nearest; semi-hard: the nearest that are farther than the positive; distance-weighted: drawn "
        "evenly over distances (Wu 2017), on the unit sphere only",
    )
    keep_positives: Kept = Field(
        "all", description="which positives an anchor stands with: all, any one, the farthest, or the nearest"
    )
    like: Like = Field(
        "hnm-lab",
        description="sentence-transformers: what mine_hard_negatives of that library would choose: margins and scores "
        "act before ranks are counted, and only the text says what is the same",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of all that is drawn")

    @model_validator(mode="after")
    def _as_theirs(self) -> Self:
        if self.like == "hnm-lab":
            return self
        strange = [name for name in OURS_ALONE if name in self.model_fields_set]
        if strange:
            raise ValueError(f"{strange[0]} is unknown to sentence-transformers; leave it out, or like = 'hnm-lab'")
        if self.select not in ("hardest", "rank-window"):
            raise ValueError(
                f"select = {self.select} is unknown to sentence-transformers; it has 'hardest' (top) and "
                "'rank-window' (random)"
            )
        if self.keep_positives != "all":
            raise ValueError(f"keep_positives = {self.keep_positives}, but sentence-transformers keeps all")
        if self.rank_max is not None and self.negatives > self.rank_max - self.rank_min:
            raise ValueError(
                f"negatives = {self.negatives} are more than the {self.rank_max - self.rank_min} candidates from "
                f"rank_min = {self.rank_min} to rank_max = {self.rank_max}"
            )
        return self


def checked(options: Mapping[str, Any]) -> MineOptions:
    """Options by name, those of sentence-transformers among them. Raises `InputError` as a registry does."""
    try:
        return MineOptions.model_validate(dict(options))
    except ValidationError as error:
        raise InputError(explain(error, "mine", MineOptions)) from None
