"""Soft nearest neighbour loss: temperature, layers, primary losses."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from hnm_core import losses
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import LossContext, Problem

from .batches import batch, value_and_gradient


def hidden_layers() -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(7)
    return {
        "0": torch.randn(30, 4, 2, generator=source, dtype=torch.float64),
        "2": torch.randn(30, 5, generator=source, dtype=torch.float64) + (torch.arange(30) % 6)[:, None],
        "reconstruction": torch.randn(30, 3, generator=source, dtype=torch.float64),
    }


def test_that_a_wide_temperature_gives_the_chance_line_of_an_unbalanced_batch() -> None:
    x, _ = batch(n=20)
    y = torch.tensor([0] * 11 + [1] * 6 + [2] * 2 + [3])
    terms = losses.create("snnl", temperature=1e4).terms(0.1 * x, y)
    partners = torch.tensor([10] * 11 + [5] * 6 + [1] * 2)
    chance = (19 / partners).log().mean()
    assert float(terms.figures["chance"]) == pytest.approx(float(chance))
    assert float(terms.figures["entanglement/embedding"]) == pytest.approx(float(chance), abs=1e-5)
    assert len(terms.parts[0].value) == 19  # the row without a partner is dropped


def test_that_a_row_without_a_partner_only_counts_among_the_others_neighbours() -> None:
    x, y = batch(n=12, classes=3)
    far = torch.cat((x, 1e3 * torch.ones(1, 3, dtype=x.dtype)))
    loss = losses.create("snnl", temperature=1.0)
    assert float(loss(far, torch.cat((y, torch.tensor([77]))))) == pytest.approx(float(loss(x, y)), rel=1e-12)


def test_that_one_class_has_nothing_to_separate() -> None:
    x, _ = batch()
    assert float(losses.create("snnl")(x, torch.zeros(30, dtype=torch.int64))) == 0.0


def test_that_the_temperature_starts_at_the_mean_distance_of_the_first_batch_and_stays() -> None:
    x, y = batch()
    loss = losses.create("snnl")
    d = (x[:, None] - x[None]).square().sum(2)
    mean = float(d.sum() / (30 * 29))
    assert float(loss.terms(x, y).figures["temperature"]) == pytest.approx(mean)
    assert float(loss.terms(3 * x, y).figures["temperature"]) == pytest.approx(mean)
    restored = losses.create("snnl")
    restored.load_state_dict(loss.state_dict())
    assert float(restored.terms(3 * x, y).figures["temperature"]) == pytest.approx(mean)
    fresh = losses.create("snnl")
    fresh(torch.zeros_like(x), y)  # all rows coincide: no distance to start from
    assert float(fresh.terms(x, y).figures["temperature"]) == pytest.approx(mean)


def test_that_the_annealed_temperature_falls_with_the_epoch() -> None:
    x, y = batch()
    for epoch in (0, 1, 8):
        annealed = losses.create("snnl", temperature=1.0, schedule="annealed")
        fixed = losses.create("snnl", temperature=(1 + epoch) ** -0.55)
        assert float(annealed(x, y, context=LossContext(epoch=epoch))) == pytest.approx(float(fixed(x, y)))


def test_that_a_learned_temperature_lowers_snnl_whatever_the_factor_and_the_network_sees_a_constant() -> None:
    x, y = batch()
    x = x + y[:, None]  # some order, so that a smaller temperature shows it
    fixed = losses.create("snnl", temperature=100.0)
    plain, gradient = value_and_gradient(lambda e: fixed(e, y), x)
    for factor in (-10.0, 10.0):
        loss = losses.create("snnl", temperature=100.0, schedule="learned", factor=factor)
        value, found = value_and_gradient(lambda e, loss=loss: loss(e, y), x)
        assert float(value) == pytest.approx(factor * float(plain))
        assert torch.allclose(found, factor * gradient, atol=1e-12)
        (group,) = loss.parameter_groups(1e-3)
        assert group["lr"] == 0.05
        optimizer = torch.optim.Adam([group])
        for _ in range(60):
            optimizer.zero_grad()
            loss(x, y).backward()
            optimizer.step()
        after = loss.terms(x, y).figures
        assert float(after["entanglement/embedding"]) < 0.9 * float(plain)
        assert 0 < float(after["temperature"]) < 20


def test_that_the_learned_temperature_has_the_numerical_gradient() -> None:
    x, y = batch()
    loss = losses.create("snnl", temperature=2.0, schedule="learned", factor=-3.0).double()
    loss(x, y).backward()
    high, low = (float(losses.create("snnl", temperature=2.0 * math.exp(s))(x, y)) for s in (1e-5, -1e-5))
    assert float(loss.log_scales.grad[0]) == pytest.approx((high - low) / 2e-5, rel=1e-5)


@pytest.mark.parametrize("distance", [Distance("squared-euclidean"), Distance("cosine")], ids=str)
@pytest.mark.parametrize("agg", ["min", "sum", "mean"])
def test_that_layers_are_put_together_as_asked(agg: str, distance: Distance) -> None:
    x, y = batch()
    hidden = hidden_layers()
    loss = losses.create("snnl", layers="all", agg=agg, distance=distance, factor=-2.0)
    assert loss.uses_hidden
    assert not losses.create("snnl").uses_hidden
    terms = loss.terms(x, y, context=LossContext(hidden=hidden))
    rows = {"0": hidden["0"].flatten(1), "2": hidden["2"], "embedding": x}
    alone = {name: float(losses.create("snnl", distance=distance)(row, y)) for name, row in rows.items()}
    together = {"min": min, "sum": sum, "mean": lambda values: sum(values) / 3}[agg](alone.values())
    assert float(loss.reduce(terms, x)) == pytest.approx(-2.0 * together)
    for name, value in alone.items():
        assert float(terms.figures[f"entanglement/{name}"]) == pytest.approx(value)
        assert f"temperature/{name}" in terms.figures
    assert "entanglement/reconstruction" not in terms.figures


def test_that_hidden_layers_carry_the_gradient() -> None:
    x, y = batch()
    hidden = hidden_layers()["0"].requires_grad_()
    loss = losses.create("snnl", layers="all", agg="sum", temperature=3.0)
    loss(x, y, context=LossContext(hidden={"0": hidden})).backward()
    alone, gradient = value_and_gradient(
        lambda h: losses.create("snnl", temperature=3.0)(h.flatten(1), y), hidden.detach()
    )
    assert torch.allclose(hidden.grad, gradient, atol=1e-12)
    assert float(alone) > 0


def test_that_cross_entropy_of_its_own_head_is_added() -> None:
    x, y = batch()
    problem = Problem(classes=6, embedding=3)
    loss = losses.create("snnl", primary="cross-entropy", factor=-0.5, temperature=1.0, problem=problem)
    logits = x @ loss.head.weight.double().T + loss.head.bias.double()
    wanted = functional.cross_entropy(logits, y) - 0.5 * losses.create("snnl", temperature=1.0)(x, y)
    value = loss(x, y)
    value.backward()
    assert value.item() == pytest.approx(wanted.item())
    assert loss.head.weight.grad.abs().max() > 0
    assert [group["lr"] for group in loss.parameter_groups(0.3)] == [0.3]
    assert float(loss.terms(x, y).figures["primary"]) == pytest.approx(functional.cross_entropy(logits, y).item())


def test_that_the_head_comes_from_the_generator_alone() -> None:
    problem = Problem(classes=6, embedding=3)

    def weight(seed: int | None) -> torch.Tensor:
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        return losses.create("snnl", primary="cross-entropy", problem=problem, generator=generator).head.weight

    state = torch.get_rng_state()
    assert torch.equal(weight(3), weight(3))
    assert not torch.equal(weight(3), weight(4))
    assert torch.equal(weight(None), weight(None))
    assert torch.equal(state, torch.get_rng_state())


def test_that_the_reconstruction_error_is_added() -> None:
    x, y = batch()
    features = torch.randn(30, 1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    hidden = hidden_layers()
    loss = losses.create("snnl", primary="reconstruction", temperature=1.0)
    assert loss.uses_hidden
    value = loss(x, y, context=LossContext(features=features, hidden=hidden))
    error = functional.mse_loss(hidden["reconstruction"], features[:, 0])
    assert float(value) == pytest.approx(float(error + losses.create("snnl", temperature=1.0)(x, y)))


@pytest.mark.parametrize(
    ("options", "context", "words"),
    [
        ({"layers": "all"}, LossContext(), "needs the model's hidden activations"),
        ({"primary": "reconstruction"}, LossContext(), "needs the context's features"),
        (
            {"primary": "reconstruction"},
            LossContext(features=torch.zeros(30, 5), hidden={"reconstruction": torch.zeros(30, 3)}),
            "the reconstruction has 3 numbers a row and the features 5",
        ),
        ({"layers": "all"}, LossContext(hidden={"4": torch.zeros(29, 2)}), "Layer '4' has 29 rows for 30 embeddings"),
        (
            {"layers": "all"},
            LossContext(hidden={"4": torch.zeros(30, 2).index_fill(0, torch.tensor([8]), torch.nan)}),
            "1 of 30 rows of layer '4' hold NaN or infinity.*The first is row 8",
        ),
    ],
)
def test_that_what_is_missing_is_said(options: dict, context: LossContext, words: str) -> None:
    x, y = batch()
    with pytest.raises(InputError, match=words):
        losses.create("snnl", **options)(x, y, context=context)


def test_that_labels_beyond_the_head_and_a_missing_problem_are_refused() -> None:
    x, y = batch()
    with pytest.raises(InputError, match="needs the number of classes"):
        losses.create("snnl", primary="cross-entropy")
    loss = losses.create("snnl", primary="cross-entropy", problem=Problem(5, 3))
    with pytest.raises(InputError, match=r"labels 0 \.\.\. 4, not 0 \.\.\. 5"):
        loss(x, y)
    with pytest.raises(InputError, match="embeddings of size 3, not 4"):
        loss(torch.zeros(2, 4), y[:2])
