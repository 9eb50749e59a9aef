"""Several labels an item: which rows share one.

Nobody ever holds all pairs of rows: a label on half of a large set makes more of them than fit into a memory. What is
asked about some anchors is worked out for these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from hnm_core.errors import InputError
from hnm_core.row_lists import RowLists

PAIRS_AT_ONCE = 1 << 22
"""At most so many pairs of an anchor and a row are listed at once, about 200 MB; single anchors aside."""


@dataclass(frozen=True, eq=False)
class SeveralLabels:
    """The labels of N rows, none, one or several of each; 0 .. L-1."""

    lists: RowLists
    """Of each row its labels; `lists.rows` is L."""

    @classmethod
    def of_table(cls, table: Tensor) -> SeveralLabels:
        """Labels from (N, L) truth values, or 0 and 1: whether each row has each. Raises `InputError` for others."""
        if not isinstance(table, Tensor) or table.ndim != 2 or bool(((table != 0) & (table != 1)).any()):
            raise InputError("Several labels an item are a tensor of shape (N, L) that holds 0 and 1 alone.")
        row, label = (table != 0).nonzero(as_tuple=True)
        return cls(RowLists.of_pairs(row, label, len(table), max(table.shape[1], 1)))

    @classmethod
    def of_arrays(cls, offsets: NDArray[np.int64], label: NDArray[np.int64], count: int) -> SeveralLabels:
        """Those of a data set, as `hnm_core.data.item_labels.ItemLabels` holds them."""
        begins, labels = (torch.from_numpy(np.array(side, np.int64)) for side in (offsets, label))
        return cls(RowLists(begins, labels, max(count, 1)))

    def __len__(self) -> int:
        """N."""
        return len(self.lists)

    @property
    def without(self) -> Tensor:
        """(N,) bool, which rows have no label."""
        return self.lists.sizes == 0

    def to(self, device: torch.device) -> SeveralLabels:
        """The same, there."""
        if self.lists.row.device == device:
            return self
        lists = RowLists(self.lists.offsets.to(device), self.lists.row.to(device), self.lists.rows)
        return SeveralLabels(lists)

    def at(self, row: Tensor) -> SeveralLabels:
        """Those of some rows (N',) int64, in their order."""
        return SeveralLabels(self.lists.at(row))

    def table(self, row: Tensor) -> Tensor:
        """(N', U) bool, which of the U labels that occur among some rows (N',) each of them has, see
        `hnm_core.labels`; two columns where there are fewer."""
        lists = self.lists.at(row)
        labels, column = torch.unique(lists.row, return_inverse=True)
        table = torch.zeros(len(row), max(len(labels), 2), dtype=torch.bool, device=row.device)
        table[lists.anchor, column] = True
        return table

    def share(self, anchor: Tensor, row: Tensor) -> Tensor:
        """bool like `row`, (Q, K) rows or -1: whether each has a label of the anchor (Q,) of its line, or is it."""
        found = row == anchor[:, None]
        lists, pairs = self.lists, self._pairs
        start, sizes = lists.offsets[anchor], lists.sizes[anchor]
        for place in range(int(sizes.max()) if len(sizes) else 0):
            line = (sizes > place).nonzero()[:, 0]
            wanted = row[line] * lists.rows + lists.row[start[line] + place][:, None]
            at = torch.searchsorted(pairs, wanted).clamp_max_(len(pairs) - 1)
            found[line] |= pairs[at] == wanted
        return found & (row >= 0)

    def common(self, anchor: Tensor) -> RowLists:
        """For each anchor (Q,) the rows that share a label with it, itself among them; see `parts`."""
        chosen = self._with_own[anchor.cpu().numpy()]
        by_row = (
            self._with_own @ chosen.T.tocsr()
        ).tocsc()  # whose columns are in the order of rows, unlike a product's
        offsets, row = (torch.from_numpy(side.astype(np.int64)) for side in (by_row.indptr, by_row.indices))
        device = self.lists.row.device
        return RowLists(offsets.to(device), row.to(device), len(self))

    @cached_property
    def most(self) -> Tensor:
        """(N,) int64, what no list of `common` is longer than: who shares two labels is counted twice."""
        of_label = np.asarray(self._with_own.sum(0), np.int64)
        total = torch.from_numpy(np.asarray(self._with_own @ of_label, np.int64))
        return total.clamp_max_(len(self)).to(self.lists.row.device)

    def parts(self, anchor: Tensor) -> Iterator[slice]:
        """Anchors (Q,) in parts whose lists hold at most `PAIRS_AT_ONCE` rows together; single anchors aside."""
        ends = self.most[anchor].cumsum(0).cpu().numpy()
        start = 0
        while start < len(ends):
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + PAIRS_AT_ONCE, side="right")))
            yield slice(start, stop)
            start = stop

    @cached_property
    def _pairs(self) -> Tensor:
        """(M,) ascending, one number for each row and label."""
        return self.lists.anchor * self.lists.rows + self.lists.row

    @cached_property
    def _with_own(self) -> Any:
        """(N, L + U) of 0 and 1: the labels of each row, and of each of the U rows without any one of its own."""
        lists, without = self.lists, self.without.cpu()
        extra = int(without.sum())
        row = torch.cat((lists.anchor.cpu(), without.nonzero()[:, 0]))
        label = torch.cat((lists.row.cpu(), lists.rows + torch.arange(extra)))
        ones = np.ones(len(row), np.int32)  # counts of what is shared must not come round to 0
        return csr_array((ones, (row.numpy(), label.numpy())), shape=(len(self), lists.rows + extra))
