"""Cells of rows, and the search of a few of them for each anchor: products choose, exact differences decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.launching import launching
from hnm_core.neighbors.cells import Cells
from hnm_core.neighbors.cpu import amx

_BFLOAT16_DIM = 32
"""From this dimension on products cost more than sifting them."""
_LANES = 16
_TILE = 1 << 19
"""Products in a tile, 1 MiB of bfloat16: it stays in the cache until it is sifted."""
_ROWS = 2_048
_COLUMNS = 2_048
_PAIRS = 1 << 22
"""Anchors of a chunk times cells of a route, at most."""
_ANCHORS = 65_536
_CHUNK = 65_536
"""Rows that are prepared in float64 at once."""

Done = Callable[[int], None]
"""Told how many anchors were searched; may raise."""


@dataclass(frozen=True)
class Asked:
    """What cells have to know of their anchors: all rows, by slot, or all vectors of a query."""

    queries: NDArray[np.float32]
    """(A, D') float32, filled up."""
    near: Tensor
    """(A, D'') what is multiplied, about the mean."""
    norm: Tensor
    """(A,) float64, lengths about the mean."""
    slack: NDArray[np.float32]
    """(A,) float32."""
    error: NDArray[np.float32]
    """(A,) float32."""


class CellIndex:
    """Rows stand in slots, cell after cell.

    Scores are squared distances, or -2 q x with `product`. The answer over the cells that are searched is exact, and
    does not depend on the number of threads or on which anchors are asked for together.

    """

    def __init__(
        self,
        points: Tensor,
        *,
        dim: int,
        product: bool,
        cells: Cells,
        row: NDArray[np.int64],
        classes: NDArray[np.int64],
    ) -> None:
        """Prepare.

        Args:
            points: (N, D) float32, sorted by class.
            dim: coordinates of an anchor that may differ from 0; all are multiplied, the rest are not.
            product: whether scores are products.
            cells: of the points.
            row: (N,) what to call each of the points in an answer.
            classes: (N,) their classes, which an anchor leaves out by theirs.
        """
        from hnm_core.neighbors.cpu.routing_kernels import Columns

        self.cells = cells
        self.rows = len(points)
        self._product = product
        self.coarse = dim >= _BFLOAT16_DIM and amx.available()
        self._dim, self._padded = dim, dim + -dim % (2 * _LANES if self.coarse else _LANES)
        self._kind = torch.bfloat16 if self.coarse else torch.float32
        middle = np.zeros(points.shape[1])
        if not product:
            sizes = np.diff(cells.start)
            middle[:dim] = (cells.center * sizes[:, None]).sum(0)[:dim] / self.rows
        self._middle = torch.from_numpy(middle)
        # Rounded first, so that what stands in the columns is what was taken away from the rows.
        center = torch.from_numpy(cells.center).float().double()
        self._offset = center - self._middle
        order = torch.from_numpy(cells.order)
        cell_of_slot = torch.repeat_interleave(torch.from_numpy(np.diff(cells.start)))
        self._near, weight, size, worst = self._columns(points, order, center, self._offset, cell_of_slot)
        self._far, center_weight, center_size, other = self._columns(
            center.float(), torch.arange(len(center)), self._middle[None], self._offset.new_zeros(1, len(middle)), None
        )
        self._share = max(worst, other) + (dim + 4) * 2.0**-24 + (2.0**-9 * 1.02 if self.coarse else 0.0)
        wide, label = _wide(points, order), classes[cells.order].astype(np.int32)
        self._wide, self._width = wide, points.shape[1]
        self._columns_near = Columns(wide, weight, size, row[cells.order], label)
        self._columns_far = Columns(
            _wide(center.float(), None), center_weight, center_size, np.arange(len(center)), cells.owner
        )
        self._reach = float(self._offset.norm(dim=1).max()) + float(size.max())
        self._spare: list[tuple[Tensor, Tensor]] = []
        """Memory for a tile of products and for what it is asked with, while no thread works in it."""

    @cached_property
    def own(self) -> Asked:
        """All rows as anchors, by slot. Made when first asked for: where all anchors are vectors nobody needs it."""
        return self._asked(self._as_anchors(self._wide))

    def asked(self, queries: Tensor) -> Asked:
        """What has to be known of vectors (A, D) float32, prepared as the rows were."""
        return self._asked(_wide(queries, None))

    def asked_slots(self, slots: Tensor) -> Asked:
        """The lines (A,) of `own`, without all the others."""
        return self._asked(self._as_anchors(self._wide[slots.numpy()]))

    def _as_anchors(self, wide: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows without the coordinates that anchors have not."""
        if self._dim == self._width:
            return wide
        anchors = wide.copy()
        anchors[:, self._dim :] = 0
        return anchors

    def _asked(self, wide: NDArray[np.float32]) -> Asked:
        """Of queries, filled up."""
        count, queries = len(wide), torch.from_numpy(wide)
        near = torch.zeros((count, self._padded), dtype=self._kind)
        slack, norm = torch.empty(count, dtype=torch.float64), torch.empty(count, dtype=torch.float64)
        for first in range(0, count, _CHUNK):
            part = slice(first, min(first + _CHUNK, count))
            exact = queries[part, : self._dim].double() - self._middle[: self._dim]
            near[part, : self._dim] = exact.to(self._kind)
            lost = (exact - near[part, : self._dim]).norm(dim=1)
            norm[part] = exact.norm(dim=1)
            slack[part] = 2.02 * (lost + (norm[part] + lost) * self._share)
        rounding = (self._width / _LANES + _LANES) * 2.0**-23
        error = (rounding * (norm + self._reach).square()).float().numpy()
        return Asked(wide, near, norm, slack.float().numpy(), error)

    def _columns(
        self, points: Tensor, order: Tensor, center: Tensor, offset: Tensor, which: Tensor | None
    ) -> tuple[Tensor, NDArray[np.float32], NDArray[np.float32], float]:
        """What is multiplied, weights and sizes (N + 16,), and the largest share that rounding took."""
        count = len(order)
        rounded = torch.zeros((count + _COLUMNS, self._padded), dtype=self._kind)
        weight, size = (torch.zeros(count + _LANES, dtype=torch.float32) for _ in range(2))
        worst = 0.0
        for first in range(0, count, _CHUNK):
            part = slice(first, min(first + _CHUNK, count))
            own = which[part] if which is not None else torch.zeros(part.stop - first, dtype=torch.int64)
            exact = points[order[part]].double() - center[own]
            rounded[part, : self._dim] = exact[:, : self._dim].to(self._kind)
            lost = (exact[:, : self._dim] - rounded[part, : self._dim]).norm(dim=1)
            length = exact[:, : self._dim].norm(dim=1)
            size[part] = length.float()
            if not self._product:
                weight[part] = (exact.square().sum(1) + 2 * (exact * offset[own]).sum(1)).float()
            worst = max(worst, float((lost / length.clamp_min(torch.finfo(torch.float64).tiny)).max()))
        return rounded, weight.numpy(), size.numpy(), worst

    def search(
        self, asked: Asked, which: Tensor, own: Tensor, k: int, visited: int, done: Done | None = None
    ) -> tuple[Tensor, Tensor]:
        """The k best rows of other classes in the `visited` nearest cells of each anchor.

        Args:
            asked: rows or vectors.
            which: (Q,) int64, lines of them, the anchors; rows are read fastest by ascending slots.
            own: (Q,) int64, the classes they leave out; below -1 for none.
            k: how many.
            visited: cells to search for an anchor; all of them where that is at least as many as there are.
            done: told of the progress.

        Returns:
            (Q, k) scores, inf where there are fewer, and (Q, k) rows, -1 there.
        """
        from hnm_core.neighbors.cpu.routing_kernels import settle

        scores = np.empty((len(which), k), np.float32)
        found = np.empty((len(which), k), np.int64)
        visited = min(visited, len(self.cells))
        step = int(max(512, min(_ANCHORS, _PAIRS // visited, (1 << 24) // k)))
        for first in range(0, len(which), step):
            part = slice(first, min(first + step, len(which)))
            anchors = self._waiting(asked, which[part], own[part], k, cells=False)
            near = asked.near[which[part]]
            if visited == len(self.cells):
                route, base = self._everywhere(asked, which[part], own[part])
            else:
                route, base = self._route(asked, near, which[part], own[part], visited)
            told = (lambda share, at=part: done(at.start + int(share * (at.stop - at.start)))) if done else None
            self._visit(near, route, base, k, anchors, told)
            with launching():
                settle(k, self._product, self._columns_near, anchors, scores[part], found[part])
            if done is not None:
                done(part.stop)
        return torch.from_numpy(scores), torch.from_numpy(found)

    def cell_rank(self, asked: Asked, which: Tensor, own: Tensor) -> NDArray[np.int64]:
        """(Q, K) at which place of its route an anchor finds each cell; cells of its own class come last."""
        route, base = self._everywhere(asked, which, own)
        base[route < 0] = np.inf
        order = np.argsort(base, axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(order.shape[1])[None], axis=1)
        return rank

    def _waiting(self, asked: Asked, which: Tensor, own: Tensor, k: int, *, cells: bool) -> Any:
        from hnm_core.neighbors.cpu.routing_kernels import waiting_anchors

        at, label = which.numpy(), own.numpy()
        low, high = self.cells.own_low[label.clip(0)], self.cells.own_high[label.clip(0)]
        if not cells:
            low, high = self.cells.start[low], self.cells.start[high]
        low, high = np.where(label < 0, 0, low), np.where(label < 0, 0, high)
        return waiting_anchors(asked.queries[at], asked.slack[at], asked.error[at], label, low, high, k)

    def _route(
        self, asked: Asked, near: Tensor, which: Tensor, own: Tensor, visited: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(R, visited) nearest cells of each anchor, -1 where there are fewer, and the scores of their centres."""
        from hnm_core.neighbors.cpu.routing_kernels import settle

        anchors = self._waiting(asked, which, own, visited, cells=True)
        square = np.zeros(len(which), np.float32)
        if not self._product:
            square = asked.norm[which].square().float().numpy()
        who = np.arange(len(which), dtype=np.int32)
        for first in range(0, len(self.cells), _COLUMNS):
            self._show(near, who, square, self._far, first, min(first + _COLUMNS, len(self.cells)), visited, anchors)
        base = np.empty((len(which), visited), np.float32)
        route = np.empty((len(which), visited), np.int64)
        with launching():
            settle(visited, self._product, self._columns_far, anchors, base, route)
        return route, base

    def _everywhere(self, asked: Asked, which: Tensor, own: Tensor) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The same with every cell, in no order; -1 for those of the anchor's class."""
        query = torch.from_numpy(asked.queries[which.numpy(), : self._offset.shape[1]]).double() - self._middle
        base = query @ self._offset.T
        if self._product:
            base *= -2
        else:
            base = (query.square().sum(1)[:, None] + self._offset.square().sum(1) - 2 * base).clamp_min_(0)
        cell = np.arange(len(self.cells))
        return np.where(own.numpy()[:, None] == self.cells.owner, -1, cell), base.float().numpy()

    def _visit(
        self,
        near: Tensor,
        route: NDArray[np.int64],
        base: NDArray[np.float32],
        k: int,
        anchors: Any,
        told: Callable[[float], None] | None,
    ) -> None:
        """Show every cell to the anchors whose route passes through it."""
        from hnm_core.neighbors.cpu.routing_kernels import by_cell

        cells = len(self.cells)
        start = np.empty(cells + 1, np.int64)
        who, rank = np.empty(route.size, np.int32), np.empty(route.size, np.int32)
        by_cell(route, cells, start, who, rank)
        base = base[who[: start[-1]], rank[: start[-1]]]
        for cell in range(cells):
            low, high = self.cells.start[cell], self.cells.start[cell + 1]
            part = slice(start[cell], start[cell + 1])
            for first in range(low, high, _COLUMNS):
                self._show(near, who[part], base[part], self._near, first, min(first + _COLUMNS, high), k, anchors)
            if told is not None and cell % 128 == 127:
                told(start[cell + 1] / max(1, start[-1]))

    def _show(
        self,
        near: Tensor,
        who: NDArray[np.int32],
        base: NDArray[np.float32],
        points: Tensor,
        first: int,
        last: int,
        k: int,
        anchors: Any,
    ) -> None:
        """Show the columns first .. last - 1 to the anchors `who`."""
        from hnm_core.neighbors.cpu.routing_kernels import gather, sift

        columns = self._columns_far if points is self._far else self._columns_near
        width = _round(int(last - first))
        tiles, asking = self._memory()
        source, target = near.view(torch.float32).numpy(), asking.view(torch.float32).numpy()
        for start in range(0, len(who), _ROWS):
            here = who[start : start + _ROWS]
            rows = _round(len(here))
            step = _TILE // width
            with launching():
                gather(source, here, target)
            for row in range(0, len(here), step):
                count = min(step, rows - row)
                tile = tiles[: count * width].view(count, width)
                torch.mm(asking[row : row + count], points[first : first + width].T, out=tile)
                products = (tile.view(torch.int16) if self.coarse else tile).numpy()
                with launching():
                    part = slice(start + row, min(start + row + count, start + len(here)))
                    sift(products, self.coarse, first, last, who[part], base[part], k, self._product, columns, anchors)
        self._spare.append((tiles, asking))

    def _memory(self) -> tuple[Tensor, Tensor]:
        try:
            return self._spare.pop()
        except IndexError:
            tiles = torch.empty(_TILE, dtype=self._kind)
            return tiles, torch.zeros((_ROWS, self._padded), dtype=self._kind)


def _round(size: int) -> int:
    """A size at least as large, one of few: the processor's code for a product is made for each shape anew."""
    step = max(32, 1 << max(0, size.bit_length() - 3))
    return size + -size % step


def _wide(points: Tensor, order: Tensor | None) -> NDArray[np.float32]:
    """(N, D) rows in the order given, with D filled up with zeros to a multiple of 16."""
    count, dim = points.shape
    wide = torch.zeros((count, dim + -dim % _LANES), dtype=torch.float32)
    for first in range(0, count, _CHUNK):
        part = slice(first, first + _CHUNK)
        wide[part, :dim] = points[part] if order is None else points[order[part]]
    return wide.numpy()
