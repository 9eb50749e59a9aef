"""Miners by name: `create("knn", pool=5)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator

    from hnm_core.distances import Distance
    from hnm_core.miners.base import BatchMiner, DatasetMiner
    from hnm_core.spec.registry import MinerOptions, Part


def create(
    name: str, generator: Generator | None = None, *, distance: Distance | None = None, **options: Any
) -> DatasetMiner | BatchMiner:
    """Build a miner.

    Args:
        name: one of `MINERS.names()`.
        generator: source of a miner's own chance (hash directions, in-batch draws); None starts one at seed 0. What a
            whole-set miner draws step by step comes from the context's generator.
        distance: what near means; None is Euclidean on the embeddings as they are (whole-set miners).
        options: of the miner, see its options model.

    Raises:
        InputError: unknown name or option, or a generator that is none.
    """
    from hnm_core.spec.registry import MINERS

    return build(MINERS.part(name, options), generator, distance=distance)


def build(
    part: Part[MinerOptions], generator: Generator | None = None, *, distance: Distance | None = None
) -> DatasetMiner | BatchMiner:
    """As `create`, with options that are checked already."""
    from hnm_core.distances import check_distance
    from hnm_core.seeding import check_generator

    check_distance(distance)
    check_generator(generator)
    miner: DatasetMiner | BatchMiner = part.entry.load()(part.options, generator=generator, distance=distance)
    return miner
