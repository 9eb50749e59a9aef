"""Rows that equal others: where many do, most of them cannot be among the k best of any anchor.

Equal rows are equally far from every anchor, and of equally far rows those with the smallest numbers come first. So of
equal rows of one class only the first few can come back, and of all equal rows not many more. A search that leaves out
the others beforehand gives the same answer, and ties cost it nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Copies:
    """The equal rows of a bank."""

    def __init__(self, points: Tensor, key: Tensor, classes: Tensor, rows: Tensor) -> None:
        """Find them.

        Args:
            points: (N, D) float32.
            key: (N,) a number for each point, the same for equal ones; where it is not, they count as different.
            classes: (N,) int64, the class of each.
            rows: (N,) int64, the caller's number of each, all different: of equally far ones, the smaller comes first.
        """
        order = key.argsort(stable=True)
        ordered = key[order]
        # Most keys are the only ones of their kind, so few points need be looked at.
        again = (ordered[1:] == ordered[:-1]).nonzero()[:, 0] + 1
        again = again[(points[order[again]] == points[order[again - 1]]).all(1)]
        first = torch.ones(len(points), dtype=torch.bool)
        first[again] = False
        group = first.cumsum(0)
        several = ~first
        several[:-1] |= ~first[1:]
        place, group = order[several], group[several]
        by_row = rows[place].argsort()
        by_row = by_row[group[by_row].argsort(stable=True)]
        self._place, self._group = place[by_row], group[by_row]
        by_class = classes[self._place].argsort(stable=True)
        by_class = by_class[self._group[by_class].argsort(stable=True)]
        here, own = self._group[by_class], classes[self._place][by_class]
        starts = torch.ones(len(here), dtype=torch.bool)
        starts[1:] = (here[1:] != here[:-1]) | (own[1:] != own[:-1])
        self._rank = torch.empty_like(here)
        self._rank[by_class] = _since(starts)

    def beaten(self, k: int, *, own: bool) -> Tensor:
        """The places (M,) int64 of points that are not among the k best of any anchor, because copies come before them.

        Args:
            k: neighbours.
            own: whether those of the anchor's own class are wanted, without itself, and not those of the others.
        """
        if own:
            return self._place[self._rank > k]
        kept = self._rank < k
        starts = torch.ones(len(kept), dtype=torch.bool)
        starts[1:] = self._group[1:] != self._group[:-1]
        # Of 2 k before it, k at most are of the anchor's class.
        before = kept.cumsum(0) - kept.long()
        before -= before[starts.nonzero()[:, 0]][starts.cumsum(0) - 1]
        return self._place[~kept | (before >= 2 * k)]


def _since(starts: Tensor) -> Tensor:
    """(M,) int64 how many places ago the last start was; the first is one."""
    places = torch.arange(len(starts))
    return places - places.where(starts, torch.zeros_like(places)).cummax(0).values if len(starts) else places
