"""What every loss promises, and the conversions between forms of tuples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError

PML_DISTANCE = Distance("euclidean", normalized=True)
"""pytorch-metric-learning's default distance, taken when a loss is created without one."""

IndicesTuple = Sequence[Tensor]
"""Three vectors (anchor, positive, negative) or four (anchor1, positive, anchor2, negative); rows."""


class Part(NamedTuple):
    """Loss terms that are averaged together."""

    value: Tensor
    """(T,) with gradient"""
    anchor: Tensor
    """(T,) row of the anchor of each term"""


class Terms(NamedTuple):
    """The terms of a loss before reduction."""

    parts: tuple[Part, ...]
    separation: Tensor | None = None
    """(T,) d_an - d_ap of each triplet, in the loss's own units, without gradient; None for losses over pairs."""


class Loss(Protocol):
    """pytorch-metric-learning's call contract; `terms` shows what the number is made of."""

    def __call__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Tensor:
        """The loss, a scalar; exactly 0 and connected to the graph when there is no usable row.

        Args:
            embeddings: (B, D), finite.
            labels: (B,) integers.
            indices_tuple: mined rows, anchors of `embeddings`, the rest of `ref_emb`; None takes all there are.
            ref_emb, ref_labels: where positives and negatives come from; None is the batch itself.

        Raises:
            InputError: wrong shapes, or NaN or infinity in the embeddings.
        """

    def terms(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices_tuple: IndicesTuple | None = None,
        ref_emb: Tensor | None = None,
        ref_labels: Tensor | None = None,
    ) -> Terms:
        """The terms behind the loss. Arguments as above."""

    def reduce(self, terms: Terms, embeddings: Tensor) -> Tensor:
        """The scalar that `terms` of `embeddings` come to."""


def check_input(
    embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None, ref_labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The reference set (the batch itself when none is given). Raises `InputError` on what no loss can use."""
    if (ref_emb is None) != (ref_labels is None):
        raise InputError("ref_emb and ref_labels go together: give both or neither.")
    for name, emb, lab in (("embeddings", embeddings, labels), ("ref_emb", ref_emb, ref_labels)):
        if emb is None or lab is None:
            continue
        if emb.ndim != 2:
            raise InputError(f"{name} must have shape (B, D), not {tuple(emb.shape)}.")
        if lab.shape != emb.shape[:1]:
            raise InputError(f"labels of {name} must have shape ({len(emb)},), not {tuple(lab.shape)}.")
        if not bool(torch.isfinite(emb).all()):
            bad = int((~torch.isfinite(emb).all(1)).sum())
            raise InputError(f"{bad} of {len(emb)} rows of {name} hold NaN or infinity; a loss needs finite numbers.")
    if ref_emb is None or ref_labels is None:
        return embeddings, labels
    return ref_emb, ref_labels


def nothing(embeddings: Tensor) -> Tensor:
    """Exactly 0, with gradient 0, connected to the graph, even where the embeddings hold NaN."""
    return embeddings[:0].sum()


def as_triplets(
    indices_tuple: IndicesTuple | None, labels: Tensor, ref_labels: Tensor, *, same_set: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """(anchor, positive, negative): all of them for None; every positive pair joined with every negative pair of its
    anchor for a tuple of four."""
    if indices_tuple is not None and len(indices_tuple) == 3:
        anchor, positive, negative = indices_tuple
        return anchor, positive, negative
    if indices_tuple is None:
        positives, negatives = _pair_masks(labels, ref_labels, same_set=same_set)
        anchor1, positive = _entries(positives)
        joined, negative = _entries(negatives[anchor1])
        return anchor1[joined], positive[joined], negative
    anchor1, positive, anchor2, negative = _four(indices_tuple)
    joined, other = _entries(anchor1[:, None] == anchor2[None, :])
    return anchor1[joined], positive[joined], negative[other]


def as_pairs(
    indices_tuple: IndicesTuple | None, labels: Tensor, ref_labels: Tensor, *, same_set: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(anchor1, positive, anchor2, negative): all pairs for None; a triplet's two pairs, without repeats, for three."""
    if indices_tuple is None:
        positives, negatives = _pair_masks(labels, ref_labels, same_set=same_set)
        return *_entries(positives), *_entries(negatives)
    if len(indices_tuple) == 3:
        anchor, positive, negative = indices_tuple
        n_ref = len(ref_labels)
        return *_distinct(anchor, positive, n_ref), *_distinct(anchor, negative, n_ref)
    return _four(indices_tuple)


def _pair_masks(labels: Tensor, ref_labels: Tensor, *, same_set: bool) -> tuple[Tensor, Tensor]:
    """(B, R) bool: which pairs are positive, which are negative; a row is no positive of itself."""
    same = labels[:, None] == ref_labels[None, :]
    negatives = ~same
    if same_set:
        same.fill_diagonal_(False)
    return same, negatives


def _entries(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of every True."""
    row, column = mask.nonzero(as_tuple=True)
    return row, column


def _four(indices_tuple: IndicesTuple) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    if len(indices_tuple) != 4:
        raise InputError(f"indices_tuple must hold three or four vectors, not {len(indices_tuple)}.")
    anchor1, positive, anchor2, negative = indices_tuple
    return anchor1, positive, anchor2, negative


def _distinct(left: Tensor, right: Tensor, n_right: int) -> tuple[Tensor, Tensor]:
    keys = torch.unique(left * n_right + right)
    return keys // n_right, keys % n_right


def mean_nonzero(value: Tensor) -> Tensor:
    """Mean of the positive entries; 0 with gradient 0 where there is none."""
    return value.sum() / (value > 0).sum().clamp_min(1)
