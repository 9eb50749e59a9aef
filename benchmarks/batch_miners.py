"""Miners inside a batch against pytorch-metric-learning's: milliseconds, agreement, memory.

    OMP_NUM_THREADS=1 python -m benchmarks.batch_miners [--sizes 256 512 1024] [--dims 3 128] [--large 4096]

Balanced batches, 8 items a class, rows on the unit sphere, one thread. Contenders take turns; medians. Agreement is the
number of tuples that only one side has, of those that either has; drawn tuples are not compared. The large batch runs
ours alone, each miner in a process of its own, and shows its peak memory beyond what was there before.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from pytorch_metric_learning import miners as library

from hnm_core import kernels, miners
from hnm_core.miners.in_batch import KERNELS

PER_CLASS = 8
LIBRARY = {
    "triplet-margin": library.TripletMarginMiner,
    "angular": library.AngularMiner,
    "distance-weighted": library.DistanceWeightedMiner,
    "batch-hard": library.BatchHardMiner,
    "batch-easy-hard": library.BatchEasyHardMiner,
    "pair-margin": library.PairMarginMiner,
    "multi-similarity": library.MultiSimilarityMiner,
    "hdc": library.HDCMiner,
    "uniform-histogram": library.UniformHistogramMiner,
}
DRAWN = ("distance-weighted", "uniform-histogram")
OURS_ONLY = (
    *("all-pairs", "hard-negative-pairs", "all-triplets"),
    *("hardest-negative", "random-negative", "semihard-negative", "maximum-loss"),
)
SLOW_S = 5.0
"""A contender that takes longer is timed once."""


def batch(count: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.randn(count, dim, generator=torch.Generator().manual_seed(count + dim))
    labels = torch.arange(count) % (count // PER_CLASS)
    return torch.nn.functional.normalize(rows), labels


def compare(count: int, dim: int, rounds: int, wanted: list[str]) -> None:
    rows, labels = batch(count, dim)
    for name in wanted:
        contenders: dict[str, Callable[..., object]] = {"ours": miners.create(name), "library": LIBRARY[name]()}
        times: dict[str, list[float]] = {which: [] for which in contenders}
        found = {}
        for _ in range(rounds):
            for which, mine in contenders.items():
                if times[which] and times[which][0] > SLOW_S:
                    continue
                start = time.perf_counter()
                found[which] = mine(rows, labels)
                times[which].append(time.perf_counter() - start)
        ours, theirs = (1e3 * statistics.median(times[which]) for which in contenders)
        print(
            f"| {count} | {dim} | {name} | {ours:.1f} | {theirs:.1f} | {theirs / ours:.1f} | "
            f"{'drawn' if name in DRAWN else differing(found['ours'], found['library'], count)} |",
            flush=True,
        )


def differing(ours: tuple[torch.Tensor, ...], theirs: tuple[torch.Tensor, ...], count: int) -> str:
    """How many tuples only one side has, of all."""
    odd = total = 0
    for half in (slice(0, 3),) if len(ours) == 3 else (slice(0, 2), slice(2, 4)):
        keys = [torch.unique(key_of(side[half], count)) for side in (ours, theirs)]
        both, times_seen = torch.unique(torch.cat(keys), return_counts=True)
        odd += int((times_seen == 1).sum())
        total += len(both)
    return f"{odd} of {total}"


def key_of(vectors: tuple[torch.Tensor, ...], count: int) -> torch.Tensor:
    key = torch.zeros_like(vectors[0])
    for vector in vectors:
        key = key * count + vector
    return key


def large(name: str, count: int, dim: int) -> None:
    """One miner alone: time and peak memory, without what it returns."""
    rows, labels = batch(count, dim)
    miner = miners.create(name)
    miner(*batch(64, dim))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = miner(rows, labels)
    took = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    returned = sum(8 * len(vector) for vector in found) / 2**20
    print(
        f"| {count} | {dim} | {name} | {1e3 * took:.0f} | {returned:.0f} | {max(0, peak - returned):.0f} |", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[256, 512, 1024])
    parser.add_argument("--dims", type=int, nargs="*", default=[3, 128])
    parser.add_argument("--large", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--miners", nargs="*", default=list(LIBRARY))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    kernels.compile_now(KERNELS)
    if chosen.one:
        large(chosen.one, chosen.large, chosen.dims[0])
        return
    print("| B | D | miner | ours, ms | library, ms | times | differing |\n|---|---|---|---|---|---|---|", flush=True)
    for count in chosen.sizes:
        for dim in chosen.dims:
            compare(count, dim, chosen.rounds, chosen.miners)
    if chosen.large:
        print("\n| B | D | miner | ms | returned, MB | beyond, MB |\n|---|---|---|---|---|---|", flush=True)
        for name in (*LIBRARY, *OURS_ONLY):
            arguments = ["--one", name, "--large", str(chosen.large), "--dims", str(chosen.dims[0])]
            subprocess.run([sys.executable, "-m", "benchmarks.batch_miners", *arguments], check=True)


if __name__ == "__main__":
    main()
