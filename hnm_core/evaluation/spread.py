"""How far apart items of one class lie, and items of different classes: how tight clusters are, and how far apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.evaluation.nearest import checked
from hnm_core.isolation import isolated


@dataclass(frozen=True)
class ClassSpread:
    """Root mean square Euclidean distances; NaN where there is no such pair."""

    within: float
    """of two items of one class, over all such pairs"""
    between: float
    """of two items of different classes"""

    @property
    def ratio(self) -> float:
        """within / between, whatever the scale: 0 for classes that are points, about 1 where labels say nothing; NaN
        where there is neither."""
        return self.within / self.between if self.between > 0 else math.nan


@isolated
def class_spread(embeddings: Tensor, labels: Tensor, distance: Distance | None = None) -> ClassSpread:
    """The spread of all pairs of items, worked out from sums in O(N D).

    Args:
        embeddings: (N, D), finite.
        labels: (N,) integers.
        distance: rows are taken as it sees them: on the unit sphere where their length does not matter to it.

    Raises:
        InputError: shapes or types do not match, or non-finite embeddings.
    """
    checked(embeddings, labels, None)
    rows = (distance or Distance()).prepare_exactly(embeddings.detach().double())
    rows = rows - rows.mean(0)  # whatever is far from 0 alike must not eat the digits
    classes, own, counts = torch.unique(labels.to(rows.device), return_inverse=True, return_counts=True)
    size = counts.double()
    centres = rows.new_zeros(len(classes), rows.shape[1]).index_add_(0, own, rows) / size[:, None]
    around = rows.new_zeros(len(classes)).index_add_(0, own, (rows - centres[own]).square().sum(1))
    # Of n items the squared distances of all pairs add up to n times the squares around their mean. Every sum below is
    # of numbers that are not negative, so that none loses digits to another.
    middle = (size[:, None] * centres).sum(0) / size.sum()
    centres_apart = size.sum() * (size * (centres - middle).square().sum(1)).sum()
    within = (size * around).sum()
    between = ((size.sum() - size) * around).sum() + centres_apart
    pairs_within = (size * (size - 1) / 2).sum()
    pairs_between = size.sum() * (size.sum() - 1) / 2 - pairs_within
    return ClassSpread(_root(within, pairs_within), _root(between, pairs_between))


def _root(squares: Tensor, pairs: Tensor) -> float:
    return float((squares / pairs).sqrt()) if pairs > 0 else math.nan
