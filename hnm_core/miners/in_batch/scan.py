"""Finds, for every positive pair, the negatives whose value lies in an interval, without ever forming B x B x B."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor

from hnm_core.miners.base import Triplets
from hnm_core.miners.in_batch import draws
from hnm_core.miners.in_batch.batch import kernels_usable
from hnm_core.miners.in_batch.buffer import MOST_BYTES, Buffer
from hnm_core.miners.in_batch.miner import Mined
from hnm_core.miners.in_batch.options import BatchOptions

WORTH_THREADS = 1 << 22
"""Tuples from which on several threads list them. For some milliseconds torch's own threads keep their processors busy
waiting for more, so threads beside them help only with what takes longer than that."""
WORTH_STREAMING = 1 << 19
"""Tuples from which on they are written past the caches, which would not hold them (12 MB)."""
MOST_STREAMING = MOST_BYTES // 24
"""Longer lists lie in memory that the system has just cleared, so that its pages are in the caches."""
TILE = 1 << 22
"""Values that are compared at once where there are no kernels; about 50 MB."""


@dataclass(frozen=True, eq=False)
class Scan:
    """Negative n qualifies for pair t = (a, p) where low < first[a, n] + second[p, n] - base[t] <= high.

    Attributes:
        first: (B, R), NaN where n is no negative of a.
        base: (M,), one for each pair.
        anchor, positive: (M,) int64, the pairs, by anchor.
        low, high: the interval.
        second: (R, R), or None for 0.
        buffer: where long lists lie.
    """

    first: Tensor
    base: Tensor
    anchor: Tensor
    positive: Tensor
    low: float
    high: float
    second: Tensor | None = None
    buffer: Buffer = field(default_factory=Buffer)

    def counts(self) -> Tensor:
        """(M,) int64, how many negatives qualify for each pair."""
        counts = torch.zeros(len(self.anchor), dtype=torch.int64, device=self.first.device)
        if not self._compiled():
            for start, inside in self._tiles():
                torch.sum(inside, 1, out=counts[start : start + len(inside)])
            return counts
        from hnm_core.miners.in_batch import kernels as compiled

        first, second, base, low, high, anchor, positive = self._arrays()
        compiled.count(first, second, base, low, high, anchor, positive, counts.numpy())
        return counts

    def all(self, counts: Tensor) -> Triplets:
        """Every qualifying triplet, by anchor, positive, negative; `counts` as `counts()` gives them."""
        total = int(counts.sum())
        if not self._compiled():
            found = torch.empty((3, total), dtype=torch.int64, device=self.first.device)
            filled = 0
            for start, inside in self._tiles():
                pair, negative = inside.nonzero(as_tuple=True)
                pair += start
                part = found[:, filled : filled + len(pair)]
                part[0], part[1], part[2] = self.anchor[pair], self.positive[pair], negative
                filled += len(pair)
            return Triplets(*found.unbind())
        from hnm_core.miners.in_batch import kernels as compiled

        first, second, base, low, high, anchor, positive = self._arrays()
        found = self.buffer.take(3, total)
        ends = counts.cumsum(0)

        def fill(begin: int, end: int) -> None:
            streaming = WORTH_STREAMING <= total <= MOST_STREAMING
            pairs = (first, second, base, low, high, anchor, positive, ends.numpy())
            compiled.list_all(*pairs, begin, end, found.numpy(), streaming)

        parts = torch.get_num_threads()
        if parts == 1 or total < WORTH_THREADS:
            fill(0, len(ends))
        else:
            bounds = torch.searchsorted(ends, torch.arange(parts + 1) * total // parts).tolist()
            with ThreadPoolExecutor(parts - 1) as pool:
                others = [pool.submit(fill, *span) for span in pairwise([*bounds[1:-1], len(ends)])]
                fill(0, bounds[1])
                for other in others:
                    other.result()
        return Triplets(*found.unbind())

    def some(self, counts: Tensor, wanted: Tensor) -> Triplets:
        """The triplets at the places `wanted` (W,) int64, ascending, of `all(counts)`, which is not built."""
        ends = counts.cumsum(0)
        pair = torch.searchsorted(ends, wanted, right=True)
        rank = wanted - (ends - counts)[pair]
        used, which = torch.unique_consecutive(pair, return_inverse=True)
        negative = torch.empty_like(wanted)
        part = Scan(
            self.first, self.base[used], self.anchor[used], self.positive[used], self.low, self.high, self.second
        )
        for start, inside in part._tiles():
            in_tile = slice(int(torch.searchsorted(which, start)), int(torch.searchsorted(which, start + len(inside))))
            column = inside.nonzero()[:, 1]
            per_pair = inside.sum(1)
            first_of_pair = per_pair.cumsum(0) - per_pair
            negative[in_tile] = column[first_of_pair[which[in_tile] - start] + rank[in_tile]]
        return Triplets(self.anchor[pair], self.positive[pair], negative)

    def _tiles(self) -> Iterator[tuple[int, Tensor]]:
        """First pair and (T, R) bool of which negatives qualify, tile by tile."""
        rows = max(1, TILE // max(1, self.first.shape[1]))
        for start in range(0, len(self.anchor), rows):
            tile = slice(start, start + rows)
            value = self.first[self.anchor[tile]]
            if self.second is not None:
                value += self.second[self.positive[tile]]
            value -= self.base[tile, None]
            yield start, (value > self.low) & (value <= self.high)

    def _arrays(self) -> tuple[Any, ...]:
        """What the kernels take; the interval in the precision of the values, as torch compares them."""
        first = self.first.contiguous().numpy()
        second = None if self.second is None else self.second.contiguous().numpy()
        low, high = first.dtype.type(self.low), first.dtype.type(self.high)
        return first, second, self.base.contiguous().numpy(), low, high, self.anchor.numpy(), self.positive.numpy()

    def _compiled(self) -> bool:
        return kernels_usable(self.first.device, len(self.anchor) * self.first.shape[1])


def capped(scan: Scan, options: BatchOptions, generator: Generator) -> Mined:
    """All that qualify, or where the options cap them an even draw, found without listing the rest."""
    counts = scan.counts()
    found = int(counts.sum())
    wanted = limited(scan.anchor, counts, options, generator)
    return Mined(scan.all(counts) if wanted is None else scan.some(counts, wanted), found)


def one_each(scan: Scan, options: BatchOptions, generator: Generator) -> Mined:
    """For every pair that has qualifying negatives one of them, drawn evenly; then the caps."""
    counts = scan.counts()
    some = counts > 0
    wanted = ((counts.cumsum(0) - counts)[some]) + draws.below(counts[some], generator)
    drawn = scan.some(counts, wanted)
    return thinned(drawn, options, generator)


def thinned(triplets: Triplets, options: BatchOptions, generator: Generator) -> Mined:
    """Triplets, by anchor, after the caps of the options."""
    ones = torch.ones_like(triplets.anchor)
    wanted = limited(triplets.anchor, ones, options, generator)
    found = len(ones)
    return Mined(triplets if wanted is None else Triplets(*(vector[wanted] for vector in triplets)), found)


def limited(anchor: Tensor, counts: Tensor, options: BatchOptions, generator: Generator) -> Tensor | None:
    """Places that the caps leave of `counts` tuples for each entry of `anchor`, ascending; None where all stay."""
    per_anchor, total = options.max_per_anchor, options.max_tuples
    wanted = None
    found = int(counts.sum())
    if per_anchor is not None and found:
        of_anchor = torch.zeros(int(anchor.max()) + 1, dtype=torch.int64, device=anchor.device)
        of_anchor.index_add_(0, anchor, counts)
        if int(of_anchor.max()) > per_anchor:
            wanted = draws.distinct(of_anchor, per_anchor, generator)
            found = len(wanted)
    if total is not None and found > total:
        kept = draws.distinct(torch.tensor([found], device=anchor.device), total, generator)
        wanted = kept if wanted is None else wanted[kept]
    return wanted


def open_end(value: float, like: Tensor) -> float:
    """The largest number below `value` in the precision of `like`: closes an interval whose end is left out."""
    end = torch.tensor(value, dtype=like.dtype)
    return float(torch.nextafter(end, torch.full_like(end, -torch.inf)))
