"""Small runs written out by hand, for tests of everything that watches a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np

from hnm_core.run.control import Control
from hnm_core.run.events import Event, Frame, RunFinished, RunStarted, StepRecord, frozen
from hnm_core.run.timing import Phase
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig

POINTS = 60
CLASSES = 3


def config(*lanes: str, **values: object) -> ExperimentConfig:
    """An experiment on small blobs with the lanes named."""
    return configuration.from_dict(
        {
            "title": "Hand-made",
            "about": "Three blobs move apart.",
            "data": {"name": "blobs", "options": {"points": POINTS, "classes": CLASSES}},
            "lanes": [{"name": name} for name in lanes or ("one", "two")],
            **values,
        }
    )


def started(of: ExperimentConfig) -> RunStarted:
    """The first event: `POINTS` items, ids 100, 101, ..., every fourth held out."""
    return RunStarted(
        config=of,
        labels=frozen(np.arange(POINTS) % CLASSES),
        ids=frozen(np.arange(100, 100 + POINTS)),
        held_out=frozen(np.arange(POINTS) % 4 == 3),
        class_names=("red", "green", "blue"),
        items_total=POINTS,
        versions={"device": "CPU"},
        started="2024-01-01T00:00:00+00:00",
    )


def frame(lane: str, step: int) -> Frame:
    """Three blobs whose distance grows with the step; anchor 100 has mined 101 as a negative, 103 is its positive."""
    generator = np.random.default_rng(7)
    centres = np.eye(3) * (1 + step / 20)
    positions = centres[np.arange(POINTS) % CLASSES] + generator.normal(scale=0.1, size=(POINTS, 3))
    return Frame(
        lane=lane,
        step=step,
        positions=frozen(positions.astype(np.float32)),
        triplets=frozen(np.array([[100, 103, 101], [104, 107, 102]], np.int32)),
        mined_total=2,
        columns={"times_mined": frozen(np.zeros(POINTS, np.float32))},
    )


def record(lane: str, step: int) -> StepRecord:
    """A step whose loss is 1 / step."""
    return StepRecord(
        lane=lane,
        step=step,
        loss=1 / step,
        phase_ms={Phase.SEARCH: 0.5, Phase.FORWARD: 1.0},
        tuples={"mined": 10, "hard": 2, "semi_hard": 3, "easy": 5, "missing": 0},
        metrics={"precision_at_1": 0.5, "map_at_r": 0.25} if step % 10 == 0 else {},
    )


def source(
    *, seconds_a_round: float = 0.001, fail_at: int | None = None, on_step: Callable[[int], None] | None = None
) -> Callable[[ExperimentConfig, Control], Iterator[Event]]:
    """An experiment that obeys `Control` as the real one does, and raises at round `fail_at`."""

    def run(of: ExperimentConfig, control: Control) -> Iterator[Event]:
        yield started(of)
        for lane in of.lanes:
            yield frame(lane.name, 0)
        done = 0
        while done < of.steps and (turn := control.next_turn()) != "stop":
            if turn == "obey":
                control.requests()  # taken, and left without an answer
                continue
            done += 1
            if on_step is not None:
                on_step(done)
            if done == fail_at:
                raise ArithmeticError("seven is not a number")
            for lane in of.lanes:
                yield record(lane.name, done)
                if done % of.frame_every == 0:
                    yield frame(lane.name, done)
            time.sleep(seconds_a_round)
        yield RunFinished({lane.name: done for lane in of.lanes}, 0.1, stopped=done < of.steps)

    return run
