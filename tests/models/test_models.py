"""What holds for every model: weights from a generator, and hidden activations from the same pass."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hnm_core import models
from hnm_core.errors import InputError
from hnm_core.models.base import RECONSTRUCTION, Embedder, hidden_activations
from hnm_core.spec.registry import MODELS

NAMES = ["mlp", "cnn", "autoencoder", "resnet18", "resnet34", "identity", "head"]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_that_the_models_have_the_names_users_know() -> None:
    assert set(NAMES) <= set(MODELS.names())


@pytest.mark.parametrize("name", NAMES)
def test_that_weights_depend_on_the_generator_alone_not_on_threads_or_the_global_one(name: str) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    one = models.create(name, in_features=64, generator=seeded(3)).state_dict()
    try:
        torch.set_num_threads(1 if threads > 1 else 2)
        two = models.create(name, in_features=64, generator=seeded(3)).state_dict()
    finally:
        torch.set_num_threads(threads)
    other = models.create(name, in_features=64, generator=seeded(4)).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert all(torch.isfinite(values).all() for values in one.values())
    changed = [key for key in one if not torch.equal(one[key], other[key])]
    assert set(changed) == {key for key, values in one.items() if key.endswith("weight") and values.ndim > 1} | {
        key for key in one if key.endswith("bias") and "bn" not in key and "downsample" not in key
    }
    assert torch.equal(before, torch.get_rng_state())


def test_that_the_perceptron_draws_its_weights_layer_by_layer_weight_before_bias() -> None:
    model = models.create("mlp", in_features=5, widths=(7, 4), embedding=2, generator=seeded(9))
    source = seeded(9)
    for layer in (model[0], model[2], model[4]):
        bound = 1 / math.sqrt(layer.in_features)
        expected = torch.empty(layer.out_features, layer.in_features).uniform_(-bound, bound, generator=source)
        assert torch.equal(layer.weight, expected)
        assert torch.equal(layer.bias, torch.empty(layer.out_features).uniform_(-bound, bound, generator=source))


@pytest.mark.parametrize("name", NAMES)
def test_that_hidden_activations_come_with_the_same_embedding_and_keep_their_gradient(name: str) -> None:
    model = models.create(name, in_features=64, generator=seeded(0)).eval()
    assert isinstance(model, Embedder)
    x = torch.rand(6, 64, generator=seeded(1)).requires_grad_()
    embedding, hidden = model.with_hidden(x)
    assert torch.equal(embedding, model(x))
    for layer, values in hidden.items():
        assert values.ndim == 2 and len(values) == 6
        if layer != RECONSTRUCTION:
            assert float(values.detach().min()) >= 0, f"{layer} is not after its ReLU"
            assert values is not embedding
        (gradient,) = torch.autograd.grad(values.sum(), x, retain_graph=True)
        assert torch.isfinite(gradient).all()


def test_that_the_perceptrons_activations_are_those_of_its_layers() -> None:
    model = models.create("mlp", in_features=5, widths=(7, 4), embedding=2)
    x = torch.randn(3, 5, generator=seeded(1))
    first = (x @ model[0].weight.T + model[0].bias).clamp(min=0)
    second = (first @ model[2].weight.T + model[2].bias).clamp(min=0)
    _, hidden = model.with_hidden(x)
    assert list(hidden) == ["hidden1", "hidden2"]
    assert torch.allclose(hidden["hidden1"], first) and torch.allclose(hidden["hidden2"], second)


def test_that_the_autoencoder_goes_down_to_the_code_and_back_up() -> None:
    model = models.create("autoencoder", in_features=64, embedding=7)
    embedding, hidden = model.with_hidden(torch.rand(4, 64, generator=seeded(0)))
    assert embedding.shape == (4, 7)
    assert {name: values.shape[1] for name, values in hidden.items()} == {
        "encoder1": 500, "encoder2": 500, "encoder3": 2000,
        "decoder1": 2000, "decoder2": 500, "decoder3": 500, RECONSTRUCTION: 64,
    }  # fmt: skip
    assert list(hidden)[-1] == RECONSTRUCTION
    squashed = models.create("autoencoder", in_features=64, embedding=7, output="sigmoid")
    _, other = squashed.with_hidden(torch.rand(4, 64, generator=seeded(0)))
    assert torch.allclose(other[RECONSTRUCTION], hidden[RECONSTRUCTION].sigmoid())


def test_that_an_autoencoder_learns_to_reconstruct() -> None:
    source = seeded(0)
    x = torch.randn(64, 2, generator=source) @ torch.randn(2, 10, generator=source)
    model = models.create("autoencoder", in_features=10, widths=(32,), embedding=2, generator=source)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(200):
        error = (model.with_hidden(x)[1][RECONSTRUCTION] - x).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert error.item() < 0.05 * float(x.var())


def test_that_the_identity_has_nothing_to_train() -> None:
    model = models.create("identity", in_features=9)
    x = torch.randn(3, 9)
    assert not list(model.parameters()) and torch.equal(model(x), x) and model.with_hidden(x) == (x, {})


def test_that_a_head_is_one_linear_layer_unless_widths_are_given() -> None:
    assert [type(layer) for layer in models.create("head", in_features=9, embedding=4)] == [nn.Linear]
    assert len(models.create("head", in_features=9, widths=(8,))) == 3


class Foreign(nn.Module):
    """Writes into its own activations, uses one module twice, and ends in a ReLU of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 6)
        self.act = nn.ReLU(inplace=True)
        self.last = nn.Sequential(nn.Linear(6, 3), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.first(x))
        x.mul_(-1)
        x = self.act(self.second(x))
        return self.last(x)


