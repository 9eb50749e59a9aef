"""Which pairs a loss looks at: one line an anchor, its positives and its negatives side by side."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.losses.base import Batch, Part
from hnm_core.losses.named_pairs import are_many, pair_distances

SPARSE = 8
"""A side with at least one pair in so many cells is kept as all cells, not as a list of pairs."""


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
        matrix = distance.prepared_pairwise(at_anchor, ref)
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
    seen = torch.bincount(a1, minlength=len(batch.x))
    if a2 is not a1:
        seen += torch.bincount(a2, minlength=len(batch.x))
    anchor, line1, line2 = seen.nonzero().flatten(), a1, a2
    if len(anchor) < len(batch.x):
        line_of = (seen > 0).cumsum(0) - 1
        line1 = line_of.index_select(0, a1)
        line2 = line1 if a2 is a1 else line_of.index_select(0, a2)
    shape = (len(anchor), len(batch.ref))
    return Lines(anchor, _side(line1, p, shape, keep_multiplicity), _side(line2, n, shape, keep_multiplicity))


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


def _side(line: Tensor, row: Tensor, shape: tuple[int, int], keep: bool) -> Side:
    """The named pairs, each once: all cells of `shape` (A, R), or the named ones close up where they are few."""
    lines, n_ref = shape
    key = torch.add(row, line, alpha=n_ref)
    if SPARSE * len(key) < lines * n_ref:
        keys, times = torch.unique(key, return_counts=True)
    else:
        counts = torch.bincount(key, minlength=lines * n_ref)
        if SPARSE * int(counts.count_nonzero()) >= lines * n_ref:
            counts = counts.view(shape)
            rows = torch.arange(n_ref, device=row.device).expand(shape)
            return Side(rows, counts > 0, counts if keep else None, whole=True)
        keys = counts.nonzero().flatten()
        times = counts[keys]
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
