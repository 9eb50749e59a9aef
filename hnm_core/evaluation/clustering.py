"""Whether k-means finds the classes: NMI and AMI of as many clusters as there are classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError


@dataclass(frozen=True)
class Clustering:
    """Agreement of clusters and classes, 1 where they are the same."""

    nmi: float
    """mutual information divided by the arithmetic mean of both entropies"""
    ami: float
    """the same, adjusted so that chance is 0"""
    clusters: int


def clustering(embeddings: NDArray[np.floating], labels: NDArray[np.integer], *, seed: int = 0) -> Clustering:
    """Cluster (N, D) embeddings by k-means (ten starts) and compare with the (N,) labels.

    Raises:
        InputError: shapes do not match, nothing there, or non-finite embeddings.
    """
    if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1] or not len(labels):
        raise InputError(f"Need (N, D) embeddings and (N,) labels, not {embeddings.shape}, {labels.shape}.")
    if not np.isfinite(embeddings).all():
        raise InputError("Embeddings hold NaN or infinity; clustering needs finite numbers.")
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score

    different = len(np.unique(embeddings, axis=0))  # more clusters than different points are not possible
    clusters = min(len(np.unique(labels)), different)
    found = KMeans(clusters, n_init=10, random_state=seed % 2**32).fit_predict(embeddings.astype(np.float64))
    return Clustering(
        float(normalized_mutual_info_score(labels, found)), float(adjusted_mutual_info_score(labels, found)), clusters
    )
