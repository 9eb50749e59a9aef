"""Hard negatives by exact search: the nearest items of other classes."""

from __future__ import annotations

from torch import Generator

from hnm_core import neighbors
from hnm_core.distances import Distance
from hnm_core.miners.whole_set.options import KnnOptions
from hnm_core.miners.whole_set.searching import SearchingMiner


def build(options: KnnOptions, generator: Generator | None = None, distance: Distance | None = None) -> SearchingMiner:
    """A miner over `neighbors.create("exact")`."""
    return SearchingMiner(options, neighbors.create("exact", distance=distance), distance)
