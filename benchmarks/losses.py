"""Our losses beside pytorch-metric-learning's on the same batch: forward and backward, all pairs or triplets.

    python benchmarks/losses.py [--batch 128 256 512] [--dim 3] [--items 8] [--threads 1] [--rounds 9]

The two take turns in one process on a balanced batch of random float32 rows, after a call each that is not counted;
the figure is the median over rounds (fewer where a round takes seconds). Values and gradients of both are compared with
ours in float64. The peer is left out where its form over pairs of pairs would need more than --memory GB.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from pytorch_metric_learning import losses as pml
from torch import Tensor

from hnm_core import losses

PAIRWISE = {"nt-xent", "lifted-structure", "tuplet-margin"}
PEERS = {
    "nt-xent": pml.NTXentLoss,
    "lifted-structure": pml.LiftedStructureLoss,
    "tuplet-margin": pml.TupletMarginLoss,
    "sup-con": pml.SupConLoss,
    "multi-similarity": pml.MultiSimilarityLoss,
    "circle": pml.CircleLoss,
    "generalized-lifted-structure": pml.GeneralizedLiftedStructureLoss,
    "contrastive": pml.ContrastiveLoss,
    "triplet-margin": pml.TripletMarginLoss,
    "margin": pml.MarginLoss,
}

Call = Callable[[Tensor, Tensor], Tensor]


def step(loss: Call, x: Tensor, y: Tensor) -> tuple[float, float, Tensor]:
    """Seconds of forward and backward, value, gradient."""
    leaf = x.clone().requires_grad_()
    start = time.perf_counter()
    value = loss(leaf, y)
    value.backward()
    return time.perf_counter() - start, value.item(), leaf.grad


def compare(name: str, x: Tensor, y: Tensor, items: int, rounds: int, memory: float) -> str:
    n = len(x)
    ours, theirs = losses.create(name), PEERS[name]()
    _, exact, exact_gradient = step(losses.create(name), x.double(), y)
    gigabytes = n * (items - 1) * n * (n - items) * 4 * 5 / 2**30 if name in PAIRWISE else 0.0
    contenders: list[Call] = [ours] if gigabytes > memory else [ours, theirs]
    checked = [step(loss, x, y) for loss in contenders]
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds if max(seconds for seconds, *_ in checked) < 1 else min(rounds, 3)):
        for loss, spent in zip(contenders, times, strict=True):
            spent.append(step(loss, x, y)[0])
    middle = [1e3 * statistics.median(spent) for spent in times]
    off = [
        f"{abs(value - exact) / max(1.0, abs(exact)):7.0e} {float((gradient - exact_gradient).abs().max()):7.0e}"
        for _, value, gradient in checked
    ]
    if len(contenders) == 1:
        return (
            f"{name:29s} {n:5d} {middle[0]:9.2f} {'needs ' + format(gigabytes, '.0f') + ' GB':>11s} {'':8s}  {off[0]}"
        )
    return f"{name:29s} {n:5d} {middle[0]:9.2f} {middle[1]:11.2f} {middle[1] / middle[0]:7.1f}x  {off[0]}   {off[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--dim", type=int, default=3)
    parser.add_argument("--items", type=int, default=8, help="items a class")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory", type=float, default=3.0, help="GB a peer may need")
    parser.add_argument("--only", nargs="+", default=list(PEERS), choices=list(PEERS))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, {args.threads} thread(s), D = {args.dim}, {args.items} items a class, float32")
    print(f"{'':29s} {'B':>5s} {'ours ms':>9s} {'peer ms':>11s} {'':8s}  ours off: value, gradient; then the peer's")
    for name in args.only:
        for n in args.batch:
            source = torch.Generator().manual_seed(n)
            x, y = torch.randn(n, args.dim, generator=source), torch.arange(n) % max(1, n // args.items)
            print(compare(name, x, y, args.items, args.rounds, args.memory), flush=True)


if __name__ == "__main__":
    main()
