"""That a loop of one's own mines what a lane of a run mines, and is told what a lane is told."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from hnm_core import losses
from hnm_core.config import from_dict
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.events import Alarm, StepRecord
from hnm_core.experiment import Experiment
from hnm_core.miners.base import MiningContext, Triplets
from hnm_core.mining import Mining, MiningWarning
from hnm_core.training.setup import prepare
from hnm_core.training.trainer import Trainer

LANE = {
    "name": "a",
    "miner": "knn",
    "hard_share": 0.7,
    "warmup": 8,
    "refresh_every": 4,
    "loss_options": {"margin": 0.5},
}
CONFIG = {
    "seed": 3,
    "steps": 30,
    "eval_every": 1000,
    "device": "cpu",
    "threads": 1,
    "data": {"name": "digits", "held_out": 0.25},
    "model": {"name": "mlp", "options": {"widths": [32], "embedding": 3}},
    "sampler": {"batch": 64},
    "lanes": [LANE],
}


def test_that_a_loop_of_ones_own_is_a_lane_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    config = from_dict(CONFIG)
    events = list(Experiment(config).run(frames=False))
    expected = [event for event in events if isinstance(event, StepRecord)]

    shared = prepare(config)
    lane = Trainer(config.lanes[0], shared, frames=False)  # its network, optimiser and batches, but none of its steps
    net, loss_of, x, y = lane.model, lane.loss, shared.train_x, shared.train_y
    mining = Mining(
        "knn", net, x, y, hard_share=0.7, warmup=8, refresh_every=4, distance=lane.distance, loss=loss_of, seed=3
    )
    batches = [batch for epoch in range(3) for batch in lane.sampler.batches(epoch)]
    for record, anchors in zip(expected, batches, strict=False):
        rows = mining(torch.from_numpy(anchors))
        assert isinstance(rows, Triplets)
        batch, place = torch.cat(rows).unique(return_inverse=True)
        embeddings, triplets = net(x[batch]), place.chunk(3)
        loss = loss_of(embeddings, y[batch], triplets)
        assert loss.item() == record.loss
        assert mining.warming_up == (not record.mining)
        lane.optimizer.zero_grad()
        loss.backward()
        lane.optimizer.step()
        mining.saw(loss, embeddings, triplets)
        if mining.step % 5 == 0:
            assert {name: mining.figures[name] for name in record.tuples} == dict(record.tuples)
    assert mining.step == 30
    assert mining.ms.keys() >= {"select"}
    assert not mining.alarms


def collapse(mining: Mining, net: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, steps: int) -> None:
    """A loop whose network shrinks to nothing, as the hardest negatives make it."""
    loss_of = losses.create("triplet-margin", margin=0.5, distance=Distance())
    for _ in range(steps):
        rows = mining(torch.arange(64))
        batch, place = torch.cat(rows).unique(return_inverse=True)
        embeddings, triplets = net(x[batch]), place.chunk(3)
        loss = loss_of(embeddings, y[batch], triplets)
        with torch.no_grad():
            net.weight.mul_(0.5)
        mining.saw(loss, embeddings, triplets)


def points() -> tuple[torch.nn.Linear, torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    net = torch.nn.Linear(6, 3, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.randn(3, 6, generator=source))
    return net, torch.randn(200, 6, generator=source), torch.arange(200) % 4


def test_that_what_goes_wrong_is_a_warning_once_or_goes_where_it_is_asked_to() -> None:
    net, x, y = points()
    with pytest.warns(MiningWarning, match="step 15: All points have moved to one spot") as said:
        collapse(Mining("knn", net, x, y), net, x, y, 60)
    assert len(said) == 1
    net, x, y = points()
    told: list[Alarm] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mining = Mining("knn", net, x, y, on_alarm=told.append)
        collapse(mining, net, x, y, 60)
    assert [alarm.code for alarm in told] == ["collapse"]
    assert mining.alarms == told


def test_that_the_plateau_of_the_loss_and_falling_retrieval_are_told() -> None:
    net, x, y = points()
    loss_of = losses.create("triplet-margin", margin=0.5, distance=Distance())
    told: list[Alarm] = []
    with torch.no_grad():
        net.weight.mul_(1e-3)  # near one spot, and nobody trains
    mining = Mining("knn", net, x, y, hard_share=1.0, loss=loss_of, on_alarm=told.append)
    for step in range(1, 201):
        rows = mining(torch.arange(64))
        batch, place = torch.cat(rows).unique(return_inverse=True)
        embeddings, triplets = net(x[batch]), place.chunk(3)
        quality = {"map_at_r": 0.377 if step == 20 else 0.265} if step % 20 == 0 else None
        mining.saw(loss_of(embeddings, y[batch], triplets), embeddings, triplets, quality)
    assert {"plateau", "quality-falls"} <= {alarm.code for alarm in told}


def test_that_what_cannot_be_is_refused_in_a_sentence() -> None:
    net, x, y = points()
    with pytest.raises(InputError, match=r"hard_share = 2.0 .*at most 1"):
        Mining("knn", net, x, y, hard_share=2.0)
    with pytest.raises(InputError, match="mines inside a batch"):
        Mining("triplet-margin", net, x, y)
    with pytest.raises(InputError, match="labels must have shape"):
        Mining("knn", net, x, y[:5])
    with pytest.raises(InputError, match="rows of the 200 items"):
        Mining("knn", net, x, y)(torch.tensor([200]))
    with pytest.raises(InputError, match="anchors must be a tensor"):
        Mining("knn", net, x, y)([1, 2])


def test_that_what_a_step_cannot_have_come_to_is_refused_in_a_sentence() -> None:
    net, x, y = points()
    mining = Mining("knn", net, x, y, loss=losses.create("triplet-margin"))
    with pytest.raises(InputError, match="call it with the step's anchors first"):
        mining.saw(1.0)
    for anchors, words in (
        (torch.arange(4).to(torch.uint16), "integers that torch calculates with, not torch.uint16"),
        (torch.ones(4, dtype=torch.complex64), "integers, not torch.complex64"),
        (y < 1, "not a mask"),
    ):
        with pytest.raises(InputError, match=words):
            mining(anchors)
    with pytest.raises(InputError, match=r"features must be a tensor .* not a ndarray"):
        Mining("knn", net, x.numpy(), y)
    rows, embeddings = mining(torch.arange(8)), net(x)
    for loss in (None, "1", torch.ones(3), [1.0]):
        with pytest.raises(InputError, match="loss of a step must be one number"):
            mining.saw(loss)
    for told, words in (
        ((y[:2], y[:2]), "tuples must hold three or four vectors, not 2"),
        (tuple(row[:3] for row in rows), "3 vectors of 8, as rows of embeddings; these are 3 of 3"),
        (tuple(row + 200 for row in rows), r"tuples: anchor holds rows outside 0 \.\.\. 199"),
        ((row for row in rows), "tuples must be a tuple of vectors, not a generator"),
    ):
        with pytest.raises(InputError, match=words):
            mining.saw(1.0, embeddings, told)
    with pytest.raises(InputError, match=r"embeddings must be a floating-point tensor of shape \(B, E\)"):
        mining.saw(1.0, embeddings[:, 0], rows)
    assert mining.saw(np.float32(1.0), embeddings, rows, {"map_at_r": 0.5}) == []


def test_that_a_context_needs_nothing_and_draws_anew_in_every_step() -> None:
    one, same, next_one = MiningContext(), MiningContext(), MiningContext(step=1)
    draws = [torch.rand(4, generator=context.generator) for context in (one, same, next_one)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert one.distance == Distance()
