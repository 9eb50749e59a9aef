"""What a run came to, lane by lane: gathered from its events, live or replayed. Loads no torch."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hnm_core.run.events import Event, LaneForked, OptionChanged, RunStarted, StepRecord, begins_anew, layer_metric
from hnm_core.run.timing import MINING_PHASES

LOSS_WINDOW = 100
"""The loss of a lane is its mean over so many last steps."""


@dataclass(frozen=True)
class LaneResult:
    """One row of the result table. A number that was never measured is NaN."""

    lane: str
    steps: int
    loss: float
    """Mean over the last `LOSS_WINDOW` steps that had a finite loss."""
    map_at_r: float
    precision_at_1: float
    knn_accuracy: float
    mining_recall: float
    """Share of the exact nearest negatives that the miner finds, last measured."""
    mining_ms_median: float
    """Milliseconds a step spends on mining; warm-up steps and first calls are left out of all times."""
    mining_ms_p95: float
    step_ms_mean: float
    """Milliseconds of a whole step, refreshes spread over the steps between them."""
    mined: int = 0
    """Tuples mined in all, after the warm-up and since the lane was last given another miner, loss or sampler."""
    hard_share: float = math.nan
    """Share of the tuples with d_an <= d_ap."""
    semi_hard_share: float = math.nan
    easy_share: float = math.nan
    false_share: float = math.nan
    """Share of the negatives that truly are of the anchor's class, where the truth is known."""
    missing: int = 0
    """Times an anchor found no negative."""
    distance_ratio: float = math.nan
    hardness_regret: float = math.nan
    no_candidate: float = math.nan
    entanglement: dict[str, float] = field(default_factory=dict)
    """By layer, in order, see `hnm_core.run.events.LAYER_METRICS`; empty where no loss looks at it."""
    entanglement_chance: float = math.nan
    """What it is when every neighbour looks alike."""


@dataclass
class _Lane:
    mines: bool = True
    """False in a lane of random negatives, where every step counts; elsewhere the warm-up does not."""
    steps: int = 0
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=LOSS_WINDOW))
    metrics: dict[str, float] = field(default_factory=dict)
    tuples: Counter[str] = field(default_factory=Counter)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    mining_ms: list[float] = field(default_factory=list)
    step_ms: list[float] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    """First steps to come with another miner, loss or sampler."""


class Results:
    """Feed it every event of a run with `add`, those of a lane's steps in order; ask for `lanes()` at any time. What
    else is told of a step may come before or together with the steps before it."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    def add(self, event: Event) -> None:
        """Take an event; only the start, forks, changes and the step records count. With another miner, loss or sampler
        tuples and times are counted anew."""
        match event:
            case RunStarted():
                self._lanes = {lane.name: _Lane(mines=lane.mines) for lane in event.config.lanes}
            case LaneForked():
                parent = self._lanes.setdefault(event.parent, _Lane())
                self._lanes[event.lane] = _Lane(mines=parent.mines, steps=event.step)
            case OptionChanged() if begins_anew(event):
                lane = self._lanes.setdefault(event.lane, _Lane())
                lane.turns.append(event.step)
                if event.option == "miner":
                    lane.mines = event.value != "random"
            case StepRecord():
                self._add_step(self._lanes.setdefault(event.lane, _Lane()), event)
            case _:
                pass

    @staticmethod
    def _add_step(lane: _Lane, record: StepRecord) -> None:
        while lane.turns and lane.turns[0] <= record.step:
            lane.tuples, lane.mining_ms, lane.step_ms = Counter(), [], []
            del lane.turns[0]
        lane.steps = record.step
        if math.isfinite(record.loss):
            lane.losses.append(record.loss)
        lane.metrics.update(record.metrics)
        if record.mining or not lane.mines:
            lane.tuples.update(record.tuples)
        for name, value in record.metrics.items():
            lane.curves.setdefault(name, []).append((record.step, value))
        if record.phase_ms and not record.first_call and (record.mining or not lane.mines):
            lane.mining_ms.append(sum(record.phase_ms.get(phase, 0.0) for phase in MINING_PHASES))
            lane.step_ms.append(sum(record.phase_ms.values()))

    def lanes(self) -> list[LaneResult]:
        """One result for each lane, in lane order."""
        return [_result(name, lane) for name, lane in self._lanes.items()]

    def curve(self, lane: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of a lane's metric, each time it was measured."""
        return list(self._lanes[lane].curves.get(metric, ()))


def _by_layer(metrics: Mapping[str, float], wanted: str) -> dict[str, float]:
    found = {layer_metric(name): value for name, value in metrics.items()}
    return {key[1]: value for key, value in found.items() if key and key[0] == wanted and math.isfinite(value)}


def _result(name: str, lane: _Lane) -> LaneResult:
    nan = math.nan
    parted = sum(lane.tuples[name] for name in ("hard", "semi_hard", "easy"))
    return LaneResult(
        lane=name,
        steps=lane.steps,
        loss=float(np.mean(lane.losses)) if lane.losses else nan,
        map_at_r=lane.metrics.get("map_at_r", nan),
        precision_at_1=lane.metrics.get("precision_at_1", nan),
        knn_accuracy=lane.metrics.get("knn_accuracy", nan),
        mining_recall=lane.metrics.get("mining_recall", nan),
        mining_ms_median=float(np.median(lane.mining_ms)) if lane.mining_ms else nan,
        mining_ms_p95=float(np.percentile(lane.mining_ms, 95)) if lane.mining_ms else nan,
        step_ms_mean=float(np.mean(lane.step_ms)) if lane.step_ms else nan,
        mined=lane.tuples["mined"],
        hard_share=lane.tuples["hard"] / parted if parted else nan,
        semi_hard_share=lane.tuples["semi_hard"] / parted if parted else nan,
        easy_share=lane.tuples["easy"] / parted if parted else nan,
        false_share=lane.tuples["false_negative"] / lane.tuples["mined"]
        if "false_negative" in lane.tuples and lane.tuples["mined"]
        else nan,
        missing=lane.tuples["missing"],
        distance_ratio=lane.metrics.get("distance_ratio", nan),
        hardness_regret=lane.metrics.get("hardness_regret", nan),
        no_candidate=lane.metrics.get("no_candidate", nan),
        entanglement=_by_layer(lane.metrics, "entanglement"),
        entanglement_chance=lane.metrics.get("entanglement_chance", nan),
    )
