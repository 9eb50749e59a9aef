"""Lanes at equal time instead of equal steps: where each of them was when the quickest had come so far. No Qt."""

from __future__ import annotations

import numpy as np

from hnm_core.run.history import LaneHistory, RunHistory


def steps_at_equal_time(history: RunHistory, step: int | None = None) -> dict[str, int]:
    """For each lane that has begun the last step that it had done when the quickest lane had done `step`, by their
    training clocks; None: its newest. A lane that was not through with its first step is at 0."""
    lanes = {name: lane for name, lane in history.lanes.items() if len(lane)}
    if not lanes:
        return {}
    lead = quickest(lanes)
    seconds = lanes[lead].seconds[-1] if step is None else lanes[lead].seconds_at(np.array([step]))[0]
    return {name: _step_at(lane, float(seconds)) for name, lane in lanes.items()}


def quickest(lanes: dict[str, LaneHistory]) -> str:
    """The lane that spent least on the steps that all of them have done; the first of equals."""
    common = np.array([min(int(lane.steps[-1]) for lane in lanes.values())])
    return min(lanes, key=lambda name: float(lanes[name].seconds_at(common)[0]))


def _step_at(lane: LaneHistory, seconds: float) -> int:
    row = int(np.searchsorted(lane.seconds, seconds * (1 + 1e-12), side="right")) - 1
    return int(lane.steps[row]) if row >= 0 else 0
