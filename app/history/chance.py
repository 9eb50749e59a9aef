"""The level of chance of a run's metrics, which curves are drawn above. No Qt."""

from __future__ import annotations

from hnm_core.evaluation.chance import chance_levels
from hnm_core.run.events import RunStarted


def chance_of(started: RunStarted | None) -> dict[str, float]:
    """What a random ranking scores, by metric; empty when the evaluated items are not all known here."""
    if started is None:
        return {}
    if started.chance is not None:
        return dict(started.chance)
    if started.items_total > len(started.ids):  # an older recording, whose metrics are of items that are not shown
        return {}
    return chance_levels(started.labels[started.held_out] if started.held_out.any() else started.labels)
