"""Retrieval by brute force in float64: one query after the other, distances by differences, ties by counting."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = dict[str, float]


def distances(x: NDArray[np.float64], query: int, metric: str) -> NDArray[np.float64]:
    """(N,) of all items to one."""
    x = x.astype(np.float64)
    if metric == "inner-product":
        return -(x @ x[query])
    if metric == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        return ((x - x[query]) ** 2).sum(1) / 2  # 1 - s of unit vectors, without its cancellation
    squared = ((x - x[query]) ** 2).sum(1)
    return np.sqrt(squared) if metric == "euclidean" else squared


def retrieval_scores(
    x: NDArray[np.floating],
    y: NDArray[np.int64],
    queries: NDArray[np.int64] | None = None,
    metric: str = "euclidean",
    k: int = 5,
) -> Scores:
    """Means over the queries with a partner, kNN accuracy over all; distances closer than 1e-11 of them are one."""
    rows: dict[str, list[float]] = {"p1": [], "map_at_r": [], "r_precision": [], "map": [], "mrr": [], "knn": []}
    for query in range(len(y)) if queries is None else queries.tolist():
        others = np.delete(np.arange(len(y)), query)
        d = distances(np.asarray(x), query, metric)[others]
        order = np.lexsort((others, d))
        others, d = others[order], d[order]
        first = np.r_[True, np.diff(d) > 1e-11 * np.abs(d[1:])]  # of those at one distance
        group = np.cumsum(first) - 1
        others = others[np.lexsort((others, group))]
        hits = y[others] == y[query]
        rows["knn"].append(_winner(y[others[:k]], d[:k]) == y[query])
        relevant = int(hits.sum())
        if not relevant:
            continue
        start = np.flatnonzero(first)[group]
        n, r = np.bincount(group)[group], np.bincount(group, hits)[group]
        before = np.r_[0, np.cumsum(hits)][start]
        place = np.arange(1, len(d) + 1)
        gain = r / n * (before + 1 + (place - start - 1) * (r - 1) / np.maximum(n - 1, 1)) / place
        inside = place <= relevant
        rows["p1"].append(r[0] / n[0])
        rows["map"].append(gain.sum() / relevant)
        rows["map_at_r"].append((gain * inside).sum() / relevant)
        rows["r_precision"].append((r / n * inside).sum() / relevant)
        rows["mrr"].append(_first_hit(start[hits.argmax()], n[hits.argmax()], int(r[hits.argmax()])))
    return {name: float(np.mean(values)) if values else float("nan") for name, values in rows.items()}


def _winner(classes: NDArray[np.int64], d: NDArray[np.float64]) -> int:
    tallies = [(-(classes == c).sum(), d[classes == c].sum(), int(c)) for c in np.unique(classes)]
    most = min(count for count, _, _ in tallies)
    least = min(summed for count, summed, _ in tallies if count == most)
    return min(c for count, summed, c in tallies if count == most and summed <= least + 1e-11 * abs(least))


def _first_hit(start: int, n: int, r: int) -> float:
    """The mean of 1 / place of the first of r hits among n in any order, behind `start` others."""
    total, missed = 0.0, 1.0
    for i in range(n - r + 1):
        total += missed * r / (n - i) / (start + i + 1)
        missed *= 1 - r / (n - i)
    return total
