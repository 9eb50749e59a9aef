"""Runs of random events: forks, changes, warm-ups, first calls, layers, gaps, repeated steps, losses that are none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from hnm_core.run.events import (
    METRICS,
    TUPLE_COUNTS,
    Alarm,
    Event,
    LaneForked,
    OptionChanged,
    RunFinished,
    SearchUsed,
    StepRecord,
    WarmupEnded,
)
from hnm_core.run.timing import Phase
from tests.recording import made_up

LAYERS = ("entanglement/hidden1", "entanglement/embedding", "temperature/hidden1")


def random_run(seed: int, steps: int = 400) -> Iterator[Event]:
    """A run of two lanes, into which a third is forked off; told like a real one, in the order of the steps."""
    rng = np.random.default_rng(seed)
    start = made_up.started(points=8, lanes=("one", "two"))
    yield start
    lanes = {"one": int(rng.integers(0, 60)), "two": 0}
    fork_at = int(rng.integers(1, steps))
    counted = {lane: rng.random(len(TUPLE_COUNTS)) < 0.6 for lane in ("one", "two", "new")}
    for step in range(1, steps + 1):
        for lane, warmup in lanes.items():
            if rng.random() < 0.01:
                yield OptionChanged(lane, step, *_change(rng), asked=bool(rng.random() < 0.8))
            if step == warmup + 1 and warmup:
                yield WarmupEnded(lane, step, "knn")
            if rng.random() < 0.02:
                yield Alarm(lane, step, "collapse", "words", "hint" if rng.random() < 0.5 else "warning")
            if rng.random() < 0.02:
                yield SearchUsed(lane, step, "miner" if rng.random() < 0.5 else "sampler", f"words of step {step}")
            if rng.random() < 0.05:
                continue  # a gap, as where a window was too slow
            record = _record(rng, lane, step, warmup, counted[lane])
            yield record
            if rng.random() < 0.03:
                yield record
        if step == fork_at:
            yield LaneForked("new", step, "one")
            lanes = {**lanes, "new": int(rng.integers(0, steps))}
    yield RunFinished(dict.fromkeys(lanes, steps), 1.5)


def _change(rng: np.random.Generator) -> tuple[str, str, str]:
    return (("miner", "lsh", "knn"), ("optimizer.lr", "0.1", "0.2"), ("miner_options.pool", "5", ""))[rng.integers(3)]


def _record(rng: np.random.Generator, lane: str, step: int, warmup: int, counted: np.ndarray) -> StepRecord:
    loss = (float(rng.normal()), math.nan, math.inf)[rng.choice(3, p=(0.8, 0.15, 0.05))]
    phases = {phase: float(np.float32(rng.random())) for phase in Phase if rng.random() < 0.7}
    tuples = {name: int(rng.integers(0, 300)) for name, known in zip(TUPLE_COUNTS, counted, strict=True) if known}
    metrics: dict[str, Any] = {}
    if rng.random() < 0.1:
        metrics = {name: float(rng.random()) for name in METRICS if rng.random() < 0.7}
        if rng.random() < 0.3:
            metrics["map_at_r"] = math.nan
        if lane == "one":
            metrics |= {name: float(rng.random()) for name in LAYERS}
    return StepRecord(
        lane,
        step,
        loss,
        phases if rng.random() < 0.95 else {},
        tuples if rng.random() < 0.9 else {},
        metrics,
        mining=step > warmup,
        first_call=bool(step in (1, warmup + 1) or rng.random() < 0.01),
    )