def hooks_of(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


def test_that_the_activations_of_a_foreign_network_are_seen_and_no_hook_stays() -> None:
    model = Foreign()
    x = torch.randn(5, 4, generator=seeded(0))
    output, hidden = hidden_activations(model, x)
    first = (x @ model.first.weight.T + model.first.bias).clamp(min=0)
    second = (-first @ model.second.weight.T + model.second.bias).clamp(min=0)
    assert torch.equal(output, model(x))
    assert list(hidden) == ["act", "act:2"]  # the last non-linearity makes the embedding
    assert torch.allclose(hidden["act"], first), "a later operation has written into what was kept"
    assert torch.allclose(hidden["act:2"], second)
    assert hooks_of(model) == 0


def test_that_named_layers_of_a_foreign_network_are_seen_flat_and_with_a_gradient() -> None:
    model = nn.Sequential(nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    x = torch.randn(5, 16, generator=seeded(0))
    _, hidden = hidden_activations(model, x, ["1"])
    assert torch.allclose(hidden["1"], model[1](model[0](x)).flatten(1))
    hidden["1"].sum().backward()
    assert model[1].weight.grad is not None and model[3].weight.grad is None


def test_that_no_hook_stays_where_the_network_fails() -> None:
    model = Foreign()
    with pytest.raises(RuntimeError):
        hidden_activations(model, torch.randn(5, 9))
    assert hooks_of(model) == 0


@pytest.mark.parametrize(
    ("layers", "word"),
    [(None, "name the layers"), (["2"], "no layer '2'; its layers are: 0, 1"), ([""], "no layer ''")],
)
def test_that_a_network_without_such_layers_is_refused(layers, word) -> None:
    with pytest.raises(InputError, match=word):
        hidden_activations(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), torch.ones(1, 2), layers)


def test_that_our_own_networks_look_the_same_from_outside() -> None:
    model = models.create("mlp", in_features=5, widths=(7, 4), embedding=2)
    x = torch.randn(3, 5, generator=seeded(1))
    mine, watched = model.with_hidden(x)[1], hidden_activations(model, x)[1]
    assert all(torch.equal(a, b) for a, b in zip(mine.values(), watched.values(), strict=True))
