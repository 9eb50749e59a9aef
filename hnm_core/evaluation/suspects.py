"""Items whose label is doubtful, by what lies near them: where negatives are mined, these become false ones.

An item that is labelled wrong is near items of the class that it truly is of, so mining hands it to them as their
hardest negative. The vote of nearest neighbours finds such items, as in edited nearest neighbours (Wilson 1972).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.isolation import isolated
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.found import Neighbors, SearchProgress
from hnm_core.relevance import SameClass

NEIGHBOURS = 20
"""So many vote, or as many as there are others of the item's class, but no fewer than"""
FEWEST = 3
_ROWS = 4_096
"""Items whose neighbours are counted at once."""
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Suspects:
    """M items of N whose neighbours are rather of another class, the most doubtful first."""

    row: Tensor
    """(M,) int64 rows."""
    instead: Tensor
    """(M,) int64, the label that most of the neighbours with another one have; that of the twin where it is only by
    this that the item is doubtful."""
    vote: Tensor
    """(M,) float64, the share of the neighbours that have it,"""
    own: Tensor
    """(M,) float64, and the share that have the item's own label."""
    nearer: Tensor
    """(M,) float64, by how much the nearest item labelled `instead` is nearer than the nearest of the own class, or
    than the last neighbour where none of them is of it; below 0 where it is farther."""
    mutual: Tensor
    """(M,) float64, of the neighbours labelled `instead` the share that have the item among their own neighbours."""
    wanted: Tensor
    """(M,) int64, among the k nearest of how many items of another class it is: to these it is a hard negative."""
    twin: Tensor
    """(M,) int64, the row of an item at distance 0 with another label; -1 where there is none."""
    like: Tensor
    """(M, 3) int64, its nearest neighbours that are labelled `instead`; -1 where there are fewer."""

    def __len__(self) -> int:
        return len(self.row)


@isolated
def suspects(
    embeddings: Tensor,
    labels: Tensor,
    distance: Distance | None = None,
    *,
    k: int = NEIGHBOURS,
    progress: SearchProgress | None = None,
) -> Suspects:
    """Rank the items whose nearest others, found exactly, are rather of another class than theirs.

    The k nearest vote, or fewer where the item's class has fewer others, so that small classes can win. What leads is
    the share of the vote for another class less that for the own; then `nearer`, then the row. An item with a twin of
    another label is listed whatever the vote.

    Args:
        embeddings: (N, D) finite floats.
        labels: (N,) integers.
        distance: what near means; None is Euclidean.

    Raises:
        InputError: wrong shapes or types, fewer than two items, or k is no whole number of at least 1.
        SearchCancelled: the progress callback returned False.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k = {k} neighbours cannot vote; k must be a whole number of at least 1.")
    bank = Bank(embeddings, labels)
    if len(bank) < 2:
        raise InputError("One item has no neighbours to vote; at least 2 are needed.")
    near = _others(bank, distance or Distance(), min(k, len(bank) - 1), progress)
    wanted = _wanted(bank, near.row)
    parts = [_judged(bank, near, wanted, part) for part in torch.arange(len(bank)).split(_ROWS)]
    found = Suspects(*(torch.cat(values) for values in zip(*parts, strict=True)))
    order = torch.from_numpy(np.lexsort((found.row, -found.nearer, found.own - found.vote)))
    return Suspects(*(getattr(found, field.name)[order] for field in fields(found)))


@isolated
def voted(
    embeddings: Tensor,
    labels: Tensor,
    rows: Tensor,
    distance: Distance | None = None,
    *,
    k: int = NEIGHBOURS,
    progress: SearchProgress | None = None,
) -> Tensor:
    """(R,) int64, the label that some items have by their neighbours: of a suspect `instead`, else its own.

    Args:
        embeddings: (N, D) finite floats, N at least 2.
        labels: (N,) integers.
        rows: (R,) int64 rows.
        distance: what near means; None is Euclidean.
        k: as for `suspects`.
        progress: called as progress(done, R).

    Raises:
        SearchCancelled: the progress callback returned False.
    """
    bank = Bank(embeddings, labels)
    near = _others(bank, distance or Distance(), min(k, len(bank) - 1), progress, rows)
    found = bank.class_of_row[rows]
    for place in torch.arange(len(rows)).split(_ROWS):
        ballot = _ballot(bank, near.distance[place], near.row[place], rows[place])
        found[place] = torch.where(ballot.listed, ballot.instead, found[place])
    chosen: Tensor = bank.classes[found]
    return chosen


def _others(
    bank: Bank, distance: Distance, k: int, progress: SearchProgress | None, rows: Tensor | None = None
) -> Neighbors:
    """The k nearest other items of each, or of some rows, whatever their labels."""
    search = Exact(distance=distance)
    search.build(bank)
    rows = torch.arange(len(bank)) if rows is None else rows
    found = search.nearest(SameClass(bank).of_vectors(bank.embeddings[rows]), k + 1, progress)
    itself = found.row == rows[:, None]
    itself[:, -1] |= ~itself.any(1)  # so many lie on one spot that it is not among them
    return Neighbors(*(values[~itself].view(len(rows), k) for values in found))


def _wanted(bank: Bank, row: Tensor) -> Tensor:
    """(N,) among the k nearest (N, k) of how many items of another class each is."""
    other = bank.class_of_row[row] != bank.class_of_row[:, None]
    return torch.bincount(row[other], minlength=len(bank))


class _Ballot(NamedTuple):
    """How the k neighbours of P items vote, by places in `bank.classes`."""

    voters: Tensor
    """(P, 1) how many have a vote,"""
    votes: Tensor
    """(P, k) bool, which."""
    same: Tensor
    """(P, k) bool, which neighbours are of the item's class."""
    own: Tensor
    """(P,) votes for it."""
    instead: Tensor
    """(P,) the other class with most votes, or of the twin where only this makes the item doubtful."""
    twin: Tensor
    """(P,) see `Suspects`."""
    listed: Tensor
    """(P,) bool, whether it is doubtful."""


