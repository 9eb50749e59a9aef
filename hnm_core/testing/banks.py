"""Banks that are hard on searches and miners, and distances from their definitions in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.row_lists import RowLists

SHORTEST = 1e-300
"""A row of zeros stays one on the sphere."""

KINDS = (
    "random",
    "clustered",
    "duplicated",
    "collapsed",
    "zeros",
    "near-ties",
    "offset",
    "imbalanced",
    "many classes",
    "singletons",
    "one class",
    "one row",
)


def bank_of(kind: str, dim: int, n: int = 100, seed: int = 0) -> Bank:
    """A bank of one of `KINDS`. Rows are not sorted by class; labels are negative and huge."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(8, (n,), generator=source)
    points = torch.randn(n, dim, generator=source)
    centers = torch.randn(8, dim, generator=source)
    match kind:
        case "clustered":
            points = centers[labels] + 0.05 * points
        case "duplicated":
            points = points[torch.randint(12, (n,), generator=source)]
        case "collapsed":
            points = torch.ones(n, dim)
        case "zeros":
            points[torch.rand(n, generator=source) < 0.3] = 0.0
        case "near-ties":
            points = torch.nn.functional.normalize(points) * (1 + 1e-6 * torch.rand(n, 1, generator=source))
        case "offset":
            points = 1000 + centers[labels] + 0.3 * points
        case "imbalanced":
            labels = torch.where(torch.rand(n, generator=source) < 0.9, 3, labels)
            labels[5] = 77
        case "many classes":
            labels = torch.randint(n // 2, (n,), generator=source)
        case "singletons":
            labels = torch.randperm(n, generator=source)
        case "one class":
            labels = torch.zeros_like(labels)
        case "one row":
            labels, points = labels[:1], points[:1]
    return Bank(points, labels * (2**55 + 1) - 2**57)


def of_same_class(bank: Bank, anchors: Tensor) -> Tensor:
    """(Q, N) bool, which rows are of the class of each anchor row, itself among them: from the labels alone."""
    return bank.labels[anchors, None] == bank.labels[None]


def vectors_for(bank: Bank, seed: int = 0) -> tuple[Tensor, Tensor]:
    """(20, D) vectors beside rows of the bank, the first five of them equal to one, and (20,) labels: of these rows, or
    -1, which no bank of `bank_of` has."""
    source = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(bank), (20,), generator=source)
    vectors = bank.embeddings[rows] + 0.1 * torch.randn(20, bank.dim, generator=source)
    vectors[:5] = bank.embeddings[rows[:5]]
    return vectors, bank.labels[rows].where(torch.arange(20) % 3 > 0, -1)


def judgements_for(bank: Bank, queries: int, seed: int = 0) -> tuple[RowLists, RowLists]:
    """Positives of queries and what else may not come back for them: few or none mostly, most of the bank for the last
    but one, and all of it for the last. Some rows are in both lists."""
    source = torch.Generator().manual_seed(seed)
    rows = len(bank)
    lists = []
    for share in (0.03, 0.1):
        listed = torch.rand(queries, rows, generator=source) < share * (torch.arange(queries) % 3)[:, None]
        listed[-2] = torch.rand(rows, generator=source) < 0.9
        listed[-1] = share > 0.05
        query, row = listed.nonzero(as_tuple=True)
        lists.append(RowLists.of_pairs(query, row, queries, rows))
    return lists[0], lists[1]


def true_distances(bank: Bank, vectors: Tensor, distance: Distance) -> Tensor:
    """(Q, N) float64 distances from vectors (Q, D) to all rows."""
    left, points = vectors.double(), bank.embeddings.double()
    if distance.normalized or distance.metric == "cosine":
        left, points = (side / side.norm(dim=1, keepdim=True).clamp_min(SHORTEST) for side in (left, points))
    match distance.metric:
        case "euclidean":
            return torch.cdist(left, points, compute_mode="donot_use_mm_for_euclid_dist")
        case "squared-euclidean":
            return torch.cdist(left, points, compute_mode="donot_use_mm_for_euclid_dist").square()
        case "cosine":
            return 1 - left @ points.T
        case "inner-product":
            return -left @ points.T
