"""What a ranking with ties is worth: any order inside a tie is as good as another, so the mean over all of them
(McSherry, Najork 2008)."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.evaluation.nearest import Ties


def expected(hit: Tensor, ties: Ties | None) -> tuple[Tensor, Tensor]:
    """(Q, L) float64 each: the expected relevance rel_i of every place i, and the expected P(i) rel_i, P(i) = hits up
    to i / i.

    Args:
        hit: (Q, L) bool, relevance in ranked order; the order inside ties does not matter.
        ties: of these rankings, none of them cut off; None where there are none.
    """
    place = torch.arange(1, hit.shape[1] + 1, device=hit.device, dtype=torch.float64)
    if ties is None:
        return hit.double(), hit * (hit.cumsum(1) / place)
    before, in_group, size = groups(hit, ties)
    share = in_group / size
    others = (place - ties.start - 1) * (in_group - 1) / (size - 1).clamp(min=1)
    return share, share * (before + 1 + others) / place


def groups(hit: Tensor, ties: Ties) -> tuple[Tensor, Tensor, Tensor]:
    """(Q, L) float64 each: hits before the tie of each place, hits in it, items in it."""
    so_far = torch.nn.functional.pad(hit.cumsum(1), (1, 0)).double()
    before = so_far.gather(1, ties.start)
    return before, so_far.gather(1, ties.end) - before, (ties.end - ties.start).double()


def expected_reciprocal(hit: Tensor, ties: Ties | None, depth: int | None = None) -> Tensor:
    """(Q,) float64: the expected 1 / place of the first hit; 0 where there is none, or none among the first `depth`."""
    first, some = hit.int().argmax(1), hit.any(1)
    if ties is None:
        return torch.where(some & (first < (depth or hit.shape[1])), 1 / (first + 1).double(), 0.0)
    _, in_group, size = groups(hit, ties)
    start = ties.start.gather(1, first[:, None])
    here = ties.start == start
    left = size - (torch.arange(hit.shape[1], device=hit.device) - start)  # items of the tie from this place on
    missed = torch.where(here, ((left - in_group) / left).clamp(min=0), 1.0).cumprod(1)
    up_to = torch.nn.functional.pad(missed[:, :-1], (1, 0), value=1.0)
    place = torch.arange(1, hit.shape[1] + 1, device=hit.device, dtype=torch.float64)
    return (here * (up_to - missed) / place)[:, :depth].sum(1) * some
