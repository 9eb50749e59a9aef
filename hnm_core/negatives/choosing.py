"""Of what was found for the anchors of a block, what becomes their negatives, and why some get fewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.miners.whole_set import selectors
from hnm_core.miners.whole_set.filters import FILTERS, Filters, filters_of
from hnm_core.negatives.chance import fractions
from hnm_core.negatives.options import MineOptions
from hnm_core.neighbors.found import Neighbors

REASONS = ("enough", "no positive", "few documents", "few found", "duplicates", *FILTERS, "select")
"""Why an anchor has fewer negatives than asked for: it has nothing to stand with; less may come back at all; the search
gave no more, or was asked for no more; the rest were the same as it or as each other, were removed by a filter (the one
that removed most), or were not chosen from, as semi-hard and distance-weighted leave some out."""

ENOUGH, NO_POSITIVE, FEW_DOCUMENTS, FEW_FOUND, DUPLICATES = range(5)


@dataclass(frozen=True, eq=False)
class Chosen:
    """Of Q anchors."""

    row: Tensor
    """(Q, m) int64 rows of the bank, nearest first; -1 where there is no more."""
    score: Tensor
    """(Q, m) float32, the higher the nearer; -inf there."""
    why: Tensor
    """(Q,) uint8, places in `REASONS`."""
    removed: Mapping[str, int]
    """How many candidates each filter removed of those that the ones before it left."""


def score_of(distance: Tensor, metric: Distance) -> Tensor:
    """A distance as a score, the higher the nearer: the similarity that it was made of, or else its negative."""
    return 1 - distance if metric.metric == "cosine" else -distance


def reach(options: MineOptions, filters: Filters) -> int:
    """How many neighbours are looked at."""
    if options.rank_max is not None:
        return options.rank_max
    needed = options.negatives
    if filters.measure or options.select not in ("pool", "hardest"):
        needed = max(options.candidates, needed)
    if options.select == "pool":
        needed = max(needed, options.pool)
    return options.rank_min + needed


def choose(
    found: Neighbors,
    group: tuple[Tensor, Tensor] | None,
    guard: Tensor,
    possible: Tensor,
    options: MineOptions,
    distance: Distance,
    dim: int,
    first: int,
) -> Chosen:
    """Filters, then the choice, in the order of the miners.

    Args:
        found: (Q, K) neighbours that may become negatives.
        group: (Q,) and (Q, K) numbers that are equal where anchor and neighbour, or two neighbours, are the same; None
            where all differ.
        guard: (Q,) the distance that margins speak of; NaN for an anchor that has nothing to stand with.
        possible: (Q,) how many rows may come back for each.
        options: what is asked for.
        distance: of the neighbours.
        dim: of the embeddings.
        first: the number of the first of these anchors among all.
    """
    filters = filters_of(options, distance)
    lost: dict[str, Tensor] = {}
    there = found.row >= 0
    if group is not None:
        lost["duplicates"] = there & _the_same(*group)
        found, there, more = _moved_up(found, there & ~lost["duplicates"])
        lost["duplicates"] = lost["duplicates"].gather(1, more)
    found = Neighbors(found.distance[:, : reach(options, filters)], found.row[:, : reach(options, filters)])
    there, usable = there[:, : found.row.shape[1]], ~guard.isnan()
    there = there & usable[:, None]
    passed, gone = filters.each(there, found.distance, guard if filters.know_positive else None)
    column = _columns(found, passed, guard, options, distance, dim, first)
    row = found.row.gather(1, column.clamp_min(0)).masked_fill(column < 0, -1)
    apart = found.distance.gather(1, column.clamp_min(0)).masked_fill(column < 0, torch.inf)
    if options.select not in ("hardest", "semi-hard"):
        apart, order = apart.sort(dim=1, stable=True)
        row = row.gather(1, order)
    lost.update(gone)
    short = (row >= 0).sum(1) < options.negatives
    why = _reasons(short, usable, possible, there, {name: mask.sum(1) for name, mask in lost.items()}, passed, options)
    score = score_of(apart, distance)
    return Chosen(row, score, why, {name: int(mask[usable].sum()) for name, mask in lost.items()})


def _columns(
    found: Neighbors, passed: Tensor, guard: Tensor, options: MineOptions, distance: Distance, dim: int, first: int
) -> Tensor:
    """(Q, m) columns of `found`, -1 for none."""
    count = options.negatives
    match options.select:
        case "hardest":
            return selectors.nearest(passed, count)
        case "semi-hard":
            inside = passed & (found.distance > guard[:, None])
            if options.margin is not None:
                inside = inside & (found.distance <= (guard + options.margin)[:, None])
            return selectors.nearest(inside, count)
        case "distance-weighted":
            weight = selectors.log_weights(
                selectors.on_sphere(found.distance, distance), dim, options.cutoff, options.nonzero_loss_cutoff
            )
            chance = fractions(options.seed, "negatives", first, *passed.shape)
            return selectors.weighted(passed, weight, chance, count)
        case "rank-window" | "pool":
            chance = fractions(options.seed, "negatives", first, len(passed), count)
            pool = max(options.pool, count) if options.select == "pool" else None
            return selectors.uniform(passed, chance, pool)


def _the_same(own: Tensor, others: Tensor) -> Tensor:
    """(Q, K) bool, which are the same as the anchor (Q,), or as one before them in (Q, K)."""
    ordered, order = others.sort(dim=1, stable=True)
    again = torch.zeros_like(others, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return torch.zeros_like(again).scatter(1, order, again) | (others == own[:, None])


def _moved_up(found: Neighbors, there: Tensor) -> tuple[Neighbors, Tensor, Tensor]:
    """Neighbours that are there first, in their order; which are; and (Q, K) the columns that they stood at."""
    order = (~there).to(torch.int8).argsort(dim=1, stable=True)
    there = there.gather(1, order)
    values = found.distance.gather(1, order).masked_fill(~there, torch.inf)
    return Neighbors(values, found.row.gather(1, order).masked_fill(~there, -1)), there, order


def _reasons(
    short: Tensor,
    usable: Tensor,
    possible: Tensor,
    there: Tensor,
    lost: Mapping[str, Tensor],
    passed: Tensor,
    options: MineOptions,
) -> Tensor:
    """(Q,) uint8 places in `REASONS`."""
    why = torch.full((len(short),), FEW_FOUND, dtype=torch.uint8)
    unchosen = (passed.sum(1) >= options.negatives) & short
    why[unchosen] = len(REASONS) - 1
    if lost:
        names = list(lost)
        most, which = torch.stack([lost[name] for name in names], 1).max(1)
        places = torch.tensor([REASONS.index(name) for name in names], dtype=torch.uint8)
        taken = (most > 0) & ~unchosen
        why[taken] = places[which[taken]]
    why[possible < options.negatives] = FEW_DOCUMENTS
    why[~usable] = NO_POSITIVE
    why[~short] = ENOUGH
    return why
