"""No network: the features are the embeddings. Mining is looked at, nothing is trained."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from hnm_core.models.base import ImageShape
from hnm_core.models.options import IdentityOptions


class Identity(nn.Module):
    """Returns its input; has no parameters."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, D) features, as they are."""
        return x

    def with_hidden(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The features, and no hidden layer."""
        return x, {}


def build(
    options: IdentityOptions,
    *,
    in_features: int,
    image_shape: ImageShape | None = None,
    generator: Generator | None = None,
) -> Identity:
    """The identity (B, in_features) -> (B, in_features)."""
    return Identity()
