"""Miners inside a batch beside pytorch-metric-learning's: same tuples where nothing is drawn, time, memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from hnm_core import miners
from hnm_core.bench.limits import limits
from hnm_core.bench.table import Bound, Case, Result, Row, Settings
from hnm_core.bench.timing import Contender, take_turns
from hnm_core.pml import PACKAGE, library_class

PER_CLASS = 8
PEERS = {
    "triplet-margin": "TripletMarginMiner",
    "angular": "AngularMiner",
    "distance-weighted": "DistanceWeightedMiner",
    "batch-hard": "BatchHardMiner",
    "batch-easy-hard": "BatchEasyHardMiner",
    "pair-margin": "PairMarginMiner",
    "multi-similarity": "MultiSimilarityMiner",
    "hdc": "HDCMiner",
    "uniform-histogram": "UniformHistogramMiner",
}
"""Our miners and the library's."""
DRAWN = ("distance-weighted", "uniform-histogram")
"""Miners of chance: the distribution is compared in the tests, not here."""
CUBIC = ("triplet-margin", "angular")
"""The library looks at all B^3 triplets."""
MOST_GB = 8.0
"""What a peer may need."""

Tuples = Sequence[Tensor]


def cases(settings: Settings) -> list[Case]:
    """A row for each miner and size; with 4,096 rows ours alone where the library cannot."""
    sizes = ((64, 3),) if settings.quick else ((512, 3), (512, 128), (1_024, 3), (1_024, 128))
    found = [_case(name, *size, settings) for name in PEERS for size in sizes]
    if not settings.quick:
        found += [_case(name, 4_096, 128, settings) for name in (*CUBIC, "distance-weighted")]
    return found


def _case(name: str, count: int, dim: int, settings: Settings) -> Case:
    size = f"B={count:,} d={dim}, {PER_CLASS} a class"

    def measure() -> Row:
        source = torch.Generator().manual_seed(count + dim)
        rows = torch.nn.functional.normalize(torch.randn(count, dim, generator=source))
        labels = torch.arange(count) % (count // PER_CLASS)
        ours: Any = miners.create(name)
        peer = PEERS[name]
        gigabytes = library_gigabytes(name, count, dim)
        contenders: list[Contender[Tuples]] = [Contender(f"hnm {name}", lambda: ours(rows, labels))]
        if gigabytes <= MOST_GB:
            contenders.append(Contender(f"pml {peer}", _library(peer, rows, labels), PACKAGE))
        mine, *others = take_turns(contenders, settings)
        assert mine.answer is not None
        returned = sum(8 * len(vector) for vector in mine.answer)
        peers = []
        for other in others:
            check = ""
            if other.answer is not None and name not in DRAWN:
                check = differing(mine.answer, other.answer, count)
            peers.append(other.rated(check=check))
        if gigabytes > MOST_GB:
            peers.append(Result(f"pml {peer}", note=f"not run: needs about {gigabytes:,.0f} GB"))
        # Distances are written once, tuples twice: as they are found, and in the vectors returned.
        moved = 4 * count * count + 2 * returned
        share = moved / limits(settings.threads, quick=settings.quick).copied / (mine.result.seconds or 1.0)
        check = f"{len(mine.answer[-1]):,} tuples, {returned / 1e6:,.1f} MB"
        return Row(
            "batch",
            name,
            size,
            mine.rated(check=check),
            tuple(peers),
            Bound("memory (distances and tuples, copied once)", share),
        )

    return Case(name, size, measure)


def library_gigabytes(name: str, count: int, dim: int) -> float:
    """What the library needs: a mask of all B^3 triplets; for angles, about six arrays of D numbers a triplet."""
    masks = 1.1 * count**3 if name in CUBIC else 0.0
    vectors = 6 * 4 * count * count * (PER_CLASS - 1) * dim if name == "angular" else 0.0
    return max(masks, vectors) / 1e9


def _library(peer: str, rows: Tensor, labels: Tensor) -> Callable[[], Tuples]:
    made: list[Callable[..., Tuples]] = []

    def run() -> Tuples:
        if not made:  # at the first call, which is not timed
            made.append(library_class("miners", peer)())
        return made[0](rows, labels)

    return run


def differing(ours: Tuples, theirs: Tuples, count: int) -> str:
    """How many tuples only one side has, of all that either has; their order does not matter."""
    odd = total = 0
    for half in (slice(0, 3),) if len(ours) == 3 else (slice(0, 2), slice(2, 4)):
        keys = [torch.unique(_key(side[half], count)) for side in (ours, theirs)]
        both, seen = torch.unique(torch.cat(keys), return_counts=True)
        odd += int((seen == 1).sum())
        total += len(both)
    return f"{odd:,} of {total:,} differ" if odd else "same tuples"


def _key(vectors: Tuples, count: int) -> Tensor:
    key = torch.zeros_like(vectors[0])
    for vector in vectors:
        key = key * count + vector
    return key
