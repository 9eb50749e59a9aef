"""Which items a run is measured on: classes that can be found, parts that estimate the whole, and a word about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hnm_core import data
from hnm_core.distances import Distance
from hnm_core.evaluation.chance import chance_levels
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.recording import open_recording, record
from hnm_core.run.events import Alarm, RunStarted, StepRecord
from hnm_core.training import setup
from hnm_core.training.experiment import Experiment
from hnm_core.training.setup import Shared, prepare
from tests.training.test_experiment import RANDOM, config


def a_file(tmp_path: Path, classes: int, size: int) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(classes), size)
    x = draw.normal(size=(classes, 8))[y] + 0.25 * draw.normal(size=(len(y), 8))
    np.savez(tmp_path / "made.npz", x=x.astype(np.float32), y=y)
    return {"name": "file", "options": {"path": str(tmp_path / "made.npz")}, "held_out": 0.25}


def labels_of(shared: Shared, held_out: bool) -> np.ndarray:
    return np.bincount((shared.y[shared.trained :] if held_out else shared.train_y).numpy())


@pytest.mark.parametrize(("classes", "size"), [(3_000, 4), (1_200, 5), (500, 2), (400, 3)])
def test_that_sets_of_small_classes_have_metrics(tmp_path: Path, classes: int, size: int) -> None:
    of = config(RANDOM, steps=2, eval_every=2, data=a_file(tmp_path, classes, size))
    shared = prepare(of)
    counts = labels_of(shared, held_out=True)
    assert shared.held_out == pytest.approx(0.25 * classes * size, rel=0.02) and counts[counts > 0].min() >= 2
    assert shared.evaluated.alone == 0 and shared.evaluated.items == shared.held_out
    events = list(Experiment(of).run(frames=False))
    (measured,) = [event.metrics for event in events if isinstance(event, StepRecord) and event.metrics]
    assert all(np.isfinite(measured[name]) for name in ("precision_at_1", "map_at_r", "knn_accuracy"))


def test_that_a_part_that_queries_is_ranked_against_everything_held_out(tmp_path: Path) -> None:
    shared = prepare(config(RANDOM, data=a_file(tmp_path, 6_000, 4)))
    told = shared.evaluated
    assert (told.queries, told.among, told.items) == (2_000, 6_000, 6_000)
    x, y = shared.x[shared.evaluated_row], shared.y[shared.evaluated_row]
    whole, part = (retrieval(x, y, Distance(), queries=rows) for rows in (None, shared.query_place))
    assert 0.2 < whole.precision_at_1 < 0.95
    assert part.precision_at_1 == pytest.approx(whole.precision_at_1, abs=0.03)
    assert part.map_at_r == pytest.approx(whole.map_at_r, abs=0.03)
    started = next(Experiment(config(RANDOM, steps=2, data=a_file(tmp_path, 6_000, 4))).run())
    assert isinstance(started, RunStarted)
    assert started.chance == chance_levels(y.numpy(), shared.query_place.numpy())


def test_that_what_is_too_much_work_is_measured_on_fewer_items_in_whole_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = a_file(tmp_path, 4_000, 12)
    monkeypatch.setattr(setup, "MAX_AMONG", 5_000)
    shared = prepare(config(RANDOM, data=big))
    assert (shared.evaluated.queries, shared.evaluated.items) == (2_000, 12_000)
    assert 4_980 <= shared.evaluated.among <= 5_000
    all_held_out = labels_of(shared, held_out=True)
    kept = np.bincount(shared.y[shared.evaluated_row].numpy(), minlength=4_000)
    assert ((kept == 0) | (kept == all_held_out)).all()
    monkeypatch.setattr(setup, "MAX_EMBEDDING", 1)
    assert prepare(config(RANDOM, data=big)).evaluated.among <= setup.MAX_QUERIES


def test_that_a_set_of_few_large_classes_is_measured_on_all_that_is_held_out() -> None:
    shared = prepare(config(RANDOM, data={"name": "blobs", "options": {}, "held_out": 0.25}))
    assert shared.evaluated.queries == shared.evaluated.items == shared.held_out
    assert torch.equal(shared.query_place, torch.arange(shared.held_out))


def test_that_metrics_that_cannot_be_had_are_missed_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = config(RANDOM, steps=2, eval_every=2, data=a_file(tmp_path, 100, 4))
    alone = np.arange(400) % 4 == 0  # a split of the set's own, one item of each class
    made = replace(data.build(of.data.part, seed=of.seed), held_out=alone)
    monkeypatch.setattr(data, "build", lambda *_args, **_options: made)
    events = list(record(Experiment(of).run(), tmp_path / "run"))
    alarms = [event.message for event in events if isinstance(event, Alarm)]
    assert any("none of the 100 held-out items" in message for message in alarms)
    told, started = events[0], open_recording(tmp_path / "run").started
    assert isinstance(told, RunStarted) and told.evaluated is not None
    assert started.evaluated == told.evaluated and "cannot be had" in told.evaluated.missing


def test_that_what_is_measured_goes_by_the_true_classes_where_labels_are_wrong() -> None:
    clean = {"of": "blobs", "of_options": {"classes": 4, "points": 400, "separation": 30.0}}
    noisy = {"name": "label-noise", "options": {**clean, "noise": 0.4}, "held_out": 0.25}
    shared = prepare(config(RANDOM, data=noisy))
    assert torch.equal(shared.evaluated_label, shared.y_true[shared.evaluated_row])
    assert (shared.evaluated_label != shared.y[shared.evaluated_row]).float().mean() > 0.3
    events = list(Experiment(config(RANDOM, steps=2, eval_every=2, data=noisy)).run(frames=False))
    (measured,) = [event.metrics for event in events if isinstance(event, StepRecord) and event.metrics]
    assert measured["precision_at_1"] > 0.95, "by the labels it would be about half"


def test_that_no_class_is_trained_on_and_measured_with_a_split_by_classes(tmp_path: Path) -> None:
    of = a_file(tmp_path, 40, 6) | {"split": "classes"}
    shared = prepare(config(RANDOM, steps=2, eval_every=2, data=of))
    assert not set(shared.train_y.tolist()) & set(shared.evaluated_label.tolist())
    assert set(labels_of(shared, held_out=True)) == {0, 6} and shared.evaluated.queries == 60
