"""From a configuration to an optimiser of the network and of what weights the loss has."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import nn

from hnm_core.run.changeable import OPTIMIZER_DEFAULTS
from hnm_core.spec.config import OptimizerConfig


class HasWeights(Protocol):
    """A loss, of which only its own weights matter here."""

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """See `hnm_core.losses.base.Loss`."""


def optimizer(config: OptimizerConfig, model: nn.Module, loss: HasWeights) -> torch.optim.Optimizer | None:
    """The optimiser of every parameter of the network and of the loss; None where there is none to train."""
    groups: list[dict[str, Any]] = [{"params": list(model.parameters())}, *loss.parameter_groups(config.lr)]
    groups = [group for group in groups if group["params"]]
    if not groups:
        return None
    options = {**OPTIMIZER_DEFAULTS[config.name], **config.options}
    decay = options["weight_decay"]
    if config.name == "sgd":
        momentum = options["momentum"]
        return torch.optim.SGD(groups, lr=config.lr, momentum=momentum, weight_decay=decay, fused=True)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    betas = (options["beta1"], options["beta2"])
    return kind(groups, lr=config.lr, betas=betas, weight_decay=decay, fused=True)
