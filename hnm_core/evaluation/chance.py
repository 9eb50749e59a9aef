"""What a ranking at random scores: the lines to draw under every curve of a metric."""

from __future__ import annotations

import math
from collections.abc import Sequence

EULER_GAMMA = 0.5772156649015329
SUMMED_UP_TO = 64
"""From here on the asymptotic series of the harmonic number is exact to the last digit."""


def chance_precision_at_1(n: int, r: int) -> float:
    """Expected precision@1, and R-precision, of n references with r relevant ones; NaN where none is."""
    return r / n if 1 <= r <= n else math.nan


def chance_map(n: int, r: int) -> float:
    """Expected mean average precision (divided by r) over the whole ranking; NaN where nothing is relevant."""
    if r < 1 or n < r:
        return math.nan
    return (harmonic(n) + _pair(n, r) * (n - harmonic(n))) / n


def chance_map_at_r(n: int, r: int) -> float:
    """Expected MAP@R of a random ranking of n references with r relevant ones; NaN where nothing is relevant."""
    if r < 1 or n < r:
        return math.nan
    return (harmonic(r) + _pair(n, r) * (r - harmonic(r))) / n


def chance_knn_accuracy(class_sizes: Sequence[int]) -> float:
    """Share of the largest class: what always naming it scores."""
    return max(class_sizes) / sum(class_sizes) if sum(class_sizes) else math.nan


def harmonic(n: int) -> float:
    """1 + 1/2 + ... + 1/n."""
    if n <= SUMMED_UP_TO:
        return math.fsum(1 / i for i in range(1, n + 1))
    return math.log(n) + EULER_GAMMA + 1 / (2 * n) - 1 / (12 * n**2) + 1 / (120 * n**4) - 1 / (252 * n**6)


def _pair(n: int, r: int) -> float:
    """Chance that another place holds a relevant item where one does."""
    return (r - 1) / (n - 1) if n > 1 else 0.0
