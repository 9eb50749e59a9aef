"""Ways to negatives compared over seeds."""

from __future__ import annotations

import math

import pytest

from hnm_core.evaluation.document_metrics import DOCUMENT_METRICS
from hnm_core.studies.negatives import RetrievalTrial, retrieval_estimates, retrieval_trials, retrieval_verdicts
from hnm_core.training.retrieval_config import retrieval_config
from tests.training.test_retrieval import LANES, TOWERS, little_set


def test_that_each_seed_trains_all_lanes_and_the_same_seed_comes_to_the_same() -> None:
    values = {
        "steps": 10,
        "batch": 16,
        "eval_every": 10,
        "towers": TOWERS,
        "lanes": LANES[:3],
        "optimizer": {"lr": 0.02},
    }
    trials = retrieval_trials(little_set(), retrieval_config(values), [4, 5, 4])
    assert [trial.seed for trial in trials] == [4, 5, 4]
    assert trials[0].metrics == trials[2].metrics != trials[1].metrics
    assert list(trials[0].metrics) == ["in-batch", "random", "exact"]
    assert set(trials[0].metrics["exact"]) == set(DOCUMENT_METRICS) == set(trials[0].chance)
    assert trials[0].easy_share["exact"] < trials[0].easy_share["random"]


def test_that_lanes_are_judged_in_pairs_and_one_that_broke_off_has_no_verdict() -> None:
    trials = [
        RetrievalTrial(
            seed,
            {
                "base": {"mrr_at_10": 0.1 * seed},
                "better": {"mrr_at_10": 0.1 * seed + 0.05 + 1e-4 * seed},
                "same": {"mrr_at_10": 0.1 * seed + 1e-4 * (seed - 2)},
                "broken": {"mrr_at_10": math.nan if seed == 3 else 0.1 * seed},
            },
            {},
            {},
        )
        for seed in range(5)
    ]
    lines = {line.lane: line for line in retrieval_verdicts(trials, "base")}
    assert {name: line.verdict for name, line in lines.items()} == {
        "better": "better",
        "same": "no difference",
        "broken": "not told apart",
    }
    assert lines["broken"].unpaired == (3,)
    assert retrieval_estimates(trials, "mrr_at_10")["base"].mean == pytest.approx(0.2)
