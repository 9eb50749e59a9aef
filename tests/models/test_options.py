"""What the options of a model say of it is so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hnm_core import models
from hnm_core.models.base import RECONSTRUCTION, Embedder
from hnm_core.spec.registry import MODELS

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in MODELS.names()),
    ("mlp", {"widths": [], "embedding": 2}),
    ("head", {"widths": [7], "embedding": 5}),
    ("autoencoder", {"widths": []}),
    ("autoencoder", {"widths": [6], "embedding": 1}),
    ("resnet18", {"embedding": "features"}),
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_that_a_model_is_what_its_options_say(name: str, options: dict[str, Any]) -> None:
    said = MODELS.validate(name, options)
    network = models.create(name, in_features=64, **options).eval()
    assert isinstance(network, Embedder)
    with torch.no_grad():
        embedding, hidden = network.with_hidden(torch.zeros(2, 64))
    assert said.trains == any(True for _ in network.parameters())
    assert said.reconstructs == (RECONSTRUCTION in hidden)
    assert said.has_hidden == bool(hidden.keys() - {RECONSTRUCTION})
    assert said.dimension in (None, embedding.shape[1])
    assert (said.dimension is None) == (name == "identity" or options.get("embedding") == "features")
