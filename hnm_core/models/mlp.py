"""The multi-layer perceptron of the first demo: linear layers, ReLU between them, none on the output."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Generator, nn

from hnm_core.models.options import MlpOptions


def build(options: MlpOptions, *, in_features: int, generator: Generator | None = None) -> nn.Sequential:
    """A network (B, in_features) -> (B, options.embedding), initialised as `nn.Linear` is but from `generator`."""
    generator = generator or torch.Generator().manual_seed(0)
    sizes = [in_features, *options.widths, options.embedding]
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        bound = 1 / math.sqrt(fan_in)
        nn.init.uniform_(linear.weight, -bound, bound, generator=generator)
        nn.init.uniform_(linear.bias, -bound, bound, generator=generator)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
