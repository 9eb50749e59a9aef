"""Brute force in float64, and data that is hard on a search."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.found import Neighbors

KINDS = ("random", "clustered", "duplicated", "collapsed", "near-ties", "offset", "imbalanced", "many", "single", "one")


SHORTEST = 1e-300
"""A row of zeros stays one on the sphere."""

UNKNOWN = 4
"""No label of a bank of `bank_of`."""


def bank_of(kind: str, dim: int, n: int = 300, seed: int = 0) -> Bank:
    """A bank of one kind; labels are neither dense nor positive, and rows are not sorted by class."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (n,), generator=source)
    points = torch.randn(n, dim, generator=source)
    centers = torch.randn(10, dim, generator=source)
    match kind:
        case "clustered":
            points = centers[labels] + 0.05 * points
        case "duplicated":
            points = points[torch.randint(20, (n,), generator=source)]
        case "collapsed":
            points = centers[labels]
            points[: n // 3] = 1.0
        case "near-ties":
            points = torch.nn.functional.normalize(points) * (1 + 1e-6 * torch.rand(n, 1, generator=source))
        case "offset":
            points = 1000 + centers[labels] + 0.3 * points
        case "imbalanced":
            labels = torch.where(torch.rand(n, generator=source) < 0.9, 3, labels)
            labels[5] = 77
        case "many":
            labels = torch.randint(n // 2, (n,), generator=source)
        case "single":
            labels = torch.arange(n)
        case "one":
            labels = torch.zeros_like(labels)
    return Bank(points, labels * 1_000_003 - 5)


def queries_for(bank: Bank) -> tuple[Tensor, dict[str, Tensor | None]]:
    """Vectors among the rows, far outside, equal to a row, twice the same; and labels to ask with."""
    source = torch.Generator().manual_seed(7)
    rows = torch.randint(len(bank), (40,), generator=source)
    vectors = bank.embeddings[rows] + 0.1 * torch.randn(40, bank.dim, generator=source)
    vectors[:10] = bank.embeddings[rows[:10]]
    vectors[10:15] += 30
    vectors[15] = vectors[16]
    labels = bank.labels[rows]
    mixed = labels.where(torch.arange(40) % 3 > 0, UNKNOWN)
    return vectors, {"none": None, "of rows": labels, "mixed": mixed, "unknown": torch.full((40,), UNKNOWN)}


def distances(bank: Bank, anchors: Tensor, distance: Distance) -> Tensor:
    """(Q, N) float64 distances of rows, from the definition."""
    return distances_to(bank, bank.embeddings[anchors], distance)


def distances_to(bank: Bank, vectors: Tensor, distance: Distance) -> Tensor:
    """(Q, N) float64 distances of vectors, from the definition."""
    left, right = vectors.double(), bank.embeddings.double()
    if distance.normalized or distance.metric == "cosine":
        left, right = (side / side.norm(dim=1, keepdim=True).clamp_min(SHORTEST) for side in (left, right))
    match distance.metric:
        case "euclidean":
            return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")
        case "squared-euclidean":
            return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist").square()
        case "cosine":
            return 1 - left @ right.T
        case "inner-product":
            return -left @ right.T


def assert_exact(found: Neighbors, bank: Bank, anchors: Tensor, k: int, distance: Distance, farthest: bool) -> None:
    """`found` holds the k nearest negatives or farthest positives, up to ties, as the protocol says."""
    same = bank.labels[anchors, None] == bank.labels[None]
    allowed = same.scatter(1, anchors[:, None], False) if farthest else ~same
    _assert_best(found, distances(bank, anchors, distance), allowed, k, distance, farthest)


def assert_exact_for_vectors(
    found: Neighbors, bank: Bank, vectors: Tensor, labels: Tensor | None, k: int, distance: Distance, farthest: bool
) -> None:
    """The same for vectors with the labels of what may not come back, or for the farthest may."""
    same = torch.zeros(len(vectors), len(bank), dtype=torch.bool)
    if labels is not None:
        same = labels[:, None] == bank.labels[None]
    size = vectors.double().norm(dim=1)[:, None] * bank.embeddings.double().norm(dim=1).max()
    slack = 1e-6 * size if distance.metric == "inner-product" else 0.0
    _assert_best(
        found, distances_to(bank, vectors, distance), same if farthest else ~same, k, distance, farthest, slack
    )


def _assert_best(
    found: Neighbors,
    truth: Tensor,
    allowed: Tensor,
    k: int,
    distance: Distance,
    farthest: bool,
    more_slack: Tensor | float = 0.0,
) -> None:
    sign = -1 if farthest else 1
    best = (sign * truth).masked_fill(~allowed, torch.inf).sort(1).values
    best = torch.nn.functional.pad(best, (0, max(0, k - best.shape[1])), value=torch.inf)[:, :k]
    there = best.isfinite()

    assert found.distance.shape == found.row.shape == (len(truth), k)
    assert (found.distance.dtype, found.row.dtype) == (torch.float32, torch.int64)
    assert torch.equal(found.row >= 0, there)
    assert (found.row[~there] == -1).all()
    assert found.distance[~there].isposinf().all()
    assert allowed.gather(1, found.row.clamp_min(0))[there].all()
    lines = [line[line >= 0].tolist() for line in found.row]
    assert all(len(set(line)) == len(line) for line in lines)

    # On the sphere float32 coordinates alone move 1 - s by 1e-7.
    slack = more_slack + (1e-6 if distance.normalized or distance.metric == "cosine" else 1e-12)
    own = truth.gather(1, found.row.clamp_min(0))
    off = (found.distance - own).abs()
    assert (off <= 2e-5 * own.abs() + slack)[there].all()
    worse = sign * own - best
    assert (worse <= 2e-5 * best.abs() + slack)[there].all()

    scores, own = sign * found.distance, sign * own
    assert (scores[:, 1:] >= scores[:, :-1])[there[:, 1:]].all()
    # Squares that differ in their last bits have equal roots in float32; their order is that of the squares.
    tied = (scores[:, 1:] == scores[:, :-1]) & (own[:, 1:] == own[:, :-1])
    assert (found.row[:, 1:] > found.row[:, :-1])[there[:, 1:] & tied].all()
