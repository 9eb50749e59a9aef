"""Exact search in few dimensions on a CUDA device: see low_dim.cu."""

from __future__ import annotations

import torch

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.cuda import best, kernels, launches
from hnm_core.neighbors.euclidean import MAX_TREE_DIM, euclidean_form
from hnm_core.neighbors.found import Neighbors, SearchProgress, none_found, report
from hnm_core.relevance import Query, VectorQuery


class CudaLowDim(QuerySearch):
    """Exact, up to 8 dimensions: every anchor against every row it may choose from, by coordinate differences.

    Ties go to the smallest row, at the k-th place as inside an answer.
    """

    approximate = False
    description = "exact, by CUDA kernels that compare every row"

    def __init__(self, distance: Distance | None = None, device_kernels: kernels.Kernels | None = None) -> None:
        """Raises `InputError` for the inner product.

        `device_kernels` are those of the bank's device unless given.
        """
        self._distance = distance or Distance()
        if self._distance.metric == "inner-product":
            raise InputError("Coordinate differences cannot search by inner product; take the cosine distance.")
        self._given = device_kernels

    def _build(self, bank: Bank) -> None:
        """See `NeighborSearch`. Raises `InputError` above 8 dimensions, or where there are no kernels."""
        if bank.dim > MAX_TREE_DIM:
            raise InputError(f"This search takes up to {MAX_TREE_DIM} dimensions, not {bank.dim}; take 'dense'.")
        self._kernels = self._given or kernels.of(bank.device)
        self._form = euclidean_form(self._distance, bank.sorted_embeddings)
        self._points = self._form.points.T.contiguous()
        self._order = bank.order.to(torch.int32)
        self._bank = bank

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search(query, k, False, progress)

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search(query, k, True, progress)

    def _search(self, query: Query, k: int, farthest: bool, progress: SearchProgress | None) -> Neighbors:
        bank = query.bank
        found = none_found(bank, len(query), k)
        kept = min(k, len(bank))
        anchors, slots = query.by_place()
        form = self._form.with_vectors(query.vectors) if isinstance(query, VectorQuery) else self._form
        step = launches.at_once(kept)
        report(progress, 0, len(query))
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            here, where = anchors.at(part), slots[part]
            keys = launches.low_dim_best(
                self._kernels,
                self._points,
                form.queries,
                self._order,
                launches.anchors(here),
                kept,
                farthest=farthest,
            )
            found.distance[where, :kept] = form.distance(best.float_scores(keys).abs_(), here.line)
            found.row[where, :kept] = best.rows(keys)
            report(progress, min(start + step, len(query)), len(query))
        return found
