"""What the features score as they are: by which distance, of which items, and that no lane learns of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hnm_core.run.events import Alarm, Event, RunStarted
from hnm_core.run.raw import RawScore, by_name
from hnm_core.training import experiment, raw
from hnm_core.training.experiment import Experiment
from hnm_core.training.raw import Raw, raw_scores
from hnm_core.training.setup import prepare
from tests.training.test_experiment import KNN, LSH, RANDOM, config, numbers

COSINE = {"name": "cosine", "miner": "random", "distance": "cosine"}
UNIT = {"name": "unit", "miner": "random", "normalize": True}


def started(events: list[Event]) -> RunStarted:
    assert isinstance(events[0], RunStarted)
    return events[0]


def naive(x: np.ndarray, y: np.ndarray, distance: str) -> dict[str, float]:
    """precision@1 and MAP@R, an item at a time, in double precision."""
    x = x.astype(np.float64)
    if distance == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    first, average = [], []
    for row in range(len(x)):
        others = np.delete(np.arange(len(x)), row)
        away = -(x[others] @ x[row]) if distance == "cosine" else ((x[others] - x[row]) ** 2).sum(1)
        hit = y[others[np.argsort(away, kind="stable")]] == y[row]
        first.append(hit[0])
        hit = hit[: hit.sum()]
        average.append((hit * hit.cumsum() / np.arange(1, len(hit) + 1)).mean())
    return {"precision_at_1": float(np.mean(first)), "map_at_r": float(np.mean(average))}


def test_that_the_features_are_scored_by_every_distance_of_the_lanes_on_the_items_that_lanes_are_measured_on() -> None:
    of = config(RANDOM, COSINE, KNN, data={"name": "blobs", "options": {"points": 400, "separation": 1.0}})
    shared = prepare(of)
    x, y = (of_all[shared.evaluated_row].numpy() for of_all in (shared.x, shared.y))
    scores = started(list(Experiment(of).run())).raw
    assert [one.distance for one in scores] == ["euclidean", "cosine"]
    for one in scores:
        assert one.kind == "raw features" and set(one.metrics) == {"precision_at_1", "map_at_r", "knn_accuracy"}
        for name, value in naive(x, y, one.distance).items():
            assert one.metrics[name] == pytest.approx(value, abs=1e-6)
    assert scores[0].metrics != scores[1].metrics


def test_that_measuring_it_changes_no_number_of_any_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    of = config(RANDOM, KNN, LSH)
    with_it = list(Experiment(of).run())
    monkeypatch.setattr(experiment, "raw_scores", lambda _shared: Raw())
    without = list(Experiment(of).run())
    assert started(with_it).raw and not started(without).raw
    for lane in ("random", "knn", "lsh"):
        assert numbers(with_it, lane) == numbers(without, lane)


def test_that_what_would_take_long_is_left_out_and_said_in_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    of = config(RANDOM, COSINE)
    shared = prepare(of)
    monkeypatch.setattr(raw, "MOST_PRODUCTS", 2 * len(shared.evaluated_row) ** 2 * shared.x.shape[1] - 1)
    events = list(Experiment(of).run())
    assert started(events).raw == ()
    hints = [event for event in events if isinstance(event, Alarm) and event.code == "raw-not-measured"]
    assert [hint.level for hint in hints] == ["hint"]
    assert "raw features" in hints[0].message and f"{len(shared.evaluated_row)} items of 32 numbers" in hints[0].message
    monkeypatch.setattr(raw, "MOST_PRODUCTS", raw.MOST_PRODUCTS + 1)
    assert len(raw_scores(shared).scores) == 2


def test_that_nothing_is_scored_where_nothing_is_trained_for_there_the_lanes_show_it() -> None:
    assert raw_scores(prepare(config(RANDOM, model={"name": "identity"}))) == Raw()


def test_that_features_are_called_what_they_are(tmp_path: Path) -> None:
    def kind(**data: object) -> str:
        return raw_scores(prepare(config(RANDOM, data=data))).scores[0].kind

    source = np.random.default_rng(0)
    for width in (8, 40):
        labels = np.arange(60) % 3
        np.savez(tmp_path / f"{width}.npz", x=source.normal(size=(60, width)).astype(np.float32), y=labels)
    assert kind(name="digits") == "raw pixels"
    assert kind(name="blobs") == "raw features"
    assert kind(name="file", options={"path": str(tmp_path / "8.npz")}) == "raw features"
    assert kind(name="file", options={"path": str(tmp_path / "40.npz")}) == "raw embeddings"


def test_that_distances_are_named_only_where_they_rank_otherwise() -> None:
    euclidean, squared, cosine = (
        RawScore("raw embeddings", name, {"map_at_r": value})
        for name, value in (("euclidean", 0.61), ("squared-euclidean", 0.6101), ("cosine", 0.7))
    )
    assert by_name(()) == {}
    assert by_name((euclidean, squared)) == {"raw embeddings": {"map_at_r": 0.61}}
    assert by_name((euclidean, cosine, squared)) == {
        "raw embeddings, euclidean, squared-euclidean": {"map_at_r": 0.61},
        "raw embeddings, cosine": {"map_at_r": 0.7},
    }


def test_that_the_unit_sphere_is_told_from_the_space_but_not_where_the_distance_is_on_it_anyway() -> None:
    of = config(RANDOM, UNIT, COSINE, {**COSINE, "name": "both", "normalize": True})
    assert [one.distance for one in raw_scores(prepare(of)).scores] == [
        "euclidean",
        "euclidean on the unit sphere",
        "cosine",
    ]
