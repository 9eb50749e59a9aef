"""Neighbours where rows are listed that may not come back, from any search: it is asked for so many more.

Of the k + e rows nearest to an anchor at most e are among the e that may not come back, so k others are left: exact
stays exact. Anchors are asked about together with those whose lists are about as long, so that a few long lists cost
the rest nothing; a list that holds most of the bank asks for no more than the bank has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.neighbors.found import Neighbors, none_found
from hnm_core.relevance import JudgedQuery, VectorQuery

ENTRIES_AT_ONCE = 1 << 23
"""At most so many neighbours are asked for at once, lest a long list hold much memory; single anchors aside."""


def nearest(
    query: JudgedQuery, k: int, ask: Callable[[VectorQuery, int], Neighbors], asked: Callable[[int], None]
) -> Neighbors:
    """The k nearest rows that are not barred.

    Args:
        query: Q anchors, and what may not come back for each.
        k: at least 1; where fewer exist the rest is -1 / inf.
        ask: a search, of vectors for which all rows may come back.
        asked: told after each group how many anchors it had.
    """
    found = none_found(query.bank, len(query), k)
    for group, more in _groups(query.barred.sizes, k, len(query.bank)):
        part = query.at(group)
        wide = ask(part.unrestricted(), min(k + more, len(query.bank)))
        kept = Neighbors(*_without(wide, part, k))
        found.distance[group, : kept.row.shape[1]] = kept.distance
        found.row[group, : kept.row.shape[1]] = kept.row
        asked(len(group))
    return found


def farthest(query: JudgedQuery, k: int, distance: Distance) -> Neighbors:
    """The k farthest rows that are relevant, farthest first, ties by row. The lists are short, so all are measured."""
    found = none_found(query.bank, len(query), k)
    prepared = distance.prepare_exactly(query.bank.embeddings)
    anchors = distance.prepare_exactly(query.vectors)
    sizes = query.relevant.sizes
    for group, longest in _groups(sizes, 0, len(query.bank)):
        if not longest:
            continue
        lists = query.relevant.at(group)
        column = torch.arange(longest, device=sizes.device)
        there = column < lists.sizes[:, None]
        row = lists.row[(lists.offsets[:-1, None] + column).clamp_max(len(lists.row) - 1)]
        apart = distance.prepared_rowwise(anchors[group][:, None, :], prepared[row]).masked_fill(~there, -torch.inf)
        order = apart.argsort(dim=1, descending=True, stable=True)[:, :k]
        there = there.gather(1, order)
        width = order.shape[1]
        found.distance[group, :width] = apart.gather(1, order).float().masked_fill(~there, torch.inf)
        found.row[group, :width] = row.gather(1, order).masked_fill(~there, -1)
    return found


def _groups(sizes: Tensor, k: int, rows: int) -> Iterator[tuple[Tensor, int]]:
    """Anchors whose lists are about as long, and the longest of them."""
    if not len(sizes):
        return
    power = torch.where(sizes > 0, torch.ceil(torch.log2(sizes.clamp_min(1).double())).long() + 1, 0)
    for which in power.unique().tolist():
        group = (power == which).nonzero()[:, 0]
        longest = int(sizes[group].max())
        for part in group.split(max(1, ENTRIES_AT_ONCE // min(max(k + longest, 1), rows))):
            yield part, longest


def _without(wide: Neighbors, query: JudgedQuery, k: int) -> tuple[Tensor, Tensor]:
    """The first k of (Q, K) neighbours that are not barred, and -1 / inf behind them."""
    dropped = query.barred.hold(wide.row) | (wide.row < 0)
    order = dropped.to(torch.int8).argsort(dim=1, stable=True)[:, :k]
    gone = dropped.gather(1, order)
    return wide.distance.gather(1, order).masked_fill(gone, torch.inf), wide.row.gather(1, order).masked_fill(gone, -1)
