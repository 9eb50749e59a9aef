"""The ways to ask a library that knows no labels for nearest negatives. The better of them is what counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.bench.table import duration
from hnm_core.bench.timing import TookTooLong
from hnm_core.neighbors.probing import TOLERANCE

Rows = NDArray[np.int64]
Distances = NDArray[np.floating]

Fetch = Callable[[Rows, int], tuple[Distances, Rows]]
"""fetch(rows, wanted) -> (distances, rows), both (Q, wanted), of the nearest of all rows, -1 where none."""

GIVE_UP_S = 40.0
"""A way of using a peer is given up after this."""
_AT_ONCE = 1 << 23
"""Neighbours fetched at once."""
_PROBE = 256


@dataclass(frozen=True)
class Problem:
    """What is searched: the k nearest negatives of the rows `anchors`, by Euclidean distance."""

    points: NDArray[np.float32]
    labels: Rows
    k: int
    anchors: Rows
    """Rows whose answers are rated; all, or a probe where the truth is dear."""
    limit: Distances
    """(Q,) what a found distance may be: the exact k-th one, a ten-thousandth more."""

    def recall(self, found: Distances) -> float:
        """Share of (Q, k) distances of the anchors that are as good as the exact ones."""
        return float((found <= self.limit[:, None]).mean())


def blobs(
    rows: int, dim: int, *, classes: int, spread: float, by_class: bool = False, alike: int = 1
) -> tuple[Any, Rows]:
    """Points (N, D) float32 and labels: Gaussian classes about standard normal centres.

    Where `alike` is more than 1, so many classes lie as close to each other as their points, far from the others: what
    training makes of classes that are hard to tell apart.
    """
    source = np.random.default_rng(0)
    labels = source.integers(0, classes, rows)
    if by_class:
        labels.sort()
    centers = source.standard_normal((classes, dim), np.float32)
    if alike > 1:
        centers = centers[np.arange(classes) % (classes // alike)] + np.float32(spread) * source.standard_normal(
            centers.shape, np.float32
        )
    points = centers[labels]
    for start in range(0, rows, 65_536):
        part = points[start : start + 65_536]
        part += np.float32(spread) * source.standard_normal(part.shape, np.float32)
    return points, labels


def with_truth(points: NDArray[np.float32], labels: Rows, k: int, *, probe: int | None = None) -> Problem:
    """The problem with exact answers, for all rows or for `probe` of them."""
    rows = len(points)
    anchors = np.arange(rows)
    if probe is not None and probe < rows:
        anchors = np.sort(np.random.default_rng(1).permutation(rows)[:probe])
    exact = neighbors.create("exact")
    exact.build(Bank(torch.from_numpy(points), torch.from_numpy(labels)))
    found = exact.nearest_negatives(torch.from_numpy(anchors), k).distance.numpy()
    return Problem(points, labels, k, anchors, found[:, -1] * (1 + TOLERANCE))


def ours(problem: Problem, name: str, **options: object) -> Callable[[], Distances]:
    """All rows by one of our searches, bank and index included; (N, k) distances."""

    def run() -> Distances:
        search = neighbors.create(name, distance=None, **options)
        search.build(Bank(torch.from_numpy(problem.points), torch.from_numpy(problem.labels)))
        return search.nearest_negatives(torch.arange(len(problem.points)), problem.k).distance.numpy()

    return run


def complements(
    problem: Problem, search: Callable[[NDArray[np.float32], NDArray[np.float32], int], Distances]
) -> Distances:
    """For each class, an index of all other rows: search(others, queries, k) -> distances (Q, k)."""
    found = np.empty((len(problem.points), problem.k))
    start = time.perf_counter()
    for label in np.unique(problem.labels):
        own = problem.labels == label
        found[own] = search(problem.points[~own], problem.points[own], problem.k)
        check_patience(start)
    return found


def over_fetched(problem: Problem, fetch: Fetch, wanted: int, anchors: Rows | None = None) -> Distances:
    """Ask for `wanted` neighbours of every anchor and leave out its class; twice as many where too few remain."""
    anchors = problem.anchors if anchors is None else anchors
    labels, k = problem.labels, problem.k
    found = np.full((len(anchors), k), np.inf)
    wanted = max(wanted, k)
    rest = np.arange(len(anchors))
    start = time.perf_counter()
    while len(rest):
        wanted = min(wanted, len(labels))
        short = []
        for part in np.array_split(rest, -(-len(rest) * wanted // _AT_ONCE)):
            distance, row = fetch(anchors[part], wanted)
            out = (row < 0) | (labels[row] == labels[anchors[part], None])
            kept = np.partition(np.where(out, np.inf, distance), k - 1, axis=1)[:, :k]
            found[part] = np.sort(kept, axis=1)
            short.append(part[((~out).sum(1) < k) & (row >= 0).all(1)])
            check_patience(start)
        if wanted == len(labels):
            break
        rest, wanted = np.concatenate(short), wanted * 2
    return found


def enough(problem: Problem, share: float = 0.9) -> int:
    """How many neighbours to ask for so that `share` of the anchors get k negatives at once, from 256 of them."""
    picked = np.linspace(0, len(problem.anchors) - 1, min(_PROBE, len(problem.anchors))).astype(int)
    points = torch.from_numpy(problem.points)
    needed = []
    for place in np.array_split(picked, max(1, len(picked) // 16)):
        distance = torch.cdist(points[problem.anchors[place]], points)
        needed.append((distance <= torch.from_numpy(problem.limit[place]).float()[:, None]).sum(1))
    return int(np.quantile(torch.cat(needed).numpy(), share)) + 1


def check_patience(start: float) -> None:
    """Raise `TookTooLong` when a way of using a peer, begun at `start`, should be given up."""
    if time.perf_counter() - start > GIVE_UP_S:
        raise TookTooLong(f"given up after {duration(GIVE_UP_S)}")
