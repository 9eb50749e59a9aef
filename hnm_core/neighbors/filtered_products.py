"""Exact search in many dimensions on the CPU: coarse products choose, exact values decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.bank import Bank
from hnm_core.launching import launching
from hnm_core.neighbors.copies import Copies
from hnm_core.neighbors.found import SearchProgress, report
from hnm_core.neighbors.leading import LEAST_ANCHORS, MOST_K, LeadingRows, cells_of, worth
from hnm_core.relevance import Placed

if TYPE_CHECKING:
    from hnm_core.neighbors.cpu.center_kernels import Sums
    from hnm_core.neighbors.cpu.filter_kernels import Rows, Waiting
    from hnm_core.neighbors.cpu.guess_kernels import Sample
    from hnm_core.neighbors.cpu.leading_kernels import Packed

_BLOCK = 32
"""Rows and coordinates are multiplied in multiples of it."""
_ROWS = 2_048
"""Anchors between two reports of progress."""
_BATCH = 32
"""Blocks of anchors that one thread holds in its cache."""
_CHUNK = 4
"""Blocks of columns that it multiplies with each of them, one after the other."""
_SPAN = 32
"""Blocks of rows in a span, see `pairing`, at most: two spans stay in the cache of a thread."""
_SHARE = 8
"""Spans for each thread, at least: then all end a round at about the same time."""
_ROOM = 128
"""About what an anchor's list has room for, beside 3 k."""
_LISTED = 1 << 24
"""Rows that the lists of all anchors together have room for, at most: 128 MiB."""
_WAITING = 1 << 17
"""Anchors of a tile times k, at most, which bounds the lists of what waits to be measured."""
_CONVERTED = 1 << 18
"""Coordinates that are prepared in float64 at once."""
_SAMPLE = 10.0
"""Rows of the sample, times the root of all: a larger one guesses better, but is multiplied with every anchor."""
_LEAST_EVERY = 8
"""A sample holds no more than this share of the rows, or it costs more than its guess saves."""
_GOLDEN = (math.sqrt(5) - 1) / 2
_FEW = 2.0**-56
"""The least slack and size of a row other than 0: their product is more than all that underflow can take."""


