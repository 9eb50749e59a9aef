"""Embedding networks by name: `create("mlp", in_features=64)` gives an nn.Module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator, nn

    from hnm_core.spec.registry import ModelOptions, Part


def create(
    name: str,
    *,
    in_features: int,
    image_shape: tuple[int, int, int] | None = None,
    generator: Generator | None = None,
    **options: Any,
) -> nn.Module:
    """Build a network that maps (B, in_features) to (B, embedding).

    Args:
        name: one of `MODELS.names()`.
        in_features: width of the data.
        image_shape: (C, H, W) where rows are pictures, one channel after the other; None lets a model of pictures take
            a square, grey or in three colours.
        generator: source of the initial weights; None starts one at seed 0. The global generator is not used, and the
            number of threads changes nothing.
        options: of the model, see its options model.

    Returns:
        A network that also has `with_hidden`, see `hnm_core.models.base.Embedder`.

    Raises:
        InputError: unknown name or option, or data that are not what the model takes.
    """
    from hnm_core.spec.registry import MODELS

    part = MODELS.part(name, options)
    return build(part, in_features=in_features, image_shape=image_shape, generator=generator)


def build(
    part: Part[ModelOptions],
    *,
    in_features: int,
    image_shape: tuple[int, int, int] | None = None,
    generator: Generator | None = None,
) -> nn.Module:
    """As `create`, with options that are checked already."""
    from hnm_core.errors import InputError

    if in_features < 1:
        raise InputError(f"in_features = {in_features} is not allowed: data have at least 1 feature.")
    module: nn.Module = part.entry.load()(
        part.options, in_features=in_features, image_shape=image_shape, generator=generator
    )
    return module
