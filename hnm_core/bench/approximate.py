"""Approximate nearest negatives in 128 dimensions: routed, bucketed, scanned; FAISS, hnswlib and our exact search."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.bench import usage
from hnm_core.bench.exact import flat
from hnm_core.bench.limits import limits
from hnm_core.bench.table import Bound, Case, Result, Row, Settings
from hnm_core.bench.timing import Contender, TookTooLong, take_turns, why_absent
from hnm_core.bench.usage import Distances, Fetch, Problem, Rows
from hnm_core.system.peak import Peak

TARGET = 0.9
"""Recall that a routed search and its peers have to reach."""
K = 10
_PROBE = 2_000
_DIM = 128
_REPORT_EVERY_S = 10.0


def cases(settings: Settings) -> list[Case]:
    """Rows: `routed`, `lsh-buckets`, `lsh-scan`; with `large` also the graphs at N = 200,000 and a million rows."""
    rows = 5_000 if settings.quick else 50_000
    all_peers = (_ivf, _hnsw, _hnswlib, _flat)
    found = [_routed(rows, rows // 200, all_peers, settings)]
    if not settings.quick:
        found.append(_routed(200_000, 1_000, all_peers if settings.large else (_ivf,), settings))
    found.append(_beside_exact("lsh-buckets", rows, _DIM, {}, settings))
    rows = 2_000 if settings.quick else 20_000
    for dim, bits in ((3, 256), (_DIM, 256), (_DIM, 1_024)):
        found.append(_beside_exact("lsh-scan", rows, dim, {"bits": bits}, settings))
    for count in (rows,) if settings.quick else (rows, 100_000, 200_000):
        found.append(_beside_exact("lsh-scan", count, _DIM, {"bits": 128}, settings, alike=10))
    if settings.large:
        found += [_million(name, settings) for name in ("routed", "lsh-buckets")]
    return found


def _routed(rows: int, classes: int, peers: Sequence[Any], settings: Settings) -> Case:
    size = f"N={rows:,} d={_DIM} k={K}, {classes:,} classes"

    def measure() -> Row:
        points, labels = usage.blobs(rows, _DIM, classes=classes, spread=0.3, by_class=True)
        problem = usage.with_truth(points, labels, K, probe=_PROBE)
        rate = [0.0]

        def routed() -> Distances:
            search = neighbors.create("routed", recall=TARGET)
            search.build(Bank(torch.from_numpy(points), torch.from_numpy(labels)))
            found = search.nearest_negatives(torch.arange(rows), K).distance.numpy()
            rate[0] = getattr(search, "candidate_rate", None) or 1.0
            return found

        outcome = take_turns([Contender("hnm routed", routed)], settings)[0]
        assert outcome.answer is not None
        ours = outcome.rated(recall=problem.recall(outcome.answer[problem.anchors]))
        arithmetic = 2.0 * rows * rows * rate[0] * _DIM / limits(settings.threads, quick=settings.quick).product
        what = f"arithmetic (products with {100 * rate[0]:.1f} % of the rows)"
        bound = Bound(what, arithmetic / ours.seconds if ours.seconds else None)
        results = [result for peer in peers for result in _tried(peer, problem, settings)]
        return Row("mining", "routed", size, ours, tuple(results), bound)

    return Case("routed", size, measure)


def _beside_exact(
    name: str, rows: int, dim: int, options: dict[str, int], settings: Settings, *, alike: int = 1
) -> Case:
    classes, spread = (rows // 200, 0.8) if alike == 1 else (rows // 100, 0.3)
    words = "".join(f", {value:,} {key}" for key, value in options.items())
    grouped = f", {alike} alike" if alike > 1 else ""
    size = f"N={rows:,} d={dim} k={K}, {classes} classes{grouped}{words}"

    def measure() -> Row:
        points, labels = usage.blobs(rows, dim, classes=classes, spread=spread, by_class=True, alike=alike)
        problem = usage.with_truth(points, labels, K)
        told = [""]

        def approximate() -> Distances:
            search = neighbors.create(name, distance=None, **options)
            search.build(Bank(torch.from_numpy(points), torch.from_numpy(labels)))
            found = search.nearest_negatives(torch.arange(rows), K).distance.numpy()
            told[0] = _how_much(search)
            return found

        contenders = [Contender(f"hnm {name}", approximate), Contender("hnm exact", usage.ours(problem, "exact"))]
        if name == "lsh-scan":
            codes = _codes(problem, options["bits"])
            contenders.append(Contender("FAISS LSH, over-fetch, re-scored", codes, "faiss", comparable=False))
        ours, *others = [
            outcome.rated(recall=problem.recall(outcome.answer)) if outcome.answer is not None else outcome.result
            for outcome in take_turns(contenders, settings)
        ]
        bound = Bound("selection: keys, buckets, what was seen before")
        if name == "lsh-scan":
            compared = rows * rows * -(-options["bits"] // 64)
            share = compared / limits(settings.threads, quick=settings.quick).words / (ours.seconds or 1.0)
            bound = Bound("arithmetic (comparing all codes)", share)
            if alike > 1:  # most codes are not compared
                bound = Bound("memory: rows to re-score")
        ours = replace(ours, note=told[0])
        others = [replace(other, comparable=other.comparable or (other.recall or 0) >= TARGET) for other in others]
        return Row("mining", name, size, ours, tuple(others), bound)

    return Case(name, size, measure)


def _how_much(search: object) -> str:
    """What a search chose to look at, in words."""
    candidates = getattr(search, "candidates", None)
    rate = getattr(search, "candidate_rate", None)
    if candidates is not None:
        return f"{candidates:,} candidates"
    return f"{100 * rate:.1f} % of the rows" if rate is not None else ""


def _codes(problem: Problem, bits: int, candidates: int = 16) -> Callable[[], Distances]:
    """FAISS's own hashing: 16 k codes more than a class has rows are fetched, negatives among them scored exactly."""

    def run() -> Distances:
        import faiss

        index = faiss.IndexLSH(problem.points.shape[1], bits)
        index.train(problem.points)
        index.add(problem.points)
        wanted = min(len(problem.points), candidates * problem.k + int(np.bincount(problem.labels).mean()))
        found = np.empty((len(problem.points), problem.k))
        start = time.perf_counter()
        for part in np.array_split(np.arange(len(problem.points)), max(1, len(problem.points) * wanted >> 16)):
            row = index.search(problem.points[part], wanted)[1]
            distance = np.linalg.norm(problem.points[row] - problem.points[part, None], axis=2)
            distance[(row < 0) | (problem.labels[row] == problem.labels[part, None])] = np.inf
            found[part] = np.sort(distance, axis=1)[:, : problem.k]
            usage.check_patience(start)
        return found

    return run


