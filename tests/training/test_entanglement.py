"""The entanglement of each layer: measured by runs, told by the commands, and on every set that the preset is for."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from hnm_core.data.idx_sets import EMNIST_CLASSES, MNIST, emnist_files
from hnm_core.recording import open_recording, record
from hnm_core.run.event_json import to_json
from hnm_core.run.events import LAYER_METRICS, Alarm, Event, RunFinished, StepRecord, layer_metric
from hnm_core.run.results import Results
from hnm_core.spec.config import ExperimentConfig, from_dict, load
from hnm_core.spec.request import Request, resolve
from hnm_core.spec.resources import preset_path
from hnm_core.training.experiment import Experiment

SNNL = {"miner": "none", "loss": "snnl"}
ALL = {**SNNL, "name": "all", "loss_options": {"layers": "all", "agg": "sum", "schedule": "searched"}}
LAST = {**SNNL, "name": "last", "loss_options": {"temperature": 0.5}}
TRIPLETS = {"name": "triplets", "miner": "random"}


def config(*lanes: dict, **fields: object) -> ExperimentConfig:
    base = {
        "steps": 6,
        "eval_every": 3,
        "data": {"name": "blobs", "options": {"classes": 3, "points": 90, "dim": 5}},
        "model": {"options": {"widths": [16, 8], "embedding": 3}},
        "sampler": {"batch": 32},
        "lanes": lanes,
    }
    return from_dict({**base, **fields})


def measured(events: list[Event], lane: str) -> list[dict[str, float]]:
    return [dict(event.metrics) for event in events if isinstance(event, StepRecord) and event.lane == lane][2::3]


def test_that_layers_are_measured_of_lanes_whose_loss_looks_at_them_and_of_no_others() -> None:
    events = list(Experiment(config(ALL, LAST, TRIPLETS)).run(frames=False))
    layers = ("hidden1", "hidden2", "embedding")
    for metrics in measured(events, "all"):
        found = {name for name in metrics if layer_metric(name)}
        assert found == {f"{metric}/{layer}" for metric in LAYER_METRICS for layer in layers}
        assert np.log(31 / 30) < metrics["entanglement_chance"] < np.log(31)
        assert all(0 <= metrics[f"entanglement/{layer}"] < 5 * metrics["entanglement_chance"] for layer in layers)
    for metrics in measured(events, "last"):
        assert {name for name in metrics if layer_metric(name)} == {"entanglement/embedding"}
        assert metrics["temperature"] == 0.5
    for metrics in measured(events, "triplets"):
        assert not [name for name in metrics if layer_metric(name) or "entanglement" in name]


def test_that_the_entanglement_of_a_lane_by_this_loss_alone_is_its_loss() -> None:
    events = list(Experiment(config(LAST, eval_every=1)).run(frames=False))
    records = [event for event in events if isinstance(event, StepRecord)]
    assert len(records) == 6
    for event in records:
        assert event.metrics["entanglement/embedding"] == pytest.approx(event.loss)


def test_that_layers_survive_json_a_recording_and_the_result_table(tmp_path: Path) -> None:
    events = list(record(Experiment(config(ALL, TRIPLETS)).run(), tmp_path / "run"))
    last = measured(events, "all")[-1]
    line = json.loads(
        json.dumps(to_json(next(e for e in events if isinstance(e, StepRecord) and e.metrics)), allow_nan=False)
    )
    assert line["metrics"]["entanglement/hidden1"] == measured(events, "all")[0]["entanglement/hidden1"]
    recording = open_recording(tmp_path / "run")
    steps, values = recording.layer_metrics("all")["entanglement/hidden2"]
    assert steps.tolist() == [3, 6] and values[-1] == last["entanglement/hidden2"]
    live, replayed = Results(), Results()
    for event in events:
        live.add(event)
    for _, event in recording.numbered_steps("all"):
        replayed.add(event)
    (row,) = replayed.lanes()
    assert live.lanes()[0].entanglement == row.entanglement
    assert list(row.entanglement) == ["hidden1", "hidden2", "embedding"]
    assert row.entanglement["embedding"] == last["entanglement/embedding"]
    assert row.entanglement_chance == last["entanglement_chance"]
    assert live.lanes()[1].entanglement == {}


def test_that_a_fixed_temperature_of_many_mean_distances_is_told_at_once_and_a_moving_one_is_not() -> None:
    wide = {**SNNL, "name": "wide", "loss_options": {"temperature": 1e4}}
    learned = {**SNNL, "name": "learned", "loss_options": {"temperature": 1e4, "schedule": "learned"}}
    events = list(Experiment(config(wide, learned, ALL)).run(frames=False))
    told = [event for event in events if isinstance(event, Alarm) and event.code == "C22"]
    assert [event.lane for event in told] == ["wide"]
    assert told[0].step == 3, "the first step that is looked at"
    assert "times the mean distance" in told[0].message


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes())


@pytest.mark.parametrize("name", ["mnist", "kmnist", "fashion-mnist", "emnist"])
def test_that_the_preset_runs_on_each_set_of_the_family(tmp_path: Path, name: str) -> None:
    """The files are small ones of noise; where they come from otherwise is tested with the sets."""
    classes = len(EMNIST_CLASSES["balanced"]) if name == "emnist" else 10
    names = emnist_files("balanced") if name == "emnist" else [file.name for file in MNIST.downloads]
    rng = np.random.default_rng(0)
    for images, labels, count in ((names[0], names[1], 300), (names[2], names[3], 100)):
        y = (np.arange(count) % classes).astype(np.uint8)
        pictures = rng.integers(0, 60, (count, 28, 28), np.uint8) + 3 * y[:, None, None]
        (tmp_path / images).write_bytes(idx(pictures))
        (tmp_path / labels).write_bytes(idx(y))
    settings = (f"data.options.path={tmp_path}", "data.options.points=400", "eval_every=2", "model.options.widths=[32]")
    asked = resolve(Request(preset="snnl", data=name, steps=2, settings=settings))
    events = list(Experiment(asked).run(frames=False))
    assert isinstance(events[-1], RunFinished) and not events[-1].failed_lanes
    assert {lane.name for lane in asked.lanes} == {"cross-entropy", "disentangled", "entangled"}
    for lane in asked.lanes:
        (metrics,) = [e.metrics for e in events if isinstance(e, StepRecord) and e.lane == lane.name and e.metrics]
        for layer in ("hidden1", "embedding"):
            assert 0 < metrics[f"entanglement/{layer}"] < 2 * metrics["entanglement_chance"]


def test_that_all_lanes_of_the_preset_are_measured_alike_so_that_their_layers_compare() -> None:
    lanes = load(preset_path("snnl")).lanes
    assert {(lane.loss_options["layers"], lane.loss_options["schedule"]) for lane in lanes} == {("all", "searched")}
    assert [float(lane.loss_options["factor"]) > 0 for lane in lanes] == [False, True, False]
    assert lanes[0].loss_options["factor"] == 0.0


def test_that_a_factor_of_zero_looks_and_does_not_touch() -> None:
    """The baseline of the preset is cross-entropy alone, bit for bit."""
    plain = {**SNNL, "name": "plain", "loss_options": {"primary": "cross-entropy", "factor": 0.0}}
    looking = {"primary": "cross-entropy", "factor": 0.0, "layers": "all", "agg": "sum", "schedule": "searched"}
    events = list(Experiment(config(plain, {**SNNL, "name": "looking", "loss_options": looking})).run(frames=False))
    weights = [event.arrays for event in events if type(event).__name__ == "Weights"]
    assert len(weights) == 2
    assert all(torch.equal(torch.tensor(weights[0][key]), torch.tensor(weights[1][key])) for key in weights[0])
