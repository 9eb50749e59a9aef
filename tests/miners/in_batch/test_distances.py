"""Distances inside a batch against float64 differences, wherever the batch lies, compiled and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from hnm_core import kernels, miners
from hnm_core.distances import Distance
from hnm_core.miners.in_batch import batch
from hnm_core.miners.in_batch.batch import pairwise


@pytest.fixture(params=["compiled", "in torch"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = request.param == "compiled"
    if ready and not kernels.ready(batch.KERNELS):
        compiler = kernels.compile_in_background(batch.KERNELS)
        assert compiler is None or compiler.wait() == 0
    monkeypatch.setattr(batch, "kernels_usable", lambda device, values: ready)


def a_batch(kind: str, dim: int, rows: int = 120) -> tuple[torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(dim)
    y = np.arange(rows) % 12
    x = draw.normal(size=(12, dim))[y] + 0.5 * draw.normal(size=(rows, dim))
    match kind:
        case "groups far apart":
            x += np.where(y < 6, 500, -500)[:, None]
        case "far from zero":
            x += 3_000
        case "an outlier":
            x[5] *= 1e4
        case "duplicates":
            x[::3] = x[0]
        case "one spot":
            x[:] = x[0]
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y)


KINDS = ("usual", "groups far apart", "far from zero", "an outlier", "duplicates", "one spot")


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize("metric", ["euclidean", "squared-euclidean"])
@pytest.mark.parametrize("dim", [3, 17, 32, 300])
@pytest.mark.parametrize("kind", KINDS)
def test_that_every_distance_is_right_to_single_precision(kind: str, dim: int, metric: Any) -> None:
    x, _ = a_batch(kind, dim)
    true = (x.double()[:, None] - x.double()).square().sum(-1)
    true = true.sqrt() if metric == "euclidean" else true
    found = pairwise(Distance(metric), x, x[:70])
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), true[:, :70], rtol=2e-6, atol=0)


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize("dim", [3, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_that_the_hardest_of_a_batch_are_those_of_brute_force(kind: str, dim: int) -> None:
    x, y = a_batch(kind, dim)
    true = (x.double()[:, None] - x.double()).square().sum(-1).sqrt()
    same = y[:, None] == y
    farthest = true.masked_fill(~same | torch.eye(len(y), dtype=torch.bool), -1).amax(1)
    nearest = true.masked_fill(same, torch.inf).amin(1)
    anchor, positive, negative = miners.create("batch-hard", distance=Distance())(x, y)
    assert len(anchor) == len(y)
    torch.testing.assert_close(true[anchor, positive], farthest[anchor], rtol=1e-6, atol=0)
    torch.testing.assert_close(true[anchor, negative], nearest[anchor], rtol=1e-6, atol=0)


@pytest.mark.parametrize("metric", ["cosine", "inner-product"])
def test_that_similarities_are_right_where_directions_nearly_agree(metric: Any) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.nn.functional.normalize(1 + 1e-2 * torch.randn(60, 24, generator=draw))
    products = x.double() @ x.double().T
    true = 1 - products if metric == "cosine" else -products
    torch.testing.assert_close(pairwise(Distance(metric), x, x).double(), true, rtol=1e-6, atol=1e-12)
