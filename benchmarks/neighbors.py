"""Nearest negatives, side by side with FAISS and SciPy, in one process on the same arrays.

    python benchmarks/neighbors.py [--threads 1] [--repeat 5] [--only tree|dense|scan]

Times include building the index. The first call is dropped; a time is the median of the repeats (a peer that takes over
10 s a call gets 2). General libraries know no labels, so each class asks an index of the other classes' points. Recall
is the share of rows at most 1e-4 farther than the exact k-th. Where labels are ignored the answers are not negatives,
so there is none; that time is what no use of over-fetching can beat. Nothing else should run: compare ratios, not
times.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hnm_core import kernels, neighbors  # chooses numba's threading layer before it is loaded  # isort: skip

import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors import amx
from hnm_core.neighbors.euclidean import euclidean_form
from hnm_core.neighbors.filtered import FilteredProducts
from hnm_core.neighbors.hamming import nearest_codes, pack_bits

SLOW_S = 10.0

Answer = TypeVar("Answer")

Search = Callable[[], NDArray[np.floating]]
"""Builds an index and returns the (N, k) distances that it found for every row."""


@dataclass(frozen=True)
class Contender:
    """One way to the same answer."""

    name: str
    run: Search
    negatives: bool = True
    """Whether what it finds are negatives."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", choices=["tree", "dense", "scan"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    kernels.compile_now(kernels.SEARCH_KERNELS)
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads of {os.cpu_count()}, median of {options.repeat}")
    if options.only in (None, "tree"):
        for spread in (0.7, 0.1):
            points, labels = blobs(100_000, 3, classes=10, spread=spread)
            title = f"exact, N = 100,000, d = 3, k = 10, 10 classes, spread {spread}"
            compare(title, points, labels, 10, options.repeat, tree_contenders(options.threads))
    if options.only in (None, "dense"):
        for rows, dim in ((20_000, 128), (50_000, 128), (20_000, 512)):
            points, labels = blobs(rows, dim, classes=100, spread=0.8)
            title = f"exact, N = {rows:,}, d = {dim}, k = 32, 100 classes"
            compare(title, points, labels, 32, options.repeat, dense())
            products_alone(points, options.repeat)
    if options.only in (None, "scan"):
        for rows, dim, bits in ((20_000, 3, 256), (20_000, 128, 256), (20_000, 128, 1_024)):
            points, labels = blobs(rows, dim, classes=100, spread=0.8)
            title = f"LSH scan, N = {rows:,}, d = {dim}, k = 10, {bits} bits"
            compare(title, points, labels, 10, options.repeat, scan(bits))
        for bits in (128, 256, 512, 1_024):
            hamming(bits, options.repeat)


def blobs(rows: int, dim: int, *, classes: int, spread: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Gaussian classes about standard normal centres."""
    source = np.random.default_rng(0)
    labels = source.integers(0, classes, rows)
    points = source.standard_normal((classes, dim))[labels] + spread * source.standard_normal((rows, dim))
    return points.astype(np.float32), labels


Makers = Callable[[NDArray[np.float32], NDArray[np.int64], int], list[Contender]]


def tree_contenders(threads: int) -> Makers:
    def make(points: NDArray[np.float32], labels: NDArray[np.int64], k: int) -> list[Contender]:
        def scipy_trees() -> NDArray[np.floating]:
            found = np.empty((len(points), k))
            for label in np.unique(labels):
                own = labels == label
                found[own] = cKDTree(points[~own]).query(points[own], k, workers=threads)[0]
            return found

        return [
            Contender("hnm exact (KD-tree)", ours(points, labels, k, "exact")),
            Contender("SciPy cKDTree, complements", scipy_trees),
            Contender("FAISS IndexFlatL2, complements", faiss_flat(points, labels, k)),
        ]

    return make


def dense() -> Makers:
    def make(points: NDArray[np.float32], labels: NDArray[np.int64], k: int) -> list[Contender]:
        def tiles(coarse: bool) -> Search:
            def run() -> NDArray[np.floating]:
                bank = Bank(torch.from_numpy(points), torch.from_numpy(labels))
                form = euclidean_form(Distance(), bank.sorted_embeddings)
                search = FilteredProducts(form.points, form.queries, bank, inner=False, coarse=coarse)
                squared, _ = search.search(torch.arange(len(points)), k, False, None)
                return form.distance(squared, torch.arange(len(points)))[bank.place].numpy()

            return run

        def unlabelled(kind: type) -> Search:
            def run() -> NDArray[np.floating]:
                index = kind(points.shape[1])
                index.add(points)
                return np.sqrt(np.abs(index.search(points, k)[0]))

            return run

        return [
            *([Contender("hnm dense, bfloat16 (AMX)", tiles(True))] if amx.available() else []),
            Contender("hnm dense, float32", tiles(False)),
            Contender("FAISS IndexFlatL2, complements", faiss_flat(points, labels, k)),
            Contender("FAISS IndexFlatL2, labels ignored", unlabelled(faiss.IndexFlatL2), negatives=False),
            Contender("FAISS IndexFlatIP, labels ignored", unlabelled(faiss.IndexFlatIP), negatives=False),
        ]

    return make


def products_alone(points: NDArray[np.float32], repeat: int) -> None:
    """The same products in torch, tile by tile, nothing selected: what no search by products can beat by much."""
    for kind, side in ((torch.bfloat16, 2_048), (torch.float32, 1_024)):
        rows = torch.from_numpy(points).to(kind)
        tile = torch.empty(side, side, dtype=kind)

        def run(rows: torch.Tensor = rows, tile: torch.Tensor = tile) -> None:
            for left in rows.split(len(tile)):
                for right in rows.split(len(tile)):
                    torch.mm(left, right.T, out=tile.view(-1)[: len(left) * len(right)].view(len(left), -1))

        print(f"  torch products alone, {str(kind)[6:]:14} {timed(run, repeat)[1]:9.3f} s")


def scan(bits: int) -> Makers:
    def make(points: NDArray[np.float32], labels: NDArray[np.int64], k: int) -> list[Contender]:
        return [
            Contender("hnm exact", ours(points, labels, k, "exact")),
            Contender("hnm lsh-scan, probe kept", kept(points, labels, k, bits)),
            Contender("hnm lsh-scan, probe included", ours(points, labels, k, "lsh-scan", bits=bits)),
        ]

    return make


def ours(points: NDArray[np.float32], labels: NDArray[np.int64], k: int, name: str, **options: object) -> Search:
    def run() -> NDArray[np.floating]:
        search = neighbors.create(name, distance=Distance(), **options)
        search.build(Bank(torch.from_numpy(points), torch.from_numpy(labels)))
        return search.nearest_negatives(torch.arange(len(points)), k).distance.numpy()

    return run


def kept(points: NDArray[np.float32], labels: NDArray[np.int64], k: int, bits: int) -> Search:
    """As in training: one search object, rebuilt at each refresh; the number of candidates is chosen once in twenty."""
    search = neighbors.create("lsh-scan", bits=bits)

    def run() -> NDArray[np.floating]:
        search.build(Bank(torch.from_numpy(points), torch.from_numpy(labels)))
        return search.nearest_negatives(torch.arange(len(points)), k).distance.numpy()

    return run


def faiss_flat(points: NDArray[np.float32], labels: NDArray[np.int64], k: int) -> Search:
    def run() -> NDArray[np.floating]:
        found = np.empty((len(points), k))
        for label in np.unique(labels):
            own = labels == label
            index = faiss.IndexFlatL2(points.shape[1])
            index.add(points[~own])
            found[own] = np.sqrt(np.maximum(index.search(points[own], k)[0], 0))
        return found

    return run


def compare(
    title: str, points: NDArray[np.float32], labels: NDArray[np.int64], k: int, repeat: int, make: Makers
) -> None:
    """Print a table; the first contender's answer is the truth for the recall of the others."""
    print(f"\n{title}")
    truth: NDArray[np.floating] | None = None
    base = 0.0
    for contender in make(points, labels, k):
        found, seconds = timed(contender.run, repeat)
        if truth is None:
            truth, base = found, seconds
        recall = f"recall {(found <= truth[:, -1:] * (1 + 1e-4)).mean():.4f}" if contender.negatives else ""
        print(f"  {contender.name:36} {seconds:9.3f} s   {seconds / base:7.2f} x   {recall}".rstrip())


def hamming(bits: int, repeat: int) -> None:
    """Codes alone, no labels, against FAISS: 20,000 codes, 4,096 queries, 40 nearest."""
    rows, queries, wanted = 20_000, 4_096, 40
    projected = np.random.default_rng(1).standard_normal((rows, bits))
    codes = pack_bits(projected, np.zeros(bits))
    anchors, nothing = np.arange(queries, dtype=np.int32), np.zeros(queries, np.int32)
    found = np.empty((queries, wanted), np.int32)
    packed = np.packbits(projected > 0, axis=1, bitorder="little")
    index = faiss.IndexBinaryFlat(bits)
    index.add(packed)

    def our_scan() -> NDArray[np.int32]:
        nearest_codes(codes, rows, bits, anchors, nothing, nothing, wanted, found)
        return found

    _, mine = timed(our_scan, repeat)
    _, theirs = timed(lambda: index.search(packed[:queries], wanted)[0], repeat)
    pairs = rows * queries / 1e9
    print(
        f"  Hamming scan, {bits:5} bits: hnm {pairs / mine:5.2f} G pairs/s, FAISS IndexBinaryFlat "
        f"{pairs / theirs:5.2f} G pairs/s, {theirs / mine:4.2f} x"
    )


def timed(run: Callable[[], Answer], repeat: int) -> tuple[Answer, float]:
    """The answer and the median of the seconds; the first call is a warm-up, unless calls are slow."""
    start = time.perf_counter()
    answer = run()
    first = time.perf_counter() - start
    seconds = [first] if first > SLOW_S else []
    for _ in range(1 if first > SLOW_S else repeat):
        start = time.perf_counter()
        answer = run()
        seconds.append(time.perf_counter() - start)
    return answer, statistics.median(seconds)


if __name__ == "__main__":
    main()
