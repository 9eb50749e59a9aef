"""P x K batches of items with several labels: K items that carry each of P labels, no item twice in a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.balanced import balanced_batches
from hnm_core.data.base import generator
from hnm_core.data.item_labels import ItemLabels


def balanced_by_label(
    labels: ItemLabels, classes: int, per_class: int, seed: int, epoch: int, cap: int | None = None
) -> list[NDArray[np.int64]]:
    """The batches of one epoch: `balanced_batches` of all pairs of an item and a label.

    So every label shows each of its items at least once, or as many as the cap allows, and an item comes up for each of
    its labels. Where it is in a batch already, another item with the label stands in, at random; where all of them are,
    the batch is so much smaller. Items without a label are in no batch: they have no positive.

    Args:
        labels: of N items.
        classes: P, labels in a batch, at least 2; all of them where there are fewer.
        per_class: K, at least 1.
        seed: of the experiment.
        epoch: 0, 1, 2, ...
        cap: items of a label in an epoch at most, 1 or more; None for all of them.

    Returns:
        A list of (<= P * K,) int64 arrays of different rows, 0 .. N-1, in random order.

    Raises:
        InputError: as `balanced_batches`.
    """
    item = labels.item
    by_label = np.argsort(labels.label, kind="stable")
    starts = np.searchsorted(labels.label[by_label], np.arange(labels.count + 1))
    carriers = item[by_label]
    rng = generator(seed, "balanced-labels", epoch)
    batches = []
    for pairs in balanced_batches(labels.label, classes, per_class, seed, epoch, cap):
        rows = item[pairs]
        _, first = np.unique(rows, return_index=True)
        again = np.setdiff1d(np.arange(len(rows)), first)
        for place in again:
            label = labels.label[pairs[place]]
            free = np.setdiff1d(carriers[starts[label] : starts[label + 1]], rows)
            rows[place] = rng.choice(free) if len(free) else -1
        batches.append(rows[rows >= 0])
    return batches


def notes_of_several(labels: ItemLabels) -> tuple[str, ...]:
    """What the user should know of such batches, in sentences."""
    without = int((labels.sizes == 0).sum())
    return (f"{without:,} items without a label are in no batch: they have no positive.",) if without else ()
