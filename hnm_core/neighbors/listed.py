"""Neighbours where rows are listed that may not come back, from any search: it is asked for so many more.

Of the k + e rows nearest to an anchor at most e are among the e that may not come back, so k others are left: exact
stays exact. Anchors are asked about together with those whose lists are about as long, so that a few long lists cost
the rest nothing, and for as many neighbours as such a list may need, so that nobody's answer depends on who else asks.
Where a list is so long that choosing k + e rows costs more than measuring all of them, fewer are asked for, and where
too few of these may come back all rows are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.found import Neighbors, none_found
from hnm_core.relevance import JudgedQuery, VectorQuery

ENTRIES_AT_ONCE = 1 << 23
"""At most so many neighbours are asked for at once, lest a long list hold much memory; single anchors aside."""
MEASURED_AT_ONCE = 1 << 23
"""At most so many numbers in double precision are held while rows are measured, 64 MiB; single anchors aside."""
PREPARED_AT_ONCE = 1 << 17
"""Of these numbers so many are of rows that are being prepared, on a processor: they stay in its cache."""
SIZES = (4, 16, 64, 256)
"""Lists of up to so many rows are asked about together. A search that chooses by k what it does chooses for few k."""


def nearest(
    query: JudgedQuery,
    k: int,
    distance: Distance,
    ask: Callable[[VectorQuery, int], Neighbors],
    asked: Callable[[Tensor, Tensor | None], None],
) -> Neighbors:
    """The k nearest rows that are not barred.

    Args:
        query: Q anchors, and what may not come back for each.
        k: at least 1; where fewer exist the rest is -1 / inf.
        distance: what near means.
        ask: a search by this distance, of vectors for which all rows may come back.
        asked: told again and again which anchors (A,) have their answer, and which lines (A,) they were of what the
            search was asked about last; None where all rows were measured for them.
    """
    bank = query.bank
    found = none_found(bank, len(query), k)
    for group, longest in _alike(query.relevance.most_barred(query.which)):
        wanted = min(k + min(longest, SIZES[-1]), len(bank))
        for part in group.split(max(1, ENTRIES_AT_ONCE // wanted)):
            here = query.at(part)
            answer = _without(ask(here.unrestricted(), wanted), here, k)
            _put(found, part, answer)
            enough = answer.row[:, -1] >= 0 if longest > SIZES[-1] else torch.ones_like(part, dtype=torch.bool)
            asked(part[enough], enough.nonzero()[:, 0])
            for rest in part[~enough].split(max(1, MEASURED_AT_ONCE // len(bank))):
                _put(found, rest, _measured(query.at(rest), k, distance))
                asked(rest, None)
    return found


def farthest(query: JudgedQuery, k: int, distance: Distance) -> Neighbors:
    """The k farthest rows that are relevant, farthest first, ties by row. All that are relevant are measured."""
    bank, found = query.bank, none_found(query.bank, len(query), k)
    for group, longest in _alike(query.relevance.most_relevant(query.which)):
        for part in group.split(max(1, MEASURED_AT_ONCE // (max(longest, 1) * bank.dim))):
            lists = query.at(part).relevant
            row, there = _filled_up(lists.row, lists.offsets)
            apart = _between(bank, query.vectors[part][:, None, :], row, distance).masked_fill_(~there, -torch.inf)
            order = apart.argsort(dim=1, descending=True, stable=True)[:, :k]
            gone = ~there.gather(1, order)
            values = apart.gather(1, order).masked_fill_(gone, torch.inf)
            _put(found, part, Neighbors(values, row.gather(1, order).masked_fill_(gone, -1)))
    return found


def _alike(sizes: Tensor) -> Iterator[tuple[Tensor, int]]:
    """Anchors with lists of about one size, and a number that none of these exceeds: of `SIZES`, or the longest."""
    kind = torch.bucketize(sizes, torch.tensor(SIZES, device=sizes.device))
    for each in kind.unique().tolist():
        group = (kind == each).nonzero()[:, 0]
        yield group, SIZES[each] if each < len(SIZES) else int(sizes[group].max())


def _put(found: Neighbors, anchors: Tensor, part: Neighbors) -> None:
    width = part.row.shape[1]
    found.distance[anchors, :width] = part.distance.float()
    found.row[anchors, :width] = part.row


def _without(wide: Neighbors, query: JudgedQuery, k: int) -> Neighbors:
    """The first k of (Q, K) neighbours that are not barred, and -1 / inf behind them."""
    dropped = query.may_not_come_back(wide.row) | (wide.row < 0)
    order = dropped.to(torch.int8).argsort(dim=1, stable=True)[:, :k]
    gone = dropped.gather(1, order)
    values = wide.distance.gather(1, order).masked_fill_(gone, torch.inf)
    return Neighbors(values, wide.row.gather(1, order).masked_fill_(gone, -1))


def _measured(query: JudgedQuery, k: int, distance: Distance) -> Neighbors:
    """The k nearest of all rows that are not barred: products in double precision choose them and all that their
    rounding could put in the wrong place, by a bound on it, and these are measured by differences; ties by row."""
    bank = query.bank
    scores, slack = _scores(bank, query.vectors, distance)
    anchors = torch.arange(len(query), device=bank.device)
    scores[query.barred.anchor, query.barred.row] = torch.inf
    found = none_found(bank, len(query), k)
    last = scores.topk(min(k, len(bank)), 1, largest=False).values[:, -1]
    last = torch.where(last.isinf(), torch.finfo(last.dtype).max, last + slack)  # where there are fewer: all of them
    for anchor in anchors.tolist():
        row = (scores[anchor] <= last[anchor]).nonzero()[:, 0]
        apart = _between(bank, query.vectors[anchor], row, distance).float()
        order = apart.argsort(stable=True)[:k]
        found.distance[anchor, : len(order)] = apart[order]
        found.row[anchor, : len(order)] = row[order]
    return found


def _scores(bank: Bank, vectors: Tensor, distance: Distance) -> tuple[Tensor, Tensor]:
    """(Q, N) float64 numbers that order all rows as their distances from an anchor do, and (Q,) by how much two of them
    may be off."""
    product = distance.metric in ("cosine", "inner-product")
    anchors = distance.prepare_exactly(vectors.double())
    center = distance.prepare_exactly(bank.embeddings[:1].double())[0]  # any point among them does
    if not product:
        anchors = anchors - center
    scores = anchors.new_empty(len(anchors), len(bank))
    longest = anchors.new_zeros(())
    at_once = PREPARED_AT_ONCE if bank.device.type == "cpu" else MEASURED_AT_ONCE
    step = min(max(1, at_once // bank.dim), len(bank))
    room = anchors.new_empty(step, bank.dim)
    for start in range(0, len(bank), step):
        part = slice(start, min(start + step, len(bank)))
        rows = room[: part.stop - start].copy_(bank.embeddings[part])
        rows = distance.prepare_exactly(rows, out=rows).sub_(center)
        squares = rows.square().sum(1)
        longest = torch.maximum(longest, squares.max().sqrt())
        if product:
            scores[:, part] = -(anchors @ rows.T)
        else:
            scores[:, part] = torch.addmm(squares, anchors, rows.T, alpha=-2)
    size = anchors.norm(dim=1)
    reach = size * longest if product else (size + longest).square()
    return scores, reach * ((bank.dim + 8) * 2.0**-50)


def _between(bank: Bank, vectors: Tensor, row: Tensor, distance: Distance) -> Tensor:
    """Distances in double precision between vectors (..., D) and the rows (..., L) of the bank beside them."""
    rows = distance.prepare_exactly(bank.embeddings[row].double())
    return distance.prepared_rowwise(distance.prepare_exactly(vectors.double()), rows)


def _filled_up(row: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Lists as (Q, L) rows, filled up with any, and (Q, L) bool which are of the lists."""
    sizes = offsets.diff()
    column = torch.arange(max(int(sizes.max()), 1), device=row.device)
    there = column < sizes[:, None]
    if not len(row):
        return row.new_zeros(there.shape), there
    return row[(offsets[:-1, None] + column).clamp_max(len(row) - 1)], there
