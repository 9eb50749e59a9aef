"""What this machine can do at most, measured: products, copies, counted bits; methods are judged by their share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from hnm_core import kernels

_TILE = 2_048

PRECISIONS = (torch.float32, torch.bfloat16)


@dataclass(frozen=True)
class Limits:
    """Rates of this machine with so many threads."""

    float32: float
    """Multiplications and additions a second in float32 products of square matrices."""
    bfloat16: float
    """The same in bfloat16."""
    copied: float
    """Bytes read and written a second while copying a large array."""
    words: float
    """64-bit words a second whose differing bits are counted, out of the cache."""

    @property
    def product(self) -> float:
        """The faster of the two kinds of product."""
        return max(self.float32, self.bfloat16)

    @property
    def in_words(self) -> str:
        """All of them in words."""
        return (
            f"products {self.float32 / 1e9:,.0f} Gflop/s in float32 and {self.bfloat16 / 1e9:,.0f} in bfloat16, "
            f"copies {self.copied / 1e9:.1f} GB/s, {self.words / 1e9:.1f} G words/s compared"
        )


@lru_cache(maxsize=8)
def limits(threads: int, *, quick: bool = False) -> Limits:
    """Measure; takes about a second. `threads` must be pinned already."""
    side = 512 if quick else 2_048
    moved = 1 << (22 if quick else 26)
    source, target = torch.ones(moved), torch.empty(moved)
    return Limits(
        float32=2 * side**3 / _least(_square(side, torch.float32)),
        bfloat16=2 * side**3 / _least(_square(side, torch.bfloat16)),
        copied=2 * 4 * moved / _least(lambda: target.copy_(source)),
        words=_words(threads, 2_000 if quick else 20_000),
    )


def products_alone(points: torch.Tensor, precisions: tuple[torch.dtype, ...] = PRECISIONS) -> float:
    """Seconds that all products of the rows (N, D) take in torch, tile by tile, in the fastest of the precisions.

    Nothing is selected: what no search by products can beat by much.
    """
    return min(_products(points.to(kind)) for kind in precisions)


def _products(rows: torch.Tensor) -> float:
    """From a sample of the tiles, so that it takes no longer than it must."""
    tile = torch.empty(_TILE * _TILE, dtype=rows.dtype)
    left = rows[:_TILE]
    out = [tile[: len(left) * len(right)].view(len(left), -1) for right in rows.split(_TILE)]

    def strip() -> None:
        for right, target in zip(rows.split(_TILE), out, strict=True):
            torch.mm(left, right.T, out=target)

    return _least(strip) * len(rows) / len(left)


def _square(side: int, kind: torch.dtype) -> Callable[[], object]:
    left, right = torch.ones(side, side, dtype=kind), torch.ones(side, side, dtype=kind)
    out = torch.empty(side, side, dtype=kind)
    return lambda: torch.mm(left, right, out=out)


def _words(threads: int, rounds: int) -> float:
    """By our own kernel on codes that stay in the first cache."""
    if not kernels.ready(kernels.SEARCH_KERNELS):
        return float("nan")
    from hnm_core.bench.limit_kernels import differing_bits
    from hnm_core.launching import launching

    codes = np.arange(1_024, dtype=np.uint64)
    sums = np.zeros(threads * 16, np.int64)
    with launching():
        seconds = _least(lambda: differing_bits(codes, rounds, threads, sums))
    return len(codes) * rounds * threads / seconds


def _least(run: Callable[[], Any]) -> float:
    """Seconds of the fastest of a few runs: a limit is what the machine can do undisturbed."""
    run()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
