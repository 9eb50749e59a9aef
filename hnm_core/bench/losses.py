"""Losses beside pytorch-metric-learning's on the same batch, forward and backward: over all pairs or triplets, and over
the triplets that a miner handed in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hnm_core import losses, miners
from hnm_core.bench.table import Bound, Case, Result, Row, Settings
from hnm_core.bench.timing import Contender, take_turns
from hnm_core.pml import PACKAGE, library_class

DIM = 3
PER_CLASS = 8
PEERS = {
    "nt-xent": "NTXentLoss",
    "lifted-structure": "LiftedStructureLoss",
    "tuplet-margin": "TupletMarginLoss",
    "sup-con": "SupConLoss",
    "multi-similarity": "MultiSimilarityLoss",
    "circle": "CircleLoss",
    "generalized-lifted-structure": "GeneralizedLiftedStructureLoss",
    "contrastive": "ContrastiveLoss",
    "triplet-margin": "TripletMarginLoss",
    "margin": "MarginLoss",
}
"""Our losses and the library's."""
OVER_TRIPLETS = ("triplet-margin", "margin", "contrastive", "multi-similarity")
"""Losses that are measured over mined triplets too."""
AS_THERE: dict[str, dict[str, Any]] = {"contrastive": {"keep_multiplicity": True}}
"""Options under which ours counts mined pairs as the library does, so that the numbers agree."""
MINED_DIM = 128
PAIRS_OF_PAIRS = ("nt-xent", "lifted-structure", "tuplet-margin")
"""The library compares every positive pair with every negative pair."""
MOST_GB = 3.0
"""What a peer may need."""

Tuples = tuple[Tensor, ...]
Call = Callable[[Tensor, Tensor, Tuples | None], Tensor]
Step = tuple[float, Tensor]
"""Value and gradient."""


def cases(settings: Settings) -> list[Case]:
    """A row for each loss and size of the batch, over all there is; then over mined triplets."""
    sizes = (32,) if settings.quick else (256, 512)
    every = [_case(name, count, DIM, settings, mined=False) for name in PEERS for count in sizes]
    return every + [_case(name, count, MINED_DIM, settings, mined=True) for name in OVER_TRIPLETS for count in sizes]


def _case(name: str, count: int, dim: int, settings: Settings, *, mined: bool) -> Case:
    size = f"B={count:,} d={dim}, {PER_CLASS} a class" + (", triplets mined" if mined else "")

    def measure() -> Row:
        x = torch.randn(count, dim, generator=torch.Generator().manual_seed(count))
        y = torch.arange(count) % (count // PER_CLASS)
        tuples = _mined(x, y) if mined else None
        options = AS_THERE.get(name, {}) if mined else {}
        ours, peer = losses.create(name, **options), PEERS[name]
        gigabytes = count * (PER_CLASS - 1) * count * (count - PER_CLASS) * 4 * 5 / 2**30
        too_large = name in PAIRS_OF_PAIRS and gigabytes > MOST_GB
        contenders = [Contender(f"hnm {name}", lambda: step(ours, x, y, tuples))]
        if not too_large:
            contenders.append(Contender(f"pml {peer}", _library(peer, x, y, tuples), PACKAGE))
        exact = step(losses.create(name, **options), x.double(), y, tuples)
        results = [
            outcome.rated(check=_off(outcome.answer, exact)) if outcome.answer is not None else outcome.result
            for outcome in take_turns(contenders, settings)
        ]
        if too_large:
            results.append(Result(f"pml {peer}", note=f"needs {gigabytes:,.0f} GB"))
        share = _softmax_seconds(x) / results[0].seconds if results[0].seconds else None
        bound = Bound("calls of torch (one B x B softmax and back)", share)
        told = size if tuples is None else size.replace("triplets", f"{len(tuples[0]):,} triplets")
        return Row("losses", name, told, results[0], tuple(results[1:]), bound)

    return Case(name, size, measure)


def step(loss: Call, x: Tensor, y: Tensor, tuples: Tuples | None = None) -> Step:
    """Forward and backward."""
    leaf = x.clone().requires_grad_()
    value = loss(leaf, y, tuples)
    value.backward()
    assert leaf.grad is not None
    return value.item(), leaf.grad


def _mined(x: Tensor, y: Tensor) -> Tuples:
    miner: Any = miners.create("triplet-margin", type_of_triplets="all")
    return tuple(miner(x, y))


def _library(peer: str, x: Tensor, y: Tensor, tuples: Tuples | None) -> Callable[[], Step]:
    made: list[Call] = []

    def run() -> Step:
        if not made:  # at the first call, which is not timed
            made.append(library_class("losses", peer)())
        return step(made[0], x, y, tuples)

    return run


def _off(answer: Step, exact: Step) -> str:
    """Relative error of the value, largest error of the gradient, against ours in float64."""
    value = abs(answer[0] - exact[0]) / max(1.0, abs(exact[0]))
    return f"off {value:.0e}, {float((answer[1] - exact[1]).abs().max()):.0e}"


def _softmax_seconds(x: Tensor) -> float:
    """The least that a loss over all pairs does: products of all rows, a softmax, and back."""
    seconds = []
    for _ in range(7):
        leaf = x.clone().requires_grad_()
        start = time.perf_counter()
        (leaf @ leaf.T).logsumexp(1).sum().backward()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
