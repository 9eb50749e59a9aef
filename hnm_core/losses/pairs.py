"""Which pairs a loss looks at: one line an anchor, its positives and its negatives side by side."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.losses.base import Batch, Part


class Side(NamedTuple):
    """The positives (or the negatives) of A anchors."""

    row: Tensor
    """(A, K) rows of the reference set; anything where `mask` is False"""
    mask: Tensor
    """(A, K) bool"""
    times: Tensor | None = None
    """(A, K) how often each pair counts; None is once"""

    def weights(self, like: Tensor) -> Tensor:
        """(A, K) how often each entry counts, 0 where there is none."""
        return self.mask.to(like.dtype) if self.times is None else self.times.to(like.dtype) * self.mask

    def lse(self, logits: Tensor) -> Tensor:
        """(A,) log of the sum of exp(logits (A, K)) over each line; -inf, with gradient 0, for an empty line."""
        if self.times is not None:
            logits = logits + self.times.to(logits.dtype).clamp_min(1).log()
        return logits.masked_fill(~self.mask, -torch.inf).logsumexp(1)

    def any(self) -> Tensor:
        """(A,) whether the line has an entry."""
        return self.mask.any(1)


class Lines(NamedTuple):
    """The pairs of a call, one line an anchor."""

    anchor: Tensor
    """(A,) row of the embeddings"""
    positive: Side
    negative: Side
    whole: bool
    """whether both sides span every row of the reference set"""

    def distances(self, distance: Distance, x: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        """Distances of prepared embeddings to the positives (A, Kp) and to the negatives (A, Kn).

        O(B^2) numbers at most; anything finite where the sides' masks are False.
        """
        if self.whole:
            matrix = distance.prepared_pairwise(x, ref)
            return matrix, matrix
        pairs = int(self.positive.mask.sum()) + int(self.negative.mask.sum())
        if pairs * x.shape[1] > 4 * len(self.anchor) * len(ref):  # listing both ends of every pair would cost more
            matrix = distance.prepared_pairwise(x[self.anchor], ref)
            return matrix.gather(1, self.positive.row), matrix.gather(1, self.negative.row)
        return self._listed(distance, x, ref, self.positive), self._listed(distance, x, ref, self.negative)

    def _listed(self, distance: Distance, x: Tensor, ref: Tensor, side: Side) -> Tensor:
        line, place = side.mask.nonzero(as_tuple=True)
        value = distance.prepared_rowwise(x[self.anchor[line]], ref[side.row[line, place]])
        return value.new_zeros(side.mask.shape).index_put((line, place), value)


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
        return Lines(anchor, Side(row, positive), Side(row, negative), whole=True)
    a1, p, a2, n = batch.tuples if len(batch.tuples) == 4 else (*batch.tuples[:2], batch.tuples[0], batch.tuples[2])
    anchor, line = torch.unique(torch.cat((a1, a2)), return_inverse=True)
    line1, line2 = line.split([len(a1), len(a2)])
    positives = _side(line1, p, len(anchor), len(batch.ref), keep_multiplicity)
    negatives = _side(line2, n, len(anchor), len(batch.ref), keep_multiplicity)
    return Lines(anchor, positives, negatives, whole=False)


def compact(side: Side, values: Tensor) -> tuple[Side, Tensor]:
    """The side and its values (A, K) with the gaps closed: as few columns as the longest line has entries."""
    longest = int(side.mask.sum(1).max()) if side.mask.numel() else 0
    order = side.mask.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :longest]
    times = None if side.times is None else side.times.gather(1, order)
    closed = Side(side.row.gather(1, order), side.mask.gather(1, order), times)
    return closed, values.gather(1, order)


def pair_masks(batch: Batch) -> tuple[Tensor, Tensor]:
    """(B, R) bool: which pairs are positive, which are negative; a row is no positive of itself."""
    same = batch.labels[:, None] == batch.ref_labels[None, :]
    negative = ~same
    if batch.same_set:
        same.fill_diagonal_(False)
    return same, negative


def _side(line: Tensor, row: Tensor, lines: int, n_ref: int, keep: bool) -> Side:
    keys, times = torch.unique(line * n_ref + row, return_counts=True)
    line, row = keys // max(n_ref, 1), keys % max(n_ref, 1)
    sizes = torch.bincount(line, minlength=lines)
    width = int(sizes.max()) if lines else 0
    place = torch.arange(len(line), device=line.device) - (sizes.cumsum(0) - sizes)[line]
    rows = line.new_zeros((lines, width))
    rows[line, place] = row
    mask = torch.zeros((lines, width), dtype=torch.bool, device=line.device)
    mask[line, place] = True
    if not keep:
        return Side(rows, mask)
    counted = line.new_zeros((lines, width))
    counted[line, place] = times
    return Side(rows, mask, counted)
