"""What a run came to, in words: at equal steps, at equal time, how long each lane took to a goal, and whether it is
better than the features as they are. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from app.history.race import steps_at_equal_time
from hnm_core.run.events import RunFailed, RunStarted
from hnm_core.run.history import LaneHistory, RunHistory
from hnm_core.run.raw import by_name
from hnm_core.run.results import DOCUMENT_LEVEL, LEVEL, LEVEL_NAMES

JUDGED_BY = {
    **{level: LEVEL_NAMES[level] for level in (DOCUMENT_LEVEL, LEVEL)},
    "precision_at_1": "P@1",
    "knn_accuracy": "kNN accuracy",
}
"""The first of these that was measured decides."""
MOST_EVALUATED = 2000
"""So many items were evaluated at most before a run said itself on what it is measured."""
GOAL = 0.95
"""Of what the best lane ends with."""
WIDTH = 1.96
"""Standard errors to either side within which nothing is told apart."""


@dataclass(frozen=True)
class Verdict:
    """How a run ended."""

    title: str
    lines: tuple[str, ...]


def verdict(history: RunHistory) -> Verdict | None:
    """What can be said of a run that has ended; None while it has not, or where nothing was trained or it failed."""
    ended, started = history.ended, history.started
    if ended is None or isinstance(ended, RunFailed) or started is None or history.audits or not history.last_step:
        return None
    title = f"The run was stopped at step {history.last_step:,}" if ended.stopped else "The run is over"
    metric = next((name for name in JUDGED_BY if any(_measured(lane, name) for lane in history.lanes.values())), None)
    if metric is None:
        missing = started.evaluated.missing if started.evaluated is not None else ""
        reason = missing or "Nothing was measured on held-out items"
        return Verdict(title, (f"{reason.rstrip('.')}, so nothing can be said of who was better.",))
    lanes = {name: lane for name, lane in history.lanes.items() if _measured(lane, metric)}
    evaluated = measured_items(started)
    common = min(int(lane.metric(metric)[0][-1]) for lane in lanes.values())
    at_steps = {name: lane.latest(metric, common) for name, lane in lanes.items()}
    lines = [f"{JUDGED_BY[metric]} at equal steps ({common:,}): {ranking(at_steps, evaluated)}"]
    if len(lanes) > 1:
        reached = steps_at_equal_time(history)
        at_time = {name: lane.latest(metric, reached.get(name, 0)) for name, lane in lanes.items()}
        seconds = min(float(lane.seconds[-1]) for lane in lanes.values())
        lines.append(f"At equal time ({seconds:.3g} s of training): {ranking(at_time, evaluated)}")
    goal = GOAL * max(value for value in at_steps.values() if math.isfinite(value))
    times = {name: seconds_to(lane, metric, goal) for name, lane in lanes.items()}
    told = ", ".join(
        f"{name} {'never' if math.isinf(took) else f'{took:.3g} s'}"
        for name, took in sorted(times.items(), key=lambda item: item[1])
    )
    lines.append(f"To {goal:.3f}, {100 * GOAL:.0f} % of the best: {told}")
    raw = {name: scored[metric] for name, scored in by_name(started.raw).items() if metric in scored}
    lines += [beside_raw(name, value, at_steps, evaluated) for name, value in raw.items()]
    return Verdict(title, tuple(lines))


def measured_items(started: RunStarted) -> int:
    """How many items each retrieval metric of a run is a mean over."""
    if started.evaluated is not None:
        return started.evaluated.queries - started.evaluated.alone
    return min(int(started.held_out.sum()) or len(started.ids), MOST_EVALUATED)


def ranking(values: dict[str, float], evaluated: int) -> str:
    """The lanes from the best to the worst; those that so many evaluated items cannot tell from the best are said to
    be not told apart from it."""
    known = {name: value for name, value in values.items() if math.isfinite(value)}
    if not known:
        return "nothing measured yet"
    order = sorted(known, key=lambda name: -known[name])
    best, equal = order[0], [name for name in order[1:] if not apart(known[order[0]], known[name], evaluated)]
    behind = [name for name in order[1:] if name not in equal]
    text = f"{best} {known[best]:.3f}"
    if equal:
        text += f"; not told apart from {', '.join(f'{name} {known[name]:.3f}' for name in equal)}"
    if behind:
        text += f"; behind: {', '.join(f'{name} {known[name]:.3f}' for name in behind)}"
    return text


def beside_raw(name: str, value: float, lanes: dict[str, float], evaluated: int) -> str:
    """Which lanes ended better than the features are as they are, which worse, and which cannot be told from them."""
    kinds: dict[str, list[str]] = {"better": [], "not told apart": [], "worse": []}
    for lane, reached in lanes.items():
        if math.isfinite(reached):
            different = "better" if reached > value else "worse"
            kinds[different if apart(reached, value, evaluated) else "not told apart"].append(lane)
    told = "; ".join(f"{', '.join(some)} {kind}" for kind, some in kinds.items() if some)
    return f"{name[0].upper()}{name[1:]} {value:.3f}{f': {told}' if told else ''}"


def apart(one: float, other: float, evaluated: int) -> bool:
    """Whether two shares measured on so many items differ by more than chance among these items makes likely. It bounds
    the spread of an item's score by that of a score of 0 or 1, and says nothing of other seeds."""
    spread = sum(value * (1 - value) for value in (one, other)) / max(evaluated, 1)
    return abs(one - other) > WIDTH * math.sqrt(max(spread, 0.0))


def seconds_to(lane: LaneHistory, metric: str, goal: float) -> float:
    """The training clock when a lane was first measured at `goal` or above; infinity where it never was."""
    steps, values = lane.metric(metric)
    there = np.flatnonzero(values >= goal)
    return float(lane.seconds_at(steps[there[:1]])[0]) if len(there) else math.inf


def _measured(lane: LaneHistory, metric: str) -> bool:
    return bool(np.isfinite(lane.metric(metric)[1]).any())