def _ballot(bank: Bank, apart: Tensor, row: Tensor, part: Tensor) -> _Ballot:
    """Of rows (P,) with their neighbours (P, k)."""
    k = row.shape[1]
    own_class, theirs = bank.class_of_row[part, None], bank.class_of_row[row]
    voters = (bank.sizes[own_class] - 1).clamp(min=min(FEWEST, k), max=k)
    votes, same = torch.arange(k) < voters, theirs == own_class
    alike = (theirs[:, :, None] == theirs[:, None, :]) & votes[:, None, :]
    most, first = alike.sum(2).masked_fill(same | ~votes, 0).max(1)  # of several classes the one that stands nearest
    own = (same & votes).sum(1)
    twin = _twins(bank, part, row, apart, same)
    at_twin = (twin >= 0) & (most <= own)
    instead = torch.where(at_twin, bank.class_of_row[twin], theirs.gather(1, first[:, None])[:, 0])
    return _Ballot(voters, votes, same, own, instead, twin, (most > own) | (twin >= 0))


def _judged(bank: Bank, near: Neighbors, wanted: Tensor, part: Tensor) -> tuple[Tensor, ...]:
    """The fields of `Suspects` for the doubtful ones among some rows (P,), by row."""
    apart, row = near.distance[part], near.row[part]
    k = row.shape[1]
    ballot = _ballot(bank, apart, row, part)
    # What leads to a place in the list is known; the rest is worked out for those that have one.
    voters, votes, same, own, instead, twin, _ = (values[ballot.listed] for values in ballot)
    part, row, apart = part[ballot.listed], row[ballot.listed], apart[ballot.listed]
    there = (bank.class_of_row[row] == instead[:, None]) & votes
    nearest_own = torch.where(same.any(1), _first(same), k - 1)
    nearer = apart.gather(1, nearest_own[:, None]) - apart.gather(1, _first(there)[:, None])
    back = (near.row[row] == part[:, None, None]).any(2)
    shown = (~there).to(torch.int8).argsort(dim=1, stable=True)[:, :_SHOWN]
    like = row.gather(1, shown).masked_fill(~there.gather(1, shown), -1)
    return (
        part,
        bank.classes[instead],
        there.sum(1).double() / voters[:, 0],
        own.double() / voters[:, 0],
        nearer[:, 0].double(),
        (back & there).sum(1).double() / there.sum(1).clamp_min(1),
        wanted[part],
        twin,
        pad(like, (0, _SHOWN - like.shape[1]), value=-1),
    )


def _first(there: Tensor) -> Tensor:
    """(P,) the first column that is True."""
    return there.to(torch.int8).argmax(1)


def _twins(bank: Bank, part: Tensor, row: Tensor, apart: Tensor, same: Tensor) -> Tensor:
    """(P,) the nearest row with equal coordinates and another label; -1 where there is none. It is among those at the
    least distance."""
    at, column = ((apart <= apart[:, :1]) & ~same).nonzero(as_tuple=True)
    equal = (bank.embeddings[part[at]] == bank.embeddings[row[at, column]]).all(1)
    at, column = at[equal].flip(0), column[equal].flip(0)
    twin = torch.full_like(part, -1)
    twin[at] = row[at, column]  # the first column is written last
    return twin
