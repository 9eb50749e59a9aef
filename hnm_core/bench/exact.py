"""Exact nearest negatives: the KD-tree in three dimensions, tiled products in many. Index and bank included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core.bank import Bank
from hnm_core.bench import limits, usage
from hnm_core.bench.limits import products_alone
from hnm_core.bench.table import Bound, Case, Row, Settings
from hnm_core.bench.timing import Contender, take_turns
from hnm_core.bench.usage import Distances, Fetch, Problem
from hnm_core.distances import Distance
from hnm_core.neighbors.euclidean import euclidean_form
from hnm_core.neighbors.filtered_products import FilteredProducts
from hnm_core.neighbors.machine import matrix_units
from hnm_core.relevance import SameClass

MOST_FOR_COMPLEMENTS = 20_000
"""With more rows in so many dimensions an index for each class takes a minute, and over-fetching is ahead of it."""


def cases(settings: Settings) -> list[Case]:
    """Rows: `exact-3d`, `exact-3d-tight`, `exact-128d`, `exact-512d`, and `exact-128d-float32`."""
    found = []
    rows = 2_000 if settings.quick else 100_000
    for name, spread in (("exact-3d", 0.7), ("exact-3d-tight", 0.1)):
        found.append(_low(name, rows, spread, settings))
    for rows, dim in ((1_000, 128),) if settings.quick else ((20_000, 128), (50_000, 128), (20_000, 512)):
        found.append(_high(f"exact-{dim}d", rows, dim, settings))
        if rows != 20_000:
            found.append(_high(f"exact-{dim}d-float32", rows, dim, settings, float32=True))
    return found


def _low(name: str, rows: int, spread: float, settings: Settings) -> Case:
    size = f"N={rows:,} d=3 k=10, 10 classes, spread {spread}"

    def measure() -> Row:
        points, labels = usage.blobs(rows, 3, classes=10, spread=spread)
        problem = usage.with_truth(points, labels, 10)
        wanted = usage.enough(problem)
        contenders = [
            Contender("hnm exact (KD-tree)", usage.ours(problem, "exact")),
            *_trees(problem, wanted, settings.threads),
            Contender("FAISS FlatL2, complements", lambda: usage.complements(problem, faiss_flat), "faiss"),
        ]
        return _row("mining", name, size, problem, contenders, settings, Bound("the tree: latency of memory, branches"))

    return Case(name, size, measure)


def _high(name: str, rows: int, dim: int, settings: Settings, *, float32: bool = False) -> Case:
    size = f"N={rows:,} d={dim} k=32, 100 classes"

    def measure() -> Row:
        points, labels = usage.blobs(rows, dim, classes=100, spread=0.8)
        problem = usage.with_truth(points, labels, 32)
        wanted = usage.enough(problem)
        contenders: list[Contender[Any]] = [
            Contender("hnm exact (float32)", _float32(problem)) if float32 else _ours(problem),
            Contender("FAISS FlatL2, over-fetch", lambda: usage.over_fetched(problem, flat(problem), wanted), "faiss"),
            Contender("FAISS FlatIP, labels ignored", lambda: _unlabelled(problem), "faiss", comparable=False),
        ]
        if not float32:
            contenders.insert(
                2, Contender("torch top-k, over-fetch", lambda: usage.over_fetched(problem, top_k(problem), wanted))
            )
        if rows <= MOST_FOR_COMPLEMENTS and not float32:
            contenders.insert(
                1, Contender("FAISS FlatL2, complements", lambda: usage.complements(problem, faiss_flat), "faiss")
            )
        row = _row("mining", name, size, problem, contenders, settings, None)
        alone = products_alone(torch.from_numpy(points), (torch.float32,) if float32 else limits.PRECISIONS)
        share = alone / row.ours.seconds if row.ours.seconds else None
        if not float32:
            return replace(row, bound=Bound("arithmetic (products alone)", share))
        # Each float32 product serves both of its rows.
        return replace(row, bound=Bound("arithmetic (half of the products alone)", share / 2 if share else None))

    return Case(name, size, measure)


def _ours(problem: Problem) -> Contender[Any]:
    kind = "bfloat16" if matrix_units() else "float32"
    return Contender(f"hnm exact ({kind})", usage.ours(problem, "exact"))


def _float32(problem: Problem) -> Callable[[], Distances]:
    """What `exact` does where the processor has no matrix units."""

    def run() -> Distances:
        bank = Bank(torch.from_numpy(problem.points), torch.from_numpy(problem.labels))
        form = euclidean_form(Distance(), bank.sorted_embeddings)
        search = FilteredProducts(form.points, lambda: form.queries, bank, inner=False, coarse=False)
        anchors, _ = SameClass(bank).query(bank.order).by_place()
        squared, _ = search.search(anchors, problem.k, False, None)
        return form.distance(squared, anchors.line)[bank.place].numpy()

    return run


def _row(
    subject: str,
    name: str,
    size: str,
    problem: Problem,
    contenders: list[Contender[Any]],
    settings: Settings,
    bound: Bound | None,
) -> Row:
    ours, *peers = [
        outcome.rated(recall=problem.recall(outcome.answer)) if outcome.answer is not None else outcome.result
        for outcome in take_turns(contenders, settings)
    ]
    return Row(subject, name, size, ours, tuple(peers), bound)


def _trees(problem: Problem, wanted: int, threads: int) -> list[Contender[Any]]:
    def scipy_complements() -> Distances:
        from scipy.spatial import cKDTree

        return usage.complements(problem, lambda others, own, k: cKDTree(others).query(own, k, workers=threads)[0])

    def scipy_over_fetched() -> Distances:
        from scipy.spatial import cKDTree

        tree = cKDTree(problem.points)
        return usage.over_fetched(
            problem, lambda rows, count: tree.query(problem.points[rows], count, workers=threads), wanted
        )

    def sklearn_complements() -> Distances:
        from sklearn.neighbors import NearestNeighbors

        def search(others: NDArray[np.float32], own: NDArray[np.float32], k: int) -> Distances:
            index = NearestNeighbors(n_neighbors=k, algorithm="kd_tree", n_jobs=threads).fit(others)
            distance: Distances = index.kneighbors(own)[0]
            return distance

        return usage.complements(problem, search)

    return [
        Contender("SciPy cKDTree, complements", scipy_complements, "scipy"),
        Contender("SciPy cKDTree, over-fetch", scipy_over_fetched, "scipy"),
        Contender("scikit-learn kd_tree, complements", sklearn_complements, "sklearn"),
    ]


def faiss_flat(others: NDArray[np.float32], own: NDArray[np.float32], k: int) -> Distances:
    """(Q, k) distances by FAISS's exhaustive index."""
    import faiss

    index = faiss.IndexFlatL2(others.shape[1])
    index.add(others)
    distance: Distances = np.sqrt(np.maximum(index.search(own, k)[0], 0))
    return distance


