"""The multi-layer perceptron of the first demo, and the head on frozen features: linear layers with ReLU between."""

from __future__ import annotations

import itertools

from torch import Generator, Tensor, nn

from hnm_core.models.base import ImageShape, linear, or_seed_0
from hnm_core.models.options import HeadOptions, MlpOptions


class Mlp(nn.Sequential):
    """Linear layers with ReLU between them, none on the output."""

    def with_hidden(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Embedder.with_hidden`; the layers are `hidden1`, `hidden2`, ..."""
        hidden: dict[str, Tensor] = {}
        for layer in self:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                hidden[f"hidden{len(hidden) + 1}"] = x
        return x, hidden


def build(
    options: MlpOptions | HeadOptions,
    *,
    in_features: int,
    image_shape: ImageShape | None = None,
    generator: Generator | None = None,
) -> Mlp:
    """A network (B, in_features) -> (B, options.embedding), initialised as `nn.Linear` is but from `generator`."""
    generator = or_seed_0(generator)
    sizes = [in_features, *options.widths, options.embedding]
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        layers += [linear(fan_in, fan_out, generator), nn.ReLU()]
    return Mlp(*layers[:-1])
