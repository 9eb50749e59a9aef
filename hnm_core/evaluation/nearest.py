"""All other items of a set in the order of their true distances, with those at one distance known as ties.

Products choose the order, in float64 and about the mean. Where their rounding could have put two items in the wrong
order, by a bound on it, these two are measured again by differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.distances import Distance
from hnm_core.errors import InputError, described
from hnm_core.labels import INTEGERS, check_labels
from hnm_core.several_labels import SeveralLabels

TILE_ENTRIES = 4_000_000
"""At most so many distances are held at once."""

NUMBERS_AT_ONCE = 1 << 20
"""Differences formed at once."""

MOST_LISTED = 0.25
"""Share of the distances from which on it takes less time to measure all of them again than to gather their rows."""

LARGEST = 1e150
"""Coordinates beyond this overflow a squared distance."""

TIE = 1e-12
"""Distances that differ by less than this share are one: a sum of squares is not more exact than that."""


@dataclass(frozen=True, eq=False)
class Ties:
    """Where the items at one distance stand in each of Q rankings of L places, counted from 0. Most are alone."""

    start: Tensor
    """(Q, L) first place of those at the distance of each place"""
    end: Tensor
    """(Q, L) the place behind their last"""


@dataclass(frozen=True, eq=False)
class Ranked:
    """The L nearest others of Q queries, nearest first, those at one distance by row."""

    query: Tensor
    """(Q,) rows"""
    row: Tensor
    """(Q, L) rows; L is at least the depth that was asked for, and no ties are cut off"""
    distance: Tensor
    """(Q, L) float64"""
    ties: Ties | None
    """None where no two are at one distance"""


def checked(embeddings: Tensor, labels: Tensor | SeveralLabels, queries: Tensor | None) -> Tensor:
    """(Q,) the rows that query: those given, or all.

    Raises:
        InputError: shapes or types do not match, non-finite embeddings, or queries that are no rows.
    """
    if not isinstance(embeddings, Tensor) or embeddings.ndim != 2:
        raise InputError(f"Embeddings must be a tensor of shape (N, D), not {described(embeddings)}.")
    if not embeddings.shape[1]:
        raise InputError(f"Embeddings need at least one column, not shape {tuple(embeddings.shape)}.")
    if isinstance(labels, SeveralLabels):
        if len(labels) != len(embeddings):
            raise InputError(f"There are labels of {len(labels):,} items for {len(embeddings):,} embeddings.")
    else:
        check_labels(labels, len(embeddings), "Labels")
    if not bool(torch.isfinite(embeddings).all()):
        raise InputError("Embeddings hold NaN or infinity; retrieval needs finite numbers.")
    if queries is None:
        return torch.arange(len(embeddings), device=embeddings.device)
    if not isinstance(queries, Tensor) or queries.ndim != 1 or queries.dtype not in INTEGERS:
        raise InputError(f"queries must be rows, a tensor (Q,) of integers, not {described(queries)}.")
    if len(queries) and not 0 <= int(queries.min()) <= int(queries.max()) < len(labels):
        raise InputError(f"queries must be rows of the {len(labels):,} embeddings, 0 or more.")
    return queries.to(embeddings.device, torch.int64)


def nearest_first(embeddings: Tensor, distance: Distance, queries: Tensor, depth: int) -> Iterator[Ranked]:
    """Rank the others of each query, a tile at a time; together the parts hold every query once, in no set order.

    Args:
        embeddings: (N, D) finite, N at least 2.
        distance: what near means.
        queries: (Q,) rows.
        depth: how many of the nearest others; all where there are no more.

    Raises:
        InputError: coordinates beyond `LARGEST`.
    """
    measure = _Measure(embeddings.detach().double(), distance)  # autocast leaves float64 alone
    for part in queries.split(max(1, TILE_ENTRIES // len(embeddings))):
        yield from _ranked(measure, part, depth)


class _Measure:
    """Scores that order as the distances do: squared distances, twice the cosine distance, or inner products about the
    mean of the items, which is the same for all others of a query."""

    def __init__(self, embeddings: Tensor, distance: Distance) -> None:
        if len(embeddings) and float(embeddings.abs().max()) > LARGEST:
            raise InputError(f"Embeddings reach {float(embeddings.abs().max()):.3g}; beyond 1e150 distances overflow.")
        self._metric = distance.metric
        self._points = distance.prepare_exactly(embeddings)
        self._center = self._points.mean(0)
        self._centered = self._points - self._center
        self._squares = self._centered.square().sum(1)
        self._largest = self._squares.max().sqrt()
        self._short = torch.zeros_like(self._squares)
        if distance.metric == "cosine":  # what a row lacks to length 1: nothing, unless it was all but 0
            square = self._points.square().sum(1)
            self._short = (1 - square).masked_fill(square > 0.999, 0)

    def by_products(self, query: Tensor) -> Tensor:
        """(Q, N) scores less `of_query`, off by at most `error`."""
        if self._metric == "inner-product":
            return -(self._points[query] @ self._centered.T)
        return torch.addmm(self._squares + self._short, self._centered[query], self._centered.T, alpha=-2)

    def of_query(self, query: Tensor) -> Tensor:
        """(Q,) the part of scores that all others of a query share."""
        return (self._squares + self._short)[query] * (self._metric != "inner-product")

    def error(self, query: Tensor) -> Tensor:
        """(Q,) the most by which rounding moves a score: of a product over D terms, D 2^-53 |q| |x|."""
        terms = self._points.shape[1] + 8
        if self._metric == "inner-product":
            length: Tensor = self._points[query].norm(dim=1)
            return length * self._largest * (terms * 2.0**-52)
        reach: Tensor = self._squares[query].sqrt() + self._largest
        return reach.square() * (terms * 2.0**-52)

    def by_differences(self, query: Tensor, row: Tensor) -> Tensor:
        """(M,) true scores of M pairs."""
        scores = torch.empty(len(query), dtype=self._points.dtype, device=query.device)
        at_once = max(1, NUMBERS_AT_ONCE // max(1, self._points.shape[1]))
        for start in range(0, len(query), at_once):
            part = slice(start, start + at_once)
            if self._metric == "inner-product":
                scores[part] = -(self._points[query[part]] * self._centered[row[part]]).sum(1)
            else:
                scores[part] = (self._points[query[part]] - self._points[row[part]]).square_().sum(1)
        return scores if self._metric == "inner-product" else scores + self._short[query] + self._short[row]

    def all_by_differences(self, query: Tensor) -> Tensor:
        """(Q, N) true scores."""
        if self._metric == "inner-product":
            count = len(self._points)
            everybody = torch.arange(count, device=query.device).repeat(len(query))
            return self.by_differences(query.repeat_interleave(count), everybody).view(-1, count)
        apart = torch.cdist(self._points[query], self._points, compute_mode="donot_use_mm_for_euclid_dist")
        return apart.square_() + (self._short[query, None] + self._short)

    def distance(self, query: Tensor, scores: Tensor) -> Tensor:
        """(Q, L) distances of scores."""
        match self._metric:
            case "euclidean":
                return scores.clamp_min(0).sqrt()
            case "squared-euclidean":
                return scores.clamp_min(0)
            case "cosine":
                return scores / 2
            case "inner-product":
                return scores - (self._points[query] @ self._center)[:, None]

    def slack(self, query: Tensor, scores: Tensor) -> Tensor:
        """(Q, L) or (Q, 1) by how much true scores of one distance may differ."""
        return 4 * self.error(query)[:, None] if self._metric == "inner-product" else TIE * scores.abs()


def _ranked(measure: _Measure, query: Tensor, depth: int) -> Iterator[Ranked]:
    scores = measure.by_products(query).scatter_(1, query[:, None], torch.inf)
    others = scores.shape[1] - 1
    depth = min(depth, others)
    scores, row = scores.topk(min(depth + 1, others), 1, largest=False, sorted=True)
    scores = scores.add_(measure.of_query(query)[:, None])
    close = scores.diff(dim=1) <= 2 * measure.error(query)[:, None]
    if scores.shape[1] > depth:
        cut = close[:, depth - 1]
        if bool(cut.any()):  # who belongs to the nearest is not decided, or belongs to a tie
            yield _all_ranked(measure, query[cut])
        query, scores, row, close = query[~cut], scores[~cut, :depth], row[~cut, :depth], close[~cut, : depth - 1]
    if not len(query):
        return
    tied = torch.zeros_like(close)
    unsure = close.any(1)
    if bool(unsure.any()):
        scores[unsure], row[unsure], tied[unsure] = _settled(
            measure, query[unsure], scores[unsure], row[unsure], close[unsure]
        )
    yield Ranked(query, row, measure.distance(query, scores), _ties(tied))


def _all_ranked(measure: _Measure, query: Tensor) -> Ranked:
    """All others of the queries, by differences alone."""
    scores = measure.all_by_differences(query).scatter_(1, query[:, None], torch.inf)
    scores, row = (values[:, :-1] for values in scores.sort(dim=1, stable=True))
    tied = scores.diff(dim=1) <= measure.slack(query, scores[:, 1:])
    scores, row = _by_row(scores, row, tied)
    return Ranked(query, row, measure.distance(query, scores), _ties(tied))


def _settled(
    measure: _Measure, query: Tensor, scores: Tensor, row: Tensor, close: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """True scores, in order, where neighbours are `close`; their rows; and (Q, L - 1) whether two neighbours tie."""
    unsure = pad(close, (0, 1)) | pad(close, (1, 0))
    if float(unsure.sum()) > MOST_LISTED * unsure.numel():
        scores = torch.where(unsure, measure.all_by_differences(query).gather(1, row), scores)
    else:
        at, place = unsure.nonzero(as_tuple=True)
        scores[at, place] = measure.by_differences(query[at], row[at, place])
    scores, order = scores.sort(dim=1)
    row = row.gather(1, order)
    # What was not close is as far apart as before, at the same places.
    tied = close & (scores.diff(dim=1) <= measure.slack(query, scores[:, 1:]))
    return *_by_row(scores, row, tied), tied


def _by_row(scores: Tensor, row: Tensor, tied: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the order of rows inside ties; what of them rounding tells apart says nothing."""
    if not bool(((row.diff(dim=1) < 0) & tied).any()):
        return scores, row
    order = row.argsort(dim=1)
    group = pad(~tied, (1, 0)).cumsum(1)
    order = order.gather(1, group.gather(1, order).argsort(dim=1, stable=True))
    return scores.gather(1, order), row.gather(1, order)


def _ties(tied: Tensor) -> Ties | None:
    """Of (Q, L - 1) whether each place ties with the next."""
    if not bool(tied.any()):
        return None
    places = torch.arange(tied.shape[1] + 1, device=tied.device).expand(len(tied), -1)
    start = places.masked_fill(pad(tied, (1, 0)), 0).cummax(1).values
    last = places.masked_fill(pad(tied, (0, 1)), tied.shape[1]).flip(1).cummin(1).values.flip(1)
    return Ties(start, last + 1)
