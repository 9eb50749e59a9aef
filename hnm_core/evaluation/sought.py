"""What retrieval looks for: the other items of a query's class, or those that share a label with it."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hnm_core.several_labels import SeveralLabels


class Sought(Protocol):
    """What is relevant among N items."""

    def partners(self, query: Tensor) -> Tensor:
        """(Q,) how many other items are relevant to each."""

    def hits(self, query: Tensor, row: Tensor) -> Tensor:
        """(Q, L) bool, which others (Q, L) are relevant to the query of their line."""


class OfClass:
    """Items of the same class."""

    def __init__(self, labels: Tensor, device: torch.device) -> None:
        _, self.own, self._counts = torch.unique(labels.to(device), return_inverse=True, return_counts=True)

    def partners(self, query: Tensor) -> Tensor:
        """See `Sought`."""
        partners: Tensor = self._counts[self.own[query]] - 1
        return partners

    def hits(self, query: Tensor, row: Tensor) -> Tensor:
        """See `Sought`."""
        hits: Tensor = self.own[row] == self.own[query, None]
        return hits


class OfLabels:
    """Items that share a label."""

    def __init__(self, labels: SeveralLabels, device: torch.device) -> None:
        self._labels = labels.to(device)

    def partners(self, query: Tensor) -> Tensor:
        """See `Sought`."""
        sizes = [self._labels.common(query[part]).sizes - 1 for part in self._labels.parts(query)]
        return torch.cat([query[:0], *sizes])

    def hits(self, query: Tensor, row: Tensor) -> Tensor:
        """See `Sought`."""
        return self._labels.share(query, row)


def sought_of(labels: Tensor | SeveralLabels, device: torch.device) -> OfClass | OfLabels:
    """By what items have."""
    return OfLabels(labels, device) if isinstance(labels, SeveralLabels) else OfClass(labels, device)
