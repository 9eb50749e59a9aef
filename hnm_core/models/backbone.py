"""Networks that only compute features: a model by name with a file of weights, or one of the user's own code."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hnm_core import models
from hnm_core.errors import InputError, unknown_name
from hnm_core.models.weights import read_state_dict
from hnm_core.spec import own_code
from hnm_core.spec.registry import MODELS

RESIDUAL = ("resnet18", "resnet34")
"""Models that are asked for the features before their last layer, and read checkpoints of several layouts."""


def create(name: str, shape: tuple[int, ...], *, weights: Path | None, seed: int) -> nn.Module:
    """A network that takes (B, *shape): (B, 3, H, W) for pictures, (B, D) for other rows.

    Args:
        name: of a model, at its default options, or `module:callable` that returns an `nn.Module`.
        shape: of one item.
        weights: file of a state dict; None leaves the weights as they begin.
        seed: of weights that begin at random.

    Raises:
        InputError: no such model, items that it does not take, code of the user's that fails, or weights of another
            network.
    """
    if ":" in name:
        own = _foreign(name, seed)
        if weights is not None:
            _load(own, weights, name)
        return own
    if name not in MODELS.names():
        raise InputError(f"{unknown_name('backbone', name, MODELS.names())} A network of yours is module:callable.")
    options: dict[str, Any] = {}
    if name in RESIDUAL:
        options = {"embedding": "features", "weights": str(weights or "")}
    source = torch.Generator().manual_seed(seed)
    image_shape = (shape[0], shape[1], shape[2]) if len(shape) == 3 else None
    network = models.create(name, in_features=math.prod(shape), image_shape=image_shape, generator=source, **options)
    if weights is not None and name not in RESIDUAL:
        _load(network, weights, name)
    return nn.Sequential(nn.Flatten(), network)


def digest(network: nn.Module) -> str:
    """The same text for the same weights."""
    total = hashlib.sha256()
    for name, values in network.state_dict().items():
        total.update(name.encode())
        if isinstance(values, Tensor):
            total.update(values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _foreign(name: str, seed: int) -> nn.Module:
    """What `module:callable` returns; modules in the current folder are found."""
    try:
        with own_code.importable_here(), torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # weights that are drawn there are the same in every run
            factory: Callable[[], Any] = own_code.attribute_of(name)
            network = factory if isinstance(factory, nn.Module) else factory()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - code of the user's breaks, or ends, in any way it likes
        hint = own_code.hint(name, error)
        raise InputError(f"The backbone '{name}' cannot be made: {own_code.said(error)}.{hint}") from None
    if not isinstance(network, nn.Module):
        raise InputError(f"The backbone '{name}' returned {type(network).__name__}; it must return an nn.Module.")
    return network


def _load(network: nn.Module, weights: Path, name: str) -> None:
    try:
        network.load_state_dict(read_state_dict(weights))
    except RuntimeError as error:
        lines = [line.strip().rstrip(".") for line in str(error).splitlines()]
        raise InputError(f"'{weights}' holds no weights of '{name}': {lines[-1]}.") from None
