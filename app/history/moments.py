"""What happened in a run, found in its numbers: mining begins, lanes part, one overtakes another, one collapses. No Qt.

Every sentence is made of the numbers of the run. What could be noise is no moment: a lead counts where it holds for
`PERSISTENT` measurements and, in one of them at least, is wider than chance among the measured items makes likely.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from app.history.verdict import GOAL, JUDGED_BY, apart, measured_items, seconds_to
from hnm_core.run.events import Alarm, LaneForked, WarmupEnded
from hnm_core.run.history import LaneHistory, RunHistory

KINDS = ("warm-up", "part", "fork", "overtake", "apart", "collapse", "end", "goal")
"""What a moment can be. warm-up: the own miners of lanes take over; part: up to here lanes had the same losses, bit for
bit; fork: a lane goes on from another; overtake: who led falls behind; apart: from here to the end one lane is ahead of
the others beyond chance; collapse: the points of a lane run together; end: a lane broke down; goal: a lane gets to
`GOAL` of what the best ends with."""

PERSISTENT = 3
"""So many measurements one after the other a lead must hold."""
LEAST_ALIKE = 2
"""Lanes that are the same for fewer steps were never the same."""


@dataclass(frozen=True)
class Moment:
    """Something that happened at a step."""

    kind: str
    """See `KINDS`"""
    step: int
    lanes: tuple[str, ...]
    """Whom it is about, the lane that does something first"""
    text: str
    """In a sentence"""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """What a sentence of one's own can be made of, by name; `step` and `lane` are always there"""


def moments(history: RunHistory, shown: Collection[str] | None = None) -> list[Moment]:
    """All moments of a run, in the order of their steps. Of lanes that begin to mine together those are named that are
    `shown`, by default all."""
    told = _told(history, history.lanes if shown is None else shown)
    found = [*told, *_parting(history), *_leads(history), *_goals(history)]
    order = {kind: place for place, kind in enumerate(KINDS)}
    return sorted(found, key=lambda moment: (moment.step, order[moment.kind]))


def judged_by(history: RunHistory) -> str | None:
    """The metric that decides who is better; None where none was measured."""
    lanes = history.lanes.values()
    return next((name for name in JUDGED_BY if any(np.isfinite(lane.metric(name)[1]).any() for lane in lanes)), None)


def named(lane: str) -> str:
    """A lane in a sentence: in quotes where its name is several words, which stay in one line."""
    return f"“{lane}”".replace(" ", "\N{NO-BREAK SPACE}") if " " in lane else lane


def joined(lanes: Sequence[str]) -> str:
    """Lanes in a sentence: "a", "a and b", "a, b and c"."""
    names = [named(lane) for lane in lanes]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def leads(one: NDArray[np.float64], other: NDArray[np.float64], items: int) -> list[tuple[int, int, int]]:
    """Who of two was ahead, for longer than noise: (first place, place after the last, 1 for `one` and -1 for `other`)
    of each such stretch of (n,) measurements of both, each a share that was measured on so many items."""
    sign = np.sign(one - other).astype(int)
    borders = [0, *(np.flatnonzero(np.diff(sign)) + 1).tolist(), len(sign)]
    return [
        (first, after, int(sign[first]))
        for first, after in pairwise(borders)
        if after - first >= PERSISTENT
        and sign[first]
        and any(apart(one[place], other[place], items) for place in range(first, after))
    ]


def _moment(kind: str, step: int, lanes: Sequence[str], text: str, **numbers: str) -> Moment:
    said = {"step": f"{step:,}", "lane": named(lanes[0]), "lanes": joined(lanes), **numbers}
    return Moment(kind, step, tuple(lanes), text, said)


def _told(history: RunHistory, shown: Collection[str]) -> list[Moment]:
    """What the run itself has told."""
    found, began = [], dict[int, list[str]]()
    collapsed = set[str]()
    for event in history.told:
        match event:
            case WarmupEnded():
                if event.lane in shown and _mines(history, event.lane):
                    began.setdefault(event.step, []).append(event.lane)
            case LaneForked():
                text = f"Step {event.step:,}: {named(event.lane)} goes on from {named(event.parent)}."
                found.append(_moment("fork", event.step, [event.lane, event.parent], text))
            case Alarm(code="collapse") if event.lane not in collapsed:
                collapsed.add(event.lane)
                found.append(_collapse(history.lane(event.lane), event.step))
            case Alarm(level="fatal"):
                text = f"Step {event.step:,}: {named(event.lane)} breaks down."
                found.append(_moment("end", event.step, [event.lane], text))
            case _:
                pass
    for step, lanes in began.items():
        others = [name for name in history.lanes if name in shown and name not in lanes and not _mines(history, name)]
        chance = f"; {joined(others)} keep{'s' if len(others) == 1 else ''} to chance" if others else ""
        start = f"{joined(lanes)} start{'s' if len(lanes) == 1 else ''} to mine{chance}."
        found.append(_moment("warm-up", step, lanes, f"Step {step:,}: {start}"))
    return found


def _mines(history: RunHistory, lane: str) -> bool:
    config = history.lane_configs().get(lane)
    return config is None or config.lanes[0].mines


