"""Three coordinates to draw for an embedding of any dimension, without spins and flips between frames."""

from __future__ import annotations

import torch
from torch import Tensor


class AlignedPca:
    """PCA to 3-D whose axes are turned, inside their own subspace, to lie as the last frame's did."""

    def __init__(self) -> None:
        self._axes: Tensor | None = None

    def __call__(self, embeddings: Tensor) -> tuple[Tensor, str]:
        """(N, 3) float32 positions of (N, D) embeddings, and how they were made in words (empty for D <= 3)."""
        n, dim = embeddings.shape
        if dim <= 3:
            positions = embeddings.new_zeros((n, 3), dtype=torch.float32)
            positions[:, :dim] = embeddings
            return positions, "" if dim == 3 else f"{dim}-D output"
        wide = embeddings.double()
        centered = wide - wide.mean(0)
        variance, vectors = torch.linalg.eigh(centered.T @ centered)
        axes = _fixed_signs(vectors[:, -3:].flip(1)) if self._axes is None else _aligned(vectors[:, -3:], self._axes)
        self._axes = axes
        total = float(variance.clamp(min=0).sum())
        explained = float(variance[-3:].clamp(min=0).sum()) / total if total > 0 else 1.0
        return (centered @ axes).float(), f"PCA of {dim}-D, {explained:.0%}"


def _fixed_signs(axes: Tensor) -> Tensor:
    """Each axis turned so that its largest entry is positive: the sign does not depend on the solver."""
    largest = axes.abs().argmax(0)
    return axes * axes.gather(0, largest[None, :]).sign()


def _aligned(axes: Tensor, before: Tensor) -> Tensor:
    """The basis of span(axes) nearest to `before` (orthogonal Procrustes)."""
    left, _, right = torch.linalg.svd(axes.T @ before)
    turned: Tensor = axes @ (left @ right)
    return turned
