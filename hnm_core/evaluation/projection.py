"""Three coordinates to draw for an embedding of any dimension, without spins and flips between frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hnm_core.errors import InputError

MAX_TSNE_ITEMS = 20_000
"""Above this t-SNE takes minutes."""
QUICK_ITERATIONS, QUICK_ANGLE = 500, 0.8
"""Of a picture that somebody waits for, in place of 1,000 and 0.5 (Barnes-Hut's trade of exact forces for speed). In
3-D 1,800 items then take a third of the time (0.34 and 0.41 were seen), and of its ten nearest each keeps 6.4 in place
of 6.5 (`digits`), 8.0 in place of 8.3 (`near-classes`)."""


MAX_EXACT = 1_024
"""Dimensions, or points where they are fewer, above which a PCA that is right to the last digit takes many seconds a
frame."""
_SPARE, _ITERATIONS = 13, 4


class AlignedPca:
    """PCA to 3-D whose axes are turned, inside their own subspace, to lie as the last frame's did."""

    def __init__(self) -> None:
        self._axes: Tensor | None = None
        self._middle: Tensor | None = None

    def __call__(self, embeddings: Tensor) -> tuple[Tensor, str]:
        """(N, 3) float32 positions of (N, D) embeddings, and how they were made in words (empty for D <= 3)."""
        dim = embeddings.shape[1]
        if dim <= 3:
            return _padded(embeddings), "" if dim == 3 else f"{dim}-D output"
        wide = embeddings.double()
        self._middle = wide.mean(0)
        centered = wide - self._middle
        variance, vectors = _principal(centered)
        axes = _fixed_signs(vectors) if self._axes is None else _aligned(vectors, self._axes)
        self._axes = axes
        total = float(centered.square().sum())
        explained = float(variance.clamp(min=0).sum()) / total if total > 0 else 1.0
        return (centered @ axes).float(), f"PCA of {dim}-D, {explained:.0%}"

    def further(self, embeddings: Tensor) -> Tensor:
        """(G, 3) float32 positions of more (G, D) embeddings, seen as those of the last call were; nothing changes."""
        if embeddings.shape[1] <= 3:
            return _padded(embeddings)
        if self._axes is None or self._middle is None:
            raise ValueError("further embeddings are seen as those of a call before, and there was none")
        return ((embeddings.double() - self._middle) @ self._axes).float()

    def state(self) -> dict[str, Any]:
        """How the last frame was seen, as tensors."""
        return {"axes": self._axes, "middle": self._middle}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """See the next frame as if what told `state` were this one."""
        axes, middle = state["axes"], state["middle"]
        self._axes = None if axes is None else axes.to(device)
        self._middle = None if middle is None else middle.to(device)


def _padded(embeddings: Tensor) -> Tensor:
    """(N, 3) positions of embeddings of at most three dimensions."""
    n, dim = embeddings.shape
    positions = embeddings.new_zeros((n, 3), dtype=torch.float32)
    positions[:, :dim] = embeddings
    return positions


def _principal(centered: Tensor) -> tuple[Tensor, Tensor]:
    """(3,) variances, the largest first, of (N, D) centred points, D above 3, and (D, 3) their orthonormal axes.

    The smaller of two matrices is taken apart, which have the same variances: of pairs of dimensions, or of pairs of
    points, from which the axes then follow. Fewer than three points leave some axes to chance, with no variance.
    """
    points, dim = centered.shape
    if min(points, dim) > MAX_EXACT:
        return _roughly_principal(centered)
    if dim <= points:
        variance, vectors = torch.linalg.eigh(centered.T @ centered)
        return variance[-3:].flip(0), vectors[:, -3:].flip(1)
    variance, weights = torch.linalg.eigh(centered @ centered.T)
    along = centered.T @ weights[:, -3:].flip(1)
    return variance[-3:].flip(0), torch.linalg.qr(nn.functional.pad(along, (0, 3 - along.shape[1])))[0]


def _roughly_principal(centered: Tensor) -> tuple[Tensor, Tensor]:
    """What `_principal` gives, to three digits of the variance or so, without a matrix of all pairs: by randomised
    block Krylov iterations, which keep what each of them found (Musco, Musco 2015, algorithm 2). The same points always
    give the same."""
    start = torch.randn((centered.shape[1], 3 + _SPARE), generator=torch.Generator().manual_seed(0))
    basis = start.to(centered)
    blocks = []
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(centered.T @ (centered @ basis))[0]
        blocks.append(basis)
    basis = torch.linalg.qr(torch.cat(blocks, 1))[0]
    inside = centered @ basis
    variance, weights = torch.linalg.eigh(inside.T @ inside)
    return variance[-3:].flip(0), basis @ weights[:, -3:].flip(1)


def _fixed_signs(axes: Tensor) -> Tensor:
    """Each axis turned so that its largest entry is positive: the sign does not depend on the solver."""
    largest = axes.abs().argmax(0)
    return axes * axes.gather(0, largest[None, :]).sign()


def _aligned(axes: Tensor, before: Tensor) -> Tensor:
    """The basis of span(axes) nearest to `before` (orthogonal Procrustes)."""
    left, _, right = torch.linalg.svd(axes.T @ before)
    turned: Tensor = axes @ (left @ right)
    return turned


def tsne_snapshot(
    embeddings: Tensor, *, dim: int = 2, perplexity: float = 30.0, seed: int = 0, quick: bool = False
) -> Tensor:
    """(N, dim) float32 picture of (N, D) embeddings by t-SNE (van der Maaten and Hinton 2008), for one moment only.

    Two snapshots are not comparable, and distances in one are not distances of the embedding; while training, use
    `AlignedPca`. Takes seconds for thousands of items; `quick` is for those who wait, see `QUICK_ITERATIONS`. The
    perplexity is lowered for few items.

    Raises:
        InputError: another shape, too many items, dim other than 2 or 3, perplexity <= 0, or non-finite embeddings.
    """
    if embeddings.ndim != 2 or not 0 < len(embeddings) <= MAX_TSNE_ITEMS:
        raise InputError(f"t-SNE needs (N, D) embeddings, N = 1 .. {MAX_TSNE_ITEMS:,}, not {tuple(embeddings.shape)}.")
    if dim not in (2, 3) or not perplexity > 0:
        raise InputError(f"dim = {dim}, perplexity = {perplexity} are not allowed: 2 or 3, and more than 0.")
    if not bool(torch.isfinite(embeddings).all()):
        raise InputError("Embeddings hold NaN or infinity; t-SNE needs finite numbers.")
    points = embeddings.detach().double().cpu()
    points = points - points.mean(0)
    n, width = points.shape
    scale = float(points.abs().max()) if points.numel() else 0.0
    if n < 4 or scale == 0:
        return torch.zeros((n, dim))  # too few to have neighbours, or all in one spot
    from sklearn.manifold import TSNE

    start = "pca" if width >= dim and n > dim and torch.linalg.matrix_rank(points / scale) >= dim else "random"
    rate = max(n / 48, 10.0 if dim == 3 else 50.0)  # scikit-learn's own floor of 50 throws few points apart in 3-D
    model = TSNE(
        dim,
        perplexity=min(perplexity, (n - 1) / 3),
        init=start,
        learning_rate=rate,
        random_state=seed % 2**32,
        max_iter=QUICK_ITERATIONS if quick else 1000,
        angle=QUICK_ANGLE if quick else 0.5,
    )
    return torch.from_numpy(model.fit_transform((points / scale).numpy())).float()
