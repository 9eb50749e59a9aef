"""Options of the towers over texts; loads no torch."""

from __future__ import annotations

from pydantic import Field

from hnm_core.spec.traits import Options


class BagOptions(Options):
    """Options of `Bag` and `TwoTowers`."""

    rows: int = Field(1 << 16, ge=16, le=1 << 24, description="vectors that words and pairs are hashed to")
    width: int = Field(128, ge=1, le=65_536, description="of the vector of a word")
    embedding: int = Field(64, ge=1, le=65_536, description="dimension of the embedding")
    pairs: bool = Field(True, description="count pairs of neighbouring words as well")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the mean's coordinates that a training step leaves out"
    )
    shared: bool = Field(True, description="one tower for queries and documents; else one each")
