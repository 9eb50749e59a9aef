"""What the options of a loss say of it is so."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from hnm_core import losses
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import HasMargin, Problem
from hnm_core.spec.registry import LOSSES

PROBLEM = Problem(4, 3)
DISTANCES = (Distance(), Distance(normalized=True), Distance("cosine"), Distance("inner-product"))

LEARNING: dict[str, list[dict[str, Any]]] = {
    "margin": [{"learn_beta": "one"}, {"learn_beta": "per-class"}],
    "MarginLoss": [{"learn_beta": True}],
    "snnl": [{"primary": "cross-entropy"}, {"schedule": "learned"}, {"schedule": "searched"}, {"schedule": "annealed"}],
    **{name: [{"learn_temperature": True}] for name in ("nt-xent", "sup-con", "soft-info-nce", "hcl")},
}


def made(name: str, options: dict[str, Any]) -> nn.Module:
    """The loss on the first distance that it takes."""
    for distance in DISTANCES:
        try:
            loss = losses.create(name, distance=distance, problem=PROBLEM, **options)
        except InputError:
            continue
        assert isinstance(loss, nn.Module)
        return loss
    raise AssertionError(f"{name} takes none of the distances")


@pytest.mark.parametrize("name", [name for name in LOSSES.names() if not LOSSES.entry(name).options.bug])
def test_that_a_loss_has_weights_just_where_its_options_say_so(name: str) -> None:
    for options in [{}, *LEARNING.get(name, [])]:
        weights = any(weight.requires_grad for weight in made(name, options).parameters())
        assert LOSSES.validate(name, options).trains_weights == weights, options


@pytest.mark.parametrize("name", ["triplet-margin", "margin", "dtsh", "TripletMarginLoss"])
def test_that_a_loss_with_a_margin_is_told_from_one_without(name: str) -> None:
    assert isinstance(made(name, {}), HasMargin)
    assert not isinstance(made("nt-xent", {}), HasMargin)
