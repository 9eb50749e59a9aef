"""Names and options of the models; loads no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hnm_core.registry import MODELS, Options

Width = Annotated[int, Field(ge=1, le=65_536)]


@MODELS.register("mlp", target="hnm_core.models.mlp:build")
class MlpOptions(Options):
    """Linear layers with ReLU between them, none on the output."""

    widths: tuple[Width, ...] = Field((100, 50, 25, 10), max_length=64, description="widths of the hidden layers")
    embedding: int = Field(3, ge=1, le=65_536, description="dimension of the embedding; above 3 the cloud is a PCA")
