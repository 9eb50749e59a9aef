"""How well clusters found without labels match the classes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from hnm_core.labels import check_labels


@dataclass(frozen=True)
class Clustering:
    """k-means with as many clusters as there are classes, against the classes."""

    nmi: float
    """normalised mutual information, arithmetic mean as the divisor; 0..1"""
    ami: float
    """the same, corrected for chance: 0 on average for clusters at random"""


def clustering(embeddings: Tensor, labels: Tensor, *, seed: int = 0) -> Clustering:
    """Cluster (N, D) finite embeddings and compare with (N,) integer labels. NaN with fewer than two items."""
    check_labels(labels, len(embeddings))
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    x, y = embeddings.detach().double().cpu().numpy(), labels.cpu().numpy()
    if len(y) < 2:
        return Clustering(np.nan, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct points than classes, after a collapse
        found = KMeans(len(np.unique(y)), n_init=5, random_state=seed).fit_predict(x)
    return Clustering(float(normalized_mutual_info_score(y, found)), float(adjusted_mutual_info_score(y, found)))
