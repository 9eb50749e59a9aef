"""Exact search of a whole bank in many dimensions that leaves out the blocks of rows that cannot be near."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.bank import Bank
from hnm_core.launching import launching
from hnm_core.neighbors.copies import Copies
from hnm_core.neighbors.found import SearchProgress, report
from hnm_core.neighbors.likeness import alike_together
from hnm_core.neighbors.probing import padded
from hnm_core.neighbors.sketches import SIZE, WIDE, Directions
from hnm_core.relevance import RowQuery

if TYPE_CHECKING:
    from hnm_core.neighbors.cpu.near_kernels import Rounded

MOST_K = 64
"""Longer lists let too much pass."""
LEAST_ROWS = 4_096
"""Of fewer rows, blocks are too wide."""

_BLOCK = 32
_TOGETHER = 16
"""Boxes of blocks that a kernel looks at together."""
_AXES = SIZE
"""Numbers of a sketch, the first, that boxes are made of."""
_ROWS = 4_096
"""Anchors between two reports of progress."""
_BATCH = 4
"""Blocks of anchors that one thread takes at once."""
_PROBE = 16
"""Anchors that tell whether it pays."""
_MOST_LEFT = 0.35
"""Where directions leave more of the squares, sketches rule out next to nothing."""
_SAMPLE = 1_024
"""Rows that are asked before."""
_PART = 8_192
"""Rows, about, that are asked then."""
_FEWEST_DIRECTIONS = 3
"""Rows spread in so many at least."""
_LOOKED_AT, _MEASURED, _BUILT = 0.42, 20.0, 3_600.0
"""What it costs to compare two sketches, to measure a row, and to put a row in its block: about nanoseconds."""
_LEAST_SHARE = 0.05
"""Less of the rows is hardly ever looked at: where this much would take too long, nobody is asked."""
_SURE = 0.7
"""It pays where it would take this share of the time that products of all rows take: it is guessed from few anchors."""


class Sketched(NamedTuple):
    """The rows of a bank by their sorted places, and what is known of each: see `Directions.sketches`."""

    directions: Directions
    points: Tensor
    """(N, D') float32; D' is the dimension of the bank, or one more where anchors have 0 there."""
    numbers: Tensor
    length: Tensor
    key: Tensor
    largest: float | None
    """The largest square of a row's length, for a search by the inner product; None for squared distances."""
    each: float
    """Nanoseconds an anchor, about, that a search of all rows takes one thread."""
    coarse: bool
    """Whether sketches are multiplied in bfloat16."""


def worth(points: Tensor, bank: Bank, k: int, *, inner: bool, coarse: bool) -> Sketched | None:
    """What `NearBlocks` are made of, where leaving out blocks makes the search of all rows faster; else None.

    A few anchors tell, a small share of the time that products of all rows take. They are not even asked where rows
    spread in too many directions, or where products are too fast for it.

    Args:
        points: (N, D') float32, by the bank's places; D' is the bank's dimension, or one more where anchors have 0.
        bank: which rows are of a class.
        k: neighbours.
        inner: search by the inner product, else by the squared distance.
        coarse: whether there are matrix units: then sketches are multiplied in bfloat16, and so would all rows be.
    """
    rows = points[:, : bank.dim]
    count, dim = rows.shape
    limit = _SURE * products_take(count, dim, coarse=coarse)
    if _takes(_LEAST_SHARE, k, count, dim) >= limit:
        return None
    directions = Directions.of(rows, WIDE if coarse else SIZE)
    if directions.left > _MOST_LEFT:
        return None
    largest = float(rows.square().sum(1).max()) if inner else None
    own = bank.class_of_row[bank.order]
    every = -(-count // _SAMPLE)
    # First rows of a sample ask, which is quicker still. Its neighbours are farther: if rows fill a volume, by so much.
    few, of_few = rows[::every], own[::every]
    nearer = min(1.0, k / every) ** (1 / _FEWEST_DIRECTIONS), min(1.0, _BLOCK / every) ** (1 / _FEWEST_DIRECTIONS)
    first = Sketched(directions, few, *directions.sketches(few), largest, 0.0, coarse)
    share, measured = _outlook(first, few, of_few, max(1, k // every), max(1, _BLOCK // every), nearer)
    if _takes(share, measured * every, count, dim) >= limit:
        return None
    # Then a part of the rows, where the k-th nearest of all is about the (k / n)-th of every n-th.
    every = min(max(1, count // _PART), k // 2 or 1)
    part, of_part = rows[::every], own[::every]
    second = Sketched(directions, part, *directions.sketches(part), largest, 0.0, coarse)
    share, measured = _outlook(second, part, of_part, k // every, _BLOCK // every, (1.0, 1.0))
    each = _takes(share, measured * every, count, dim)
    return Sketched(directions, points, *directions.sketches(rows), largest, each, coarse) if each < limit else None


def _takes(share: float, measured: float, count: int, dim: int) -> float:
    """Nanoseconds, about, for one thread and one anchor, where this share of `count` rows is looked at."""
    return (share + 1 / _BLOCK) * count * _LOOKED_AT + measured * (_MEASURED + dim / 8) + _BUILT


def products_take(count: float, dim: int, *, coarse: bool) -> float:
    """Nanoseconds, about, that one anchor takes one thread where products are made with all `count` rows: one for each
    row, and the choice of the best."""
    row, more = (0.05 + 0.0019 * dim, 2_000 + 15 * dim) if coarse else (0.2 + 0.0085 * dim, 1_000 + 30 * dim)
    return row * count + more


def _outlook(
    sketched: Sketched, rows: Tensor, own: Tensor, k: int, block: int, nearer: tuple[float, float]
) -> tuple[float, float]:
    """The share of the rows in blocks that cannot be ruled out, and how many rows are measured for each anchor: about,
    as a few anchors tell whose k-th nearest row of another class is found, and whose `block`-th of its own class.

    `own` (N,) are classes; `nearer` are the shares of these two distances that count.
    """
    place = torch.linspace(0, len(rows) - 1, _PROBE, dtype=torch.float64).long()
    same = own[place][:, None] == own
    squares = _squares(rows - sketched.directions.center.float(), place)
    if sketched.largest is not None:
        squares += sketched.largest - rows.square().sum(1)
    rivals = squares.masked_fill_(same, torch.inf).topk(min(k, len(rows)), largest=False).values[:, -1:]
    reach = rivals.clamp_min_(0).sqrt_() * nearer[0]
    away = _squares(sketched.numbers, place).clamp_min_(0).sqrt_()
    # A block holds neighbours of a class, so it is about as wide as those of an anchor are far; itself is not counted.
    width = away.masked_fill(~same, torch.inf).topk(min(block + 1, len(rows)), largest=False).values
    width = width.masked_fill_(width.isinf(), 0).amax(1, keepdim=True) * nearer[1]
    away.masked_fill_(same, torch.inf)
    return float((away <= reach + 2 * width).double().mean()), float((away <= reach).double().sum(1).mean())


def _squares(rows: Tensor, which: Tensor) -> Tensor:
    """(P, N) squared distances."""
    square = rows.square().sum(1)
    return torch.addmm(square[which, None] + square, rows[which], rows.T, alpha=-2)


class NearBlocks:
    """Rows stand in blocks of 32 that lie near each other, see `near_kernels`.

    Attributes:
        looked_at: share of the blocks that were not ruled out in the last search, on average; 0 before one.
        measured: rows that were measured for each anchor, on average.
        each: nanoseconds that an anchor was expected to take one thread.
    """

    def __init__(self, sketched: Sketched, bank: Bank) -> None:
        """Put the rows of the bank in blocks."""
        from hnm_core.neighbors.cpu.near_kernels import Blocks

        dim, count = bank.dim, len(bank)
        self._coarse, self._numbers = sketched.coarse, sketched.numbers.numpy()
        # A tree looks at all that it is given, and the first directions tell enough.
        self._arranged = alike_together(bank, sketched.numbers[:, :SIZE].contiguous())
        self._order = bank.place[self._arranged.rows]
        of = (sketched.points, sketched.length, sketched.key)
        points, length, key = (values.index_select(0, self._order) for values in of)
        self._copies = Copies(points, key, bank.class_of_row[self._arranged.rows], self._arranged.rows)
        packed, known = self._rounded(self._order, as_points=True)
        self._square = torch.from_numpy(known.square)
        self._longest = float(self._square.max()) ** 0.5
        error = length * sketched.directions.rounding + torch.from_numpy(known.lost) * (1 + 2.0**-40)
        self._error = error + error.max() + 2.0**-60
        self._shift = torch.zeros(count, dtype=torch.float64)
        inner = sketched.largest is not None
        if inner:
            square = points.double().square().sum(1)
            self._shift = (square + square.max()) * (1 + 2.0**-21)
        self._share = (dim + 24) * 2.0**-24
        wide = queries = padded(points)
        if points.shape[1] > dim:
            queries = wide.copy()
            queries[:, dim] = 0
        bias = np.full(known.lowest.shape[1] * _BLOCK, -np.inf, np.float32)
        bias[:count] = known.square / -2
        row, steps = self._arranged.rows.numpy(), self._steps
        self._blocks = Blocks(wide, queries, row, inner, steps, packed, bias, known.lowest, known.highest)
        self.looked_at = self.measured = 0.0
        self.each = sketched.each

    def search(self, query: RowQuery, k: int, progress: SearchProgress | None) -> tuple[Tensor, Tensor]:
        """The nearest rows of other classes: (Q, k) values, squared distances or -2 times inner products, the smallest
        first, and rows of the caller. inf and -1 where there is none."""
        from hnm_core.neighbors.cpu.near_kernels import search_blocks

        rows, beaten = self._blocks, self._copies.beaten(k, own=False)
        if len(beaten):
            bias = rows.bias.copy()
            bias[beaten.numpy()] = -np.inf
            rows = rows._replace(bias=bias)
        anchors, slots = self._arranged.by_place(query)
        count, seen, measured = len(query), 0, 0
        scores, found = np.empty((count, k), np.float32), np.empty((count, k), np.int64)
        report(progress, 0, count)
        for start in range(0, count, _ROWS):
            part = slice(start, min(start + _ROWS, count))
            here = self._anchors(*(values[part] for values in anchors))
            looked_at = np.zeros((len(here.line) // _BLOCK, 2), np.int64)
            with launching():
                search_blocks(_BATCH, k, rows, here, scores[part], found[part], looked_at)
            seen, measured = seen + int(looked_at[:, 0].sum()), measured + int(looked_at[:, 1].sum())
            report(progress, part.stop, count)
        self.looked_at = seen / max(1, -(-count // _BLOCK) * -(-len(self._square) // _BLOCK))
        self.measured = measured / max(1, count)
        back = slots.argsort()
        return torch.from_numpy(scores)[back], torch.from_numpy(found)[back]

    def _anchors(self, place: Tensor, low: Tensor, high: Tensor, line: Tensor) -> Any:
        from hnm_core.neighbors.cpu.near_kernels import Anchors

        square, more = self._square[line], (0, -len(place) % _BLOCK)
        packed, known = self._rounded(self._order[line], as_points=False)

        def filled(values: Tensor, value: float = 0) -> NDArray[Any]:
            return pad(values, more, value=value).numpy()

        return Anchors(
            filled(line, -1),
            filled(low),
            filled(high),
            packed,
            filled(square - 2.0**-18 * (square.sqrt() + 2 * self._longest).square()),
            filled(self._shift[line]),
            filled(self._error[line]),
            known.lowest,
            known.highest,
            self._share,
        )

    @property
    def _steps(self) -> int:
        from hnm_core.neighbors.cpu import blocks

        return blocks.steps(self._numbers.shape[1], coarse=self._coarse)

    def _rounded(self, which: Tensor, *, as_points: bool) -> tuple[NDArray[Any], Rounded]:
        """Sketches of rows of the bank as kernels multiply them, and what is known of them."""
        from hnm_core.neighbors.cpu import blocks
        from hnm_core.neighbors.cpu.near_kernels import Rounded, round_sketches

        count, size = len(which), self._numbers.shape[1]
        packed = blocks.room(count, size, coarse=self._coarse)
        boxes = -(-count // _BLOCK)
        lowest, highest = np.full((2, min(_AXES, size), boxes + -boxes % _TOGETHER), np.inf, np.float32)
        known = Rounded(np.empty(count), np.empty(count), lowest, highest)
        with launching():
            round_sketches(self._numbers, which.numpy(), as_points, packed, known)
        return packed, known