class FilteredProducts:
    """Best rows by products about the mean, in bfloat16 where the processor has matrix units for it (AMX).

    Every product comes with a bound of its rounding, so the answer is that of exact values, see `filtering`.
    """

    def __init__(self, points: Tensor, queries: Callable[[], Tensor], bank: Bank, *, inner: bool, coarse: bool) -> None:
        """Prepare the rows.

        Args:
            points: (N, D') float32, sorted by class as the bank is; D' is the dimension of the bank or one more, and
                may be filled up with zeros.
            queries: gives (N, D') the same rows as anchors, once they are; they differ from `points` behind the
                dimension of the bank at most.
            bank: for the order of its rows.
            inner: search by the inner product, else by the squared distance.
            coarse: multiply in bfloat16; the processor must have matrix units.
        """
        self.coarse = coarse
        self._inner = inner
        self._given = points
        self._kind = torch.bfloat16 if coarse else torch.float32
        self._dim = bank.dim
        self._count = len(bank) + -len(bank) % _BLOCK
        self._points = _wide(points)
        self._row, self._place = _array(bank.order), _array(bank.place)
        self._run = _runs(self._points)
        self._queries = queries
        sums = [points[part, : self._dim].sum(0, dtype=torch.float64) for part in self._parts(len(points))]
        self._center = torch.stack(sums).sum(0) / len(points)
        self._uneven = torch.arange(1, self._dim + 1, dtype=torch.float64).sqrt().numpy()
        self._own_base, self._own_slack = self._measure()
        self._copies = Copies(points, self._key, bank.class_of_row[bank.order], bank.order)
        self._sides: dict[bool, tuple[Rows, Sample | None]] = {}
        self._leading: LeadingRows | None = None
        self._leading_is_worth: bool | None = None

    def search(
        self,
        anchors: Placed,
        k: int,
        farthest: bool,
        progress: SearchProgress | None,
        vectors: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The nearest negatives or farthest positives of Q anchors.

        The anchors are rows, or lines of `vectors` (A, D') float32, which are prepared as the `queries` were.

        Returns (Q, k) values, best and so smallest first: squared distances or -2 times inner products, negated for
        the farthest; and rows of the caller. inf and -1 where there is none.
        """
        asked = self._own if vectors is None else self._asked(vectors)
        side = self._side(farthest, asked).without(self._copies.beaten(k, own=farthest))
        rank = self._rank(k, side)
        count = len(anchors.place)
        report(progress, 0, count)
        if self._may_pair(anchors.place, k, rank):
            scores, found, sure = self._pass_pairs(anchors, k, side, rank, progress)
        elif vectors is not None and not farthest and (leading := self._leads(vectors, k)) is not None:
            scores, found, sure = self._pass(anchors, k, side, 0, progress, leading)
        else:
            scores, found, sure = self._pass(anchors, k, side, rank, progress)
        missed = np.flatnonzero(~sure)
        if len(missed):
            again = anchors.at(torch.from_numpy(missed))
            scores[missed], found[missed], _ = self._pass(again, k, side, 0, None)
        report(progress, count, count)
        return torch.from_numpy(scores), torch.from_numpy(found)

    def _pass(
        self,
        anchors: Placed,
        k: int,
        side: _Side,
        rank: int,
        progress: SearchProgress | None,
        leading: LeadingRows | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """Scores, rows and whether they are sure, with limits guessed from the sample at `rank`; 0 guesses nothing.
        With `leading`, by products of leading coordinates."""
        from hnm_core.neighbors.cpu.filter_kernels import settle

        points = None if leading is None else leading.points(side.rows.bias)
        count = len(anchors.place)
        scores, found = np.empty((count, k), np.float32), np.empty((count, k), np.int64)
        sure = np.empty(count, np.bool_)
        step = max(_BLOCK, min(_ROWS, _WAITING // k // _BLOCK * _BLOCK))
        for start in range(0, count, step):
            part = slice(start, min(start + step, count))
            waiting = self._waiting(anchors.at(part), k, side)
            if leading is not None:
                self._filter_by_leading(leading, points, waiting, k, side)
            else:
                self._filter(waiting, k, side, rank)
            with launching():
                settle(k, side.rows, waiting, scores[part], found[part], sure[part])
            report(progress, min(part.stop, count - 1), count)
        return scores, found, sure

    def _may_pair(self, places: Tensor, k: int, rank: int) -> bool:
        """Whether to use each product for both of its rows.

        All rows must be anchors whose limits are guessed, and all their lists fit into memory; and what is relevant to
        each other must be so both ways, as in a class. In bfloat16 products are too cheap to gain by it.
        """
        count = len(self._given)
        if self.coarse or not rank or len(places) != count or count * (_ROOM + 3 * k) > _LISTED:
            return False
        return bool((places == torch.arange(count)).all())

    def _pass_pairs(
        self, anchors: Placed, k: int, side: _Side, rank: int, progress: SearchProgress | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """The same as `_pass` for all rows, with half the products."""
        from hnm_core.neighbors.cpu.filter_kernels import settle
        from hnm_core.neighbors.cpu.guess_kernels import guess_limits
        from hnm_core.neighbors.cpu.pair_kernels import filter_pairs, rounds

        count = len(self._given)
        waiting = self._waiting(anchors, k, side)
        with launching():
            guess_limits(self._packed, self._dim, rank, _shares(rank), side.sample, side.rows.rounding, waiting)
        groups = self._count // _BLOCK
        width = max(1, min(_SPAN, groups // (_SHARE * torch.get_num_threads())))
        spans = -(-groups // width)
        done = 0
        for pairs in rounds(spans):
            with launching():
                filter_pairs(pairs, width, self._packed, self._dim, k, side.rows, waiting)
            done += len(pairs)
            report(progress, (count - 1) * 2 * done // (spans * (spans + 1)), count)
        scores, found, sure = (
            np.empty((count, k), np.float32),
            np.empty((count, k), np.int64),
            np.empty(count, np.bool_),
        )
        with launching():
            settle(k, side.rows, waiting, scores, found, sure)
        return scores, found, sure

    def _leads(self, vectors: Tensor, k: int) -> LeadingRows | None:
        """Leading coordinates, where products of them make a search faster: found out at the first of many vectors. In
        bfloat16 whole products take less time than the measuring of what these let pass."""
        if self.coarse or k > MOST_K or len(vectors) < LEAST_ANCHORS * cells_of(len(self._given)):
            return None
        if self._leading_is_worth is None:
            leading = worth(self._given, vectors, self._center, self._term, k)
            if leading is not None:
                self._leading = LeadingRows(leading, self._given, self._rounding)
            self._leading_is_worth = leading is not None  # no sooner: several threads may ask
        return self._leading

    def _rank(self, k: int, side: _Side) -> int:
        """The place in the sample's order that almost surely comes after the k-th best of all; 0 for no guess."""
        if side.sample is None:
            return 0
        there = k / side.sample.every  # so many of the k best are in the sample, if chance is even
        rank = math.ceil(there + 3 * math.sqrt(there) + 3)
        return rank if _shares(rank) * 4 * _BLOCK <= len(side.sample.bias) else 0

    def _parts(self, count: int) -> Iterator[slice]:
        """Slices of so many rows that are prepared at once; whole blocks, but for the last."""
        step = max(_BLOCK, _CONVERTED // self._dim // _BLOCK * _BLOCK)
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))

    def _pack(
        self,
        rows: NDArray[np.float32],
        which: NDArray[np.int64],
        *,
        into: NDArray[Any],
        points: bool = False,
        sign: float = 1.0,
    ) -> Sums:
        """Pack rows (N, D'') about the mean, times `sign`; where `into` is empty they are only measured."""
        from hnm_core.neighbors.cpu.center_kernels import center_rows, no_sums

        sums = no_sums(len(which))
        with launching():
            center_rows(
                rows, which, self._dim, self._center.numpy(), self._uneven, np.float32(sign), points, into, sums
            )
        return sums

    @cached_property
    def _own(self) -> _Asked:
        """What is known of the rows as anchors."""
        queries = self._queries()
        wide = self._points if queries is self._given else _wide(queries)
        return _Asked(wide, self._own_base, self._own_slack)

    def _measure(self) -> tuple[Tensor, NDArray[np.float32]]:
        """Take the norms and what rounding costs, and pack the points for the kernels. Returns base and slack of the
        rows as anchors."""
        from hnm_core.neighbors.cpu import blocks

        count, dim = len(self._given), self._dim
        self._packed = blocks.room(count, dim, coarse=self.coarse)
        sums = self._pack(self._points, np.arange(count), into=self._packed, points=True)
        norm, lost, term, rest, self._key = (torch.from_numpy(each) for each in sums)
        self._term = term if self._inner else (norm.square() + rest) / -2
        # Rounding of one product: of either factor, and of adding up in float32.
        self._share = max(2.0**-30, min(2.0**-8, float((lost / norm.clamp_min(1e-300)).max())))
        self._rounding = (dim + 24) * 2.0**-24
        size = torch.maximum(norm, lost / self._share).clamp_min(_FEW).where(norm > 0, 0.0)
        self._size = _array(pad(size, (0, self._count - count)).float())
        return self._base(norm, term), self._slack(norm, lost)

    def _asked(self, vectors: Tensor) -> _Asked:
        """What has to be known of vectors (A, D') as anchors."""
        wide = _wide(vectors)
        sums = self._pack(wide, np.arange(len(wide)), into=self._packed[:0])
        norm, lost, term, *_ = (torch.from_numpy(each) for each in sums)
        return _Asked(wide, self._base(norm, term), self._slack(norm, lost))

    def _base(self, norm: Tensor, term: Tensor) -> Tensor:
        """(A,) float64, `base` of the kernels for the nearest; `term` counts for the inner product alone."""
        return (term + self._center.square().sum()) * -2 if self._inner else norm.square()

    def _slack(self, norm: Tensor, lost: Tensor) -> NDArray[np.float32]:
        """(A,) `slack` of the kernels."""
        slack = 1.01 * (lost + (norm + lost) * (self._share + self._rounding))
        return _array(slack.clamp_min(_FEW).where(norm > 0, 0.0).float())

    def _side(self, farthest: bool, asked: _Asked) -> _Side:
        """What a search in one direction needs, made once but for the anchors."""
        from hnm_core.neighbors.cpu.filter_kernels import Rows

        sign = -1.0 if farthest else 1.0
        if farthest not in self._sides:
            count = len(self._given)
            bias = self._term * sign
            bias = (bias + self._rounding * bias.abs()).float()
            rows = Rows(
                self._points,
                self._points,  # in the place of the anchors, which are others at every call
                _array(pad(bias, (0, self._count - count), value=-math.inf)),
                self._size,
                self._size.reshape(-1, _BLOCK).max(1),
                self._run,
                self._row,
                self._place,
                np.float32(8 * self._rounding),
                self._inner,
                np.float32(sign),
            )
            self._sides[farthest] = (rows, None if farthest else self._sample(rows.bias))
        rows, sample = self._sides[farthest]
        return _Side(farthest, sign, rows._replace(queries=asked.wide), sample, asked)

    def _sample(self, bias: NDArray[np.float32]) -> Sample | None:
        """Evenly spaced rows; none where they would be hardly fewer than all."""
        from hnm_core.neighbors.cpu import blocks
        from hnm_core.neighbors.cpu.guess_kernels import Sample

        every = int(math.sqrt(len(self._given)) / _SAMPLE)
        if every < _LEAST_EVERY:
            return None
        chosen = np.arange(0, len(self._given), every)
        packed = blocks.room(len(chosen), self._dim, coarse=self.coarse)
        self._pack(self._points, chosen, into=packed, points=True)
        bias = np.pad(bias[chosen], (0, -len(chosen) % _BLOCK), constant_values=-np.inf)
        return Sample(packed, bias, every)

    def _waiting(self, anchors: Placed, k: int, side: _Side) -> Waiting:
        """An empty list for the anchors, filled up to whole blocks."""
        from hnm_core.neighbors.cpu.filter_kernels import waiting_list

        place, low, high, index = (values.numpy() for values in anchors)
        base = side.asked.base[anchors.line] * side.sign
        base -= base.abs() * 2.0**-20
        more = (0, -len(place) % _BLOCK)
        return waiting_list(
            np.pad(place, more, constant_values=-1),
            np.pad(low, more),
            np.pad(high, more),
            np.pad(index, more, constant_values=-1),
            np.pad(_array(base.float()), more),
            np.pad(side.asked.slack[index], more),
            k,
            self._count,
            own=side.farthest,
        )

    def _filter(self, waiting: Waiting, k: int, side: _Side, rank: int) -> None:
        from hnm_core.neighbors.cpu import blocks
        from hnm_core.neighbors.cpu.filter_kernels import filter_products
        from hnm_core.neighbors.cpu.guess_kernels import guess_limits

        packed = blocks.room(len(waiting.anchor), self._dim, coarse=self.coarse)
        self._pack(side.asked.wide, waiting.anchor, into=packed, sign=side.sign)
        groups = len(waiting.anchor) // _BLOCK
        batch = max(1, min(_BATCH, -(-groups // torch.get_num_threads())))
        order = _scattered(-(-self._count // (_BLOCK * _CHUNK)))
        steps = blocks.steps(self._dim, coarse=self.coarse)
        with launching():
            if rank:
                guess_limits(packed, steps, rank, _shares(rank), side.sample, side.rows.rounding, waiting)
            filter_products(packed, self._packed, steps, order, _CHUNK, batch, k, side.rows, waiting)

    def _filter_by_leading(
        self, leading: LeadingRows, points: Packed | None, waiting: Waiting, k: int, side: _Side
    ) -> None:
        from hnm_core.neighbors.cpu.leading_kernels import filter_leading, seed_limits

        numbers = leading.numbers(torch.from_numpy(side.asked.wide), torch.from_numpy(waiting.anchor))
        near, packed = leading.cells.near(numbers), leading.anchors(numbers, waiting.anchor)
        groups = len(waiting.anchor) // _BLOCK
        batch = max(1, min(_BATCH, -(-groups // torch.get_num_threads())))
        order = _scattered(-(-self._count // (_BLOCK * _CHUNK)))
        with launching():
            seed_limits(near, leading.cells.offsets, leading.cells.members, k, side.rows, waiting)
            filter_leading(packed, points, leading.width, order, _CHUNK, batch, k, side.rows, waiting)


@dataclass(frozen=True)
class _Asked:
    """What is known of anchors: all rows, by place, or all vectors of a search."""

    wide: NDArray[np.float32]
    """(A, D'') float32, D'' a multiple of 16."""
    base: Tensor
    """(A,) float64, for the nearest."""
    slack: NDArray[np.float32]
    """(A,) float32."""


@dataclass(frozen=True)
class _Side:
    """One direction of search: the nearest negatives or the farthest positives."""

    farthest: bool
    sign: float
    rows: Rows
    sample: Sample | None
    """To guess first limits from."""
    asked: _Asked
    """The anchors."""

    def without(self, places: Tensor) -> _Side:
        """The same side, where some places pass no filter."""
        if not len(places):
            return self
        bias = self.rows.bias.copy()
        bias[places.numpy()] = -np.inf
        return replace(self, rows=self.rows._replace(bias=bias))


def _shares(rank: int) -> int:
    """Blocks of lanes whose maxima are compared: so many that the `rank` best rarely meet in one lane."""
    return -(-rank // 12)


def _scattered(count: int) -> NDArray[np.int64]:
    """0 .. count - 1, neighbours far apart.

    Rows come sorted by class, so the nearest may come last; met in this order, every limit soon comes close to its end.
    """
    stride = max(1, round(count * _GOLDEN))
    while math.gcd(stride, count) > 1:
        stride += 1
    return np.arange(count, dtype=np.int64) * stride % max(1, count)


def _runs(points: NDArray[np.float32]) -> NDArray[np.int32]:
    """(N,) a number for each row, the same as that of the row before where they are equal."""
    from hnm_core.neighbors.cpu.center_kernels import differing

    differs = np.empty(len(points), np.bool_)
    with launching():
        differing(points, differs)
    return differs.cumsum(dtype=np.int32)


def _array(values: Tensor) -> NDArray[Any]:
    return np.ascontiguousarray(values.numpy())


def _wide(points: Tensor) -> NDArray[Any]:
    """(N, D) float32 with D filled up with zeros to a multiple of 16."""
    missing = -points.shape[1] % 16
    return np.ascontiguousarray((pad(points, (0, missing)) if missing else points).numpy())
