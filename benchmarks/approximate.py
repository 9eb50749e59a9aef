"""Approximate nearest negatives, side by side with FAISS and hnswlib, in one process on the same arrays.

    python benchmarks/approximate.py [--threads 1] [--repeat 3] [--rows 200000] [--spread 0.3] [--peers all|fast|none]
    python benchmarks/approximate.py --million routed|lsh-buckets

Times include building the index, and for ours choosing how much to search; the first call of a contender that takes
under 10 s is dropped. Recall is the share of rows at most 1e-4 farther than the exact k-th, on 2,000 anchors. Memory is
the growth of the process's peak while a contender runs, beyond the data and its bank. Peers know no labels. FAISS gets
the better of two uses: over-fetching in growing steps, and a selector that leaves the anchor's class out (rows are
sorted by class, so that is a range). The settings of a peer grow until its recall reaches 0.9; peers that take long
search the 2,000 anchors only, and the time of the search is scaled up to all rows (marked ~). Nothing else should run:
compare ratios, not times.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hnm_core import kernels, neighbors  # chooses numba's threading layer before it is loaded  # isort: skip

import faiss
import hnswlib
import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core.bank import Bank

TARGET = 0.9
K = 10
PROBE = 2_000
SLOW_S = 10.0


@dataclass(frozen=True)
class Data:
    """Rows sorted by class, and the truth on a probe."""

    points: NDArray[np.float32]
    labels: NDArray[np.int64]
    offsets: NDArray[np.int64]
    probe: NDArray[np.int64]
    limit: NDArray[np.float32]


@dataclass(frozen=True)
class Result:
    name: str
    seconds: float
    recall: float
    memory_mb: float
    scaled: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--spread", type=float, default=0.3)
    parser.add_argument("--peers", choices=["all", "fast", "none"], default="all")
    parser.add_argument("--million", choices=["routed", "lsh-buckets"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    faiss.omp_set_num_threads(options.threads)
    kernels.compile_now(kernels.SEARCH_KERNELS)
    torch.set_num_threads(options.threads)
    rows = 1_000_000 if options.million else options.rows
    points, labels = blobs(rows, 128, classes=options.classes, spread=options.spread)
    print(
        f"{options.threads} threads of {os.cpu_count()}; N = {rows:,}, d = 128, k = {K}, {options.classes:,} classes, "
    )
    print(f"spread {options.spread}")
    if options.million:
        million(points, labels, options.million)
        return
    data = with_truth(points, labels)
    mine = ours(data, options.repeat)
    show(mine, mine.seconds)
    contenders = {"all": [ivf, hnsw, hnswlib_graph, flat], "fast": [ivf], "none": []}[options.peers]
    for contender in contenders:
        for result in contender(data, options.threads):
            show(result, mine.seconds)


def blobs(rows: int, dim: int, *, classes: int, spread: float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Gaussian classes about standard normal centres, sorted by class."""
    source = np.random.default_rng(0)
    labels = np.sort(source.integers(0, classes, rows))
    points = source.standard_normal((classes, dim), np.float32)[labels]
    for start in range(0, rows, 65_536):
        part = points[start : start + 65_536]
        part += np.float32(spread) * source.standard_normal(part.shape, np.float32)
    return points, labels


def with_truth(points: NDArray[np.float32], labels: NDArray[np.int64]) -> Data:
    probe = np.sort(np.random.default_rng(1).permutation(len(points))[:PROBE])
    exact = neighbors.create("exact")
    exact.build(Bank(torch.from_numpy(points), torch.from_numpy(labels)))
    found = exact.nearest_negatives(torch.from_numpy(probe), K).distance.numpy()
    offsets = np.searchsorted(labels, np.arange(labels[-1] + 2))
    return Data(points, labels, offsets, probe, found[:, -1:] * np.float32(1 + 1e-4))


def ours(data: Data, repeat: int) -> Result:
    bank = Bank(torch.from_numpy(data.points), torch.from_numpy(data.labels))
    anchors = torch.arange(len(bank))

    def run() -> tuple[NDArray[np.float32], str]:
        search = neighbors.create("routed", recall=TARGET)
        search.build(bank)
        return search.nearest_negatives(anchors, K).distance.numpy(), search.description

    with Peak() as peak:
        seconds = []
        for _ in range(repeat + 1):
            start = time.perf_counter()
            found, words = run()
            seconds.append(time.perf_counter() - start)
    print(f"  ({words})")
    recall = float((found[data.probe] <= data.limit).mean())
    return Result("hnm routed", statistics.median(seconds[1:]), recall, peak.megabytes)


