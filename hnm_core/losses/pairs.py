"""Which pairs a loss looks at: one line an anchor, its positives and its negatives side by side."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.labels import share_a_label
from hnm_core.losses.base import Batch, Part
from hnm_core.losses.named_pairs import are_many, pair_distances

COUNTED = 64
"""Pairs are counted into cells where there is one for so many cells, and sorted where they are fewer."""
WHOLE = 8
"""A side with a different pair in every so many cells is kept as all cells, not as a list of pairs."""


class Side(NamedTuple):
    """The positives (or the negatives) of A anchors."""

    row: Tensor
    """(A, K) rows of the reference set; anything where `mask` is False"""
    mask: Tensor
    """(A, K) bool"""
    times: Tensor | None = None
    """(A, K) how often each pair counts; None is once"""
    whole: bool = False
    """whether the columns are all rows of the reference set, in order"""

    def weights(self, like: Tensor) -> Tensor:
        """(A, K) how often each entry counts, 0 where there is none."""
        return self.mask.to(like.dtype) if self.times is None else self.times.to(like.dtype) * self.mask

    def lse(self, logits: Tensor) -> Tensor:
        """(A,) log of the sum of exp(logits (A, K)) over each line; -inf, with gradient 0, for an empty line."""
        if self.times is not None:
            logits = logits + self.times.to(logits.dtype).clamp_min(1).log()
        return torch.where(self.mask, logits, -torch.inf).logsumexp(1)

    def level(self, logit: float) -> Tensor:
        """(A,) what `lse` is where all logits are this one."""
        counts = self.mask.sum(1) if self.times is None else (self.times * self.mask).sum(1)
        return counts.float().log() + logit

    def any(self) -> Tensor:
        """(A,) whether the line has an entry."""
        return self.mask.sum(1) > 0  # several times as fast as torch's own any


class Lines(NamedTuple):
    """The pairs of a call, one line an anchor."""

    anchor: Tensor
    """(A,) row of the embeddings"""
    positive: Side
    negative: Side

    def distances(self, distance: Distance, x: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of prepared embeddings to the positives (A, Kp) and to the negatives (A, Kn).

        O(B^2) numbers at most; anything finite where the sides' masks are False.
        """
        at_anchor = x if len(self.anchor) == len(x) else x.index_select(0, self.anchor)
        sides = self.positive, self.negative
        if not any(side.whole for side in sides):
            named = [side.mask.nonzero(as_tuple=True) for side in sides]
            if not are_many(sum(len(line) for line, _ in named), at_anchor, ref):
                rows = [(line, side.row[line, place]) for side, (line, place) in zip(sides, named, strict=True)]
                listed = pair_distances(distance, at_anchor, ref, *rows)
                positive, negative = (
                    value.new_zeros(side.mask.shape).index_put(entry, value)
                    for side, entry, value in zip(sides, named, listed, strict=True)
                )
                return positive, negative
        matrix = distance.prepared_pairwise(at_anchor, ref, mend=True)
        positive, negative = (matrix if side.whole else matrix.gather(1, side.row) for side in sides)
        return positive, negative


class Entries(NamedTuple):
    """The entries of one side as a list."""

    value: Tensor
    """(T,)"""
    line: Tensor
    """(T,)"""
    row: Tensor
    """(T,) of the reference set"""
    times: Tensor | None
    """(T,); None is once"""


def entries(side: Side, values: Tensor) -> Entries:
    """The values (A, K) that `side` holds, listed line by line."""
    line, place = side.mask.nonzero(as_tuple=True)
    times = None if side.times is None else side.times[line, place]
    return Entries(values[line, place], line, side.row[line, place], times)


def pair_part(value: Tensor, pairs: Entries, lines: Lines) -> Part:
    """Terms of single pairs, each counted as often as its pair."""
    anchor = lines.anchor[pairs.line]
    if pairs.times is None:
        return Part(value, anchor)
    return Part(value * pairs.times.to(value.dtype), anchor, pairs.times, pairs.times * (value > 0))


