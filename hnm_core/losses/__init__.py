"""Losses by name: `create("triplet-margin", margin=0.2)` gives an nn.Module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator

    from hnm_core.distances import Distance
    from hnm_core.losses.base import Loss, Problem
    from hnm_core.spec.registry import LossOptions, Part


def create(
    name: str,
    *,
    distance: Distance | None = None,
    problem: Problem | None = None,
    generator: Generator | None = None,
    **options: Any,
) -> Loss:
    """Build a loss that is called as loss(embeddings, labels, indices_tuple=None, ref_emb=None, ref_labels=None).

    Args:
        name: one of `LOSSES.names()`.
        distance: what near means; None takes the loss's usual one, as pytorch-metric-learning does.
        problem: number of classes and size of the embedding, for losses with weights of their own.
        generator: (CPU) where such weights come from; None draws them from a generator seeded with 0.
        options: of the loss, see its options model; the defaults are pytorch-metric-learning's.

    Raises:
        InputError: unknown name or option, an option out of range, or a distance the loss does not work on.
    """
    from hnm_core.spec.registry import LOSSES

    return build(LOSSES.part(name, options), distance=distance, problem=problem, generator=generator)


def build(
    part: Part[LossOptions],
    *,
    distance: Distance | None = None,
    problem: Problem | None = None,
    generator: Generator | None = None,
) -> Loss:
    """As `create`, with options that are checked already."""
    from hnm_core.distances import check_distance

    check_distance(distance)
    loss: Loss = part.entry.load()(part.options, distance=distance, problem=problem, generator=generator)
    return loss
