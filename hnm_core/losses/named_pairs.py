"""Distances of pairs that are named by their rows: one by one where they are few, out of one matrix where many."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hnm_core.distances import Distance

Pairs = tuple[Tensor, Tensor]
"""(T,) rows of the one side and (T,) rows of the other."""


def pair_distances(distance: Distance, left: Tensor, right: Tensor, *named: Pairs) -> tuple[Tensor, ...]:
    """(T,) distances of each of the lists of pairs, the same bits at every call.

    Args:
        distance: of all pairs.
        left, right: (L, D) and (R, D) prepared embeddings.
        named: lists of pairs, a row of `left` with a row of `right` each; a pair may be named many times.

    Memory O(L R + T), whatever D is.
    """
    if not are_many(sum(len(row) for row, _ in named), left, right):
        ends: dict[tuple[int, int], Tensor] = {}  # the anchors of a triplet are named twice, and taken once

        def end(rows: Tensor, which: Tensor) -> Tensor:
            key = id(rows), id(which)
            if key not in ends:
                ends[key] = rows.index_select(0, which)
            return ends[key]

        return tuple(distance.prepared_rowwise(end(left, row), end(right, other)) for row, other in named)
    cells = distance.prepared_pairwise(left, right, mend=True).reshape(-1)
    places = (torch.add(other, row, alpha=len(right)) for row, other in named)
    return tuple(_Taken.apply(cells, place) for place in places)  # type: ignore[no-untyped-call]


def are_many(pairs: int, left: Tensor, right: Tensor) -> bool:
    """Whether listing both ends of so many pairs would cost more than the matrix of all distances."""
    return pairs * left.shape[1] > 4 * len(left) * len(right)


class _Taken(torch.autograd.Function):
    """`values[place]`. Torch's own backward of it is four times as slow on a processor."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(place)
        ctx.size = len(values)
        return values.index_select(0, place)

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor, None]:
        (place,) = ctx.saved_tensors
        sums = weight.new_zeros(ctx.size)
        if weight.device.type == "cpu":  # in order; elsewhere it would add as its threads come
            return sums.scatter_add_(0, place, weight), None
        return sums.index_put_((place,), weight, accumulate=True), None
