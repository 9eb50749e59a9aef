"""Starts of runs and records of steps, in few words."""

from __future__ import annotations

import numpy as np

from hnm_core.run.events import RunStarted, StepRecord
from hnm_core.spec.config import ExperimentConfig, LaneConfig


def record(step: int, loss: float = 1.0, lane: str = "knn", **more: object) -> StepRecord:
    return StepRecord(lane, step, loss, **more)  # type: ignore[arg-type]


def started(*lanes: str, labels: list[int] | None = None, held_out: list[int] = (), total: int = 0) -> RunStarted:
    y = np.array(labels or [0, 0, 1, 1], np.int64)
    config = ExperimentConfig(lanes=tuple(LaneConfig(name=lane) for lane in lanes))
    mask = np.isin(np.arange(len(y)), held_out)
    return RunStarted(config, y, np.arange(len(y)), mask, tuple("abcdefgh"[: y.max() + 1]), items_total=total)
