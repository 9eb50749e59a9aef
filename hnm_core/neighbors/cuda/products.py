"""Exact search in any dimension on a CUDA device: products of torch, selection by select.cu."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.cuda import best, kernels, launches, operands
from hnm_core.neighbors.cuda.operands import Operands
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.euclidean import EuclideanForm, euclidean_form, with_vectors
from hnm_core.neighbors.found import Neighbors, SearchProgress, none_found, report
from hnm_core.relevance import Placed, Query, VectorQuery

_ROWS = 16_384
"""Anchors at once: what is done once for all of them takes the host longer than the device."""
_TILE = 1 << 26
"""Numbers of 4 bytes in a tile of products: 256 MiB, whatever the size of the bank."""
_SPARE = 16
"""Candidates beyond k that are measured again exactly, because products are rounded."""
_TIE = 2e-5
"""Squared distances that differ by less than this share count as equal."""


class CudaProducts(QuerySearch):
    """Exact in any dimension, under any metric: products choose candidates, which are then measured exactly.

    Products about the mean come in tiles, of which a kernel keeps the k + 16 best columns of each anchor; another
    forms their distances from differences (for the inner product in float64). Where the rounding of the products could
    have hidden a better row, the anchor is searched again by `Dense`.
    """

    approximate = False
    description = "exact, by products of which CUDA kernels keep the best, measured again from differences"

    def __init__(
        self,
        distance: Distance | None = None,
        device_kernels: kernels.Kernels | None = None,
        *,
        in_parts: bool | None = None,
    ) -> None:
        """`device_kernels` are those of the bank's device unless given; `in_parts`, see `operands`, is what the device
        can do."""
        self._distance = distance or Distance()
        self._given = device_kernels
        self._in_parts = in_parts

    def _build(self, bank: Bank) -> None:
        """See `NeighborSearch`. Raises `InputError` where there are no kernels."""
        self._kernels = self._given or kernels.of(bank.device)
        self._form = None
        if self._distance.metric == "inner-product":
            self._points = self._queries = self._distance.prepare_exactly(bank.sorted_embeddings)
            centered = centered_queries = self._points
            self._term: Tensor | None = None
        else:
            self._form = euclidean_form(self._distance, bank.sorted_embeddings)
            self._points, self._queries = self._form.points, self._form.queries
            self._center = self._points.mean(0, dtype=torch.float64)
            centered = (self._points.double() - self._center).float()
            same = self._queries is self._points
            centered_queries = centered if same else (self._queries.double() - self._center).float()
            term = centered.double().square().sum(1).float()
            self._term = torch.nn.functional.pad(term, (0, -len(bank) % launches.WIDE))
        in_parts = operands.multiplies_parts(bank.device) if self._in_parts is None else self._in_parts
        self._operands = operands.operands(centered_queries, centered, in_parts=in_parts)
        self._own = _Asked(self._form, self._queries, self._operands, centered_queries.double().norm(dim=1))
        self._point_norm = centered.double().norm(dim=1).max()
        self._order = bank.order.to(torch.int32)
        self._bank = bank
        self._dense: Dense | None = None

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search(query, k, False, progress)

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search(query, k, True, progress)

    def _search(self, query: Query, k: int, farthest: bool, progress: SearchProgress | None) -> Neighbors:
        bank = query.bank
        found = none_found(bank, len(query), k)
        kept = min(k, len(bank))
        anchors, slots = query.by_place()
        asked = self._asked(query.vectors) if isinstance(query, VectorQuery) else self._own
        unsure = torch.zeros(len(query), dtype=torch.bool, device=bank.device)
        step = max(1, min(_ROWS, launches.at_once(kept + _SPARE)))
        report(progress, 0, len(query))
        for start, spans in zip(range(0, len(query), step), self._spans(anchors, step, farthest), strict=True):
            part = slice(start, start + step)
            here, where = anchors.at(part), slots[part]
            rough = self._candidates(asked, here, kept + _SPARE, spans, farthest)
            keys = self._measured(asked, here, rough, farthest)
            scores, last = best.float_scores(keys), best.float_scores(rough[:, -1])
            unsure[where] = self._may_have_missed(asked.norm[here.line], last, scores[:, kept - 1], farthest)
            found.distance[where, :kept] = _as_distance(asked.form, scores[:, :kept], here.line, farthest)
            found.row[where, :kept] = best.rows(keys[:, :kept])
            report(progress, min(start + step, len(query)), len(query))
        if bool(unsure.any()):
            again = unsure.nonzero()[:, 0]
            if self._dense is None:
                self._dense = Dense(distance=self._distance)
                self._dense.build(bank)
            ask = self._dense.farthest if farthest else self._dense.nearest
            found.distance[again], found.row[again] = ask(query.at(again), k)
        return found

    def _asked(self, vectors: Tensor) -> _Asked:
        """What has to be known of vectors (A, D)."""
        form, queries = with_vectors(self._form, self._distance, vectors)
        centered = queries if form is None else (queries.double() - self._center).float()
        return _Asked(form, queries, self._operands.asked(centered), centered.double().norm(dim=1))

    def _spans(self, anchors: Placed, step: int, farthest: bool) -> Iterator[list[tuple[int, int]]]:
        """For each chunk of anchors the spans of columns to multiply with, which begin at multiples of 8. One look at
        the device serves them all."""
        firsts = torch.arange(0, len(anchors.place), step, device=anchors.place.device)
        lasts = (firsts + step - 1).clamp_max(len(anchors.place) - 1)
        ends = torch.stack([anchors.low[firsts], anchors.high[firsts], anchors.low[lasts], anchors.high[lasts]])
        for first_low, first_high, last_low, last_high in ends.T.tolist():
            if farthest:
                yield [(_down(first_low), last_high)]
            elif (first_low, first_high) == (last_low, last_high):  # one class, whose columns nobody may choose
                yield [(0, first_low), (_down(first_high), len(self._points))]
            else:
                yield [(0, len(self._points))]

    def _candidates(
        self, asked: _Asked, anchors: Placed, kept: int, spans: list[tuple[int, int]], farthest: bool
    ) -> Tensor:
        """(R, kept) keys of rounded scores and places, ascending."""
        places = anchors.place
        width = max(launches.WIDE, _down(_TILE // len(places)))
        tiles = [(a, min(a + width, end)) for first, end in spans for a in range(first, end, width)]
        if not tiles:
            return torch.full((len(places), kept), best.NO_KEY, device=places.device)
        sign = -1 if farthest else 1
        queries = asked.operands.queries[anchors.line]
        terms = None if self._term is None else self._term * sign
        widest = max(_up(end) - start for start, end in tiles)
        select = launches.TileSelect(self._kernels, launches.anchors(anchors), kept, widest, farthest=farthest)
        memory = torch.empty(len(places) * widest, dtype=torch.float32, device=places.device)
        for number, (start, end) in enumerate(tiles):
            select.add(
                asked.operands.multiply(queries, start, _up(end), memory),
                end - start,
                None if terms is None else terms[start:],
                sign * (-1 if terms is None else -2),
                start,
                begins=number == 0,
                ends=number == len(tiles) - 1,
            )
        return select.best()

    def _measured(self, asked: _Asked, anchors: Placed, rough: Tensor, farthest: bool) -> Tensor:
        """(R, M) keys of exact scores and the caller's rows, ascending; see `launches.measure`."""
        keys = launches.measure(
            self._kernels,
            self._points,
            asked.queries,
            self._order,
            launches.anchors(anchors),
            rough,
            product=self._form is None,
            farthest=farthest,
        )
        return keys.sort(1).values

    def _may_have_missed(self, query: Tensor, last: Tensor, worst: Tensor, farthest: bool) -> Tensor:
        """(R,) whether a row that was not kept could beat the k-th that was, by more than a tie.

        Args:
            query: (R,) float64 lengths of the anchors, about the mean.
            last: (R,) the last rounded score that was kept; no row that was not has one below it.
            worst: (R,) the k-th exact score.
        """
        point = self._point_norm
        error = (1 if self._term is None else 2) * self._operands.rounding * query * point
        least = last.double()
        if self._term is not None:
            # Beside the product: what rounding the centred coordinates, the squares and the sum can do.
            error += 6 * 2.0**-24 * (query.square() + point.square())
            least += query.square() * (-1 if farthest else 1)
        least = least - error
        if self._term is not None and not farthest:
            least = least.clamp_min(0)  # no distance is below 0, so a k-th of 0 cannot be beaten
        missed: Tensor = least < worst.double() - _TIE * worst.double().abs()
        return missed & last.isfinite()


@dataclass(frozen=True)
class _Asked:
    """What is known of anchors: all rows, by place, or all vectors of a query."""

    form: EuclideanForm | None
    queries: Tensor
    """(A, D') float32, what is measured."""
    operands: Operands
    """With these anchors, about the mean."""
    norm: Tensor
    """(A,) float64, their lengths about the mean."""


def _as_distance(form: EuclideanForm | None, scores: Tensor, anchors: Tensor, farthest: bool) -> Tensor:
    if form is not None:
        return form.distance(scores.abs(), anchors)
    return torch.where(scores == torch.inf, scores, -scores if farthest else scores)


def _down(place: int) -> int:
    return place // launches.WIDE * launches.WIDE


def _up(place: int) -> int:
    return -(-place // launches.WIDE) * launches.WIDE
