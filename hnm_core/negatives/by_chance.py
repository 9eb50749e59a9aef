"""Candidates drawn evenly among all that may come back: the floor that ways of searching are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.negatives.anchors import Anchors, distances_of
from hnm_core.negatives.chance import fractions
from hnm_core.neighbors.found import Neighbors
from hnm_core.relevance import JudgedQuery, of_rows


class ChanceFinder:
    """A `Finder` whose candidates stand in the order in which they are drawn, so that the first of them are drawn
    evenly too. What is drawn for an anchor depends on the seed and its place alone."""

    description = "drawn by chance"

    def __init__(self, distance: Distance, seed: int) -> None:
        self._distance, self._seed = distance, seed

    def prepare(self, anchors: Anchors) -> None:
        """See `Finder`: there is nothing to prepare."""

    def find(self, anchors: Anchors, part: slice, k: int, *, all_rows: bool) -> Neighbors:
        """See `Finder`. All different; what is relevant or left out never comes back, whatever `all_rows`."""
        query = anchors.query(part)
        chance = fractions(self._seed, "by chance", part.start, len(query), k)
        rank = different(query.negatives, chance)
        if isinstance(query, JudgedQuery):
            row = torch.cat([rank[:0], *(_beside_lists(some, rank[at]) for at, some in query.parts())])
        else:
            classes = of_rows(query)
            low, high = (side[:, None] for side in classes.ranges)
            row = anchors.bank.order[(rank + (rank >= low) * (high - low)).clamp(0, len(anchors.bank) - 1)]
        there = rank >= 0
        at, column = there.nonzero(as_tuple=True)
        apart = torch.full(rank.shape, torch.inf, dtype=torch.float32)
        apart[at, column] = distances_of(query.vectors, at, anchors.bank, row[there], self._distance)
        return Neighbors(apart, row.masked_fill(~there, -1))


def different(possible: Tensor, chance: Tensor) -> Tensor:
    """Whole numbers drawn without putting back.

    Args:
        possible: (Q,) int64, each line is drawn from 0 .. possible - 1.
        chance: (Q, k) float64 in [0, 1), which decides.

    Returns:
        (Q, k) int64, -1 where no number is left.
    """
    rank = torch.full(chance.shape, -1, dtype=torch.int64)
    for draw in range(chance.shape[1]):
        left = possible - draw
        place = (chance[:, draw] * left).long().minimum(left - 1)
        for taken in rank[:, :draw].sort(dim=1).values.unbind(1):  # the place among what is left, as a number
            place = place + ((place >= taken) & (taken >= 0))
        rank[:, draw] = torch.where(left > 0, place, -1)
    return rank


def _beside_lists(query: JudgedQuery, rank: Tensor) -> Tensor:
    """(Q, k) the rows of the bank that stand at a rank (Q, k) among those that may come back."""
    barred = query.barred
    width = len(query.bank) + 1
    before = torch.arange(len(barred.row)) - barred.offsets[barred.anchor]  # in the same list
    line = torch.arange(len(rank))[:, None]
    place = torch.searchsorted(barred.anchor * width + barred.row - before, line * width + rank, right=True)
    return (rank + place - barred.offsets[:-1, None]).clamp(0, len(query.bank) - 1)
