"""Which item of the anchor's class becomes its positive; and random negatives. Both read the bank's class ranges."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance

TILE_ENTRIES = 4_000_000
"""At most so many distances are held at once."""


def draw_positives(bank: Bank, anchors: Tensor, generator: Generator) -> Tensor:
    """(Q,) rows, each uniform in its anchor's class without the anchor itself; -1 where the class has no other."""
    start, size = _class_range(bank, anchors)
    others = size - 1
    drawn = start + _below(others, generator)
    drawn += drawn >= bank.place[anchors]
    return torch.where(others > 0, bank.order[drawn.clamp(max=len(bank) - 1)], -1)


def draw_negatives(bank: Bank, anchors: Tensor, generator: Generator) -> Tensor:
    """(Q,) rows, each uniform among the rows of other classes; -1 where there is none."""
    start, size = _class_range(bank, anchors)
    others = len(bank) - size
    drawn = _below(others, generator)
    drawn += size * (drawn >= start)
    return torch.where(others > 0, bank.order[drawn.clamp(max=len(bank) - 1)], -1)


def ranked_positives(bank: Bank, anchors: Tensor, which: Literal["hardest", "easiest"], distance: Distance) -> Tensor:
    """(Q,) rows: the farthest or nearest other item of each anchor's class; -1 where the class has no other.

    Ties go to the smallest row. Costs one pass over the anchor's own class only.
    """
    start, size = _class_range(bank, anchors)
    found = torch.full_like(anchors, -1)
    if not len(anchors):
        return found
    prepared = distance.prepare(bank.sorted_embeddings)
    by_size = torch.argsort(size, stable=True)  # neighbours in this order have classes of similar size: little padding
    done = 0
    while done < len(anchors):
        widest = int(size[by_size[done]])
        rows = by_size[done : done + max(1, TILE_ENTRIES // max(1, widest))]
        rows = rows[size[rows] <= 2 * widest]
        done += len(rows)
        place = start[rows, None] + torch.arange(int(size[rows].max()), device=anchors.device)
        outside = place >= (start + size)[rows, None]
        own_place = bank.place[anchors[rows]]
        place = place.clamp(max=len(bank) - 1)
        at_anchor = prepared[own_place]
        found_distance = distance.prepared_rowwise(at_anchor[:, None, :], prepared[place])
        worst = -torch.inf if which == "hardest" else torch.inf
        found_distance = found_distance.masked_fill(outside | (place == own_place[:, None]), worst)
        best = found_distance.argmax(1) if which == "hardest" else found_distance.argmin(1)
        chosen = bank.order[place.gather(1, best[:, None])[:, 0]]
        found[rows] = torch.where(size[rows] > 1, chosen, -1)
    return found


def _class_range(bank: Bank, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """(start, size) of the range of sorted places that holds each anchor's class."""
    own_class = bank.class_of_row[anchors]
    return bank.offsets[own_class], bank.sizes[own_class]


def _below(bound: Tensor, generator: Generator) -> Tensor:
    """One integer in 0 .. bound - 1 for each bound; 0 where the bound is not positive."""
    fraction = torch.rand(len(bound), generator=generator, dtype=torch.float64).to(bound.device)
    return (fraction * bound).long().minimum(bound - 1).clamp_(min=0)
