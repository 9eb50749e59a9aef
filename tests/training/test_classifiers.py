"""Accuracy of classifiers that lanes train, and hidden layers of networks that do not tell them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hnm_core import losses
from hnm_core.config import from_dict
from hnm_core.events import Event, RunFinished, StepRecord, Weights
from hnm_core.experiment import Experiment
from hnm_core.losses.base import Classifies, Problem
from hnm_core.run.results import Results
from hnm_core.training.setup import prepare
from hnm_core.training.trainer import Trainer


def run(*lanes: dict[str, Any], **fields: Any) -> list[Event]:
    values = {
        "steps": 4,
        "eval_every": 2,
        "device": "cpu",
        "threads": 1,
        "data": {"name": "blobs", "held_out": 0.25, "options": {"points": 300, "classes": 5}},
        "model": {"name": "mlp", "options": {"widths": [16], "embedding": 4}},
        "sampler": {"batch": 64},
    }
    return list(Experiment(from_dict({**values, **fields, "lanes": list(lanes)})).run(frames=False))


SNNL = {"miner": "none", "loss": "snnl", "loss_options": {"primary": "cross-entropy"}}


def test_that_a_lane_with_a_classifier_has_its_accuracy_and_others_have_none() -> None:
    events = run({"name": "snnl", **SNNL}, {"name": "none", "miner": "none", "loss": "snnl"}, {"name": "triplets"})
    assert isinstance(events[-1], RunFinished)
    measured = [event for event in events if isinstance(event, StepRecord) and event.metrics]
    assert {event.lane for event in measured if "accuracy" in event.metrics} == {"snnl"}
    assert all({"within_class_distance", "class_distance_ratio"} <= event.metrics.keys() for event in measured)
    results = Results()
    for event in events:
        results.add(event)
    by_lane = {lane.lane: lane for lane in results.lanes()}
    assert by_lane["snnl"].accuracy == measured[-3].metrics["accuracy"]
    assert by_lane["none"].accuracy != by_lane["none"].accuracy
    assert by_lane["triplets"].class_distance_ratio == measured[-1].metrics["class_distance_ratio"]


def test_that_the_accuracy_is_that_of_the_held_out_items_by_the_loss_s_own_weights() -> None:
    values = {"steps": 3, "eval_every": 3, "device": "cpu", "data": {"name": "digits", "held_out": 0.25}}
    config = from_dict({**values, "lanes": [{"name": "a", **SNNL}]})
    shared = prepare(config)
    trainer = Trainer(config.lanes[0], shared, frames=False)
    (*_, last) = [event for step in trainer.steps() for event in step if isinstance(event, StepRecord)]
    held_out = shared.x[shared.trained :]
    weight, bias = trainer.loss.head.weight, trainer.loss.head.bias
    right = (trainer.model(held_out) @ weight.T + bias).argmax(1) == shared.y[shared.trained :]
    assert last.metrics["accuracy"] == pytest.approx(float(right.double().mean()), abs=1e-12)


@pytest.mark.parametrize("name", ["ArcFaceLoss", "NormalizedSoftmaxLoss", "ProxyAnchorLoss", "SoftTripleLoss"])
def test_that_the_library_s_classifiers_name_the_class_whose_weights_lie_nearest(name: str) -> None:
    pytest.importorskip("pytorch_metric_learning")
    loss = losses.create(name, problem=Problem(classes=3, embedding=3))
    assert isinstance(loss, Classifies)
    weights = next(loss.parameters())
    with torch.no_grad():
        if name == "SoftTripleLoss":
            weights.copy_(torch.eye(3).repeat_interleave(weights.shape[1] // 3, 1))
        else:
            weights.copy_(torch.eye(3))
    assert loss.predict(torch.tensor([[0.1, 2.0, 0.2], [3.0, 0.0, 1.0], [0.0, 0.0, 0.5]])).tolist() == [1, 0, 2]


def test_that_a_loss_without_a_classifier_names_none() -> None:
    assert losses.create("snnl").predict(torch.zeros(2, 3)) is None
    assert not isinstance(losses.create("triplet-margin"), Classifies)


class Bare(nn.Module):
    """A network as anybody writes it."""

    def __init__(self) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(0)
        self.first, self.relu, self.second = nn.Linear(16, 8), nn.ReLU(inplace=True), nn.Linear(8, 3)
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=source)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.relu(self.first(x)))


def test_that_layers_of_a_network_without_with_hidden_are_watched_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnm_core.training.setup.models.build", lambda *args, **kwargs: Bare())
    lane = {"name": "a", "miner": "none", "loss": "snnl", "loss_options": {"layers": "all"}}
    events = run(lane)
    assert isinstance(events[-1], RunFinished)
    (*_, last) = [event for event in events if isinstance(event, StepRecord)]
    assert {"entanglement/relu", "entanglement/embedding"} <= last.metrics.keys()
    (weights,) = [event for event in events if isinstance(event, Weights)]
    assert not torch.equal(torch.from_numpy(weights.arrays["first.weight"].copy()), Bare().first.weight)
