"""Approximate search by routing: hard negatives live in few classes, so only the nearest ones are searched."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.isolation import isolated
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.cell_index import Asked, CellIndex
from hnm_core.neighbors.euclidean import MAX_TREE_DIM, EuclideanForm, euclidean_form, has_form, with_vectors
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.found import Neighbors, SearchProgress, none_found, report
from hnm_core.neighbors.options import RoutedOptions
from hnm_core.neighbors.probing import Numbers, apart, compiled, mixed, probe_of, probe_places, recall
from hnm_core.relevance import Query, Relevance, VectorQuery
from hnm_core.run.events import frozen
from hnm_core.run.misses import CellUnvisited

_FIRST_TRY = 8
"""Cells tried on the probe first: it tells a collapsed cloud, where the ranks of cells mean nothing."""
_VISIT = 1_000
"""Visiting a cell costs as much as comparing so many rows more, measured on two kinds of data."""


class Routed(QuerySearch):
    """Every class is a cell with a centre; an anchor searches the cells with the nearest centres, exactly.

    Wide classes are split into several cells, and where there are very many classes small ones share a cell. How many
    cells an anchor visits is chosen on a probe of up to 512 anchors, so that recall reaches the target by two standard
    errors; it is chosen at the first search, kept while k and the bank's shape stay the same, and chosen again every 20
    builds; for vectors to which no class is relevant it is chosen apart. An anchor for which too few rows were found is
    searched everywhere. Where that many visits would cost more than comparing everything, in small sets and where rows
    do not lie in cells, `exact` searches.

    In up to 8 dimensions, on other devices than the CPU and where the kernels cannot be compiled it hands over to
    `exact`.

    Attributes:
        visited: cells an anchor visits; None before it was chosen.
        probe_recall: recall on the probe with so many; None where their number was given.
        candidate_rate: share of the bank an anchor is compared with; None before a search.
    """

    approximate = True

    def __init__(self, options: RoutedOptions | None = None, distance: Distance | None = None) -> None:
        self._options = options or RoutedOptions()
        self._distance = distance or Distance()
        self._exact: Exact | None = None
        self._index: CellIndex | None = None
        self._chosen = Numbers()
        self.visited: int | None = None
        self.probe_recall: float | None = None
        self.candidate_rate: float | None = None

    @property
    def description(self) -> str:
        """How it searches and why, in words."""
        if self._bank is not None and self._index is None and self._exact is not None:
            return f"{self._exact.description}; routing is for more dimensions, on the CPU, with compiled kernels"
        text = "approximate, by routing to the nearest classes"
        if self._index is None:
            return text
        cells = self._index.cells
        text += f" ({len(cells):,} cells"
        if cells.split:
            text += f", {cells.split:,} wide classes split"
        if cells.pooled:
            text += f", {cells.pooled:,} small classes share cells"
        text += ")"
        if self.visited is not None:
            text += f", {self.visited:,} visited"
            if self.visited >= len(cells):
                text += ", that is everything: exact, because finding fewer would cost more"
        if self.probe_recall is not None:
            text += f" (recall {self.probe_recall:.3f} on the probe, target {self._options.recall:g})"
        return text

    def predicted_recall(self, k: int) -> float | None:
        """See `PredictsRecall`: what was reached on the probe when the number of visits was chosen."""
        return None if self._index is None else self.probe_recall

    def _build(self, bank: Bank) -> None:
        """Put the rows of the bank in cells."""
        self._bank, self._exact, self._index = bank, None, None
        self._form: EuclideanForm | None = None
        product = self._distance.metric == "inner-product"
        if bank.device.type != "cpu" or (bank.dim <= MAX_TREE_DIM and has_form(self._distance)) or not compiled():
            self._exact_search(bank)
            return
        from hnm_core.neighbors.cells import make_cells

        if product:
            points = self._distance.prepare_exactly(bank.sorted_embeddings)
        else:
            self._form = euclidean_form(self._distance, bank.sorted_embeddings)
            points = self._form.points
        cells = make_cells(points.numpy(), bank.offsets.numpy(), self._options.seed)
        self._index = CellIndex(
            points,
            dim=bank.dim,
            product=product,
            cells=cells,
            row=bank.order.numpy(),
            classes=bank.class_of_row[bank.order].numpy(),
        )
        self._slot_of_place = torch.empty(len(bank), dtype=torch.int64)
        self._slot_of_place[torch.from_numpy(cells.order)] = torch.arange(len(bank))
        self._chosen.built()

    def state(self) -> dict[str, Any]:
        """See `KeepsState`."""
        return {"seed": self._options.seed, "kept": self._chosen.state()}

    def restore(self, state: Mapping[str, Any], bank: Bank | None) -> None:
        """See `KeepsState`."""
        self._options = self._options.model_copy(update={"seed": int(state["seed"])})
        if bank is not None:
            self.build(bank)
        self._chosen.restore(state["kept"])

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """The first call chooses the number of cells to visit, see the class."""
        bank = query.bank
        if self._index is None:
            return self._exact_search(bank).nearest(query, k, progress)
        if self._options.classes == "auto" and mixed(query):
            return apart(self._nearest, query, k, progress)
        report(progress, 0, len(query))
        if not len(query):
            return none_found(bank, 0, k)
        visited = self._choose_visited(self._index, query, k)
        if self._options.classes == "auto" and visited == len(self._index.cells):
            return self._exact_search(bank).nearest(query, k, progress)
        return self._search(self._index, query, k, visited, progress)

    def compares(self, query: Query, k: int) -> float | None:
        """With about how many rows each anchor will be compared, or as long as that takes; None where all are, by
        `exact`. Chooses the cells to visit where `nearest` would."""
        if self._index is None or not len(query):
            return None
        cells, visited = len(self._index.cells), self._choose_visited(self._index, query, k)
        return visited * (_VISIT + len(query.bank) / cells) if visited < cells else None

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """Exact: inside a class there is little to search."""
        return self._exact_search(query.bank).farthest(query, k, progress)

    @isolated
    def why_missed(self, query: Query, negatives: Tensor) -> CellUnvisited | None:
        """See `ExplainsMisses`."""
        bank, index = self._bank, self._index
        if bank is None or index is None or self.visited is None or self.visited >= len(index.cells):
            return None
        if isinstance(query, VectorQuery):
            _, asked, lines = self._asked(index, query)
        else:  # of a few rows, so what is known of all is not made
            asked, lines = index.asked_slots(self._slot_of_place[query.place]), torch.arange(len(query))
        rank = index.cell_rank(asked, lines, query.classes)
        cell = self._cell_of(index, negatives)
        return CellUnvisited(
            cells=len(index.cells),
            visited=self.visited,
            label=frozen(bank.labels[negatives].numpy()),
            rank=frozen(np.take_along_axis(rank, cell[:, None], axis=1)[:, 0] + 1),
        )

    def _cell_of(self, index: CellIndex, rows: Tensor) -> NDArray[np.int64]:
        """The cell of each row of the bank."""
        assert self._bank is not None
        slot = self._slot_of_place[self._bank.place[rows]].numpy()
        cell: NDArray[np.int64] = np.searchsorted(index.cells.start, slot, side="right") - 1
        return cell

    def _exact_search(self, bank: Bank) -> Exact:
        if self._exact is None:
            exact = Exact(distance=self._distance)
            exact.build(bank)
            self._exact = exact  # no sooner: several threads may ask
        return self._exact

    def _search(
        self, index: CellIndex, query: Query, k: int, visited: int, progress: SearchProgress | None
    ) -> Neighbors:
        form, asked, lines = self._asked(index, query)
        which, where = (lines, lines) if isinstance(query, VectorQuery) else self._slot_of_place[lines].sort()
        query, total = query.at(where), len(query)
        own = query.classes  # cells hold whole classes, so that an anchor leaves out whole cells
        scores, row = index.search(asked, which, own, k, visited, lambda done: report(progress, done, total))
        if visited < len(index.cells):
            # Cells of few rows may not hold k of other classes; whoever found too few looks everywhere.
            short = ((row >= 0).sum(1) < query.negatives.clamp_max(k)).nonzero().flatten()
            if len(short):
                again, found = index.search(asked, which[short], own[short], k, len(index.cells))
                scores[short], row[short] = again, found
        distance = scores.mul_(0.5) if form is None else form.distance(scores, lines[where])
        back = where.argsort()
        return Neighbors(distance[back], row[back])

    def _asked(self, index: CellIndex, query: Query) -> tuple[EuclideanForm | None, Asked, Tensor]:
        """What is known of the anchors, and (Q,) their lines in the form: of rows their sorted places."""
        if not isinstance(query, VectorQuery):
            return self._form, index.own, query.place
        form, queries = with_vectors(self._form, self._distance, query.vectors)
        return form, index.asked(queries), torch.arange(len(query))

    def _choose_visited(self, index: CellIndex, query: Query, k: int) -> int:
        cells, bank = len(index.cells), query.bank
        if self._options.classes != "auto":
            visited = min(self._options.classes, cells)
        else:
            free = query.unrestricted
            choose = partial(self._fewest, index, query.relevance, k, unrestricted=free)
            visited, self.probe_recall = self._chosen[free].get(choose, len(bank), bank.dim, k)
        self.visited, self.candidate_rate = visited, visited / cells
        return visited

    def _fewest(self, index: CellIndex, relevance: Relevance, k: int, *, unrestricted: bool) -> tuple[int, float]:
        """The fewest cells that reach the target on the probe, and the recall there."""
        cells, bank = len(index.cells), relevance.bank
        places = probe_places(len(bank))
        slots, where = self._slot_of_place[places].sort()
        probe = probe_of(relevance, bank.order[places[where]], k, unrestricted=unrestricted)
        exact = probe.others(self._search(index, probe.query, probe.k, cells, None))
        if cells > 4 * _FIRST_TRY:
            found = self._search(index, probe.query, probe.k, _FIRST_TRY, None)
            first = recall(found.distance, exact.distance)
        exists = (exact.row >= 0).numpy()
        if not exists.any():
            return 1, 1.0
        # An exact neighbour is found from the rank of its cell on, so the ranks tell recall for every number of cells.
        cell = self._cell_of(index, exact.row.clamp_min(0))
        asked, lines = index.asked_slots(slots), torch.arange(len(slots))
        rank = np.take_along_axis(index.cell_rank(asked, lines, probe.query.classes), cell, axis=1)
        visited, reached = _reach(rank, exists, cells, self._options.recall)
        if cells > 4 * _FIRST_TRY and first >= self._options.recall and visited > _FIRST_TRY:
            return _FIRST_TRY, first
        worth = visited * (_VISIT + len(bank) / cells) < len(bank)
        return (visited, reached) if worth else (cells, 1.0)


def _reach(
    rank: np.ndarray[tuple[int, int], np.dtype[np.int64]],
    exists: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
    cells: int,
    target: float,
) -> tuple[int, float]:
    """The fewest cells whose recall exceeds the target by two standard errors, and that recall."""
    has = exists.any(1)
    rank, exists = rank[has], exists[has]
    weight = exists.sum(1)
    low, high = 1, cells
    while low < high:
        middle = (low + high) // 2
        share = ((rank < middle) & exists).sum(1) / weight
        error = share.std(ddof=1) / len(share) ** 0.5 if len(share) > 1 else 0.0
        low, high = (low, middle) if share.mean() - 2 * error >= target else (middle + 1, high)
    return low, float((((rank < low) & exists).sum(1) / weight).mean())