Tried = Callable[[Problem, int], Iterator[Result]]
"""A peer's settings, the cheapest first: results whose seconds are for all rows, scaled up from the probe."""


def _tried(peer: Tried, problem: Problem, settings: Settings) -> list[Result]:
    """The first result of a peer that reaches the recall, or the last one, which then does not count."""
    name, module = _NAMES[peer]
    absent = why_absent(module)
    if absent:
        return [Result(name, note=absent)]
    settings.tell(name)
    best = None
    with Peak() as peak:
        try:
            for best in peer(problem, settings.threads):
                if best.recall is not None and best.recall >= TARGET:
                    break
        except TookTooLong as given_up:
            if best is None:
                return [Result(name, note=str(given_up))]
    if best is None:
        return [Result(name, note="no setting was tried")]
    return [replace(best, peak_mb=peak.megabytes, comparable=(best.recall or 0) >= TARGET)]


def _ivf(problem: Problem, _threads: int) -> Iterator[Result]:
    import faiss

    start = time.perf_counter()
    lists = min(1_024, len(problem.points) // 39)
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(_DIM), _DIM, lists)
    index.train(problem.points[np.random.default_rng(2).permutation(len(problem.points))[: 40 * lists]])
    index.add(problem.points)
    built = time.perf_counter() - start
    for probes in (2, 4, 8, 16, 32, 64, 128):
        index.nprobe = min(probes, lists)
        fetched = _rated(f"FAISS IVF, {probes} of {lists} lists, over-fetch", problem, built, _rooted(index, problem))
        start = time.perf_counter()
        found = _selected(problem, index, index.nprobe)
        seconds = built + _scaled(problem, start)
        chosen = Result(
            f"FAISS IVF, {probes} of {lists} lists, selector", seconds, 1, problem.recall(found), note="scaled"
        )
        yield min((fetched, chosen), key=lambda one: ((one.recall or 0) < TARGET, one.seconds))


def _hnsw(problem: Problem, _threads: int) -> Iterator[Result]:
    import faiss

    start = time.perf_counter()
    index = faiss.IndexHNSWFlat(_DIM, 32)
    index.add(problem.points)
    built = time.perf_counter() - start
    plain = _rooted(index, problem)
    for effort in (64, 128, 256, 512, 1_024):

        def fetch(rows: Rows, wanted: int, least: int = effort) -> tuple[Distances, Rows]:
            index.hnsw.efSearch = max(wanted, least)
            return plain(rows, wanted)

        yield _rated(f"FAISS HNSW, effort {effort}, over-fetch", problem, built, fetch)


