"""Distances of anchors to rows that were chosen for them."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.relevance import AnyQuery

_GATHERED = 1 << 24
"""Coordinates held at once."""


def distances_to(query: AnyQuery, rows: Tensor, distance: Distance) -> Tensor:
    """(Q, K) distances from the anchors to rows (Q, K) of the bank; inf where a row is -1.

    All of a line are computed alike, so that equal points have equal distances to the last bit.
    """
    bank = query.bank
    found = torch.empty(rows.shape, dtype=bank.embeddings.dtype, device=bank.device)
    step = max(1, _GATHERED // max(1, rows.shape[1] * bank.dim))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        at_rows = distance.prepare_exactly(bank.embeddings[rows[part].clamp(min=0)])
        at_anchors = distance.prepare_exactly(query.at(part).vectors)
        found[part] = distance.prepared_rowwise(at_anchors[:, None, :], at_rows)
    return found.masked_fill(rows < 0, torch.inf)
