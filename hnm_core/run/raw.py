"""What the evaluated items score as they are, before any network: what training them an embedding has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class RawScore:
    """Retrieval among the items that the lanes are measured on, by the features that the network is given."""

    kind: str
    """What the features are: "raw embeddings", "raw pixels" or "raw features"."""
    distance: str
    """That of one lane or more, in words"""
    metrics: Mapping[str, float]
    """0..1 by name, see `hnm_core.run.events.METRICS`"""


def by_name(scores: Iterable[RawScore]) -> dict[str, Mapping[str, float]]:
    """The metrics by what they are called. Distances are named only where they rank the items otherwise, so far as
    three digits show it; those that do not are one."""
    alike: dict[tuple[str, ...], list[RawScore]] = {}
    for score in scores:
        shown = tuple(f"{name} {value:.3f}" for name, value in sorted(score.metrics.items()))
        alike.setdefault(shown, []).append(score)
    named = {}
    for first, *others in alike.values():
        distances = ", ".join(score.distance for score in (first, *others))
        named[first.kind if len(alike) == 1 else f"{first.kind}, {distances}"] = first.metrics
    return named
