"""Our CUDA searches beside what one writes in torch: distances of some anchors to all rows, own class masked, top-k.

    python benchmarks/cuda_search.py [--only exact-3d] [--repeat 5]

Bank and index are built in every run. Wall time with the device waited for, first run dropped, medians; the peer's
answer is compared with ours. "Products alone" are the float32 products that the distances need, without any selection.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.neighbors.cuda import kernels
from hnm_core.neighbors.cuda.codes import CudaCodes
from hnm_core.relevance import SameClass

CHUNK = 2_048


def blobs(rows: int, dim: int, classes: int, spread: float) -> tuple[Tensor, Tensor]:
    """Gaussian classes about standard normal centres, on the device."""
    source = torch.Generator("cuda").manual_seed(0)
    labels = torch.randint(classes, (rows,), generator=source, device="cuda")
    centers = torch.randn(classes, dim, generator=source, device="cuda")
    return centers[labels] + spread * torch.randn(rows, dim, generator=source, device="cuda"), labels


def ours(points: Tensor, labels: Tensor, k: int, name: str = "exact") -> Tensor:
    search = neighbors.create(name)
    search.build(Bank(points, labels))
    return search.nearest_negatives(torch.arange(len(points), device="cuda"), k).distance


def in_torch(points: Tensor, labels: Tensor, k: int) -> Tensor:
    found = []
    for start in range(0, len(points), CHUNK):
        part = slice(start, start + CHUNK)
        distance = torch.cdist(points[part], points)
        distance.masked_fill_(labels[part, None] == labels, torch.inf)
        found.append(distance.topk(k, largest=False).values)
    return torch.cat(found)


def products_alone(points: Tensor) -> None:
    memory = torch.empty(CHUNK, len(points), device="cuda")
    for start in range(0, len(points), CHUNK):
        part = points[start : start + CHUNK]
        torch.mm(part, points.T, out=memory[: len(part)])


def seconds(run: Callable[[], object], repeat: int) -> float:
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def peak_mib(run: Callable[[], object]) -> float:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def exact(name: str, rows: int, dim: int, classes: int, spread: float, k: int, repeat: int, *, peer: bool) -> None:
    points, labels = blobs(rows, dim, classes, spread)
    took = seconds(lambda: ours(points, labels, k), repeat)
    memory = peak_mib(lambda: ours(points, labels, k))
    line = f"{name:16s} N={rows:9,} d={dim:3d} k={k:2d}  {1e3 * took:9.1f} ms  {memory:6,.0f} MiB"
    if dim > 8:
        line += f"  products alone {1e3 * seconds(lambda: products_alone(points), repeat):8.1f} ms"
    if peer:
        slower = seconds(lambda: in_torch(points, labels, k), repeat)
        off = (ours(points, labels, k) - in_torch(points, labels, k)).abs().max()
        line += f"  torch {1e3 * slower:8.1f} ms = {slower / took:5.1f} x, largest difference {float(off):.1e}"
    print(line, flush=True)


def codes(bits: int, rows: int, repeat: int) -> None:
    _, labels = blobs(rows, 2, 100, 0.8)
    bank = Bank(torch.zeros(rows, 2, device="cuda"), labels)
    code = torch.rand(rows, bits, generator=torch.Generator("cuda").manual_seed(1), device="cuda") < 0.5
    anchors, _ = SameClass(bank).query(bank.order).by_place()
    took, found = [], []
    for product in (False, True):
        index = CudaCodes(code.split(4_096), rows, product=product, device_kernels=kernels.of(bank.device))
        took.append(1e3 * seconds(lambda index=index: index.nearest(anchors, 40), repeat))
        found.append(index.nearest(anchors, 40))
    same = "same rows" if torch.equal(*found) else "DIFFERENT ROWS"
    print(f"codes-{bits:<10d} N={rows:9,} 40 best  popcount {took[0]:7.1f} ms  int8 products {took[1]:7.1f} ms  {same}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="")
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    cases: dict[str, Callable[[str], None]] = {
        "exact-3d": lambda name: exact(name, 100_000, 3, 10, 0.7, 10, args.repeat, peer=True),
        "exact-3d-tight": lambda name: exact(name, 100_000, 3, 10, 0.1, 10, args.repeat, peer=True),
        "exact-3d-large": lambda name: exact(name, 1_000_000, 3, 10, 0.7, 10, 1, peer=False),
        "exact-128d": lambda name: exact(name, 50_000, 128, 100, 0.8, 32, args.repeat, peer=True),
        "exact-128d-wide": lambda name: exact(name, 100_000, 128, 100, 0.8, 10, args.repeat, peer=True),
        "exact-512d": lambda name: exact(name, 20_000, 512, 100, 0.8, 32, args.repeat, peer=True),
        "exact-128d-large": lambda name: exact(name, 1_000_000, 128, 1_000, 0.8, 10, 1, peer=False),
        **{f"codes-{bits}": lambda _, bits=bits: codes(bits, 100_000, args.repeat) for bits in (128, 256, 512, 1_024)},
    }
    for name, measure in cases.items():
        if args.only in name:
            measure(name)


if __name__ == "__main__":
    main()
