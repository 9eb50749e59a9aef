"""Exact search in few dimensions on a CUDA device: see low_dim.cu."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors.base import Neighbors, SearchProgress, check_query, report
from hnm_core.neighbors.cuda import best, kernels, launches
from hnm_core.neighbors.cuda.placed import Placed, none_found
from hnm_core.neighbors.euclidean import MAX_TREE_DIM, euclidean_form


class CudaLowDim:
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
        self._bank: Bank | None = None

    def build(self, bank: Bank) -> None:
        """See `NeighborSearch`. Raises `InputError` above 8 dimensions, or where there are no kernels."""
        if bank.dim > MAX_TREE_DIM:
            raise InputError(f"This search takes up to {MAX_TREE_DIM} dimensions, not {bank.dim}; take 'dense'.")
        self._kernels = self._given or kernels.of(bank.device)
        self._form = euclidean_form(self._distance, bank.sorted_embeddings)
        self._points = self._form.points.T.contiguous()
        self._queries = self._form.queries.contiguous()
        self._order = bank.order.to(torch.int32)
        self._placed = Placed(bank)
        self._bank = bank

    def nearest_negatives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """See `NeighborSearch`."""
        return self._search(anchors, k, False, progress)

    def farthest_positives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """See `NeighborSearch`."""
        return self._search(anchors, k, True, progress)

    def _search(self, anchors: Tensor, k: int, farthest: bool, progress: SearchProgress | None) -> Neighbors:
        bank, anchors = check_query(self._bank, anchors, k)
        found = none_found(bank, len(anchors), k)
        kept = min(k, len(bank))
        places, slots = bank.place[anchors].sort()
        step = launches.at_once(kept)
        report(progress, 0, len(anchors))
        for start in range(0, len(anchors), step):
            here, where = places[start : start + step], slots[start : start + step]
            keys = launches.low_dim_best(
                self._kernels,
                self._points,
                self._queries,
                self._order,
                self._placed.anchors(here),
                kept,
                farthest=farthest,
            )
            found.distance[where, :kept] = self._form.distance(best.float_scores(keys).abs_(), here)
            found.row[where, :kept] = best.rows(keys)
            report(progress, min(start + step, len(anchors)), len(anchors))
        return found
