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
    asked = counts if queries is None else np.bincount(own.reshape(-1)[queries], minlength=len(counts))
    found = chance_of_partners(counts - 1, len(labels) - 1, asked)
    if not found:
        return {}
    most = float(counts.max() / len(labels))
    return found | {"knn_accuracy": most, "accuracy": most, "ami": 0.0}


def chance_of_partners(
    partners: NDArray[np.int64], others: int, times: NDArray[np.int64] | None = None
) -> dict[str, float]:
    """The same of rankings of n `others`, among which a query has (Q,) R `partners`; each asked so many `times`."""
    weights = (np.ones_like(partners) if times is None else times)[partners > 0]
    relevant = partners[partners > 0]
    if not weights.sum():
        return {}
    harmonic = np.cumsum(1 / np.arange(1, others + 1))
    up_to_r, up_to_n = harmonic[relevant - 1], harmonic[-1]
    f = (relevant - 1) / max(others - 1, 1)

    def mean(values: NDArray[np.float64]) -> float:
        return float(np.average(values, weights=weights))

    return {
        "map_at_r": mean((up_to_r + f * (relevant - up_to_r)) / others),
        "mean_average_precision": mean((up_to_n + f * (others - up_to_n)) / others),
        "precision_at_1": mean(relevant / others),
        "r_precision": mean(relevant / others),
    }


def chance_of_documents(
    relevant: NDArray[np.int64],
    gain: NDArray[np.float64],
    ideal: NDArray[np.float64],
    documents: NDArray[np.int64] | int,
    depth: int,
) -> dict[str, float]:
    """Expected scores of a random ranking of documents, by the names of `DOCUMENT_METRICS`, as means over Q queries.

    With n documents, R of them relevant, L listed and f = (R - 1) / (n - 1): precision@1 = R / n, recall@k = k / n,
    MAP = (h_L + f (L - h_L)) / n, nDCG@10 = the mean grade times the sum of the discounts over the ideal, and MRR@10
    the mean of 1 / place of the first relevant one, drawn without replacement. Empty where there is no query.

    Args:
        relevant: (Q,) R, at least 1.
        gain: (Q,) sum of the grades of these.
        ideal: (Q,) DCG@10 of the best ranking.
        documents: n, or (Q,) where it is not the same for all.
        depth: documents that a ranking lists, where there are so many.
    """
    if not len(relevant):
        return {}
    r, n = relevant.astype(np.float64), np.broadcast_to(documents, relevant.shape).astype(np.int64)
    listed = np.minimum(depth, n)
    harmonic = np.cumsum(1 / np.arange(1, listed.max() + 1))[listed - 1]
    f = (r - 1) / np.maximum(n - 1, 1)
    first = np.minimum(10, listed)
    discount = np.cumsum(1 / np.log2(np.arange(2, 12)))[first - 1]
    missed, reciprocal = np.ones_like(r), np.zeros_like(r)
    for place in range(1, int(first.max()) + 1):
        left = np.maximum(n - place + 1, 1)
        now = np.where(place <= first, missed * np.clip(left - r, 0, None) / left, missed)
        reciprocal += (missed - now) / place
        missed = now
    return {
        "mrr_at_10": float(reciprocal.mean()),
        "ndcg_at_10": float((gain / n * discount / ideal).mean()),
        "recall_at_10": float((first / n).mean()),
        "recall_at_100": float((np.minimum(100, listed) / n).mean()),
        "mean_average_precision": float(((harmonic + f * (listed - harmonic)) / n).mean()),
        "precision_at_1": float((r / n).mean()),
    }
