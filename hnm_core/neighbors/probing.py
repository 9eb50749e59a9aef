"""What the approximate searches share: the probe they choose on, recall, and what their kernels need."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core import kernels

PROBE = 512
"""Anchors of a probe."""
PROBE_EVERY = 20
"""Builds of unchanged size after which a choice is made again."""
TOLERANCE = 1e-4
"""A found row counts when its distance is at most this share above the k-th exact one."""


def probe_places(rows: int, device: torch.device | None = None) -> Tensor:
    """Up to 512 of `rows` places, evenly spread."""
    return torch.linspace(0, rows - 1, min(PROBE, rows), device=device, dtype=torch.float64).round().long()


def recall(found: Tensor, exact: Tensor) -> float:
    """Share of the exact neighbours for which as good a row was found; 1 where there are no neighbours.

    Args:
        found: (Q, k) distances found, inf where none.
        exact: (Q, k) true distances, inf where there are fewer.
    """
    exists = exact.isfinite()
    if not exists.any():
        return 1.0
    # The k-th exact distance; the last that exists where there are fewer. For negative ones the share widens too.
    last = exact.masked_fill(~exists, -torch.inf).amax(1, keepdim=True)
    limit = last + TOLERANCE * last.abs()
    return int(((found <= limit) & exists).sum()) / int(exists.sum())


class Due:
    """Whether a choice that was made on a probe has to be made again: after 20 builds, or for another shape or k."""

    def __init__(self) -> None:
        self._chosen_for: tuple[int, ...] | None = None
        self._builds = 0

    def built(self) -> None:
        """Count a build."""
        self._builds += 1

    def now(self, *shape: int) -> bool:
        """Whether to choose now for `shape`; a yes counts as chosen."""
        if self._chosen_for == shape and self._builds < PROBE_EVERY:
            return False
        self._chosen_for, self._builds = shape, 0
        return True


def compiled() -> bool:
    """Whether the search kernels are at hand; has them compiled in the background where not."""
    if kernels.ready(kernels.SEARCH_KERNELS):
        return True
    kernels.compile_in_background(kernels.SEARCH_KERNELS)
    return False


def padded(points: Tensor) -> NDArray[np.float32]:
    """(N, D) with D filled up with zeros to a multiple of 16, as the kernels read it."""
    missing = -points.shape[1] % 16
    return np.ascontiguousarray((torch.nn.functional.pad(points, (0, missing)) if missing else points).numpy())
