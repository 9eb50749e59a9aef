"""Names and options of the models; loads no torch."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field

from hnm_core.spec.registry import MODELS, ModelOptions

Width = Annotated[int, Field(ge=1, le=65_536)]


class LayeredOptions(ModelOptions):
    """What models of linear layers share."""

    widths: tuple[Width, ...] = Field((), max_length=64, description="widths of hidden layers")

    @property
    def has_hidden(self) -> bool:
        """See `ModelOptions`."""
        return bool(self.widths)

    def count_weights(self, in_features: int) -> int | None:
        """See `ModelOptions`."""
        sizes = [in_features, *self.widths, self.dimension or 1]
        there = sum(fan_in * fan_out + fan_out for fan_in, fan_out in itertools.pairwise(sizes))
        return 2 * there if self.reconstructs else there


@MODELS.register("mlp", target="hnm_core.models.mlp:build")
class MlpOptions(LayeredOptions):
    """Linear layers with ReLU between them, none on the output."""

    reconstructs = False
    widths: tuple[Width, ...] = Field((100, 50, 25, 10), max_length=64, description="widths of the hidden layers")
    embedding: int = Field(3, ge=1, le=65_536, description="dimension of the embedding; above 3 the cloud is a PCA")


@MODELS.register("cnn", target="hnm_core.models.cnn:build")
class CnnOptions(ModelOptions):
    """Two convolutions and two linear layers, for small pictures (28 x 28, 32 x 32 in colour, 8 x 8)."""

    reconstructs = False

    @property
    def has_hidden(self) -> bool:
        """See `ModelOptions`."""
        return True

    embedding: int = Field(3, ge=1, le=65_536, description="dimension of the embedding; above 3 the cloud is a PCA")


@MODELS.register("autoencoder", target="hnm_core.models.autoencoder:build")
class AutoencoderOptions(LayeredOptions):
    """Linear layers down to a code, which is the embedding, and mirrored back up to the features."""

    reconstructs = True
    widths: tuple[Width, ...] = Field(
        (500, 500, 2000), max_length=64, description="widths of the encoder; the decoder mirrors them"
    )
    embedding: int = Field(3, ge=1, le=65_536, description="dimension of the code; above 3 the cloud is a PCA")
    output: Literal["linear", "sigmoid"] = Field(
        "linear", description="what makes the reconstruction; sigmoid is for features in 0..1"
    )


@MODELS.register("resnet18", target="hnm_core.models.resnet:resnet18")
@MODELS.register("resnet34", target="hnm_core.models.resnet:resnet34")
class ResnetOptions(ModelOptions):
    """Residual network for pictures, with random weights or those of a checkpoint."""

    reconstructs = False

    @property
    def has_hidden(self) -> bool:
        """See `ModelOptions`."""
        return True

    embedding: Width | Literal["features"] = Field(
        3, description="dimension of the embedding; features takes the 512 before the last layer, which is left out"
    )
    stem: Literal["auto", "imagenet", "small"] = Field(
        "auto",
        description="first layer: imagenet is 7 x 7 and shrinks to a quarter, small is 3 x 3 and shrinks nothing",
    )
    weights: str = Field("", description="file of weights in torchvision's layout; empty starts at random")


@MODELS.register("identity", target="hnm_core.models.identity:build")
class IdentityOptions(ModelOptions):
    """No network: the features are the embeddings, mining is looked at and nothing is trained."""

    trains = False
    reconstructs = False

    @property
    def has_hidden(self) -> bool:
        """See `ModelOptions`."""
        return False


@MODELS.register("head", target="hnm_core.models.mlp:build")
class HeadOptions(LayeredOptions):
    """A linear layer, or a small perceptron, on features of a network that stays as it is."""

    reconstructs = False
    widths: tuple[Width, ...] = Field(
        (), max_length=64, description="widths of hidden layers; none makes one linear layer"
    )
    embedding: int = Field(3, ge=1, le=65_536, description="dimension of the embedding; above 3 the cloud is a PCA")
