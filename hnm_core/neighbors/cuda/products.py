"""Exact search in any dimension on a CUDA device: products of torch, selection by select.cu."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import Neighbors, SearchProgress, check_query, report
from hnm_core.neighbors.cuda import best, kernels, launches
from hnm_core.neighbors.cuda.placed import Placed, none_found
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.euclidean import euclidean_form
from hnm_core.neighbors.selection import by_score_then_row

_ROWS = 2_048
_COLUMNS = 16_384
"""A tile of products is at most 2,048 x 16,384 numbers of 4 bytes, 128 MiB, whatever the size of the bank."""
_GATHERED = 1 << 25
"""Coordinates of candidates held at once."""
_SPARE = 16
"""Candidates beyond k that are measured again exactly, because products are rounded."""
_TIE = 2e-5
"""Squared distances that differ by less than this share count as equal."""
_FACTOR_ROUNDING = {"highest": 0.0, "high": 2.0**-10, "medium": 2.0**-8}
"""What `torch.set_float32_matmul_precision` lets a product of two numbers lose by rounding them first."""


class CudaProducts:
    """Exact in any dimension, under any metric: products choose candidates, which are then measured exactly.

    Products of float32 about the mean come in tiles, of which a kernel keeps the k + 16 best columns of each anchor;
    their distances are formed from differences (for the inner product in float64). Where the rounding of the products
    could have hidden a better row, the anchor is searched again by `Dense`.
    """

    approximate = False
    description = "exact, by products of which CUDA kernels keep the best, measured again from differences"

    def __init__(self, distance: Distance | None = None, device_kernels: kernels.Kernels | None = None) -> None:
        """`device_kernels` are those of the bank's device unless given."""
        self._distance = distance or Distance()
        self._given = device_kernels
        self._bank: Bank | None = None

    def build(self, bank: Bank) -> None:
        """See `NeighborSearch`. Raises `InputError` where there are no kernels."""
        self._kernels = self._given or kernels.of(bank.device)
        self._form = None
        if self._distance.metric == "inner-product":
            self._points = self._queries = self._distance.prepare(bank.sorted_embeddings)
            self._centered = self._centered_queries = self._points
            self._term: Tensor | None = None
        else:
            self._form = euclidean_form(self._distance, bank.sorted_embeddings)
            self._points, self._queries = self._form.points, self._form.queries
            center = self._points.mean(0, dtype=torch.float64)
            self._centered = (self._points.double() - center).float()
            same = self._queries is self._points
            self._centered_queries = self._centered if same else (self._queries.double() - center).float()
            self._term = self._centered.double().square().sum(1).float()
        self._query_norm = self._centered_queries.double().norm(dim=1)
        self._point_norm = self._centered.double().norm(dim=1).max()
        self._placed = Placed(bank)
        self._bank = bank
        self._dense: Dense | None = None

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
        unsure = torch.zeros(len(anchors), dtype=torch.bool, device=bank.device)
        step = max(1, min(_ROWS, launches.at_once(kept + _SPARE)))
        report(progress, 0, len(anchors))
        for start, spans in zip(range(0, len(anchors), step), self._spans(places, step, farthest), strict=True):
            here, where = places[start : start + step], slots[start : start + step]
            rough, columns = self._candidates(here, kept + _SPARE, spans, farthest)
            scores = self._exact(here, columns, farthest)
            unsure[where] = self._may_have_missed(here, rough, scores, kept, farthest)
            scores, rows = by_score_then_row(scores, bank.order[columns.clamp_min(0)].where(columns >= 0, -1))
            found.distance[where, :kept] = self._as_distance(scores[:, :kept], here, farthest)
            found.row[where, :kept] = rows[:, :kept]
            report(progress, min(start + step, len(anchors)), len(anchors))
        if bool(unsure.any()):
            again = unsure.nonzero()[:, 0]
            if self._dense is None:
                self._dense = Dense(distance=self._distance)
                self._dense.build(bank)
            ask = self._dense.farthest_positives if farthest else self._dense.nearest_negatives
            found.distance[again], found.row[again] = ask(anchors[again], k)
        return found

    def _spans(self, places: Tensor, step: int, farthest: bool) -> Iterator[list[tuple[int, int]]]:
        """For each chunk of anchors the spans of columns to multiply with. One look at the device serves them all."""
        firsts = torch.arange(0, len(places), step, device=places.device)
        lasts = places[(firsts + step - 1).clamp_max(len(places) - 1)]
        firsts = places[firsts]
        ends = torch.stack([self._placed.low[firsts], self._placed.high[firsts]])
        ends = torch.cat([ends, torch.stack([self._placed.low[lasts], self._placed.high[lasts]])])
        for first_low, first_high, last_low, last_high in ends.T.tolist():
            if farthest:
                yield [(first_low, last_high)]
            elif first_low == last_low:  # one class, whose columns nobody may choose
                yield [(0, first_low), (first_high, len(self._points))]
            else:
                yield [(0, len(self._points))]

    def _candidates(
        self, places: Tensor, kept: int, spans: list[tuple[int, int]], farthest: bool
    ) -> tuple[Tensor, Tensor]:
        """(R, kept) rounded scores, ascending, and places; inf and -1 where there are fewer."""
        tiles = [(a, min(a + _COLUMNS, end)) for first, end in spans for a in range(first, end, _COLUMNS)]
        if not tiles:
            empty = torch.full((len(places), kept), best.NO_KEY, device=places.device)
            return best.float_scores(empty), best.rows(empty)
        sign = -1 if farthest else 1
        queries = self._centered_queries[places]
        terms = None if self._term is None else self._term * sign
        select = launches.TileSelect(self._kernels, self._placed.anchors(places), kept, _COLUMNS, farthest=farthest)
        buffer = torch.empty(len(places) * min(_COLUMNS, len(self._points)), device=places.device)
        for number, (start, end) in enumerate(tiles):
            tile = buffer[: len(places) * (end - start)].view(len(places), end - start)
            torch.mm(queries, self._centered[start:end].T, out=tile)
            select.add(
                tile,
                None if terms is None else terms[start:end],
                sign * (-1 if terms is None else -2),
                start,
                begins=number == 0,
                ends=number == len(tiles) - 1,
            )
        keys = select.best()
        return best.float_scores(keys), best.rows(keys)

    def _exact(self, places: Tensor, columns: Tensor, farthest: bool) -> Tensor:
        """(R, M) squared distances from differences (for the inner product float64 products), negated for the farthest;
        inf where columns are -1."""
        scores = torch.empty(columns.shape, device=places.device)
        step = max(1, _GATHERED // (columns.shape[1] * self._points.shape[1]))
        for start in range(0, len(places), step):
            part = slice(start, start + step)
            points, queries = self._points[columns[part].clamp_min(0)], self._queries[places[part], None]
            if self._form is None:
                scores[part] = -(points.double() * queries.double()).sum(-1).float()
            else:
                scores[part] = (points - queries).square_().sum(-1)
        return (scores.neg_() if farthest else scores).masked_fill_(columns < 0, torch.inf)

    def _may_have_missed(self, places: Tensor, rough: Tensor, scores: Tensor, k: int, farthest: bool) -> Tensor:
        """(R,) whether a row that was not kept could beat the k-th that was, by more than a tie.

        No row that was not kept has a rounded score below the last that was. A product of float32 over D terms is off
        by at most D 2^-24 |q| |x|, in whatever order the terms are added; the rest bounds what rounding the centred
        coordinates, the squares and the sum can do.
        """
        query, point = self._query_norm[places], self._point_norm
        factor = 1 if self._term is None else 2
        terms = (self._points.shape[1] + 8) * 2.0**-24 + _FACTOR_ROUNDING[torch.get_float32_matmul_precision()]
        error = factor * terms * query * point
        least = rough[:, -1].double()
        if self._term is not None:
            error += 6 * 2.0**-24 * (query.square() + point.square())
            least += query.square() * (-1 if farthest else 1)
        least = least - error
        if self._term is not None and not farthest:
            least = least.clamp_min(0)  # no distance is below 0, so a k-th of 0 cannot be beaten
        worst = scores.kthvalue(k, dim=1).values.double()
        missed: Tensor = least < worst - _TIE * worst.abs()
        return missed & rough[:, -1].isfinite()

    def _as_distance(self, scores: Tensor, places: Tensor, farthest: bool) -> Tensor:
        if self._form is not None:
            return self._form.distance(scores.abs(), places)
        return torch.where(scores == torch.inf, scores, -scores if farthest else scores)
