"""Hard negatives by class: an anchor's neighbours live in few classes, and those are searched exactly."""

from __future__ import annotations

from torch import Generator

from hnm_core import neighbors
from hnm_core.distances import Distance
from hnm_core.miners.whole_set.lsh import drawn_seed
from hnm_core.miners.whole_set.options import RoutedOptions
from hnm_core.miners.whole_set.searching import SearchingMiner


def build(
    options: RoutedOptions, generator: Generator | None = None, distance: Distance | None = None
) -> SearchingMiner:
    """A miner over `neighbors.create("routed")` whose split of wide classes is seeded by `generator` (else seed 0)."""
    search = neighbors.create(
        "routed", distance=distance, recall=options.recall, classes=options.classes, seed=drawn_seed(generator)
    )
    return SearchingMiner(options, search, distance)
