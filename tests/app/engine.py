"""Small runs of the real engine, for windows whose lanes are changed and forked while they train."""

from __future__ import annotations

from collections.abc import Iterator

from hnm_core.run.control import Control
from hnm_core.run.events import Event
from hnm_core.spec.config import ExperimentConfig, from_dict

LANES = (
    {"name": "random", "miner": "random"},
    {"name": "knn", "miner": "knn", "miner_options": {"pool": 5}},
)


def config(**values: object) -> ExperimentConfig:
    """A lane of random pairs and one of the nearest negatives, on small blobs."""
    return from_dict(
        {
            "title": "Live",
            "steps": 100_000,
            "eval_every": 1000,
            "data": {"name": "blobs", "options": {"points": 120, "classes": 4}},
            "model": {"options": {"widths": [8], "embedding": 3}},
            "sampler": {"batch": 32},
            "lanes": LANES,
            **values,
        }
    )


def source(of: ExperimentConfig, control: Control) -> Iterator[Event]:
    """What a window on a thread runs."""
    from hnm_core.training.experiment import Experiment

    return Experiment(of).run(control)
