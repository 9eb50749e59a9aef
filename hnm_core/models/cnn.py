"""The small convolutional network of the soft-nearest-neighbour experiments (Frosst et al. 2019, arXiv 1902.01889)."""

from __future__ import annotations

import math

from torch import Generator, Tensor, nn

from hnm_core.errors import InputError
from hnm_core.models.base import ImageShape, convolution, image_shape_of, linear, or_seed_0
from hnm_core.models.options import CnnOptions

MIN_SIDE = 4
"""Pixels that two halvings and their kernels need."""


class Cnn(nn.Module):
    """Two convolutions of stride 2, each halving the picture (rounded down), two linear layers, the embedding."""

    def __init__(self, options: CnnOptions, image_shape: ImageShape, generator: Generator) -> None:
        super().__init__()
        channels, height, width = image_shape
        if min(height, width) < MIN_SIDE:
            raise InputError(f"Model 'cnn' needs pictures of at least {MIN_SIDE} x {MIN_SIDE}, not {height} x {width}.")
        self.image_shape = image_shape
        self.conv1 = convolution(channels, 64, kernel=8, stride=2, padding=3, generator=generator)
        self.conv2 = convolution(64, 128, kernel=6, stride=2, padding=2, generator=generator)
        self.fc1 = linear(128 * math.prod(side // 2 // 2 for side in (height, width)), 50, generator)
        self.fc2 = linear(50, 512, generator)
        self.output = linear(512, options.embedding, generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, E) embeddings of (B, C * H * W) pixels."""
        return self.with_hidden(x)[0]

    def with_hidden(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Embedder.with_hidden`; the layers are `conv1`, `conv2`, `fc1`, `fc2`."""
        conv1 = self.conv1(x.reshape(len(x), *self.image_shape)).relu()
        conv2 = self.conv2(conv1).relu()
        fc1 = self.fc1(conv2.flatten(1)).relu()
        fc2 = self.fc2(fc1).relu()
        return self.output(fc2), {"conv1": conv1.flatten(1), "conv2": conv2.flatten(1), "fc1": fc1, "fc2": fc2}


def build(
    options: CnnOptions,
    *,
    in_features: int,
    image_shape: ImageShape | None = None,
    generator: Generator | None = None,
) -> Cnn:
    """A network (B, in_features) -> (B, options.embedding) for rows of pixels.

    Raises:
        InputError: rows that are no pictures, or pictures that are too small.
    """
    return Cnn(options, image_shape_of(in_features, image_shape), or_seed_0(generator))