def _collapse(lane: LaneHistory, step: int) -> Moment:
    _, spread = lane.metric("mean_distance", step)
    share = float(spread[-1] / spread.max()) if len(spread) and spread.max() > 0 else float("nan")
    left = f": its points are {100 * share:.0f} % as far apart as they were" if np.isfinite(share) else ""
    return _moment(
        "collapse",
        step,
        [lane.name],
        f"Step {step:,}: {named(lane.name)} collapses{left}.",
        share=f"{100 * share:.0f} %",
    )


def _parting(history: RunHistory) -> list[Moment]:
    lanes = [lane for lane in history.lanes.values() if lane.parent is None and len(lane)]
    if len(lanes) < 2:
        return []
    count = min(len(lane) for lane in lanes)
    first = lanes[0]
    same = np.ones(count, np.bool_)
    for lane in lanes[1:]:
        same &= (lane.steps[:count] == first.steps[:count]) & _equal(lane.loss[:count], first.loss[:count])
    alike = int(np.argmin(same)) if not same.all() else count
    if alike < LEAST_ALIKE or alike == count:
        return []
    last = int(first.steps[alike - 1])
    text = f"Up to step {last:,} all lanes are the same, bit for bit. Here they part."
    names = [lane.name for lane in lanes]
    return [_moment("part", int(first.steps[alike]), names, text, last=f"{last:,}")]


def _equal(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (one == other) | (np.isnan(one) & np.isnan(other))
    return same


def _leads(history: RunHistory) -> list[Moment]:
    """Overtakings, and from when on the lane that ends best is ahead of the others."""
    metric, started = judged_by(history), history.started
    if metric is None or started is None:
        return []
    items, word = measured_items(started), JUDGED_BY[metric]
    found, ahead = [], dict[tuple[int, str], list[str]]()
    ends = {name: lane.latest(metric) for name, lane in history.lanes.items()}
    for a, b in combinations(history.lanes.values(), 2):
        steps, one, other = _together(a, b, metric)
        stretches = leads(one, other, items)
        for (_, _, before), (first, _, now) in pairwise(stretches):
            if before == now:
                continue
            winner, loser = (a, b) if now > 0 else (b, a)
            values = (one[first], other[first])[:: 1 if now > 0 else -1]
            step = int(steps[first])
            both = f"{named(winner.name)} overtakes {named(loser.name)}"
            text = f"Step {step:,}: {both}, {word} {values[0]:.2f} to {values[1]:.2f}."
            numbers = {"other": named(loser.name), "value": f"{values[0]:.2f}", "other_value": f"{values[1]:.2f}"}
            found.append(_moment("overtake", step, [winner.name, loser.name], text, **numbers))
        if stretches and stretches[-1][1] == len(steps):
            first, _, now = stretches[-1]
            winner, loser = (a, b) if now > 0 else (b, a)
            clear = np.array([apart(x, y, items) for x, y in zip(one[first:], other[first:], strict=True)])
            if clear[-1] and ends[winner.name] == np.nanmax(list(ends.values())):
                place = first + int(len(clear) - np.argmin(clear[::-1])) if not clear.all() else first
                ahead.setdefault((int(steps[place]), winner.name), []).append(loser.name)
    for (step, winner_name), losers in ahead.items():
        value = history.lanes[winner_name].latest(metric, step)
        text = f"From step {step:,} on {named(winner_name)} is ahead of {joined(losers)}, beyond chance."
        numbers = {"other": joined(losers), "value": f"{value:.2f}"}
        found.append(_moment("apart", step, [winner_name, *losers], text, **numbers))
    return found


def _together(
    a: LaneHistory, b: LaneHistory, metric: str
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Steps at which a metric of both lanes is known, and its values."""
    (steps_a, one), (steps_b, other) = a.metric(metric), b.metric(metric)
    steps, of_a, of_b = np.intersect1d(steps_a, steps_b, return_indices=True)
    known = np.isfinite(one[of_a]) & np.isfinite(other[of_b])
    return steps[known], one[of_a][known], other[of_b][known]


def goal_of(history: RunHistory) -> float:
    """The finish line of a race: `GOAL` of the best that a lane ends with; NaN where nothing was measured."""
    metric = judged_by(history)
    ends = [lane.latest(metric) for lane in history.lanes.values()] if metric else []
    finite = [value for value in ends if np.isfinite(value)]
    return GOAL * max(finite) if finite else float("nan")


def _goals(history: RunHistory) -> list[Moment]:
    metric, goal = judged_by(history), goal_of(history)
    if metric is None or not goal > 0:
        return []
    found = []
    for lane in history.lanes.values():
        seconds = seconds_to(lane, metric, goal)
        if np.isfinite(seconds):
            steps, values = lane.metric(metric)
            step = int(steps[np.flatnonzero(values >= goal)[0]])
            text = f"{named(lane.name)} reaches {JUDGED_BY[metric]} {goal:.2f} after {seconds:.3g} s of training."
            found.append(_moment("goal", step, [lane.name], text, value=f"{goal:.2f}", seconds=f"{seconds:.3g}"))
    return found
