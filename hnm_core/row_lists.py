"""A list of rows of a bank for each of many anchors, of any lengths: compressed, one behind the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RowLists:
    """For each of Q anchors some rows of a bank of N, ascending and different."""

    offsets: Tensor
    """(Q + 1,) int64; those of anchor q stand in `row` from offsets[q] up to, without, offsets[q + 1]."""
    row: Tensor
    """(M,) int64 rows of the bank in the caller's order."""
    rows: int
    """N."""

    @classmethod
    def of_pairs(cls, anchor: Tensor, row: Tensor, anchors: int, rows: int) -> RowLists:
        """Lists from pairs in any order, what is there twice taken once.

        Args:
            anchor: (M,) int64, 0 .. anchors - 1.
            row: (M,) int64, 0 .. rows - 1.
        """
        pairs = torch.unique(anchor * rows + row)
        sizes = torch.bincount(pairs // rows, minlength=anchors)
        return cls(torch.cat((sizes.new_zeros(1), sizes.cumsum(0))), pairs % rows, rows)

    @classmethod
    def empty(cls, anchors: int, rows: int, device: torch.device | None = None) -> RowLists:
        """A list of nothing for everybody."""
        offsets = torch.zeros(anchors + 1, dtype=torch.int64, device=device)
        return cls(offsets, torch.zeros(0, dtype=torch.int64, device=device), rows)

    def __len__(self) -> int:
        """Q."""
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Tensor:
        """(Q,) int64, how many rows each list has."""
        return self.offsets.diff()

    @property
    def anchor(self) -> Tensor:
        """(M,) int64, whose list each of `row` is in."""
        return torch.repeat_interleave(torch.arange(len(self), device=self.row.device), self.sizes)

    def at(self, which: Tensor) -> RowLists:
        """The lists of some anchors, (Q',) int64, in their order."""
        sizes = self.sizes[which]
        offsets = torch.cat((sizes.new_zeros(1), sizes.cumsum(0)))
        behind = torch.arange(int(offsets[-1]), device=self.row.device)
        shift = torch.repeat_interleave(self.offsets[which] - offsets[:-1], sizes)
        return RowLists(offsets, self.row[behind + shift], self.rows)

    def joined(self, other: RowLists) -> RowLists:
        """For each anchor what either of the two lists holds."""
        anchor = torch.cat((self.anchor, other.anchor))
        return RowLists.of_pairs(anchor, torch.cat((self.row, other.row)), len(self), self.rows)

    def hold(self, row: Tensor) -> Tensor:
        """bool like `row`, (Q, K) rows of the bank: whether each is in its anchor's list. Never for -1."""
        if not len(self.row):
            return torch.zeros_like(row, dtype=torch.bool)
        anchor = torch.arange(len(self), device=row.device)[:, None]
        wanted = anchor * self.rows + row
        found = torch.searchsorted(self._pairs, wanted).clamp_max_(len(self._pairs) - 1)
        return (self._pairs[found] == wanted) & (row >= 0)

    @cached_property
    def _pairs(self) -> Tensor:
        """(M,) ascending, one number for each anchor and row."""
        return self.anchor * self.rows + self.row