def pair_lines(batch: Batch, *, keep_multiplicity: bool = False) -> Lines:
    """The pairs that a batch's tuples name, or all there are.

    A pair that was mined several times counts once, or as often as it was mined if `keep_multiplicity`.
    """
    if batch.tuples is None:
        positive, negative = pair_masks(batch)
        row = torch.arange(len(batch.ref), device=batch.x.device).expand(positive.shape)
        anchor = torch.arange(len(batch.x), device=batch.x.device)
        return Lines(anchor, Side(row, positive, whole=True), Side(row, negative, whole=True))
    a1, p, a2, n = batch.tuples if len(batch.tuples) == 4 else (*batch.tuples[:2], batch.tuples[0], batch.tuples[2])
    named = tuple(_Named.of(*pair, batch, keep_multiplicity) for pair in ((a1, p), (a2, n)))
    anchor = (named[0].rows() | named[1].rows()).nonzero().flatten()
    return Lines(anchor, *(side.at(anchor) for side in named))


def compact(side: Side, values: Tensor) -> tuple[Side, Tensor]:
    """The side and its values (A, K) with the gaps closed: as few columns as the longest line has entries."""
    longest = int(side.mask.sum(1).max()) if side.mask.numel() else 0
    order = side.mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :longest]
    times = None if side.times is None else side.times.gather(1, order)
    closed = Side(side.row.gather(1, order), side.mask.gather(1, order), times)
    return closed, values.gather(1, order)


def pair_masks(batch: Batch) -> tuple[Tensor, Tensor]:
    """(B, R) bool: which pairs are positive, which are negative; a row is no positive of itself."""
    same = share_a_label(batch.labels, batch.ref_labels, same_set=batch.same_set)
    negative = ~same
    if batch.same_set:
        same.fill_diagonal_(False)
    return same, negative


class _Named(NamedTuple):
    """The named pairs of one kind, each once: in all cells, or the cells alone where they are few."""

    shape: tuple[int, int]
    """(B, R)"""
    cell: Tensor | None
    """(T,) rising; None where `times` holds all cells"""
    times: Tensor
    """(T,) or (B, R) how often; bool where that does not matter"""

    @classmethod
    def of(cls, anchor: Tensor, row: Tensor, batch: Batch, keep: bool) -> _Named:
        shape = len(batch.x), len(batch.ref)
        cells = shape[0] * shape[1]
        cell = torch.add(row, anchor, alpha=shape[1])
        if COUNTED * len(cell) < cells:
            cell, times = torch.unique(cell, return_counts=True)
            return cls(shape, cell, times if keep else times > 0)
        if keep:
            times = torch.bincount(cell, minlength=cells)
        else:
            times = torch.zeros(cells, dtype=torch.bool, device=cell.device).index_fill_(0, cell, True)
        if WHOLE * int(times.count_nonzero()) >= cells:
            return cls(shape, None, times.view(shape))
        cell = times.nonzero().flatten()
        return cls(shape, cell, times[cell])

    def rows(self) -> Tensor:
        """(B,) whether a row is the anchor of a pair."""
        if self.cell is None:
            return self.times.sum(1) > 0
        return torch.bincount(self.cell // max(self.shape[1], 1), minlength=self.shape[0]) > 0

    def at(self, anchor: Tensor) -> Side:
        """The lines of the (A,) anchors, which are all that there are."""
        rows, n_ref = self.shape
        keep = self.times.dtype != torch.bool
        if self.cell is None:
            times = self.times if len(anchor) == rows else self.times[anchor]
            row = torch.arange(n_ref, device=anchor.device).expand(times.shape)
            return Side(row, times > 0, times, whole=True) if keep else Side(row, times, whole=True)
        line_of = anchor.new_zeros(rows)
        line_of[anchor] = torch.arange(len(anchor), device=anchor.device)
        line, row = line_of[self.cell // max(n_ref, 1)], self.cell % max(n_ref, 1)
        sizes = torch.bincount(line, minlength=len(anchor))
        width = int(sizes.max()) if len(anchor) else 0
        place = torch.arange(len(line), device=line.device) - (sizes.cumsum(0) - sizes)[line]
        shape = (len(anchor), width)
        closed = line.new_zeros(shape).index_put_((line, place), row)
        mask = torch.zeros(shape, dtype=torch.bool, device=line.device)
        mask[line, place] = True
        return Side(closed, mask, line.new_zeros(shape).index_put_((line, place), self.times) if keep else None)
