"""Sums over all triplets of each anchor in O(B^2) memory: the triplets are formed block by block, twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 1 << 17
"""Triplets formed at once, unless one anchor alone has more: small enough to stay in a processor's cache."""


class TripletTerm(NamedTuple):
    """A term f of the violation v = d_ap - d_an."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    """df/dv, for the backward pass over all triplets"""


def hinge(margin: float) -> TripletTerm:
    """relu(v + margin)"""
    return TripletTerm(lambda v: (v + margin).relu(), lambda v: (v + margin > 0).to(v.dtype))


def soft_hinge(margin: float) -> TripletTerm:
    """softplus(v + margin)"""
    return TripletTerm(lambda v: functional.softplus(v + margin), lambda v: (v + margin).sigmoid())


def ratio() -> TripletTerm:
    """sigmoid(v)^2"""
    return TripletTerm(lambda v: v.sigmoid().square(), lambda v: 2 * v.sigmoid().square() * (-v).sigmoid())


class Swap(NamedTuple):
    """What the swap needs: the negative's distance to the positive counts where it is the smaller one."""

    distance: Tensor
    """(R, R) between rows of the reference set"""
    positive: Tensor
    """(A, P) rows"""
    negative: Tensor
    """(A, N) rows"""


class TripletSums(NamedTuple):
    """What the terms of each anchor add up to."""

    value: Tensor
    """(A,) with gradient"""
    counts: Tensor
    """(A,) triplets"""
    nonzeros: Tensor
    """(A,) triplets whose term is above 0"""


def triplet_sums(
    d_ap: Tensor, d_an: Tensor, has_p: Tensor, has_n: Tensor, term: TripletTerm, swap: Swap | None = None
) -> TripletSums:
    """Sum `term` over every positive joined with every negative of the same anchor.

    Args:
        d_ap, d_an: (A, P) and (A, N) distances, finite also where there is no pair.
        has_p, has_n: (A, P) and (A, N) bool, which of them are pairs.
        term: what a triplet costs.
        swap: see there; None leaves the anchor's own distance.

    Time O(A P N); memory O(A (P + N) + P N), and O(R^2) for the swap.
    """
    count = has_p.sum(1) * has_n.sum(1)
    value, nonzero = _Sums.apply(  # type: ignore[no-untyped-call]  # torch's has no types
        d_ap,
        d_an,
        None if swap is None else swap.distance,
        None if swap is None else (swap.positive, swap.negative),
        has_p,
        has_n,
        term,
    )
    return TripletSums(value, count, nonzero)


class _Sums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        d_ap: Tensor,
        d_an: Tensor,
        d_pn: Tensor | None,
        rows: tuple[Tensor, Tensor] | None,
        has_p: Tensor,
        has_n: Tensor,
        term: TripletTerm,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(d_ap, d_an, d_pn, has_p, has_n)
        ctx.rows, ctx.term = rows, term
        value, nonzero = d_ap.new_zeros(len(d_ap)), has_p.new_zeros(len(d_ap), dtype=torch.int64)
        for block in _blocks(d_ap, d_an):
            violation, both, _ = _violation(block, d_ap, d_an, d_pn, rows, has_p, has_n)
            found = term.value(violation) * both
            value[block] = found.sum((1, 2))
            nonzero[block] = (found > 0).sum((1, 2))
        ctx.mark_non_differentiable(nonzero)
        return value, nonzero

    @staticmethod
    def backward(ctx: Any, weight: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        d_ap, d_an, d_pn, has_p, has_n = ctx.saved_tensors
        to_ap, to_an = torch.zeros_like(d_ap), torch.zeros_like(d_an)
        to_pn = None if d_pn is None else torch.zeros_like(d_pn)
        for block in _blocks(d_ap, d_an):
            violation, both, swapped = _violation(block, d_ap, d_an, d_pn, ctx.rows, has_p, has_n)
            slope = ctx.term.slope(violation) * both * weight[block, None, None]
            to_ap[block] = slope.sum(2)
            if swapped is not None and to_pn is not None:
                positive, negative = (rows[block] for rows in ctx.rows)
                place = positive[:, :, None] * len(to_pn) + negative[:, None, :]
                to_pn.view(-1).index_add_(0, place[swapped], -slope[swapped])
                slope = slope * ~swapped
            to_an[block] = -slope.sum(1)
        return to_ap, to_an, to_pn, None, None, None, None


def _blocks(d_ap: Tensor, d_an: Tensor) -> Iterator[slice]:
    if not d_ap.shape[1] or not d_an.shape[1]:
        return
    anchors = max(1, BLOCK // (d_ap.shape[1] * d_an.shape[1]))
    yield from (slice(start, start + anchors) for start in range(0, len(d_ap), anchors))


def _violation(
    block: slice,
    d_ap: Tensor,
    d_an: Tensor,
    d_pn: Tensor | None,
    rows: tuple[Tensor, Tensor] | None,
    has_p: Tensor,
    has_n: Tensor,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """(a, P, N) d_ap - d_an, which of them are triplets, and where the swap acted."""
    near, far = d_ap[block, :, None], d_an[block, None, :]
    both = has_p[block, :, None] & has_n[block, None, :]
    if d_pn is None or rows is None:
        return near - far, both, None
    other = d_pn[rows[0][block, :, None], rows[1][block, None, :]]
    swapped = other < far
    return near - torch.where(swapped, other, far), both, swapped & both
