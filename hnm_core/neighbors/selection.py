"""The best entries of each row of a tile, and their order."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

_BLOCK = 64
NO_KEY = (0x7F800000 << 32) | 0xFFFFFFFF
"""The key of a missing neighbour, above all others: score infinity, row -1."""


def smallest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """(R, min(k, C)) smallest entries of scores (R, C), unsorted, and their columns.

    The k smallest lie in the k blocks of 64 columns with the smallest minima, so blocks are selected before columns.
    """
    rows, columns = scores.shape
    blocks = columns // _BLOCK
    if blocks <= 2 * k:
        best, where = scores.topk(min(k, columns), 1, largest=False, sorted=False)
        return best, where
    if columns % _BLOCK:
        scores = pad(scores, (0, _BLOCK - columns % _BLOCK), value=float("inf"))
    tiles = scores.view(rows, -1, _BLOCK)
    chosen = tiles.amin(2).topk(k, 1, largest=False, sorted=False)[1]
    inside = tiles.gather(1, chosen[:, :, None].expand(-1, -1, _BLOCK)).view(rows, -1)
    best, where = inside.topk(k, 1, largest=False, sorted=False)
    return best, chosen.gather(1, where // _BLOCK) * _BLOCK + where % _BLOCK


def by_score_then_row(scores: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """scores and rows (R, k), each line ordered by score, equal scores by row."""
    rows, by_row = rows.sort(dim=1)
    scores, by_score = scores.gather(1, by_row).sort(dim=1, stable=True)
    return scores, rows.gather(1, by_score)


def keys_of(scores: Tensor, rows: Tensor) -> Tensor:
    """(M,) int64 keys of finite float32 scores and of rows, all different: they sort by score, then row."""
    bits = (scores + 0.0).view(torch.int32).long()  # a zero without a sign
    bits = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return (bits << 32) | rows


def smallest_keys(keys: Tensor, k: int) -> Tensor:
    """(R, min(k, C)) the smallest of keys (R, C), unsorted."""
    return keys.topk(min(k, keys.shape[1]), 1, largest=False, sorted=False).values


def of_keys(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Scores in float32, and rows, of keys."""
    bits = keys >> 32
    bits = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).int()
    rows = keys & 0xFFFFFFFF
    return bits.view(torch.float32), rows.masked_fill_(keys == NO_KEY, -1)