def _hnswlib(problem: Problem, threads: int) -> Iterator[Result]:
    import hnswlib

    start = time.perf_counter()
    index = hnswlib.Index("l2", _DIM)
    index.init_index(len(problem.points), ef_construction=100, M=16)
    index.add_items(problem.points, num_threads=threads)
    built = time.perf_counter() - start
    for effort in (64, 128, 256, 512, 1_024):

        def fetch(rows: Rows, wanted: int, least: int = effort) -> tuple[Distances, Rows]:
            index.set_ef(max(wanted, least))
            found, squared = index.knn_query(problem.points[rows], wanted, num_threads=threads)
            return np.sqrt(squared), found.astype(np.int64)

        yield _rated(f"hnswlib, effort {effort}, over-fetch", problem, built, fetch)


def _flat(problem: Problem, _threads: int) -> Iterator[Result]:
    yield _rated("FAISS FlatL2, over-fetch", problem, 0.0, flat(problem))


_NAMES: dict[Tried, tuple[str, str]] = {
    _ivf: ("FAISS IVF", "faiss"),
    _hnsw: ("FAISS HNSW", "faiss"),
    _hnswlib: ("hnswlib", "hnswlib"),
    _flat: ("FAISS FlatL2", "faiss"),
}


def _rated(name: str, problem: Problem, built: float, fetch: Fetch) -> Result:
    """Over-fetching on the probe; the time of the search is scaled up to all rows."""
    wanted = problem.k + int(np.bincount(problem.labels).mean())
    start = time.perf_counter()
    found = usage.over_fetched(problem, fetch, wanted)
    return Result(name, built + _scaled(problem, start), 1, problem.recall(found), note="scaled")


def _scaled(problem: Problem, start: float) -> float:
    return (time.perf_counter() - start) * len(problem.points) / len(problem.anchors)


def _rooted(index: Any, problem: Problem) -> Fetch:
    """A FAISS index whose distances are squares."""

    def fetch(rows: Rows, wanted: int) -> tuple[Distances, Rows]:
        squared, row = index.search(problem.points[rows], wanted)
        return np.sqrt(np.maximum(squared, 0)), row

    return fetch


def _selected(problem: Problem, index: Any, probes: int) -> Distances:
    """The class of the anchors left out inside the search, a call for each class; rows are sorted by class."""
    faiss: Any = importlib.import_module("faiss")  # its stubs do not know these parameters
    found: NDArray[np.float64] = np.full((len(problem.anchors), problem.k), np.inf)
    own = problem.labels[problem.anchors]
    for label in np.unique(own):
        low, high = np.searchsorted(problem.labels, (label, label + 1))
        others = faiss.IDSelectorNot(faiss.IDSelectorRange(int(low), int(high)))
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=others)
        here = problem.anchors[own == label]
        squared = index.search(problem.points[here], problem.k, params=parameters)[0]
        found[own == label] = np.sqrt(np.maximum(squared, 0))
    return found


def _million(name: str, settings: Settings) -> Case:
    rows, classes = 1_000_000, 1_000
    size = f"N={rows:,} d={_DIM} k={K}, {classes:,} classes"

    def measure() -> Row:
        points, labels = usage.blobs(rows, _DIM, classes=classes, spread=0.3, by_class=True)
        bank = Bank(torch.from_numpy(points), torch.from_numpy(labels))
        last = [time.perf_counter()]

        def tell(done: int, total: int) -> None:
            if time.perf_counter() - last[0] > _REPORT_EVERY_S:
                last[0] = time.perf_counter()
                settings.tell(f"{name}: {100 * done / total:.0f} %")

        with Peak() as peak:
            start = time.perf_counter()
            search = neighbors.create(name)
            search.build(bank)
            found = search.nearest_negatives(torch.arange(rows), K, tell).distance.numpy()
            seconds = time.perf_counter() - start
        problem = usage.with_truth(points, labels, K, probe=_PROBE)
        recall = problem.recall(found[problem.anchors])
        ours = Result(f"hnm {name}", seconds, 1, recall, peak_mb=peak.megabytes, note=_how_much(search))
        return Row("mining", f"{name}-million", size, ours)

    return Case(f"{name}-million", size, measure)
