"""Exact search in any dimension, on any device: tiles of distances over the class-sorted bank."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from hnm_core import kernels
from hnm_core.bank import Bank
from hnm_core.distances import EXACT_DIFFERENCE_DIM, Distance
from hnm_core.neighbors.base import BuiltAnew, built
from hnm_core.neighbors.copies import Copies
from hnm_core.neighbors.euclidean import MAX_TREE_DIM, EuclideanForm, euclidean_form, with_vectors
from hnm_core.neighbors.filtered_products import FilteredProducts
from hnm_core.neighbors.found import Neighbors, SearchProgress, none_found, report
from hnm_core.neighbors.machine import matrix_units
from hnm_core.neighbors.near_blocks import LEAST_ROWS, MOST_K, NearBlocks, products_take, worth
from hnm_core.neighbors.options import DenseOptions
from hnm_core.neighbors.selection import NO_KEY, by_score_then_row, keys_of, of_keys, smallest, smallest_keys
from hnm_core.relevance import Placed, Query, Ranges, RowQuery, VectorQuery

_ROWS = 256
_ROWS_ON_DEVICE = 4_096
_COLUMNS = 16_384
"""A tile of scores is at most 256 x 16,384 float32, 16 MiB, whatever the size of the bank; 256 MiB on a GPU, which
small tiles would leave idle."""
_GATHERED = 1 << 24
"""Coordinates of candidates held at once."""
_SPARE = 16
"""Candidates beyond k that are re-scored exactly, where the tile's scores are rounded."""
_FILTERED_K = 1_024
"""Longer lists are better selected tile by tile than kept in order."""
_MANY = 4
"""Blocks of near rows are made for no fewer anchors than this part of the rows."""
_PAIRS = 1 << 18
"""Pairs of an anchor and a row that are measured at once."""
_TIE = 2e-5
"""Share by which a squared distance in float32 may be off: rows within it may change places."""


