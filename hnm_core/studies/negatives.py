"""Ways to negatives for queries and documents, compared over seeds: one run of all lanes for each, judged in pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hnm_core.data.judged import JudgedSet
from hnm_core.evaluation.document_metrics import DOCUMENT_METRICS
from hnm_core.run.events import RunFinished, RunStarted
from hnm_core.run.history import RunHistory
from hnm_core.run.results import MARGIN
from hnm_core.studies.comparing import Estimate, estimate
from hnm_core.studies.verdicts import Line, lines_of
from hnm_core.training.retrieval import train_retrieval
from hnm_core.training.retrieval_config import RetrievalConfig


@dataclass(frozen=True, eq=False)
class RetrievalTrial:
    """What one seed came to."""

    seed: int
    metrics: Mapping[str, Mapping[str, float]]
    """by lane, then by name of `DOCUMENT_METRICS`, at the last step; NaN where the lane broke off"""
    easy_share: Mapping[str, float]
    """by lane, the share of the mined triplets whose negative was farther than the positive, warm-up aside"""
    chance: Mapping[str, float]
    """of a random ranking, by name of `DOCUMENT_METRICS`"""


def retrieval_trials(data: JudgedSet, config: RetrievalConfig, seeds: Iterable[int]) -> list[RetrievalTrial]:
    """Train all lanes of `config` with each of the seeds, in place of its own.

    Raises:
        InputError: see `train_retrieval`.
    """
    return [_trial(data, config.model_copy(update={"seed": seed})) for seed in seeds]


def retrieval_estimates(trials: Sequence[RetrievalTrial], metric: str) -> dict[str, Estimate]:
    """By lane, the mean of a metric over seeds and its interval."""
    return {lane: estimate([trial.metrics[lane][metric] for trial in trials]) for lane in trials[0].metrics}


def retrieval_verdicts(
    trials: Sequence[RetrievalTrial], base: str, metrics: Sequence[str] = ("mrr_at_10",), margin: float = MARGIN
) -> list[Line]:
    """Every other lane beside `base`, seed by seed, as `hnm_core.studies.verdicts.judge` does."""
    pairs = [(lane, metric) for metric in metrics for lane in trials[0].metrics if lane != base]
    found = [
        np.array([trial.metrics[lane][metric] - trial.metrics[base][metric] for trial in trials])
        for lane, metric in pairs
    ]
    return lines_of(pairs, found, [trial.seed for trial in trials], base, margin)


def _trial(data: JudgedSet, config: RetrievalConfig) -> RetrievalTrial:
    history = RunHistory()
    for event in train_retrieval(data, config, frames=False):
        history.add(event)
    started, ended = history.started, history.ended
    assert isinstance(started, RunStarted) and isinstance(ended, RunFinished), "a run tells both, always"
    metrics, easy = {}, {}
    for name, lane in history.lanes.items():
        broken = name in ended.failed_lanes
        metrics[name] = {metric: math.nan if broken else lane.latest(metric, None) for metric in DOCUMENT_METRICS}
        easy[name] = lane.tally(None).share("easy")
    return RetrievalTrial(config.seed, metrics, easy, started.chance or {})
