"""The searched temperature against a finer grid in float64, and that no schedule lets the network move it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from hnm_core import losses
from hnm_core.distances import Distance
from hnm_core.losses.base import LossContext, Problem
from hnm_core.losses.snnl_temperature import search_temperature
from hnm_core.spec.config import OptimizerConfig
from hnm_core.training.optimizers import optimizer

from .batches import batch, value_and_gradient


def snnl(d: np.ndarray, y: np.ndarray, temperature: float) -> float:
    """The formula in float64."""
    others = ~np.eye(len(y), dtype=bool)
    own = (y[:, None] == y) & others
    rows = own.any(1)
    whole, same = (logsumexp(np.where(some, -d / temperature, -np.inf), axis=1)[rows] for some in (others, own))
    return float((whole - same).mean())


CLOUDS = {
    "noise": lambda x, y, rng: x,
    "tiny": lambda x, y, rng: 1e-3 * x,
    "separated": lambda x, y, rng: x + 20 * y[:, None],
    "touching": lambda x, y, rng: x + y[:, None],
    "of many scales": lambda x, y, rng: x * np.exp(2 * rng.normal(size=(len(x), 1))),
    "far islands": lambda x, y, rng: x + 3e3 * rng.integers(0, 3, len(x))[:, None],
    "duplicates": lambda x, y, rng: x.round(),
}


@pytest.mark.parametrize("metric", ["squared-euclidean", "cosine"])
@pytest.mark.parametrize("cloud", CLOUDS)
def test_that_the_searched_temperature_is_as_low_as_a_fine_grid_finds(cloud: str, metric: str) -> None:
    for seed, n, dim in ((0, 40, 3), (1, 25, 8)):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 4, n)
        x = CLOUDS[cloud](rng.normal(size=(n, dim)), y, rng).astype(np.float32).astype(np.float64)
        unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        d = 1 - unit @ unit.T if metric == "cosine" else np.square(x[:, None] - x).sum(2)
        mean = d.sum() / (n * (n - 1))
        lowest = min(snnl(d, y, t) for t in mean * np.logspace(-3, 3, 301))
        loss = losses.create("snnl", schedule="searched", distance=Distance(metric))
        figures = loss.terms(torch.tensor(x, dtype=torch.float32), torch.tensor(y)).figures
        assert snnl(d, y, float(figures["temperature"])) <= lowest + 0.005
        assert float(figures["entanglement/embedding"]) <= lowest + 0.01


def test_that_the_search_finds_the_minimum_of_a_known_function_and_asks_the_same_every_time() -> None:
    for wanted in (0.0123, 0.9, 7.0, 640.0):
        asked: list[list[float]] = [[], []]
        for calls in asked:
            found = search_temperature(lambda t, calls=calls, w=wanted: calls.append(t) or math.log(t / w) ** 2, 1.0)
            assert abs(math.log10(found / wanted)) <= 1 / 30 + 1e-9  # half a step of the finer grid
        assert asked[0] == asked[1]
        assert len(asked[0]) == 27


def test_that_the_search_takes_the_nearest_to_the_middle_of_equals_and_passes_over_nan() -> None:
    assert search_temperature(lambda t: 2.0, 5.0) == 5.0
    assert search_temperature(lambda t: math.nan, 5.0) == 5.0
    assert 0.4 < search_temperature(lambda t: 0.0 if t < 0.5 else 1.0, 5.0) < 0.5
    assert search_temperature(lambda t: math.nan if t < 4 else t, 5.0) == pytest.approx(5.0 * 10 ** (-1 / 15))


@pytest.mark.parametrize("factor", [3.0, -3.0])
def test_that_the_network_sees_a_searched_temperature_as_a_constant(factor: float) -> None:
    x, y = batch()
    x = x + y[:, None]
    searched = losses.create("snnl", schedule="searched", factor=factor)
    value, gradient = value_and_gradient(lambda e: searched(e, y), x)
    fixed = losses.create("snnl", temperature=float(searched.terms(x, y).figures["temperature"]), factor=factor)
    wanted, wanted_gradient = value_and_gradient(lambda e: fixed(e, y), x)
    assert float(value) == pytest.approx(float(wanted))
    assert torch.allclose(gradient, wanted_gradient, atol=1e-12)
    assert searched.parameter_groups(0.1) == []


def test_that_the_temperature_is_searched_at_first_and_then_every_so_many_steps() -> None:
    x, y = batch()
    loss = losses.create("snnl", schedule="searched", search_every=5)

    def at(step: int, scale: float) -> float:
        return float(loss.terms(scale * x, y, context=LossContext(step=step)).figures["temperature"])

    first = at(1, 1.0)
    assert [at(step, 10.0) for step in (2, 3, 4)] == [first] * 3
    assert at(5, 10.0) == pytest.approx(100 * first)
    restored = losses.create("snnl", schedule="searched", search_every=5)
    restored.load_state_dict(loss.state_dict())
    again = restored.terms(x, y, context=LossContext(step=6)).figures["temperature"]
    assert float(again) == pytest.approx(100 * first)


def test_that_every_layer_has_its_own_searched_temperature() -> None:
    x, y = batch()
    hidden = {"wide": 100 * x.flip(0), "narrow": 0.1 * x.roll(1, 0)}
    loss = losses.create("snnl", schedule="searched", layers="all", agg="sum")
    figures = loss.terms(x, y, context=LossContext(hidden=hidden)).figures
    for name, rows in {**hidden, "embedding": x}.items():
        alone = losses.create("snnl", schedule="searched").terms(rows, y).figures
        assert float(figures[f"temperature/{name}"]) == pytest.approx(float(alone["temperature"]))
        assert float(figures[f"entanglement/{name}"]) == pytest.approx(float(alone["entanglement/embedding"]))


def test_that_mined_pairs_alone_decide_where_there_are_any() -> None:
    x, y = batch(n=24, classes=4)
    a, p, n = (torch.tensor(rows) for rows in ([0, 1, 2], [4, 5, 6], [1, 2, 3]))
    value, t = (
        losses.create("snnl", schedule="searched").terms(x, y, (a, p, n)).figures[name]
        for name in ("entanglement/embedding", "temperature")
    )
    d_p, d_n = ((x[a] - x[other]).square().sum(1) for other in (p, n))
    mean = np.square(x.numpy()[:, None] - x.numpy()).sum(2).sum() / (24 * 23)
    lowest = min(float((1 + ((d_p - d_n) / s).exp()).log().mean()) for s in mean * np.logspace(-3, 3, 301))
    assert float((1 + ((d_p - d_n) / t).exp()).log().mean()) == pytest.approx(float(value))
    assert lowest - 1e-9 <= float(value) <= lowest + 0.005


def test_that_coinciding_rows_one_class_and_no_pair_are_no_trouble_for_the_search() -> None:
    x, y = batch()
    mean = float((x[:, None] - x).square().sum() / (30 * 29))
    for rows, labels, wanted in (
        (torch.ones_like(x), y, 1.0),
        (x, torch.zeros_like(y), mean),  # every temperature is as good
    ):
        loss = losses.create("snnl", schedule="searched")
        assert torch.isfinite(loss(rows, labels))
        assert float(loss.terms(rows, labels).figures["temperature"]) == pytest.approx(wanted)
    assert float(losses.create("snnl", schedule="searched")(x, torch.arange(30))) == 0.0
    assert float(losses.create("snnl", schedule="searched")(x[:0], y[:0])) == 0.0


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("factor", [-10.0, 10.0])
def test_that_one_optimiser_of_both_lowers_snnl_by_the_temperature_whatever_the_network_is_after(
    factor: float, name: str
) -> None:
    features, y = batch(dim=5)
    features = (features + y[:, None]).float()
    model = torch.nn.Linear(5, 3)
    with torch.no_grad():
        model.weight.copy_(torch.eye(3, 5))
    loss = losses.create("snnl", temperature=30.0, schedule="learned", factor=factor, temperature_lr=0.01)
    steps = optimizer(OptimizerConfig(name=name, lr=1e-4), model, loss)

    def entanglement(x: torch.Tensor, t: float) -> float:
        d = (x[:, None] - x[None]).double().square().sum(2).numpy()
        return snnl(d, y.numpy(), t)

    def now() -> tuple[torch.Tensor, float]:
        x = model(features).detach()
        return x, float(loss.terms(x, y).figures["temperature"])

    for _ in range(5):
        before, t_before = now()
        steps.zero_grad()
        loss(model(features), y).backward()
        steps.step()
        after, t_after = now()
        assert t_after != t_before
        assert entanglement(before, t_after) < entanglement(before, t_before)
        assert (entanglement(after, t_before) > entanglement(before, t_before)) == (factor < 0)


@pytest.mark.parametrize("agg", ["min", "sum", "mean"])
def test_that_every_layer_learns_a_temperature_of_its_own(agg: str) -> None:
    """Layers that grow apart: one is three times as wide as in the first batch."""
    x, y = batch()
    x = x + 2 * y[:, None]
    hidden = {"first": x.flip(0), "grown": x.square()}
    loss = losses.create("snnl", schedule="learned", layers="all", agg=agg, factor=-1.0, temperature_lr=0.5)
    loss.terms(x, y, context=LossContext(hidden={"first": x.flip(0), "grown": x.square() / 3}))
    steps = optimizer(OptimizerConfig(name="sgd", lr=1.0), torch.nn.Identity(), loss)
    for _ in range(150):
        steps.zero_grad()
        loss(x, y, context=LossContext(hidden=hidden)).backward()
        steps.step()
    figures = loss.terms(x, y, context=LossContext(hidden=hidden)).figures
    for name, rows in {**hidden, "embedding": x}.items():
        best = losses.create("snnl", schedule="searched").terms(rows, y).figures["entanglement/embedding"]
        assert float(figures[f"entanglement/{name}"]) <= float(best) + 0.01
    assert int(loss.log_scales.count_nonzero()) == 3, "those without a layer stay as they are"


def test_that_the_width_of_a_fixed_temperature_is_told_in_mean_distances() -> None:
    x, y = batch()
    mean = float((x[:, None] - x).square().sum() / (30 * 29))
    figures = losses.create("snnl", temperature=12.0 * mean).terms(x, y).figures
    assert float(figures["wideness"]) == pytest.approx(12.0)
    for rows, labels in ((torch.ones_like(x), y), (x[:0], y[:0])):
        assert "wideness" not in losses.create("snnl", temperature=100.0).terms(rows, labels).figures
    for options in ({}, {"temperature": 100.0, "schedule": "learned"}, {"temperature": 100.0, "schedule": "searched"}):
        assert "wideness" not in losses.create("snnl", **options).terms(x, y).figures
    wide = losses.create("snnl", temperature=12.0 * mean, layers="all")
    told = wide.terms(x, y, context=LossContext(hidden={"hidden1": 2 * x})).figures["wideness"]
    assert float(told) == pytest.approx(3.0)  # in the layer whose distances are largest


def test_that_the_loss_at_chance_is_told_where_it_is_the_whole_loss() -> None:
    x, y = batch()
    hidden = LossContext(hidden={"hidden1": x.flip(0)})
    chance = math.log(29 / 4)
    for options, wanted in (
        ({"factor": 2.0}, 2 * chance),
        ({"layers": "all", "agg": "sum"}, 2 * chance),
        ({"layers": "all", "agg": "mean"}, chance),
        ({"layers": "all", "agg": "min", "factor": 0.5}, 0.5 * chance),
    ):
        loss = losses.create("snnl", temperature=1e4, **options)
        terms = loss.terms(0.01 * x, y, context=LossContext(hidden={"hidden1": 0.01 * x.flip(0)}))
        assert float(terms.figures["chance"]) == pytest.approx(wanted)
        assert float(loss.reduce(terms, x)) == pytest.approx(wanted, rel=1e-4)
        assert float(terms.figures["entanglement_chance"]) == pytest.approx(chance)
    for options in ({"factor": -1.0}, {"factor": 0.0}, {"primary": "cross-entropy", "problem": Problem(6, 3)}):
        figures = losses.create("snnl", **options).terms(x, y, context=hidden).figures
        assert "chance" not in figures and "entanglement_chance" in figures
