"""Which of the rows that are relevant to an anchor becomes its positive; and random ones of those that are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor

from hnm_core.distances import Distance
from hnm_core.miners.whole_set.options import Positives
from hnm_core.relevance import JudgedQuery, RowQuery
from hnm_core.row_lists import RowLists

TILE_ENTRIES = 4_000_000
"""At most so many distances are held at once."""


def draw_positives(query: RowQuery | JudgedQuery, generator: Generator) -> Tensor:
    """(Q,) rows, each uniform among what is relevant to its anchor, without itself; -1 where there is no other."""
    if isinstance(query, JudgedQuery):
        fraction = torch.rand(len(query), generator=generator, dtype=torch.float64).to(query.which.device)
        return _by_parts(query, lambda at, part: _listed_at(part.relevant, fraction[at]))
    bank, ranges = query.bank, query.ranges
    others = ranges.high - ranges.low - 1
    drawn = ranges.low + _below(others, generator)
    drawn += drawn >= query.place
    return torch.where(others > 0, bank.order[drawn.clamp(max=len(bank) - 1)], -1)


def draw_negatives(query: RowQuery | JudgedQuery, generator: Generator) -> Tensor:
    """(Q,) rows, each uniform among what is not relevant to its anchor; -1 where there is none."""
    if isinstance(query, JudgedQuery):
        fraction = torch.rand((len(query), 1), generator=generator, dtype=torch.float64)
        return _by_parts(query, lambda at, part: _unbarred(part.barred, fraction[at])[:, 0])
    bank, ranges = query.bank, query.ranges
    size = ranges.high - ranges.low
    others = len(bank) - size
    drawn = _below(others, generator)
    drawn += size * (drawn >= ranges.low)
    return torch.where(others > 0, bank.order[drawn.clamp(max=len(bank) - 1)], -1)


def fill_negatives(query: RowQuery | JudgedQuery, negative: Tensor, wanted: Tensor, generator: Generator) -> Tensor:
    """(Q, m) rows: `negative` with its places `wanted` (Q, m bool) filled, each uniform among what is not relevant to
    the anchor and not in the row already; -1 where nothing of that is left. Where rows are listed that are relevant,
    what is drawn may be there already."""
    if isinstance(query, JudgedQuery):
        fraction = torch.rand(negative.shape, generator=generator, dtype=torch.float64)
        return torch.where(wanted, _by_parts(query, lambda at, part: _unbarred(part.barred, fraction[at])), negative)
    bank, (low, high) = query.bank, query.ranges
    size = high - low
    others = len(bank) - size
    there = negative >= 0
    place = bank.place[negative.clamp(min=0)]
    # Numbers of what is there among the others, which are counted as if the anchor's class were taken out.
    taken = (place - size[:, None] * (place >= high[:, None])).where(there, len(bank))
    negative = negative.clone()
    for column in range(negative.shape[1]):
        at = wanted[:, column].nonzero()[:, 0]
        if not len(at):
            continue
        left = others[at] - (taken[at] < len(bank)).sum(1)
        drawn = _below(left, generator)
        for used in taken[at].sort(dim=1).values.unbind(1):  # the drawn-th of those that are not taken
            drawn += drawn >= used
        drawn = drawn.where(left > 0, len(bank))
        taken[at, column] = drawn
        row = bank.order[(drawn + size[at] * (drawn >= low[at])).clamp(max=len(bank) - 1)]
        negative[at, column] = row.where(left > 0, -1)
    return negative


def choose_positives(
    query: RowQuery | JudgedQuery, which: Positives, distance: Distance, generator: Generator
) -> Tensor:
    """(Q,) rows of positives by the option `positives`; -1 where there is none."""
    if which == "random":
        return draw_positives(query, generator)
    return ranked_positives(query, which, distance)


def ranked_positives(query: RowQuery | JudgedQuery, which: Literal["hardest", "easiest"], distance: Distance) -> Tensor:
    """(Q,) rows: the farthest or nearest of what is relevant to an anchor, without itself; -1 where there is no other.

    Ties go to the smallest row. Costs one pass over what is relevant only.
    """
    if isinstance(query, JudgedQuery):
        return _by_parts(query, lambda _at, part: _ranked(part, which, distance))
    bank, (start, high), anchor_place = query.bank, query.ranges, query.place
    size = high - start
    found = torch.full_like(query.row, -1)
    if not len(query):
        return found
    prepared = distance.prepare_exactly(bank.sorted_embeddings)
    by_size = torch.argsort(size, stable=True)  # neighbours in this order have classes of similar size: little padding
    done = 0
    while done < len(query):
        widest = int(size[by_size[done]])
        rows = by_size[done : done + max(1, TILE_ENTRIES // max(1, widest))]
        rows = rows[size[rows] <= 2 * widest]
        done += len(rows)
        place = start[rows, None] + torch.arange(int(size[rows].max()), device=bank.device)
        outside = place >= high[rows, None]
        own_place = anchor_place[rows]
        place = place.clamp(max=len(bank) - 1)
        at_anchor = prepared[own_place]
        found_distance = distance.prepared_rowwise(at_anchor[:, None, :], prepared[place])
        worst = -torch.inf if which == "hardest" else torch.inf
        found_distance = found_distance.masked_fill(outside | (place == own_place[:, None]), worst)
        best = found_distance.argmax(1) if which == "hardest" else found_distance.argmin(1)
        chosen = bank.order[place.gather(1, best[:, None])[:, 0]]
        found[rows] = torch.where(size[rows] > 1, chosen, -1)
    return found


def _below(bound: Tensor, generator: Generator) -> Tensor:
    """One integer in 0 .. bound - 1 for each bound; 0 where the bound is not positive."""
    fraction = torch.rand(len(bound), generator=generator, dtype=torch.float64).to(bound.device)
    return (fraction * bound).long().minimum(bound - 1).clamp_(min=0)


def _by_parts(query: JudgedQuery, of: Callable[[slice, JudgedQuery], Tensor]) -> Tensor:
    """What comes of all anchors, some at a time."""
    parts = [of(at, part) for at, part in query.parts()]
    return torch.cat(parts) if parts else query.which[:0]


def _listed_at(lists: RowLists, fraction: Tensor) -> Tensor:
    """(Q,) the row at so large a fraction (Q,) of each list; -1 where it is empty."""
    sizes = lists.sizes
    place = lists.offsets[:-1] + (fraction * sizes).long().minimum(sizes - 1).clamp_(min=0)
    if not len(lists.row):
        return torch.full_like(sizes, -1)
    return torch.where(sizes > 0, lists.row[place.clamp_max(len(lists.row) - 1)], -1)


def _ranked(query: JudgedQuery, which: Literal["hardest", "easiest"], distance: Distance) -> Tensor:
    """See `ranked_positives`."""
    bank, lists = query.bank, query.relevant
    apart = torch.empty(len(lists.row), dtype=torch.float64, device=bank.device)
    anchor = lists.anchor
    for part in torch.arange(len(lists.row), device=bank.device).split(max(1, TILE_ENTRIES // bank.dim)):
        rows = distance.prepare_exactly(bank.embeddings[lists.row[part]])
        apart[part] = distance.prepared_rowwise(distance.prepare_exactly(query.vectors[anchor[part]]), rows).double()
    order = apart.argsort(descending=which == "hardest", stable=True)
    first = order[anchor[order].argsort(stable=True)]  # by anchor, and in each list the best
    found = torch.full_like(query.which, -1)
    some = lists.sizes > 0
    found[some] = lists.row[first[lists.offsets[:-1][some]]]
    return found


def draw_unbarred(barred: RowLists, count: int, generator: Generator) -> Tensor:
    """(Q, count) rows of a bank, each uniform among those that are not barred for the query, with replacement; -1 where
    there is none."""
    return _unbarred(barred, torch.rand((len(barred), count), generator=generator, dtype=torch.float64))


def _unbarred(barred: RowLists, fraction: Tensor) -> Tensor:
    """(Q, count) rows that are not barred, at so large a fraction (Q, count) of them; -1 where there is none."""
    left = barred.rows - barred.sizes
    fraction = fraction.to(left.device)
    drawn = (fraction * left[:, None]).long().minimum(left[:, None] - 1).clamp_(min=0)
    if len(barred.row):
        # The j-th barred row, counted from 0, has row - j that are not barred before it: those with at most `drawn`
        # of these stand before the one that is drawn.
        behind = torch.arange(len(barred.row), device=left.device) - barred.offsets[barred.anchor]
        before = barred.anchor * (barred.rows + 1) + barred.row - behind
        line = torch.arange(len(barred), device=left.device)[:, None]
        drawn = (
            drawn + torch.searchsorted(before, line * (barred.rows + 1) + drawn, right=True) - barred.offsets[:-1, None]
        )
    return drawn.masked_fill((left <= 0)[:, None], -1)
