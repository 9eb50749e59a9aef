"""The fully connected autoencoder D-500-500-2000-d-2000-500-500-D; its embedding is the code."""

from __future__ import annotations

import itertools

from torch import Generator, Tensor, nn

from hnm_core.models.base import RECONSTRUCTION, ImageShape, linear, or_seed_0
from hnm_core.models.options import AutoencoderOptions


class Autoencoder(nn.Module):
    """Linear layers with ReLU between them, none on the code; the decoder mirrors the encoder."""

    def __init__(self, options: AutoencoderOptions, in_features: int, generator: Generator) -> None:
        super().__init__()
        sizes = [in_features, *options.widths, options.embedding]
        self.encoder = nn.ModuleList(linear(a, b, generator) for a, b in itertools.pairwise(sizes))
        self.decoder = nn.ModuleList(linear(a, b, generator) for a, b in itertools.pairwise(sizes[::-1]))
        self.squash = options.output == "sigmoid"

    def forward(self, x: Tensor) -> Tensor:
        """(B, E) codes of (B, D) features; the decoder does not run."""
        return _through(self.encoder, x, "encoder")[0]

    def with_hidden(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Embedder.with_hidden`; the layers are `encoder1` ... `decoder1` ..., then the reconstruction."""
        code, hidden = _through(self.encoder, x, "encoder")
        output, decoded = _through(self.decoder, code, "decoder")
        reconstruction = output.sigmoid() if self.squash else output
        return code, {**hidden, **decoded, RECONSTRUCTION: reconstruction}


def _through(layers: nn.ModuleList, x: Tensor, name: str) -> tuple[Tensor, dict[str, Tensor]]:
    hidden: dict[str, Tensor] = {}
    for place, layer in enumerate(layers, 1):
        x = layer(x)
        if place < len(layers):
            x = x.relu()
            hidden[f"{name}{place}"] = x
    return x, hidden


def build(
    options: AutoencoderOptions,
    *,
    in_features: int,
    image_shape: ImageShape | None = None,
    generator: Generator | None = None,
) -> Autoencoder:
    """A network (B, in_features) -> (B, options.embedding) that can also reconstruct its input."""
    return Autoencoder(options, in_features, or_seed_0(generator))
