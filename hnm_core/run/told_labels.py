"""All labels of items that have several each, as a run tells them: by dataset id, of shown items and of others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_PAIRS = 2_000_000
"""Of so many pairs of an item and a label each is told; of more only those of items that every frame shows, and none
where these are more."""


@dataclass(frozen=True, eq=False)
class ToldLabels:
    """M pairs of an item and one of its labels, none of them twice. An item that is in no pair has no label, or is one
    of which nothing but its rarest label is told."""

    ids: NDArray[np.int64]
    """(M,) dataset ids, ascending"""
    labels: NDArray[np.int64]
    """(M,) places in `RunStarted.class_names`, ascending for each item"""

    def of(self, item_id: int) -> list[int]:
        """The labels of an item."""
        start, stop = np.searchsorted(self.ids, (item_id, item_id + 1))
        labels: list[int] = self.labels[start:stop].tolist()
        return labels

    def items_with(self, labels: Collection[int]) -> NDArray[np.int64]:
        """(K,) ascending ids of the items that have any of some labels."""
        return np.unique(self.ids[np.isin(self.labels, list(labels))])


def told_labels(ids: NDArray[np.int64], labels: NDArray[np.int64], shown_ids: NDArray[np.int64]) -> ToldLabels | None:
    """What a run tells of (M,) pairs of an item and a label in any order; None where that is too much, or nothing."""
    if len(ids) > MOST_PAIRS:
        shown = np.isin(ids, shown_ids)
        ids, labels = ids[shown], labels[shown]
    if not 0 < len(ids) <= MOST_PAIRS:
        return None
    order = np.lexsort((labels, ids))
    told = ToldLabels(ids[order], labels[order])
    for array in (told.ids, told.labels):
        array.flags.writeable = False
    return told


def having(
    several: ToldLabels | None, ids: NDArray[np.int64], labels: NDArray[np.int64], wanted: Collection[int]
) -> NDArray[np.bool_]:
    """(P,) which items of these ids and classes have any of the `wanted` labels, as far as that is told: the class of
    an item is one of its labels, and the only one where items have one each."""
    found = np.isin(labels, list(wanted))
    return found if several is None else found | np.isin(ids, several.items_with(wanted))
