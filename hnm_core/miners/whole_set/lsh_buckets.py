"""Hard negatives from the buckets of several hash tables (Indyk and Motwani 1998; probes: Lv et al. 2007)."""

from __future__ import annotations

from torch import Generator

from hnm_core import neighbors
from hnm_core.distances import Distance
from hnm_core.miners.whole_set.lsh import drawn_seed
from hnm_core.miners.whole_set.options import LshBucketsOptions
from hnm_core.miners.whole_set.searching import SearchingMiner


def build(
    options: LshBucketsOptions, generator: Generator | None = None, distance: Distance | None = None
) -> SearchingMiner:
    """A miner over `neighbors.create("lsh-buckets")` whose hash directions come from `generator` (else seed 0)."""
    search = neighbors.create(
        "lsh-buckets",
        distance=distance,
        tables=options.tables,
        bits=options.bits,
        recall=options.recall,
        probes=options.probes,
        family=options.family,
        center=options.center,
        seed=drawn_seed(generator),
    )
    return SearchingMiner(options, search, distance)
