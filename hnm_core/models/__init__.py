"""Embedding networks by name: `create("mlp", in_features=64)` gives an nn.Module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator, nn


def create(name: str, *, in_features: int, generator: Generator | None = None, **options: Any) -> nn.Module:
    """Build a network that maps (B, in_features) to (B, embedding).

    Args:
        name: one of `MODELS.names()`.
        in_features: width of the data.
        generator: source of the initial weights; None starts one at seed 0. The global generator is not used.
        options: of the model, see its options model.

    Raises:
        InputError: unknown name or option.
    """
    from hnm_core.registry import MODELS

    module: nn.Module = MODELS.entry(name).load()(
        MODELS.validate(name, options), in_features=in_features, generator=generator
    )
    return module
