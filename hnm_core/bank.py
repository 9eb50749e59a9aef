"""A bank of embeddings, kept sorted by class so that "same class" is one contiguous range."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hnm_core.errors import InputError, described
from hnm_core.isolation import isolated
from hnm_core.labels import INTEGERS, asked_for
from hnm_core.several_labels import SeveralLabels


class Bank:
    """Embeddings and labels of a whole set at one moment; nobody changes it.

    Attributes, in the caller's order:
        embeddings: (N, D) float32, without gradient: a copy of the caller's, of whatever float they are.
        labels: (N,) int64, any values; all 0 where none were given, or several an item.
        several: the labels of each row where items have several, or none; None where they are of classes.
        step: the training step the embeddings belong to.
    Sorted by class, for searches:
        order: (N,) int64, sorted place -> row of the caller.
        place: (N,) int64, row of the caller -> sorted place.
        sorted_embeddings: (N, D), embeddings[order].
        class_of_row: (N,) int64, 0 .. C-1, the dense class of each row of the caller.
        offsets: (C + 1,) int64; the rows of class c stand at places offsets[c] .. offsets[c + 1] - 1.
        sizes: (C,) int64, the rows of each class.
    """

    @isolated
    def __init__(self, embeddings: Tensor, labels: Tensor | SeveralLabels | None = None, *, step: int = 0) -> None:
        """Check and sort; without labels, or with several an item, rows keep their order, as there are no classes, and
        what is relevant to whom comes with the queries.

        Raises `InputError` on wrong shapes or types, and on NaN or infinity, with their number.
        """
        several = labels if isinstance(labels, SeveralLabels) else None
        embeddings, labels = _checked(embeddings, None if isinstance(labels, SeveralLabels) else labels)
        if several is not None and len(several) != len(embeddings):
            raise InputError(
                f"There are {len(several):,} lists of labels for {len(embeddings):,} embeddings; each needs one."
            )
        self.several = None if several is None else several.to(embeddings.device)
        self.embeddings = embeddings
        self.labels = labels
        self.step = step
        classes, self.class_of_row, self.sizes = torch.unique(labels, return_inverse=True, return_counts=True)
        self.classes = classes
        self.order = torch.argsort(self.class_of_row, stable=True)
        self.place = torch.empty_like(self.order)
        self.place[self.order] = torch.arange(len(labels), device=labels.device)
        sorted_already = bool((self.order[1:] > self.order[:-1]).all())
        self.sorted_embeddings = embeddings if sorted_already else embeddings.index_select(0, self.order)
        self.offsets = torch.zeros(len(classes) + 1, dtype=torch.int64, device=labels.device)
        torch.cumsum(self.sizes, 0, out=self.offsets[1:])

    def __deepcopy__(self, memo: dict[int, Any]) -> Bank:
        """The bank itself: what nobody changes can be shared, by a forked lane as well."""
        return self

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def dim(self) -> int:
        """Number of coordinates of an embedding."""
        return self.embeddings.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.embeddings.device


def check_bank(bank: object) -> None:
    """Raises `InputError` unless `bank` is a `Bank`."""
    if not isinstance(bank, Bank):
        raise InputError(f"A bank is needed, Bank(embeddings, labels), not {described(bank)}.")


def _checked(embeddings: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    if not isinstance(embeddings, Tensor) or embeddings.ndim != 2 or not embeddings.is_floating_point():
        raise InputError(f"Embeddings must be a floating-point tensor of shape (N, D), not {described(embeddings)}.")
    if len(embeddings) == 0 or embeddings.shape[1] == 0:
        raise InputError(f"A bank needs at least one row and one column, not {tuple(embeddings.shape)}.")
    if labels is None:
        labels = torch.zeros(len(embeddings), dtype=torch.int64)
    if not isinstance(labels, Tensor) or labels.shape != embeddings.shape[:1]:
        got = f"{tuple(labels.shape)}" if isinstance(labels, Tensor) else described(labels)
        raise InputError(f"Labels must be a tensor of shape ({len(embeddings)},), one for each embedding, not {got}.")
    if labels.dtype not in INTEGERS:
        raise InputError(
            f"Labels must be {asked_for(labels)}, not {labels.dtype}; labels.long() makes integers of whole numbers."
        )
    embeddings = embeddings.detach().to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    # Whoever adds NaN or infinity gets no finite number; a sum of large numbers may be none either.
    if not torch.isfinite(embeddings.sum()) and (bad := int((~torch.isfinite(embeddings).all(1)).sum())):
        raise InputError(f"{bad} of {len(embeddings)} embeddings hold NaN or infinity; mining needs finite numbers.")
    return embeddings, labels.detach().to(embeddings.device, torch.int64, copy=True)
