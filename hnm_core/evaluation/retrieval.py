"""How well items retrieve their own class: precision@1, MAP@R, kNN accuracy (Musgrave et al., arXiv 2003.08505)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.expectation import expected
from hnm_core.evaluation.nearest import TIE, checked, nearest_first
from hnm_core.evaluation.sought import OfClass, sought_of
from hnm_core.isolation import isolated
from hnm_core.several_labels import SeveralLabels


@dataclass(frozen=True)
class Retrieval:
    """Means over the queries that have at least one other item of their class; NaN when no query has."""

    precision_at_1: float
    """share of queries whose nearest other item is of their class"""
    map_at_r: float
    """mean over queries of (1/R) sum of P(i) rel_i for i <= R, R = other items of the class"""
    knn_accuracy: float
    """share of all queries whose k nearest others vote for their class: uniform vote, ties by smaller summed distance,
    then by smaller label"""
    queries: int
    """queries with a partner"""
    skipped: int
    """queries without one"""


@isolated
def retrieval(
    embeddings: Tensor,
    labels: Tensor | SeveralLabels,
    distance: Distance | None = None,
    *,
    k: int = 5,
    queries: Tensor | None = None,
) -> Retrieval:
    """Leave-one-out retrieval inside one set: every query is ranked against all other items.

    Items at the same distance have no order: precision@1 and MAP@R are the mean over all orders of them. Of those that
    could be the k-th to vote, the first rows do.

    Args:
        embeddings: (N, D), finite.
        labels: (N,) integers; or where items have several labels these: relevant is what shares one, and nobody votes,
            so that the accuracy is NaN.
        distance: what near means; None is Euclidean.
        k: neighbours that vote.
        queries: (Q,) rows; None are all. A random part estimates the scores of all without bias, as each is ranked
            against everything.

    Raises:
        InputError: shapes or types do not match, k is no whole number of at least 1, or non-finite embeddings.
    """
    query = checked(embeddings, labels, queries)
    check_k(k)
    sought = sought_of(labels, query.device)
    partners = torch.zeros(len(embeddings), dtype=torch.int64, device=query.device)
    partners[query] = sought.partners(query)
    usable = partners > 0
    asking = int(usable[query].sum())
    if not asking:
        return Retrieval(torch.nan, torch.nan, torch.nan, 0, len(query))
    first = average = votes = 0.0
    for found in nearest_first(embeddings, distance or Distance(), query, max(int(partners[query].max()), k)):
        hit = sought.hits(found.query, found.row)
        ok, r = usable[found.query], partners[found.query]
        share, earned = expected(hit, found.ties)
        place = torch.arange(1, hit.shape[1] + 1, device=hit.device)
        inside = earned.float() * (place <= r[:, None])
        first += float(share[ok, 0].sum())
        average += float((inside.sum(1) / r.clamp(min=1))[ok].double().sum())
        if isinstance(sought, OfClass):
            own = sought.own
            votes += float((vote(own[found.row[:, :k]], found.distance[:, :k]) == own[found.query]).sum())
    accuracy = votes / len(query) if isinstance(sought, OfClass) else torch.nan
    return Retrieval(first / asking, average / asking, accuracy, asking, len(query) - asking)


@isolated
def knn_accuracies(
    embeddings: Tensor,
    labels: Tensor,
    distance: Distance | None = None,
    *,
    ks: Sequence[int],
    queries: Tensor | None = None,
) -> tuple[float, ...]:
    """`Retrieval.knn_accuracy` for each k, from one ranking; the arguments and errors are those of `retrieval`. NaN
    where there is nobody to vote."""
    query = checked(embeddings, labels, queries)
    for k in ks:
        check_k(k)
    if len(labels) < 2 or not len(query):
        return (torch.nan,) * len(ks)
    _, own = torch.unique(labels.to(query.device), return_inverse=True)
    right = torch.zeros(len(ks), dtype=torch.float64)
    for found in nearest_first(embeddings, distance or Distance(), query, max(ks)):
        voters, own_class = own[found.row], own[found.query]
        for place, k in enumerate(ks):
            right[place] += float((vote(voters[:, :k], found.distance[:, :k]) == own_class).sum())
    return tuple((right / len(query)).tolist())


def check_k(k: object) -> None:
    """Raises `InputError` unless k is a whole number of at least 1."""
    if not isinstance(k, Integral) or k < 1:
        raise InputError(f"k = {k} is not allowed: it must be a whole number of at least 1.")


def vote(classes: Tensor, distance: Tensor) -> Tensor:
    """(Q,) the class that occurs most in each row of (Q, k); ties by smaller summed distance, then by smaller class."""
    classes, order = classes.sort(dim=1, stable=True)
    run = torch.nn.functional.pad(classes.diff(dim=1) != 0, (1, 0)).cumsum(1)
    count = torch.zeros_like(classes).scatter_add_(1, run, torch.ones_like(classes))
    summed = torch.zeros_like(distance).scatter_add_(1, run, distance.gather(1, order))
    summed = summed.masked_fill(count < count.amax(1, keepdim=True), torch.inf)
    least = summed.amin(1, keepdim=True)
    winner = (summed <= least + TIE * least.abs()).int().argmax(1)  # runs ascend, so this is the smallest class
    return classes.gather(1, (run == winner[:, None]).int().argmax(1)[:, None])[:, 0]
