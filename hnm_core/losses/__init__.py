"""Losses by name: `create("triplet-margin", margin=0.2)` gives an nn.Module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hnm_core.distances import Distance
    from hnm_core.losses.base import Loss


def create(name: str, *, distance: Distance | None = None, **options: Any) -> Loss:
    """Build a loss that is called as loss(embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None).

    Args:
        name: one of `LOSSES.names()`.
        distance: what near means; None takes pytorch-metric-learning's default, Euclidean on normalised embeddings.
        options: of the loss, see its options model; the defaults are pytorch-metric-learning's.

    Raises:
        InputError: unknown name or option.
    """
    from hnm_core.registry import LOSSES

    loss: Loss = LOSSES.entry(name).load()(LOSSES.validate(name, options), distance=distance)
    return loss
