"""What scores a random ranking comes to; without them a score says little. Loads no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def chance_levels(labels: NDArray[np.int64], queries: NDArray[np.int64] | None = None) -> dict[str, float]:
    """Expected scores of a random ranking when every item, or every row of `queries`, queries all others, by metric
    name; empty where none has a partner.

    With n others, R of them relevant, h_j = 1 + 1/2 + ... + 1/j and f = (R - 1) / (n - 1):
    precision@1 = R-precision = R / n, MAP@R = (h_R + f (R - h_R)) / n, mAP = (h_n + f (n - h_n)) / n,
    averaged over the queries that have a partner. kNN accuracy, and a classifier's: the share of the largest class.
    """
    _, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
    others = len(labels) - 1
    asked = counts if queries is None else np.bincount(own.reshape(-1)[queries], minlength=len(counts))
    weights = asked[counts > 1]
    classes = counts[counts > 1]
    if not weights.sum():
        return {}
    relevant = classes - 1.0
    harmonic = np.cumsum(1 / np.arange(1, others + 1))
    up_to_r, up_to_n = harmonic[classes - 2], harmonic[-1]
    f = (relevant - 1) / max(others - 1, 1)

    def mean(values: NDArray[np.float64]) -> float:
        return float(np.average(values, weights=weights))

    return {
        "map_at_r": mean((up_to_r + f * (relevant - up_to_r)) / others),
        "mean_average_precision": mean((up_to_n + f * (others - up_to_n)) / others),
        "precision_at_1": mean(relevant / others),
        "r_precision": mean(relevant / others),
        "knn_accuracy": float(counts.max() / len(labels)),
        "accuracy": float(counts.max() / len(labels)),
        "ami": 0.0,
    }