class Dense(BuiltAnew):
    """Compares every anchor with every row it may choose from; memory is bounded whatever the size of the bank.

    Up to 16 dimensions scores are formed from exact coordinate differences. Above, and for the inner product, centred
    float32 products choose candidates, which are then re-scored from differences; where the rounding of the products
    could have hidden a better row, or one as good, all rows that float64 products do not rule out are re-scored. Of
    equally far rows the lowest come first, at the k-th place as inside an answer. Negatives on the CPU go through
    `FilteredProducts` instead, which does the same faster, once its kernels are compiled. Where many rows ask, and few
    anchors tell that it is faster still, `NearBlocks` leave out those that cannot be near.

    Attributes:
        looked_at: the share of the bank that the last search for negatives looked at; 1 where nothing was left out,
            None before one.
    """

    approximate = False

    def __init__(self, options: DenseOptions | None = None, distance: Distance | None = None) -> None:
        self._options = options or DenseOptions()
        self._distance = distance or Distance()
        self._filters = self._coarse = False
        self.looked_at: float | None = None

    @property
    def description(self) -> str:
        """How it searches, in words."""
        if not self._filters:
            return "exact, by tiles of distances"
        if self.looked_at is not None and self.looked_at < 1:
            return f"exact, by blocks of near rows, {100 * self.looked_at:.1f} % of them looked at, measured in float32"
        return f"exact, by {'bfloat16' if self._coarse else 'float32'} products, measured again in float32"

    def expected(self, query: Query, k: int) -> float | None:
        """Seconds, about, that `nearest` will take, on a processor of 2023; None where its kernels do not search."""
        if not self._filters:
            return None
        near, bank = self._blocks(query, k), query.bank
        each = near.each if near is not None else products_take(len(bank), bank.dim, coarse=self._coarse)
        return 1e-9 * each * len(query) / torch.get_num_threads()

    def _build(self, bank: Bank) -> None:
        """Prepare the rows of the bank, sorted by class. Any dimension, any metric."""
        inner = self._distance.metric == "inner-product"
        treeless = inner or bank.dim > MAX_TREE_DIM
        self._filters = bank.device.type == "cpu" and treeless and kernels.ready(kernels.SEARCH_KERNELS)
        rows = bank.sorted_embeddings
        self._form = None if inner else euclidean_form(self._distance, rows, in_lines=self._filters)
        self._made: _Differences | _Products | None = None
        self._made_copies: Copies | None = None
        self._made_filter: FilteredProducts | None = None
        self._near: NearBlocks | None = None
        self._near_is_worth: bool | None = None
        self._coarse = self._filters and matrix_units()
        self.looked_at = None
        self._bank = bank

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search(query, k, False, progress)

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._search(query, k, True, progress)

    @property
    def _filtered(self) -> FilteredProducts | None:
        """Made when first asked for: searches that leave out blocks do without it."""
        if self._made_filter is None and self._filters:
            points, inner = self._rows(built(self._bank))
            if self._form is not None and self._form.lines is not None:
                points = self._form.lines
            self._made_filter = FilteredProducts(
                points,
                partial(_as_anchors, points, self._form),  # no closure: a search can be pickled
                built(self._bank),
                inner=inner,
                coarse=self._coarse,
            )
        return self._made_filter

    def _rows(self, bank: Bank) -> tuple[Tensor, bool]:
        """The rows as points, and whether to search by the inner product."""
        if self._form is not None:
            return self._form.points, False
        return self._distance.prepare_exactly(bank.sorted_embeddings), True

    def _blocks(self, query: Query, k: int) -> NearBlocks | None:
        """The blocks for a search of many rows, where that pays; decided at the first."""
        bank = query.bank
        many = len(bank) >= LEAST_ROWS and _MANY * len(query) >= len(bank) and k <= MOST_K
        if not (self._filters and many and isinstance(query, RowQuery)):
            return None
        if self._near_is_worth is None:
            points, inner = self._rows(bank)
            sketched = worth(points, bank, k, inner=inner, coarse=self._coarse)
            self._near = NearBlocks(sketched, bank) if sketched is not None else None
            self._near_is_worth = sketched is not None  # no sooner: several threads may ask
        return self._near

    @property
    def _scorer(self) -> _Differences | _Products:
        """Made when first asked for: filtered negatives do without it."""
        if self._made is None:
            assert self._bank is not None
            if self._form is None:
                prepared = self._distance.prepare_exactly(self._bank.sorted_embeddings)
                self._made = _Products(prepared, prepared, None)
            elif self._bank.dim <= EXACT_DIFFERENCE_DIM:
                self._made = _Differences(self._form)
            else:
                self._made = _Products(self._form.points, self._form.queries, self._form)
        return self._made

    def _search(self, query: Query, k: int, farthest: bool, progress: SearchProgress | None) -> Neighbors:
        bank = query.bank
        near = None if farthest else self._blocks(query, k)
        if not farthest:
            self.looked_at = 1.0
        if near is not None and isinstance(query, RowQuery):
            values, rows = near.search(query, k, progress)
            self.looked_at = near.looked_at
            return Neighbors(_from_values(values, query.place, self._form, farthest), rows)
        anchors, slots = query.by_place()
        form, vectors = self._form, None
        if isinstance(query, VectorQuery):
            form, vectors = with_vectors(form, self._distance, query.vectors)
        if k <= _FILTERED_K and (filtered := self._filtered) is not None:
            lines = vectors if vectors is None or form is None else form.query_lines
            values, rows = filtered.search(anchors, k, farthest, progress, lines)
            back = slots.argsort()
            return Neighbors(_from_values(values, anchors.line, form, farthest)[back], rows[back])
        found = none_found(bank, len(query), k)
        report(progress, 0, len(query))
        scorer = self._scorer if vectors is None else self._scorer.asked(vectors, form)
        most, gathered = (_ROWS, _GATHERED) if bank.device.type == "cpu" else (_ROWS_ON_DEVICE, 4 * _GATHERED)
        step = max(1, min(most, gathered // ((k + _SPARE) * bank.dim)))
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            here, where = anchors.at(part), slots[part]
            scores, rows = self._tile(scorer, here, min(k, len(bank)), farthest)
            found.distance[where, : scores.shape[1]] = scorer.distance(scores, here.line, farthest)
            found.row[where, : scores.shape[1]] = rows
            report(progress, min(start + step, len(query)), len(query))
        return found

    def _tile(self, scorer: _Differences | _Products, anchors: Placed, k: int, farthest: bool) -> tuple[Tensor, Tensor]:
        """(R, k) best scores and rows of a tile of anchors, in order; inf and -1 where there are no more."""
        order = built(self._bank).order
        kept = k + scorer.spare
        beaten = self._beaten(k, farthest)
        rough, columns = self._best(scorer, anchors, kept, farthest, beaten)
        scores = scorer.exact(anchors.line, rough, columns, farthest)
        scores, rows = by_score_then_row(scores, order[columns.clamp_min(0)].where(columns >= 0, -1))
        if scores.shape[1] < k:
            missing = k - scores.shape[1]
            scores, rows = pad(scores, (0, missing), value=torch.inf), pad(rows, (0, missing), value=-1)
        last = scores[:, k - 1]
        unsure = scorer.may_have_missed(anchors.line, rough, last, kept, farthest)
        scores, rows = scores[:, :k], rows[:, :k]
        if unsure.any():
            keys = self._none_missed(scorer, anchors.at(unsure), last[unsure], k, farthest, beaten)
            scores[unsure], rows[unsure] = of_keys(keys)
        return scores, rows

    def _beaten(self, k: int, farthest: bool) -> Tensor | None:
        """(N,) bool, by sorted place which rows are not among the k best of any anchor, because equal ones come before
        them; None where there are none."""
        bank = built(self._bank)
        if self._made_copies is None:
            points = self._rows(bank)[0].cpu()
            key = (points.double() * torch.arange(1, points.shape[1] + 1).sqrt()).sum(1)
            order = bank.order.cpu()
            self._made_copies = Copies(points, key, bank.class_of_row.cpu()[order], order)
        place = self._made_copies.beaten(k, own=farthest)
        if not len(place):
            return None
        return torch.zeros(len(bank), dtype=torch.bool).index_fill_(0, place, True).to(bank.device)

    def _best(
        self, scorer: _Differences | _Products, anchors: Placed, k: int, farthest: bool, beaten: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """(R, <= k) best scores, unsorted, and sorted places; which of equal scores are among them is left open."""
        scores = anchors.place.new_full((len(anchors.place), 0), 0, dtype=torch.float32)
        columns = anchors.place.new_full((len(anchors.place), 0), 0)
        for start, tile in self._tiles(scorer, anchors, farthest, beaten, torch.float32):
            best, where = smallest(tile, k)
            scores, columns = torch.cat([scores, best], 1), torch.cat([columns, where + start], 1)
            scores, columns = _keep(scores, columns, k)
        return scores, columns.masked_fill(scores.isinf(), -1)

    def _none_missed(
        self,
        scorer: _Differences | _Products,
        anchors: Placed,
        last: Tensor,
        k: int,
        farthest: bool,
        beaten: Tensor | None,
    ) -> Tensor:
        """(R, k) keys of the best, in order, of anchors whose k-th score is at most `last` (R,): of all rows that may
        have that one or a better, however many they are."""
        order = built(self._bank).order
        limit = scorer.limit(anchors.line, last, farthest)[:, None]
        keys = order.new_full((len(anchors.place), k), NO_KEY)
        for start, tile in self._tiles(scorer, anchors, farthest, beaten, torch.float64):
            within = tile <= limit
            line, column = within.nonzero(as_tuple=True)
            count = within.sum(1)
            first = count.cumsum(0) - count
            found = order.new_full((len(tile), int(count.max())), NO_KEY)
            for some in torch.arange(len(line), device=line.device).split(_PAIRS):
                at, place = line[some], column[some]
                scores = scorer.of_pairs(anchors.line[at], place + start, tile[at, place], farthest)
                found[at, some - first[at]] = keys_of(scores, order[place + start])
            keys = smallest_keys(torch.cat([keys, found], 1), k)
        return keys.sort(dim=1).values

    def _tiles(
        self,
        scorer: _Differences | _Products,
        anchors: Placed,
        farthest: bool,
        beaten: Tensor | None,
        dtype: torch.dtype,
    ) -> Iterator[tuple[int, Tensor]]:
        """Scores (R, C) of the anchors and the sorted places from a first one on; inf where a row may not come back, or
        is beaten by equal ones."""
        places, relevant = anchors.place, Ranges(anchors.low, anchors.high)
        for start, end, mixed in self._spans(anchors, farthest):
            tile = scorer.scores(anchors.line, start, end, farthest, dtype)
            if beaten is not None:
                tile.masked_fill_(beaten[start:end], torch.inf)
            if mixed:
                here = relevant.hold(torch.arange(start, end, device=places.device)[None])
                tile.masked_fill_(~here if farthest else here, torch.inf)
            if farthest:
                own = places - start
                inside = (own >= 0) & (own < end - start)
                tile[inside.nonzero()[:, 0], own[inside]] = torch.inf
            yield start, tile

    def _spans(self, anchors: Placed, farthest: bool) -> Iterator[tuple[int, int, bool]]:
        """Columns to look at as (start, end, whether they are relevant to some of the anchors only)."""
        ends = torch.stack([anchors.low[0], anchors.low[-1], anchors.high[0], anchors.high[-1]])
        low, last_low, first_high, high = ends.tolist()  # one look at the device
        pure, count = (low, high) == (last_low, first_high), len(built(self._bank))
        spans = [(low, high, not pure)] if farthest else [(0, low, False), (high, count, False)]
        if not farthest and not pure:
            spans.append((low, high, True))
        for start, end, mixed in spans:
            for chunk in range(start, end, _COLUMNS):
                yield chunk, min(chunk + _COLUMNS, end), mixed


def _as_anchors(points: Tensor, form: EuclideanForm | None) -> Tensor:
    """The rows as anchors, made only once they are."""
    return points if form is None else form.query_lines


def _from_values(values: Tensor, anchors: Tensor, form: EuclideanForm | None, farthest: bool) -> Tensor:
    """Distances from what `FilteredProducts` minimises; infinity stays."""
    if form is not None:
        return form.distance(values.abs_(), anchors)
    return (values / (-2 if farthest else 2)).masked_fill_(values.isposinf(), torch.inf)


class _Differences:
    """Scores from coordinate differences: squared distances, negated for the farthest. Nothing is rounded away."""

    spare = 1
    """Candidates beyond k, which tell whether others are as good as the k-th."""

    def __init__(self, form: EuclideanForm) -> None:
        self._form = form
        self._columns = form.points.T.contiguous()

    def asked(self, _queries: Tensor, form: EuclideanForm | None) -> _Differences:
        """The same columns for the anchors of another form."""
        twin = copy.copy(self)
        twin._form = form or self._form
        return twin

    def scores(self, which: Tensor, start: int, end: int, farthest: bool, _dtype: torch.dtype) -> Tensor:
        anchors = self._form.queries[which]
        total = (anchors[:, 0, None] - self._columns[None, 0, start:end]).square_()
        gap = torch.empty_like(total)
        for axis in range(1, anchors.shape[1]):
            torch.sub(anchors[:, axis, None], self._columns[None, axis, start:end], out=gap)
            total.add_(gap.square_())
        return total.neg_() if farthest else total

    def exact(self, _which: Tensor, scores: Tensor, columns: Tensor, _farthest: bool) -> Tensor:
        """(R, M) exact scores: these, inf where columns are -1."""
        return scores.masked_fill(columns < 0, torch.inf)

    def may_have_missed(self, _which: Tensor, scores: Tensor, last: Tensor, kept: int, _farthest: bool) -> Tensor:
        """(R,) whether a row that was not kept could be as good as the k-th, whose score is `last` (R,)."""
        if scores.shape[1] < kept:
            return torch.zeros_like(last, dtype=torch.bool)  # everything was kept
        return (scores.amax(1) == last) & last.isfinite()

    def limit(self, _which: Tensor, last: Tensor, _farthest: bool) -> Tensor:
        """(R,) what no score of a row as good as `last` exceeds."""
        return last

    def of_pairs(self, _which: Tensor, _columns: Tensor, scores: Tensor, _farthest: bool) -> Tensor:
        """(M,) exact scores: these."""
        return scores

    def distance(self, scores: Tensor, which: Tensor, farthest: bool) -> Tensor:
        return self._form.distance(scores.abs(), which)


@dataclass(frozen=True)
class _Centered:
    """What products need in one precision."""

    points: Tensor
    queries: Tensor
    column_term: Tensor


class _Products:
    """Scores up to a constant of the anchor: |x|^2 - 2 q x, or -q x for the inner product, about the mean."""

    spare = _SPARE

    def __init__(self, points: Tensor, queries: Tensor, form: EuclideanForm | None) -> None:
        self._points = points
        self._queries = queries
        self._exact_points, self._exact_queries = _aligned(points), _aligned(queries)
        self._form = form
        self._center = points.double().mean(0)
        self._factor = -1.0 if form is None else -2.0
        self._single = self._centered(torch.float32)
        self._double: _Centered | None = None
        self._query_norm = self._single.queries.norm(dim=1)
        self._point_norm = float(self._single.points.norm(dim=1).max())
        self._largest_term = float(self._single.column_term.abs().max())

    def asked(self, queries: Tensor, form: EuclideanForm | None) -> _Products:
        """The same columns for other anchors, of a form where there is one."""
        twin = copy.copy(self)
        twin._queries, twin._exact_queries, twin._form = queries, _aligned(queries), form
        twin._single = replace(self._single, queries=(queries.double() - self._center).float())
        twin._double = None
        twin._query_norm = twin._single.queries.norm(dim=1)
        return twin

    def _centered(self, dtype: torch.dtype) -> _Centered:
        points = (self._points.double() - self._center).to(dtype)
        queries = points if self._queries is self._points else (self._queries.double() - self._center).to(dtype)
        exact = points.double()
        term = -(exact @ self._center) if self._form is None else exact.square().sum(1)
        return _Centered(points, queries, term.to(dtype))

    def scores(self, which: Tensor, start: int, end: int, farthest: bool, dtype: torch.dtype) -> Tensor:
        data = self._in_double() if dtype == torch.float64 else self._single
        sign = -1.0 if farthest else 1.0
        term = data.column_term[start:end] * sign
        return torch.addmm(term, data.queries[which], data.points[start:end].T, alpha=self._factor * sign)

    def _in_double(self) -> _Centered:
        if self._double is None:
            self._double = self._centered(torch.float64)
        return self._double

    def exact(self, which: Tensor, _rough: Tensor, columns: Tensor, farthest: bool) -> Tensor:
        """(R, M) scores from differences (for the inner product, float64 products), inf where columns are -1."""
        points, anchors = self._exact_points[columns.clamp_min(0)], self._exact_queries[which, None]
        return self._measured(points, anchors, farthest).masked_fill(columns < 0, torch.inf)

    def of_pairs(self, which: Tensor, columns: Tensor, _scores: Tensor, farthest: bool) -> Tensor:
        """(M,) the same for pairs of an anchor and a place."""
        return self._measured(self._exact_points[columns], self._exact_queries[which], farthest)

    def _measured(self, points: Tensor, anchors: Tensor, farthest: bool) -> Tensor:
        if self._form is None:
            scores = -(points.double() * anchors.double()).sum(-1).float()
        else:
            scores = (points - anchors).square_().sum(-1)
        return -scores if farthest else scores

    def _constant(self, which: Tensor, farthest: bool) -> Tensor:
        """(R,) float64, by how much an exact score exceeds one of `scores`."""
        anchors = self._single.queries[which].double()
        sign = -1.0 if farthest else 1.0
        constant: Tensor = -((anchors + self._center) @ self._center) if self._form is None else anchors.square().sum(1)
        return sign * constant

    def _error(self, which: Tensor, rounding: float) -> Tensor:
        """(R,) by how much a product that is rounded by this share may be off."""
        terms = self._points.shape[1] + 2
        size: Tensor = -self._factor * terms * self._query_norm[which] * self._point_norm + 2 * self._largest_term
        return rounding * size

    def limit(self, which: Tensor, last: Tensor, farthest: bool) -> Tensor:
        """(R,) what no float64 score of a row exceeds whose exact score is at most `last`."""
        data = self._in_double()
        queries = data.queries[which]
        sign = -1.0 if farthest else 1.0
        constant = -((queries + self._center) @ self._center) if self._form is None else queries.square().sum(1)
        last = last.double()
        limit: Tensor = last + _TIE * last.abs() - sign * constant + self._error(which, 2.0**-46)
        return limit

    def may_have_missed(self, which: Tensor, rough: Tensor, last: Tensor, kept: int, farthest: bool) -> Tensor:
        """(R,) whether a row that was not kept could beat the k-th that was, whose score is `last` (R,), or be as good.

        `rough` (R, kept) are float32 scores of what was kept; none that was left out has a lower one. A float32 product
        over D terms is off by at most D 2^-24 |q| |x|.
        """
        if rough.shape[1] < kept:
            return torch.zeros(len(which), dtype=torch.bool, device=which.device)  # everything was kept
        least: Tensor = rough.amax(1).double() + self._constant(which, farthest) - self._error(which, 2.0**-24)
        if self._form is not None and not farthest:
            least.clamp_min_(0)  # no distance is below 0
        last = last.double()
        missed: Tensor = least <= last + _TIE * last.abs()
        return missed & last.isfinite()

    def distance(self, scores: Tensor, which: Tensor, farthest: bool) -> Tensor:
        if self._form is None:
            return (-scores if farthest else scores).masked_fill(scores == torch.inf, torch.inf)
        return self._form.distance(scores.abs(), which)


def _aligned(rows: Tensor) -> Tensor:
    """(N, D') with zeros behind the coordinates, so that every row begins at a multiple of 16 bytes. A GPU adds rows up
    in an order that depends on where they begin, and equal rows shall get equal scores."""
    return rows if rows.device.type == "cpu" else pad(rows, (0, -rows.shape[1] % 4))


def _keep(scores: Tensor, columns: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if scores.shape[1] <= k:
        return scores, columns
    best, where = scores.topk(k, 1, largest=False, sorted=False)
    return best, columns.gather(1, where)
