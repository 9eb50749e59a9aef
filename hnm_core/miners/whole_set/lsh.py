"""Hard negatives by locality-sensitive hashing (Deuser et al., arXiv 2505.17844), with exact re-scoring."""

from __future__ import annotations

import torch
from torch import Generator

from hnm_core import neighbors
from hnm_core.distances import Distance
from hnm_core.miners.whole_set.options import LshOptions
from hnm_core.miners.whole_set.searching import SearchingMiner


def build(options: LshOptions, generator: Generator | None = None, distance: Distance | None = None) -> SearchingMiner:
    """A miner over `neighbors.create("lsh-scan")` whose hash directions come from `generator` (seed 0 without one)."""
    search = neighbors.create(
        "lsh-scan",
        distance=distance,
        bits=options.bits,
        family=options.family,
        rescore=options.rescore,
        center=options.center,
        seed=drawn_seed(generator),
    )
    return SearchingMiner(options, search, distance)


def drawn_seed(generator: Generator | None) -> int:
    """A seed for what a search draws itself, from `generator`; 0 without one."""
    return int(torch.randint(2**62, (), generator=generator)) if generator is not None else 0
