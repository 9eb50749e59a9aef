"""What theory says of hashing: how often bits differ, how often rows meet in a bucket, what a scan of codes finds.

`differs` is always p, the probability that one bit of two rows differs: angle / pi for signs of projections (Goemans
and Williamson 1995; Charikar 2002). Bits are taken as independent; orthonormal directions vary less and do better.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sign_differs(angle: Tensor) -> Tensor:
    """Probability that the signs of one random projection differ, for angles in radians, as hashed (after centring)."""
    return angle / math.pi


def quantile_differs(gap: Tensor, cut: Tensor) -> Tensor:
    """Probability that a cut at quantile `cut` of the data separates two rows whose ranks are `gap` (0 to 1) apart.

    The lower of the two ranks is taken as uniform on 0 to 1 - gap. Averaged over uniform cuts this is `gap` itself.
    """
    gap, cut = torch.broadcast_tensors(gap.double(), cut.double())
    inside = torch.minimum(cut, 1 - gap) - (cut - gap).clamp_min(0)
    return torch.where(gap < 1, inside / (1 - gap).clamp_min(1e-12), 1.0).clamp(0, 1)


def bucket_hit(differs: Tensor, bits: int, tables: int, probes: int) -> Tensor:
    """Probability that a row is a candidate, with `probes` further buckets in each table, fewest flips first."""
    p = differs.double()
    hit, left = (1 - p) ** bits, probes
    for flips in range(1, bits + 1):
        if left <= 0:
            break
        ball = math.comb(bits, flips)
        hit = hit + min(left, ball) * p**flips * (1 - p) ** (bits - flips)
        left -= ball
    return 1 - (1 - hit) ** tables


def scan_recall(mean: Tensor, variance: Tensor, last: Tensor) -> Tensor:
    """(Q, k) probability that each true neighbour is among the candidates of a scan.

    Args:
        mean: (Q, k) expected Hamming distance of the neighbour, the sum of p over the bits.
        variance: (Q, k) its variance, the sum of p (1 - p).
        last: (Q,) Hamming distance of the last candidate of the anchor.
    """
    gap = last[:, None].double() + 0.5 - mean.double()
    certain = variance <= 0
    return torch.where(certain, (gap > 0).double(), _normal(gap / variance.double().clamp_min(1e-300).sqrt()))


def _normal(z: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-z / math.sqrt(2))
