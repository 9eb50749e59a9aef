"""Even draws without repeats from groups too large to be listed."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def uniform(count: int, generator: Generator, device: torch.device) -> Tensor:
    """(count,) float64 in [0, 1), drawn where the generator lives."""
    return torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device).to(device)


def below(limits: Tensor, generator: Generator) -> Tensor:
    """(M,) int64: for each limit n >= 1 an even draw from 0 .. n - 1."""
    drawn = (uniform(len(limits), generator, limits.device) * limits).long()
    return drawn.minimum(limits - 1)


def distinct(counts: Tensor, keep: int, generator: Generator) -> Tensor:
    """Up to `keep` different members of every group, drawn evenly.

    Members are numbered through: group g holds the numbers after those of the groups before it. Memory grows with what
    is kept, not with the groups.

    Args:
        counts: (G,) int64, members of each group.
        keep: at least 1.

    Returns:
        (M,) int64 numbers, ascending.
    """
    offsets = counts.cumsum(0) - counts
    large = counts > 2 * keep
    small_group = (~large).nonzero()[:, 0]
    group = small_group.repeat_interleave(counts[small_group])
    inside = _running(counts[small_group])
    candidates = offsets[group] + inside
    wanting = large.nonzero()[:, 0]
    while len(wanting):
        # Of a group more than twice as large as what is kept, draws with repeats soon give enough different members;
        # any set of that many is as likely as any other.
        drawn_group = wanting.repeat_interleave(keep + keep // 2 + 8)
        drawn = offsets[drawn_group] + below(counts[drawn_group], generator)
        candidates = torch.unique(torch.cat((candidates, drawn)))
        group = _group_of(candidates, offsets, counts)
        have = torch.bincount(group, minlength=len(counts))
        wanting = (large & (have < keep)).nonzero()[:, 0]
    group = _group_of(candidates, offsets, counts)
    shuffled = torch.argsort(uniform(len(candidates), generator, counts.device))
    by_group = shuffled[torch.argsort(group[shuffled], stable=True)]
    rank = _running(torch.bincount(group, minlength=len(counts)))
    return candidates[by_group[rank < keep]].sort().values


def _running(counts: Tensor) -> Tensor:
    """0 .. n - 1 for each count n, one after the other."""
    total = int(counts.sum())
    starts = (counts.cumsum(0) - counts).repeat_interleave(counts)
    return torch.arange(total, device=counts.device) - starts


def _group_of(numbers: Tensor, offsets: Tensor, counts: Tensor) -> Tensor:
    return torch.searchsorted(offsets + counts, numbers, right=True)
