"""A recording whose clouds grow and part, to make videos of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hnm_core.recording import record
from hnm_core.run.events import Event, Frame, RunFinished, RunStarted, StepRecord, frozen
from hnm_core.run.timing import Phase
from hnm_core.spec.config import ExperimentConfig, LaneConfig

POINTS = 90
STEPS = 60


def growing_run(lanes: tuple[str, ...] = ("random", "knn"), leap: float = 1.0) -> Iterator[Event]:
    """Three classes that drift apart; half way the clouds grow `leap` times larger from one frame to the next."""
    rng = np.random.default_rng(5)
    labels = np.arange(POINTS) % 3
    config = ExperimentConfig(
        title="Clouds part",
        about="Watch the classes. They part.",
        steps=STEPS,
        lanes=tuple(LaneConfig(name=name) for name in lanes),
    )
    ids = np.arange(POINTS) * 2
    yield RunStarted(config, labels, ids, np.zeros(POINTS, bool), ("a", "b", "c"), items_total=POINTS)
    noise = rng.normal(size=(POINTS, 3))
    middles = np.array([[2, 0, 0], [-1, 2, 0], [-1, -2, 1]])[labels]
    for step in range(1, STEPS + 1):
        for place, lane in enumerate(lanes):
            metrics = {"map_at_r": step / STEPS} if step % 10 == 0 else {}
            yield StepRecord(lane, step, 1 / step, {Phase.SEARCH: 2.0 + place}, {"mined": 8}, metrics)
            if step % 5 == 0:
                size = leap if step > STEPS // 2 else 1.0
                positions = size * (middles * step / STEPS + 0.3 * noise)
                triplets = ids[rng.integers(0, POINTS, (8, 3))].astype(np.int32)
                yield Frame(lane, step, frozen(positions.astype(np.float32)), frozen(triplets), 8)
    yield RunFinished(dict.fromkeys(lanes, STEPS), 1.0)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recordings") / "run"
    list(record(growing_run(), path))
    return path
