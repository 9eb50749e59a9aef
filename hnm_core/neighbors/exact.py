"""Exact search that picks its method: the KD-tree where it can, tiles of distances elsewhere."""

from __future__ import annotations

from hnm_core import kernels
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import BuiltAnew, QuerySearch
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.euclidean import MAX_TREE_DIM, has_form
from hnm_core.neighbors.found import Neighbors, SearchProgress
from hnm_core.neighbors.options import DenseOptions, ExactOptions, KdTreeOptions
from hnm_core.relevance import Query

_DENSE_PAIRS_PER_SECOND = 1e8
"""Anchor-row pairs that `Dense` compares a second in few dimensions, on one slow core."""
_PATIENCE = 10.0
"""Seconds of dense search from which on it is quicker to wait for the compiler."""


class Exact(BuiltAnew):
    """Both methods give the same answer; `description` says which one runs and why."""

    approximate = False

    def __init__(self, options: ExactOptions | None = None, distance: Distance | None = None) -> None:
        self._options = options or ExactOptions()
        self._distance = distance or Distance()
        self._search: QuerySearch = Dense(DenseOptions(), self._distance)
        self._reason = self._why_tree = ""

    @property
    def description(self) -> str:
        """Which method searches and why."""
        return f"{self._search.description}{self._reason or self._why_tree}"

    @property
    def looked_at(self) -> float | None:
        """The share of the bank that the last search for negatives looked at: 1 where products were made with all rows,
        less where blocks of rows were left out; None before one, and where a tree or a GPU searches."""
        return self._search.looked_at if isinstance(self._search, Dense) else None

    def expected(self, query: Query, k: int) -> float | None:
        """Seconds, about, that `nearest` will take, see `Dense`; None where that is not known."""
        return self._search.expected(query, k) if isinstance(self._search, Dense) else None

    def _build(self, bank: Bank) -> None:
        """Pick the method and index the bank."""
        self._bank = bank
        if bank.device.type == "cuda":
            from hnm_core.neighbors import cuda_search

            self._search, self._reason = cuda_search.pick(bank, self._distance)
            self._search.build(bank)
            return
        self._reason = self._why_no_tree(bank)
        if self._reason:
            self._search = Dense(DenseOptions(), self._distance)
        else:
            from hnm_core.neighbors.kdtree import KdTree

            self._search = KdTree(KdTreeOptions(), self._distance)
            self._why_tree = f": {bank.dim} dimensions are few, and the bank is on the CPU"
        self._search.build(bank)

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search.nearest(query, k, progress)

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search.farthest(query, k, progress)

    def _why_no_tree(self, bank: Bank) -> str:
        """Empty where the tree searches."""
        if bank.device.type != "cpu":
            return f": the bank is on {bank.device.type}, the KD-tree on the CPU"
        compiler = kernels.compile_in_background(kernels.SEARCH_KERNELS)
        if compiler is not None and len(bank) ** 2 / _DENSE_PAIRS_PER_SECOND > _PATIENCE:
            compiler.wait()
        if not has_form(self._distance):
            return ": a KD-tree cannot search by inner products of rows of any length"
        if bank.dim > MAX_TREE_DIM:
            return f": {bank.dim} dimensions are too many for a KD-tree"
        if compiler is None or compiler.poll() == 0:
            return ""
        if compiler.poll() is not None:
            return ": the KD-tree could not be compiled on this machine"
        return " until the KD-tree is compiled"
