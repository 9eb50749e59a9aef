"""Puts the rows of a bank in an order in which those that lie near each other stand next to each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.launching import launching
from hnm_core.relevance import Placed, Query, VectorQuery

_CELL = 1_024
"""Classes that are chained at once: the time of a chain grows as its square."""


class Arrangement(NamedTuple):
    """Places for the N rows of a bank, one of its C classes after the other; all tensors are int64."""

    rows: Tensor
    """(N,) place -> row."""
    places: Tensor
    """(N,) row -> place."""
    low: Tensor
    """(C,) the first place of each class."""
    high: Tensor
    """(C,) the place behind the last."""

    def placed(self, query: Query) -> Placed:
        """The anchors by their places here, where whole classes stand together, in the order of the query."""
        there, none = query.classes.clamp_min(0), query.classes < 0
        low, high = self.low[there].masked_fill_(none, 0), self.high[there].masked_fill_(none, 0)
        if isinstance(query, VectorQuery):
            index = torch.arange(len(query), device=low.device)
            return Placed(torch.full_like(index, -1), low, high, index)
        place = self.places[query.row]
        return Placed(place, low, high, place)

    def by_place(self, query: Query) -> tuple[Placed, Tensor]:
        """As the query's own `by_place`, but by the places here."""
        anchors = self.placed(query)
        slots = anchors.high.argsort(stable=True) if isinstance(query, VectorQuery) else anchors.place.argsort()
        return anchors.at(slots), slots


def as_sorted(bank: Bank) -> Arrangement:
    """The bank's own places."""
    return Arrangement(bank.order, bank.place, bank.offsets[:-1], bank.offsets[1:])


def alike_together(bank: Bank, coordinates: Tensor) -> Arrangement:
    """Places that list each class beside those of nearest mean, and near rows of a class together.

    A KD-tree parts many classes into cells; inside a cell, each class is followed by the nearest that is left. A tree
    for each class orders its rows. A search that leaves out whole blocks of rows then meets blocks that are alike, also
    where a class is smaller than a block. The kernels must be compiled.

    Args:
        bank: on the CPU.
        coordinates: (N, d) float32, few numbers that tell where the bank's sorted rows lie.
    """
    from hnm_core.neighbors.cpu.tree_kernels import arrange

    ranked = _chained(bank, coordinates)
    sizes = bank.sizes[ranked]
    ends = sizes.cumsum(0)
    of_place = torch.repeat_interleave(torch.arange(len(ranked)), sizes)  # the class's rank
    shift = bank.offsets[ranked] - (ends - sizes)
    sorted_places = torch.arange(len(bank)) + shift[of_place]
    classes = np.empty(len(bank), np.int32)
    classes[sorted_places.numpy()] = of_place.numpy()
    with launching():
        order = arrange(coordinates.numpy(), classes, sorted_places.numpy().astype(np.int32), True)
    rows = bank.order[torch.from_numpy(order).long()]
    places = torch.empty_like(rows)
    places[rows] = torch.arange(len(rows))
    low, high = torch.empty_like(ends), torch.empty_like(ends)
    low[ranked], high[ranked] = ends - sizes, ends
    return Arrangement(rows, places, low, high)


def _chained(bank: Bank, coordinates: Tensor) -> Tensor:
    """(C,) the classes, near ones side by side."""
    from hnm_core.neighbors.cpu.chain_kernels import chain
    from hnm_core.neighbors.cpu.tree_kernels import arrange

    sums = torch.zeros(len(bank.sizes), coordinates.shape[1], dtype=torch.float64)
    sums.index_add_(0, torch.repeat_interleave(bank.sizes), coordinates.double())
    means: NDArray[np.float32] = (sums / bank.sizes[:, None]).float().numpy()
    nothing, order = np.zeros(len(means), np.int32), np.arange(len(means), dtype=np.int32)
    with launching():
        if len(order) > _CELL:
            order = arrange(means, nothing, order, False)
        chain(means, order, _CELL)
    return torch.from_numpy(order).long()