def ivf(data: Data, _threads: int) -> Iterator[Result]:
    with Peak() as peak:
        start = time.perf_counter()
        quantizer, lists = faiss.IndexFlatL2(data.points.shape[1]), min(1_024, len(data.points) // 39)
        index = faiss.IndexIVFFlat(quantizer, data.points.shape[1], lists)
        sample = np.random.default_rng(2).permutation(len(data.points))[: 40 * lists]
        index.train(data.points[sample])
        index.add(data.points)
        built = time.perf_counter() - start
        for probes in (4, 8, 16, 32, 64, 128):
            if probes > lists:
                break
            index.nprobe = probes
            found, seconds = over_fetched(lambda rows, k: index.search(data.points[rows], k), data)
            best = Result(f"FAISS IVF, {probes} lists, over-fetch", built + seconds, share(found, data), 0, True)
            found, seconds = selected(index, data, lambda own, n=probes: faiss.SearchParametersIVF(nprobe=n, sel=own))
            if built + seconds < best.seconds:
                best = Result(f"FAISS IVF, {probes} lists, selector", built + seconds, share(found, data), 0, True)
            if best.recall >= TARGET:
                break
    yield Result(best.name, best.seconds, best.recall, peak.megabytes, True)


def hnsw(data: Data, _threads: int) -> Iterator[Result]:
    with Peak() as peak:
        start = time.perf_counter()
        index = faiss.IndexHNSWFlat(data.points.shape[1], 32)
        index.add(data.points)
        built = time.perf_counter() - start
        for effort in (64, 128, 256, 512, 1_024):

            def search(rows: NDArray[np.int64], k: int, least: int = effort) -> tuple[NDArray, NDArray]:
                index.hnsw.efSearch = max(k, least)
                return index.search(data.points[rows], k)

            found, seconds = over_fetched(search, data)
            if share(found, data) >= TARGET:
                break
    yield Result(f"FAISS HNSW, effort {effort}, over-fetch", built + seconds, share(found, data), peak.megabytes, True)


def hnswlib_graph(data: Data, threads: int) -> Iterator[Result]:
    with Peak() as peak:
        start = time.perf_counter()
        index = hnswlib.Index("l2", data.points.shape[1])
        index.init_index(len(data.points), ef_construction=100, M=16)
        index.add_items(data.points, num_threads=threads)
        built = time.perf_counter() - start
        for effort in (64, 128, 256, 512, 1_024):

            def search(rows: NDArray[np.int64], k: int, least: int = effort) -> tuple[NDArray, NDArray]:
                index.set_ef(max(k, least))
                found, distance = index.knn_query(data.points[rows], k, num_threads=threads)
                return distance, found.astype(np.int64)

            found, seconds = over_fetched(search, data)
            if share(found, data) >= TARGET:
                break
    yield Result(f"hnswlib, effort {effort}, over-fetch", built + seconds, share(found, data), peak.megabytes, True)


def flat(data: Data, _threads: int) -> Iterator[Result]:
    with Peak() as peak:
        index = faiss.IndexFlatL2(data.points.shape[1])
        index.add(data.points)
        found, seconds = over_fetched(lambda rows, k: index.search(data.points[rows], k), data)
    yield Result("FAISS Flat, over-fetch", seconds, share(found, data), peak.megabytes, True)


Fetch = Callable[[NDArray[np.int64], int], tuple[NDArray, NDArray]]


def over_fetched(fetch: Fetch, data: Data) -> tuple[NDArray[np.float32], float]:
    """(PROBE, K) squared distances of negatives; the seconds are those for all rows."""
    found = np.full((len(data.probe), K), np.inf, np.float32)
    start = time.perf_counter()
    rest, wanted = np.arange(len(data.probe)), K + int(np.diff(data.offsets).mean())
    while len(rest) and wanted <= len(data.points):
        distance, row = fetch(data.probe[rest], wanted)
        own = (row < 0) | (data.labels[row] == data.labels[data.probe[rest], None])
        found[rest] = np.sort(np.where(own, np.inf, distance), axis=1)[:, :K]
        rest, wanted = rest[((~own).sum(1) < K) & (row >= 0).all(1)], wanted * 2
    return found, (time.perf_counter() - start) * len(data.points) / len(data.probe)


def selected(index: object, data: Data, parameters: Callable[..., object]) -> tuple[NDArray[np.float32], float]:
    """The same by leaving the anchor's class out inside the search; a call for each class."""
    found = np.full((len(data.probe), K), np.inf, np.float32)
    own = data.labels[data.probe]
    start = time.perf_counter()
    for label in np.unique(own):
        low, high = int(data.offsets[label]), int(data.offsets[label + 1])
        leave = faiss.IDSelectorNot(faiss.IDSelectorRange(low, high))
        here = data.probe[own == label]
        found[own == label] = index.search(data.points[here], K, params=parameters(leave))[0]  # type: ignore[attr-defined]
    return found, (time.perf_counter() - start) * len(data.points) / len(data.probe)


def share(squared: NDArray[np.float32], data: Data) -> float:
    return float((np.sqrt(np.maximum(squared, 0)) <= data.limit).mean())


def million(points: NDArray[np.float32], labels: NDArray[np.int64], name: str) -> None:
    bank = Bank(torch.from_numpy(points), torch.from_numpy(labels))
    with Peak() as peak:
        start = time.perf_counter()
        settings = {"routed": {}, "lsh-buckets": {"tables": 16, "probes": 16}}[name]
        search = neighbors.create(name, **settings)
        search.build(bank)
        built = time.perf_counter() - start
        last = [start]

        def tell(done: int, total: int) -> None:
            if time.perf_counter() - last[0] > SLOW_S:
                last[0] = time.perf_counter()
                print(f"    {done / total:4.0%} after {last[0] - start:.0f} s", flush=True)

        found = search.nearest_negatives(torch.arange(len(bank)), K, tell).distance.numpy()
        seconds = time.perf_counter() - start
    data = with_truth(points, labels)
    recall = float((found[data.probe] <= data.limit).mean())
    print(
        f"  hnm {name}: {built:.1f} s to build, {seconds:.1f} s in all, recall {recall:.3f}, {peak.megabytes:,.0f} MB"
    )
    print(f"  ({search.description})")


class Peak:
    """Growth of the resident memory to its peak inside the block."""

    megabytes = 0.0

    def __enter__(self) -> Peak:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is needed now
        self._before, self._most, self._over = resident(), 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over.set()
        self._thread.join()
        self.megabytes = self._most - self._before

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self._most = max(self._most, resident())


def resident() -> float:
    """Megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def show(result: Result, base: float) -> None:
    mark = "~" if result.scaled else " "
    print(
        f"  {result.name:38} {mark}{result.seconds:8.2f} s  {result.seconds / base:7.1f} x  recall {result.recall:.3f}"
        f"  {result.memory_mb:7,.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
