"""How the time of a search grows with the number of rows, and a plot of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.bench import usage
from hnm_core.bench.table import Bound, Case, Result, Row, Settings, duration
from hnm_core.bench.timing import TookTooLong, why_absent
from hnm_core.bench.usage import Problem

K = 10
LONGEST_S = 60.0
LONGEST_LARGE_S = 600.0
"""What would take longer is left out, and the row says so."""

METHODS = {
    "exact d=3": (3, "exact"),
    "SciPy cKDTree, complements d=3": (3, "scipy"),
    "exact d=128": (128, "exact"),
    "lsh-scan d=128": (128, "lsh-scan"),
    "lsh-buckets d=128": (128, "lsh-buckets"),
    "routed d=128": (128, "routed"),
    "FAISS FlatL2, labels ignored d=128": (128, "faiss"),
}


def cases(settings: Settings) -> list[Case]:
    """Rows `growth`, one for each number of rows and method; a method that became too slow is not run again."""
    sizes = (
        (500, 1_000, 2_000) if settings.quick else (10_000, 100_000, 1_000_000) if settings.large else (10_000, 100_000)
    )
    taken: dict[str, list[tuple[int, float]]] = {name: [] for name in METHODS}
    return [_case(name, rows, taken[name], settings) for rows in sizes for name in METHODS]


def _case(name: str, rows: int, taken: list[tuple[int, float]], settings: Settings) -> Case:
    dim, method = METHODS[name]
    classes = max(10, rows // 1_000)
    size = f"N={rows:,} d={dim} k={K}, {classes:,} classes"

    def measure() -> Row:
        longest = LONGEST_LARGE_S if settings.large else LONGEST_S
        expected = _expected(taken, rows)
        who = name if method in ("scipy", "faiss") else f"hnm {name}"
        absent = why_absent(method if method in ("scipy", "faiss") else "")
        if absent or expected > longest:
            note = absent or f"left out: about {duration(expected)} expected"
            return Row("mining", name, size, Result(who, note=note))
        points, labels = usage.blobs(rows, dim, classes=classes, spread=0.3)
        run = _run(method, usage.Problem(points, labels, K, np.arange(rows), np.empty(0)), settings.threads)
        seconds: list[float] = []
        while len(seconds) < settings.repeat + 1 and sum(seconds) < 10:
            start = time.perf_counter()
            try:
                run()
            except TookTooLong as given_up:
                return Row("mining", name, size, Result(who, note=str(given_up)))
            seconds.append(time.perf_counter() - start)
        median = float(np.median(seconds[1:] or seconds))
        taken.append((rows, median))
        grows = None
        if len(taken) > 1:
            (before, fast), (now, slow) = taken[-2:]
            grows = Bound(f"grows as N^{math.log(slow / fast) / math.log(now / before):.2f}")
        return Row("mining", name, size, Result(who, median, max(1, len(seconds) - 1)), (), grows)

    return Case(name, size, measure)


def _expected(taken: list[tuple[int, float]], rows: int) -> float:
    """Seconds for so many rows if the method grows as it did, or as N^2 after one size."""
    if not taken:
        return 0.0
    last_rows, last = taken[-1]
    power = 2.0
    if len(taken) > 1:
        power = max(1.0, math.log(last / taken[-2][1]) / math.log(last_rows / taken[-2][0]))
    return last * math.pow(rows / last_rows, power)


def _run(method: str, problem: Problem, threads: int) -> Callable[[], Any]:
    def search() -> Any:
        found = neighbors.create(method)
        found.build(Bank(torch.from_numpy(problem.points), torch.from_numpy(problem.labels)))
        return found.nearest_negatives(torch.arange(len(problem.points)), problem.k)

    def trees() -> Any:
        from scipy.spatial import cKDTree

        return usage.complements(problem, lambda others, own, k: cKDTree(others).query(own, k, workers=threads)[0])

    def unlabelled() -> Any:
        import faiss

        index = faiss.IndexFlatL2(problem.points.shape[1])
        index.add(problem.points)
        return index.search(problem.points, problem.k)

    return {"scipy": trees, "faiss": unlabelled}.get(method, search)


def plot(rows: list[Row], path: Path) -> None:
    """Seconds over the number of rows, both logarithmic, a line for each method. Needs matplotlib."""
    from hnm_core.studies.plots import plot_lines

    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.ours.seconds is not None:
            count = int(row.size.split()[0].removeprefix("N=").replace(",", ""))
            lines.setdefault(row.name, []).append((count, row.ours.seconds))
    plot_lines(lines, "Nearest negatives of all rows, k = 10", "rows", "seconds", [path])
