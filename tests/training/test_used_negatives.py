"""The negatives that a lane hands out, judged by brute force over the weights that the step begins with."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from hnm_core import kernels
from hnm_core.miners.whole_set.searching import SearchingMiner
from hnm_core.run.events import SearchUsed, StepRecord
from hnm_core.run.results import Results
from hnm_core.training.experiment import Experiment
from hnm_core.training.lane_mining import HandedOut, LaneMining
from hnm_core.training.setup import prepare
from hnm_core.training.trainer import Trainer
from tests.training.test_refresh import BACKGROUND, experiment, run

LANES = [
    {"name": "a", "refresh_every": 3},
    {"name": "a", "refresh_every": 2, "miner_options": {"select": "rank-window", "rank_min": 2, "rank_max": 9}},
    {"name": "a", "miner": "lsh-buckets", "refresh_every": 4, "miner_options": {"negatives": 2, "tables": 3}},
    {"name": "a", "miner": "random"},
    {**BACKGROUND, "hard_share": 0.5},
]


@pytest.fixture(scope="module", autouse=True)
def search_kernels(compile_kernels) -> None:
    compile_kernels(kernels.SEARCH_KERNELS)


def distances(points: np.ndarray) -> np.ndarray:
    return np.sqrt(((points[:, None].astype(np.float64) - points[None]) ** 2).sum(-1))


@pytest.mark.parametrize("lane", LANES, ids=lambda lane: "-".join(map(str, lane.values()))[:40])
def test_that_what_is_handed_out_is_judged_by_the_weights_of_its_step(
    lane: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[HandedOut] = []
    handed_out = LaneMining.handed_out
    monkeypatch.setattr(LaneMining, "handed_out", lambda *given: told.append(handed_out(*given)) or told[-1])
    config = experiment(lane, steps=12, eval_every=1, optimizer={"lr": 0.02})
    shared = prepare(config)
    trainer = Trainer(config.lanes[0], shared, frames=False)
    steps, y = trainer.steps(), shared.train_y.numpy()
    next(steps)
    others = y[:, None] != y[None]
    aged = []
    for step in range(1, 13):
        now = distances(trainer.embed(shared.train_x).numpy())
        record = next(event for event in next(steps) if isinstance(event, StepRecord))
        used = told[-1]
        anchor, negative = used.anchor.numpy(), used.negative.numpy()
        assert set(anchor.tolist()) == set(trainer.metrics.probe_row.tolist()) and others[anchor, negative].all()
        if lane.get("miner") is None:  # exact: from the list of the bank that it has
            then = np.where(others, distances(used.bank.embeddings.numpy()), np.inf)
            listed = np.sort(then, axis=1)[:, used.reach - 1]
            assert (then[anchor, negative] <= listed[anchor] * (1 + 1e-4)).all()
        order = np.sort(np.where(others, now, np.inf), axis=1)
        found = now[anchor, negative]
        assert record.metrics["used_of"] == used.reach
        assert record.metrics["used_recall"] == pytest.approx(
            (found <= order[anchor, used.reach - 1] * (1 + 1e-4)).mean(), abs=1e-9
        )
        assert record.metrics["used_regret"] == pytest.approx((found - order[anchor, 0]).mean(), rel=1e-4, abs=1e-6)
        assert (used.bank is None) == (lane.get("miner") == "random"), "random pairs are of labels alone"
        if used.bank is not None:
            aged.append((step - used.bank.step, record.metrics["used_recall"]))
        if "bank_age" in record.metrics:
            assert record.metrics["bank_age"] == step - used.bank.step
    if lane.get("miner") is None:
        assert all(recall == 1 for age, recall in aged if not age), "exact and fresh"
        assert min(recall for age, recall in aged if age) < 1, "exact, but of weights before"


def test_that_asking_for_it_changes_no_number_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = [{**lane, "name": str(place)} for place, lane in enumerate(LANES)]

    def numbers() -> list[tuple]:
        events = [event for event in run(*lanes, steps=8, eval_every=2) if isinstance(event, StepRecord)]
        return [(each.loss, each.tuples, each.metrics.get("map_at_r"), each.metrics.get("drift")) for each in events]

    asked = numbers()
    monkeypatch.setattr(LaneMining, "handed_out", lambda *given: None)
    assert asked == numbers()


def test_that_a_miner_that_cannot_be_copied_trains_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: SearchingMiner, memo: dict) -> None:
        raise TypeError("holds a file")

    monkeypatch.setattr(SearchingMiner, "__deepcopy__", refuse, raising=False)
    record = next(event for event in run({"name": "a"}, steps=2) if isinstance(event, StepRecord))
    assert "map_at_r" in record.metrics and "used_recall" not in record.metrics
    with pytest.raises(TypeError):
        copy.deepcopy(SearchingMiner.__new__(SearchingMiner))


def test_that_a_lane_tells_how_it_searches_when_that_changes() -> None:
    lanes = [
        {"name": "exact"},
        {"name": "buckets", "miner": "lsh-buckets"},
        {"name": "routed", "miner": "routed", "warmup": 3},
        {"name": "batch", "miner": "batch-hard"},
    ]
    results = Results()
    sampler = {"name": "neighbours", "batch": 40}
    events = list(Experiment(experiment(*lanes, steps=8, eval_every=2, sampler=sampler)).run(frames=False))
    for event in events:
        results.add(event)
    told = [event for event in events if isinstance(event, SearchUsed)]
    assert [(each.step, each.part) for each in told if each.lane == "batch"] == [(6, "sampler")]
    assert [each.step for each in told if (each.lane, each.part) == ("exact", "miner")] == [2]
    assert next(each.step for each in told if (each.lane, each.part) == ("routed", "miner")) == 4
    exact, buckets, _, batch = results.lanes()
    assert exact.search.startswith("exact, by") and "batches: " in exact.search
    assert "16 hash tables" in buckets.search and 0 < buckets.predicted_recall <= 1
    assert batch.search.startswith("batches: ") and np.isnan(batch.used_recall)
    assert results.history.lanes["routed"].search_words(3) == "", "as it stood then"
