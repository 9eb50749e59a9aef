"""The perceptron."""

from __future__ import annotations

import torch
from torch import nn

from hnm_core import models


def test_that_it_is_five_linear_layers_with_relu_but_on_the_output() -> None:
    model = models.create("mlp", in_features=64)
    kinds = [type(layer) for layer in model]
    assert kinds == [nn.Linear, nn.ReLU] * 4 + [nn.Linear]
    assert [layer.out_features for layer in model if isinstance(layer, nn.Linear)] == [100, 50, 25, 10, 3]


def test_that_weights_come_from_the_generator_and_never_from_the_global_one() -> None:
    before = torch.get_rng_state()
    one = models.create("mlp", in_features=5, generator=torch.Generator().manual_seed(3), widths=(7,), embedding=2)
    two = models.create("mlp", in_features=5, generator=torch.Generator().manual_seed(3), widths=(7,), embedding=2)
    other = models.create("mlp", in_features=5, generator=torch.Generator().manual_seed(4), widths=(7,), embedding=2)
    assert torch.equal(one[0].weight, two[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)
    assert torch.equal(before, torch.get_rng_state())


def test_that_weights_spread_as_torchs_own_linear_layers_do() -> None:
    ours = models.create("mlp", in_features=400, widths=(300,), embedding=3)[0].weight.detach()
    assert float(ours.abs().max()) <= 400**-0.5
    assert abs(float(ours.std()) - 400**-0.5 / 3**0.5) < 1e-3
