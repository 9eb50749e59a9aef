"""ResNet-18 and ResNet-34 (He et al. 2015, arXiv 1512.03385). Parameters are called as in the usual checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from hnm_core.errors import InputError
from hnm_core.models.base import ImageShape, image_shape_of, linear, or_seed_0
from hnm_core.models.options import ResnetOptions
from hnm_core.models.weights import read_state_dict

WIDTHS = (64, 128, 256, 512)
OUTPUT_LAYER = ("fc.weight", "fc.bias")
SMALL_SIDE = 64
"""Below this many pixels `stem = "auto"` takes the small stem: the usual one shrinks a picture to a quarter at once."""


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a way around them."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, generator: Generator) -> None:
        super().__init__()
        self.conv1 = _conv(channels_in, channels_out, 3, stride, generator)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = _conv(channels_out, channels_out, 3, 1, generator)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels_out:
            shortcut = _conv(channels_in, channels_out, 1, stride, generator)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H / stride, W / stride)."""
        around = x if self.downsample is None else self.downsample(x)
        x = self.bn1(self.conv1(x)).relu()
        result: Tensor = (self.bn2(self.conv2(x)) + around).relu()
        return result


class ResNet(nn.Module):
    """A stem, four stages of basic blocks, the mean over the picture, and unless `embedding` is None a linear layer."""

    def __init__(
        self,
        blocks: tuple[int, int, int, int],
        image_shape: ImageShape,
        embedding: int | None,
        *,
        small_stem: bool,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.image_shape, self.small_stem = image_shape, small_stem
        kernel, stride = (3, 1) if small_stem else (7, 2)
        self.conv1 = _conv(image_shape[0], WIDTHS[0], kernel, stride, generator)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        channels = WIDTHS[0]
        for stage, (count, width) in enumerate(zip(blocks, WIDTHS, strict=True), 1):
            first = BasicBlock(channels, width, 1 if stage == 1 else 2, generator)
            rest = [BasicBlock(width, width, 1, generator) for _ in range(count - 1)]
            self.add_module(f"layer{stage}", nn.Sequential(first, *rest))
            channels = width
        self.fc = nn.Identity() if embedding is None else linear(channels, embedding, generator)

    def forward(self, x: Tensor) -> Tensor:
        """(B, E) embeddings of (B, C * H * W) pixels."""
        return self._run(x, None)

    def with_hidden(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Embedder.with_hidden`; the layers are `stem`, then the blocks `layer1.0`, `layer1.1`, ..."""
        hidden: dict[str, Tensor] = {}
        return self._run(x, hidden), hidden

    def _run(self, x: Tensor, hidden: dict[str, Tensor] | None) -> Tensor:
        x = self.bn1(self.conv1(x.reshape(len(x), *self.image_shape))).relu()
        if hidden is not None:
            hidden["stem"] = x.flatten(1)
        if not self.small_stem:
            x = nn.functional.max_pool2d(x, 3, stride=2, padding=1)
        for stage in range(1, 1 + len(WIDTHS)):
            for place, block in enumerate(self.get_submodule(f"layer{stage}").children()):
                x = block(x)
                if hidden is not None:
                    hidden[f"layer{stage}.{place}"] = x.flatten(1)
        result: Tensor = self.fc(x.mean((2, 3)))
        return result


def resnet18(
    options: ResnetOptions,
    *,
    in_features: int,
    image_shape: ImageShape | None = None,
    generator: Generator | None = None,
) -> ResNet:
    """18 layers; see `build`."""
    return build((2, 2, 2, 2), options, in_features, image_shape, or_seed_0(generator))


def resnet34(
    options: ResnetOptions,
    *,
    in_features: int,
    image_shape: ImageShape | None = None,
    generator: Generator | None = None,
) -> ResNet:
    """34 layers; see `build`."""
    return build((3, 4, 6, 3), options, in_features, image_shape, or_seed_0(generator))


def build(
    blocks: tuple[int, int, int, int],
    options: ResnetOptions,
    in_features: int,
    image_shape: ImageShape | None,
    generator: Generator,
) -> ResNet:
    """A ResNet for rows of pixels, with the weights of `options.weights` where that is given.

    The stem follows the file if there is one. Weights of colour pictures serve grey ones: their first layer is summed
    over the colours, which is the same as repeating the grey three times. An output layer of another width than
    `options.embedding` begins anew.

    Raises:
        InputError: rows that are no pictures, or a file that is not of this network.
    """
    shape = image_shape_of(in_features, image_shape)
    state = read_state_dict(Path(options.weights)) if options.weights else None
    small = options.stem == "small" or (options.stem == "auto" and min(shape[1:]) < SMALL_SIDE)
    if state is not None and options.stem == "auto" and "conv1.weight" in state:
        small = state["conv1.weight"].shape[-1] == 3
    width = None if options.embedding == "features" else options.embedding
    model = ResNet(blocks, shape, width, small_stem=small, generator=generator)
    if state is not None:
        _load(model, state, options.weights, sum(blocks) * 2 + 2)
    return model


def _load(model: ResNet, state: dict[str, Tensor], path: str, layers: int) -> None:
    own = model.state_dict()
    state = dict(state)
    stem = state.get("conv1.weight")
    if stem is not None and stem.ndim == 4 and stem.shape[1] == 3 and own["conv1.weight"].shape[1] == 1:
        state["conv1.weight"] = stem.sum(1, keepdim=True)
    if any(name not in own or name not in state or state[name].shape != own[name].shape for name in OUTPUT_LAYER):
        state = {name: values for name, values in state.items() if name not in OUTPUT_LAYER}
        state |= {name: own[name] for name in OUTPUT_LAYER if name in own}
    missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
    foreign = [name for name in state if name not in own]
    if missing or foreign:
        what = f"lacks '{missing[0]}'" if missing else f"holds '{foreign[0]}', which is no part of it"
        raise InputError(f"'{path}' holds no weights of a ResNet-{layers}: it {what}.")
    for name, values in state.items():
        if values.shape != own[name].shape:
            raise InputError(
                f"'{path}' does not fit this ResNet-{layers}: '{name}' has the shape {tuple(values.shape)}, "
                f"not {tuple(own[name].shape)}."
            )
    model.load_state_dict(state, strict=False)


def _conv(channels_in: int, channels_out: int, kernel: int, stride: int, generator: Generator) -> nn.Conv2d:
    """A convolution that keeps the size (divided by the stride), started normal with variance 2 / fan-out."""
    layer: nn.Conv2d = nn.utils.skip_init(
        nn.Conv2d, channels_in, channels_out, kernel, stride=stride, padding=kernel // 2, bias=False
    )
    with torch.no_grad():
        layer.weight.normal_(0, math.sqrt(2 / (channels_out * kernel * kernel)), generator=generator)
    return layer
