"""What an embedding network is, how its weights begin, and how the activations inside any network are seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from hnm_core.errors import InputError

ImageShape = tuple[int, int, int]
"""Channels, height, width. A row of pixels holds one channel after the other, each row by row."""

RECONSTRUCTION = "reconstruction"
"""Key under which `with_hidden` of an autoencoder gives the (B, D) reconstruction; it is no activation."""

NON_LINEARITIES = (
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.GLU,
    nn.Hardshrink,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.PReLU,
    nn.RReLU,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Tanh,
    nn.Tanhshrink,
    nn.Threshold,
)


@runtime_checkable
class Embedder(Protocol):
    """What `models.create` returns, an `nn.Module`: (B, D) features in, (B, E) embeddings out."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, E) embeddings of (B, D) features."""
        ...

    def with_hidden(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The embeddings, and what the hidden layers made of the same features in the same pass.

        Each entry is (B, width), after the non-linearity, in the order of the layers; pictures inside the network are
        flattened. The embedding itself is not among them. An autoencoder adds its `RECONSTRUCTION`, (B, D), last.
        """
        ...


def hidden_activations(
    model: nn.Module, x: Tensor, layers: Sequence[str] | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """What `with_hidden` gives, for any network: its output, and the outputs of layers inside it, each (B, width).

    The network runs once, as it is (training or not), and no hook stays behind, also where it fails.

    Args:
        model: returns one tensor.
        x: its input.
        layers: names as in `model.named_modules()`; None takes every module that is a non-linearity, other than one
            whose output is the output of the network. Non-linearities that are plain function calls are not seen.

    Returns:
        The output, and the activations by name in the order in which they were made; of a module that is called
        several times the later ones are `NAME:2`, `NAME:3`, ...

    Raises:
        InputError: an unknown layer, or no layer to look at.
    """
    modules = dict(model.named_modules())
    if layers is None:
        watched = [name for name, module in modules.items() if isinstance(module, NON_LINEARITIES)]
        if not watched:
            raise InputError(
                f"{type(model).__name__} holds no module that is a non-linearity; name the layers to look at."
            )
    else:
        unknown = next((name for name in layers if name not in modules or not name), None)
        if unknown is not None:
            names = ", ".join(name for name in modules if name)
            raise InputError(f"{type(model).__name__} has no layer '{unknown}'; its layers are: {names or 'none'}.")
        watched = list(layers)
    seen: list[tuple[str, Tensor, Tensor]] = []

    def watch(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim > 0 and len(output) == len(x):
                seen.append((name, output, output.clone()))  # the next operation may write into the output itself

        return keep

    hooks = [modules[name].register_forward_hook(watch(name)) for name in watched]
    try:
        result: Tensor = model(x)
    finally:
        for hook in hooks:
            hook.remove()
    found: dict[str, Tensor] = {}
    times: dict[str, int] = {}
    for name, output, kept in seen:
        if layers is None and _same_memory(output, result):
            continue
        times[name] = times.get(name, 0) + 1
        found[name if times[name] == 1 else f"{name}:{times[name]}"] = kept.flatten(1)
    return result, found


def linear(fan_in: int, fan_out: int, generator: Generator) -> nn.Linear:
    """A layer whose weights are spread as those of `nn.Linear`, but come from `generator`."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
    return _uniform(layer, fan_in, generator)


def convolution(
    channels_in: int, channels_out: int, *, kernel: int, stride: int, padding: int, generator: Generator
) -> nn.Conv2d:
    """A convolution whose weights are spread as those of `nn.Conv2d`, but come from `generator`."""
    layer: nn.Conv2d = nn.utils.skip_init(nn.Conv2d, channels_in, channels_out, kernel, stride=stride, padding=padding)
    return _uniform(layer, channels_in * kernel * kernel, generator)


def or_seed_0(generator: Generator | None) -> Generator:
    """The generator, or one started at seed 0; the global one is never used."""
    return generator if generator is not None else torch.Generator().manual_seed(0)


def image_shape_of(in_features: int, image_shape: ImageShape | None) -> ImageShape:
    """The shape of the pictures that rows of `in_features` numbers are; without one, a grey or three-colour square.

    Raises:
        InputError: the shape does not hold that many numbers, or there is no such square.
    """
    if image_shape is not None:
        if min(image_shape) < 1 or math.prod(image_shape) != in_features:
            channels, height, width = image_shape
            raise InputError(
                f"Pictures of {channels} x {height} x {width} have {math.prod(image_shape):,} numbers, but the data "
                f"have {in_features:,} features."
            )
        return image_shape
    for channels in (1, 3):
        side = math.isqrt(in_features // channels)
        if in_features > 0 and channels * side * side == in_features:
            return channels, side, side
    raise InputError(
        f"{in_features:,} features are no square picture, grey (1 x H x H) or in colour (3 x H x H); a model of "
        "pictures needs data of pictures, or their shape."
    )


AnyLayer = TypeVar("AnyLayer", nn.Linear, nn.Conv2d)


def _uniform(layer: AnyLayer, fan_in: int, generator: Generator) -> AnyLayer:
    bound = 1 / math.sqrt(fan_in)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    if layer.bias is not None:
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    return layer


def _same_memory(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.numel() == other.numel() and one.data_ptr() == other.data_ptr())
