"""What the form says otherwise than the run that is on: what could be taken up at once, and what waits. No Qt."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.history.words import option_in_words
from hnm_core.errors import InputError
from hnm_core.run import changeable
from hnm_core.run.events import value_text
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import is_over_documents

SHARED = (
    "data",
    "model",
    "steps",
    "seconds",
    "seed",
    "threads",
    "device",
    "eval_every",
    "frame_every",
    "shown",
    "checkpoint_every",
)
"""What all lanes share from the start."""


@dataclass(frozen=True)
class Pending:
    """Differences between the form and the run."""

    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Lane -> option -> value, for `hnm_core.run.control.Control.change_together`."""
    lines: tuple[str, ...] = ()
    """What these are, in words."""
    later: tuple[str, ...] = ()
    """What takes effect at the next start, in words."""
    problem: str = ""
    """Why the changes cannot be taken up, in a sentence."""


def pending(
    form: ExperimentConfig,
    started: ExperimentConfig,
    lanes: Mapping[str, ExperimentConfig],
    running: Collection[str],
) -> Pending:
    """Compare.

    Args:
        form: what the form says.
        started: what the run began with.
        lanes: each lane alone as it is now, see `hnm_core.run.changeable.at_the_end`.
        running: names of those that have not ended.
    """
    changes: dict[str, dict[str, Any]] = {}
    told: dict[changeable.Change, list[str]] = {}
    later = [name for name in SHARED if getattr(form, name) != getattr(started, name)]
    same_optimizer = form.optimizer.name == started.optimizer.name
    if not same_optimizer:
        later.append("optimiser")
    problem = ""
    for lane in form.lanes:
        if lane.name not in lanes:
            later.append(f"lane {lane.name}")
            continue
        for change in changeable.differences(lanes[lane.name], changeable.alone(form, lane.name)):
            if change.option.startswith("optimizer.options") and not same_optimizer:
                continue
            if changeable.is_changeable(change.option) and lane.name in running:
                changes.setdefault(lane.name, {})[change.option] = changeable.as_value(change.value)
                told.setdefault(change, []).append(lane.name)
            else:
                later.append(f"{option_in_words(change.option)} of {lane.name}")
    known = {lane.name for lane in form.lanes}
    later += [f"no lane {lane.name}" for lane in started.lanes if lane.name not in known]
    if is_over_documents(started.data.name):  # such lanes stay as they began
        later += [f"{option_in_words(change.option)} of {', '.join(names)}" for change, names in told.items()]
        return Pending(later=tuple(later))
    for name, options in changes.items():
        try:
            changeable.changed(lanes[name], options)
        except InputError as error:
            problem = problem or str(error)
    all_lanes = [name for name in running if len(running) > 1]
    lines = [
        f"{'all lanes' if set(names) == set(all_lanes) else ', '.join(names)}: "
        + value_text(option_in_words(change.option), change.before, change.value)
        for change, names in told.items()
    ]
    return Pending(changes, tuple(lines), tuple(later), problem)
