"""Which of the allowed candidates become negatives. All return (Q, m) columns of the candidate list, -1 for none."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError


def nearest(allowed: Tensor, count: int) -> Tensor:
    """The first `count` allowed columns of (Q, K), whose columns stand nearest first."""
    order, found = _in_order(allowed, count)
    return _padded(order.masked_fill(torch.arange(order.shape[1], device=order.device) >= found[:, None], -1), count)


def uniform(allowed: Tensor, fraction: Tensor, pool: int | None = None) -> Tensor:
    """m different columns, each equally likely among the first `pool` allowed ones (all of them for None).

    Args:
        allowed: (Q, K) bool.
        fraction: (Q, m) float64 in [0, 1), the chance that decides.
        pool: how many of the nearest to draw from.
    """
    order, count = _in_order(allowed, allowed.shape[1] if pool is None else pool)
    order = order.clone(memory_format=torch.contiguous_format)
    chosen = torch.full(fraction.shape, -1, dtype=torch.int64, device=allowed.device)
    for draw in range(min(fraction.shape[1], order.shape[1])):  # Fisher and Yates: what was drawn moves to the front
        left = count - draw
        place = draw + (fraction[:, draw] * left).long().minimum(left - 1).clamp(min=0)
        place = place.clamp(max=order.shape[1] - 1)[:, None]
        taken = order.gather(1, place)
        order.scatter_(1, place, order[:, draw : draw + 1].clone())
        chosen[:, draw] = torch.where(left > 0, taken[:, 0], -1)
    return chosen


def weighted(allowed: Tensor, log_weight: Tensor, fraction: Tensor, count: int) -> Tensor:
    """`count` different columns, drawn one after the other with the weights of those that are left.

    Adding Gumbel noise to log-weights and taking the largest draws without replacement (Vieira 2014), without dividing
    by a sum that may underflow.

    Args:
        allowed: (Q, K) bool.
        log_weight: (Q, K) float64; -inf is never drawn.
        fraction: (Q, K) float64 in [0, 1), the chance that decides.
        count: m.
    """
    noise = -torch.log(-torch.log(fraction.clamp(min=torch.finfo(torch.float64).tiny)))
    key = (log_weight + noise).masked_fill(~allowed, -torch.inf)
    best, column = key.sort(dim=1, descending=True, stable=True)
    return _padded(column.masked_fill(best == -torch.inf, -1)[:, :count], count)


def log_weights(distance: Tensor, dim: int, cutoff: float, nonzero_loss_cutoff: float) -> Tensor:
    """Log of one over the density of distances between random points of the unit sphere (Wu et al., ICCV 2017).

    log w = (2 - D) log d - (D - 3) / 2 log(1 - d^2 / 4), with d not below `cutoff`; -inf from `nonzero_loss_cutoff` on.

    Args:
        distance: (Q, K) Euclidean distances of unit vectors.
        dim: D.
    """
    d = distance.double().clamp(min=cutoff)
    inside = (1 - d.square() / 4).clamp(min=torch.finfo(torch.float64).tiny)
    weight = (2 - dim) * d.log() - (dim - 3) / 2 * inside.log()
    return weight.masked_fill(distance >= nonzero_loss_cutoff, -torch.inf)


def on_sphere(distance: Tensor, metric: Distance) -> Tensor:
    """Euclidean distances of unit vectors from distances in `metric`."""
    match metric.metric:
        case "euclidean":
            return distance
        case "squared-euclidean":
            return distance.sqrt()
        case "cosine":
            return (2 * distance).clamp(min=0).sqrt()
        case "inner-product":
            return (2 + 2 * distance).clamp(min=0).sqrt()


def check_on_sphere(metric: Distance) -> None:
    """Raises `InputError` where points need not lie on the unit sphere."""
    if not metric.normalized and metric.metric != "cosine":
        raise InputError(
            "select = 'distance-weighted' needs points on the unit sphere: "
            "take normalize = true, or the cosine distance."
        )


def _in_order(allowed: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The first min(count, K) columns with the allowed ones in front, and how many of these are allowed, (Q,)."""
    order = (~allowed).to(torch.int8).argsort(dim=1, stable=True)[:, :count]
    return order, allowed.sum(1).clamp(max=count)


def _padded(columns: Tensor, count: int) -> Tensor:
    return torch.nn.functional.pad(columns, (0, count - columns.shape[1]), value=-1)
