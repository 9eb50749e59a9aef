"""Small sets of queries and documents, and the rules of mining written down once more, an anchor at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Small:
    """Queries with none to several positives."""

    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    positives: list[list[int]]


def small(queries: int = 60, documents: int = 200, dim: int = 24, seed: int = 0) -> Small:
    """Documents in clusters; queries beside one of their positives; every seventh has none."""
    source = np.random.default_rng(seed)
    centers = source.standard_normal((12, dim))
    rows = centers[source.integers(12, size=documents)] + 0.6 * source.standard_normal((documents, dim))
    positives = [
        sorted(source.choice(documents, size=1 + place % 4, replace=False).tolist()) if place % 7 else []
        for place in range(queries)
    ]
    own = [each[0] if each else int(source.integers(documents)) for each in positives]
    vectors = rows[own] + 0.4 * source.standard_normal((queries, dim))
    return Small(vectors.astype(np.float32), rows.astype(np.float32), positives)


def similarities(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """(Q, N) float64 cosines."""
    first, second = (side.astype(np.float64) for side in (left, right))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    return first @ second.T


def by_rules(
    similarity: NDArray[np.float64],
    positives: list[int],
    *,
    negatives: int,
    looked_at: int,
    rank_min: int = 0,
    max_score: float = np.inf,
    min_score: float = -np.inf,
    absolute_margin: float | None = None,
    relative_margin: float | None = None,
) -> list[int]:
    """The negatives of a query by its similarities to all documents: the nearest, and ranks before margins."""
    if not positives:
        return []
    order = [row for row in np.argsort(-similarity, kind="stable").tolist() if row not in positives]
    own = min(similarity[row] for row in positives)
    allowed = []
    for row in order[rank_min:looked_at]:
        score = similarity[row]
        if not min_score <= score <= max_score:
            continue
        if absolute_margin is not None and score > own - absolute_margin:
            continue
        if relative_margin is not None and score > own - relative_margin * abs(own):
            continue
        allowed.append(row)
    return allowed[:negatives]
