"""Exact search in few dimensions: a KD-tree that knows the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.launching import launching
from hnm_core.neighbors.base import BuiltAnew
from hnm_core.neighbors.euclidean import MAX_TREE_DIM, euclidean_form, has_form
from hnm_core.neighbors.found import Neighbors, SearchProgress, report
from hnm_core.neighbors.options import KdTreeOptions
from hnm_core.relevance import Query, VectorQuery

_CHUNK = 65_536
"""Anchors searched between two reports of progress."""


class KdTree(BuiltAnew):
    """Nearest negatives and farthest positives by branch and bound, on the CPU, with exact coordinate differences.

    Of equally far rows the lowest come first, at the k-th place as inside an answer.
    """

    approximate = False

    def __init__(self, options: KdTreeOptions | None = None, distance: Distance | None = None) -> None:
        """Raises `InputError` for the inner product of rows of any length, which no box bounds."""
        self._options = options or KdTreeOptions()
        self._distance = distance or Distance()
        if not has_form(self._distance):
            raise InputError(
                "The KD-tree cannot search by inner product unless rows are normalised; take 'dense', or the cosine "
                "distance."
            )

    @property
    def description(self) -> str:
        """How it searches, in words."""
        return "exact, by a label-aware KD-tree"

    def _build(self, bank: Bank) -> None:
        """Index the bank. Raises `InputError` above 8 dimensions."""
        if bank.dim > MAX_TREE_DIM:
            raise InputError(f"The KD-tree searches up to {MAX_TREE_DIM} dimensions, not {bank.dim}; take 'dense'.")
        self._form = euclidean_form(self._distance, bank.embeddings)
        self._points = _array(self._form.points)
        self._queries = _array(self._form.queries)
        self._classes = _array(bank.class_of_row.to(torch.int32))
        self._order = _array(bank.order.to(torch.int32))
        self._indexes: dict[bool, _Index] = {}
        self._bank = bank

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search(query, k, False, progress)

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """Searches a tree of its own, cut by class before by place."""
        return self._search(query, k, True, progress)

    def _search(self, query: Query, k: int, farthest: bool, progress: SearchProgress | None) -> Neighbors:
        from hnm_core.neighbors.cpu.tree_kernels import search_tree

        bank = query.bank
        index = self._indexes.get(farthest)
        if index is None:
            index = self._indexes[farthest] = _Index(self._points, self._classes, self._order, by_class=farthest)
        own = _array(query.classes).astype(np.int32)  # nodes know the classes below them, and nothing finer
        # Neighbours in the tree share most of their search, so anchors that are near each other stand side by side.
        if isinstance(query, VectorQuery):
            form = self._form.with_vectors(query.vectors)
            queries, lines = _array(form.queries), torch.arange(len(query))
            slots = _near_together(queries, own, by_class=farthest)
            near, itself = slots.astype(np.int32), np.full(len(query), -1, np.int32)
        else:
            form, queries, lines = self._form, self._queries, query.row
            wanted = _array(query.row)
            slots = np.argsort(index.places[wanted])
            near = itself = wanted[slots].astype(np.int32)
        own = own[slots]
        scores = np.empty((len(query), k), np.float32)
        rows = np.empty((len(query), k), np.int64)
        report(progress, 0, len(query))
        for start in range(0, len(query), _CHUNK):
            end = min(start + _CHUNK, len(query))
            with launching():
                search_tree(
                    index.tree,
                    queries,
                    near[start:end],
                    itself[start:end],
                    own[start:end],
                    slots[start:end],
                    k,
                    farthest,
                    scores,
                    rows,
                )
            report(progress, end, len(query))
        distance = form.distance(torch.from_numpy(scores).to(bank.device), lines.to(bank.device))
        return Neighbors(distance, torch.from_numpy(rows).to(bank.device))


class _Index:
    """A tree and where each row stands in it."""

    def __init__(
        self, points: NDArray[np.float32], classes: NDArray[np.int32], order: NDArray[np.int32], *, by_class: bool
    ) -> None:
        from hnm_core.neighbors.cpu.tree_kernels import build_tree

        with launching():
            self.tree = build_tree(points, classes, order, by_class)
        self.places = np.empty(len(points), np.int32)
        self.places[self.tree.rows] = np.arange(len(points), dtype=np.int32)


def _near_together(points: NDArray[np.float32], classes: NDArray[np.int32], *, by_class: bool) -> NDArray[np.int64]:
    """(Q,) an order of points (Q, D) in which those that are near each other, and of a class if `by_class`, follow each
    other."""
    from hnm_core.neighbors.cpu.tree_kernels import arrange

    order = np.argsort(classes, kind="stable").astype(np.int32)
    with launching():
        near: NDArray[np.int32] = arrange(points, classes, order, by_class)
    return near.astype(np.int64)


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(tensor.cpu().numpy())