def flat(problem: Problem) -> Fetch:
    """FAISS's exhaustive index of all rows."""
    import faiss

    index = faiss.IndexFlatL2(problem.points.shape[1])
    index.add(problem.points)

    def fetch(rows: NDArray[np.int64], wanted: int) -> tuple[Distances, NDArray[np.int64]]:
        squared, row = index.search(problem.points[rows], wanted)
        return np.sqrt(np.maximum(squared, 0)), row

    return fetch


def top_k(problem: Problem) -> Fetch:
    """Products and `topk` over all rows, in parts: how sentence-transformers' mine_hard_negatives searches."""
    points = torch.from_numpy(problem.points)
    squares = points.square().sum(1)

    def fetch(rows: NDArray[np.int64], wanted: int) -> tuple[Distances, NDArray[np.int64]]:
        parts = []
        for part in torch.from_numpy(rows).split(1_024):
            score = squares - 2 * points[part] @ points.T
            best = score.topk(wanted, largest=False)
            parts.append(((best.values + squares[part, None]).clamp_min(0).sqrt(), best.indices))
        return torch.cat([part[0] for part in parts]).numpy(), torch.cat([part[1] for part in parts]).numpy()

    return fetch


def _unlabelled(problem: Problem) -> None:
    """A lower limit of what over-fetching by the inner product can take."""
    import faiss

    index = faiss.IndexFlatIP(problem.points.shape[1])
    index.add(problem.points)
    index.search(problem.points, problem.k)
