"""Label-aware neighbour search by name: `create("exact")` finds the nearest rows of other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hnm_core.distances import Distance
    from hnm_core.neighbors.base import NeighborSearch
    from hnm_core.spec.registry import Part, SearchOptions


def create(name: str, *, distance: Distance | None = None, **options: Any) -> NeighborSearch:
    """Build a neighbour search.

    Args:
        name: one of `NEIGHBORS.names()`.
        distance: what near means; None is Euclidean on the embeddings as they are.
        options: of the search, see its options model.

    Raises:
        InputError: unknown name or option.
    """
    from hnm_core.spec.registry import NEIGHBORS

    return build(NEIGHBORS.part(name, options), distance=distance)


def build(part: Part[SearchOptions], *, distance: Distance | None = None) -> NeighborSearch:
    """As `create`, with options that are checked already."""
    from hnm_core.distances import check_distance

    check_distance(distance)
    search: NeighborSearch = part.entry.load()(part.options, distance=distance)
    return search
