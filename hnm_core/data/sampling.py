"""The order in which items become anchors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import generator
from hnm_core.errors import InputError


def random_batches(n_items: int, batch: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The batches of one epoch: every item exactly once, in random order.

    All batches have `batch` items but the last, which holds what is left. A single item that would be left alone (no
    use to an in-batch miner or to batch normalisation) joins the batch before it. The result depends on the arguments
    only, so every lane of an experiment sees identical batches.

    Args:
        n_items: items to draw from, at least 1.
        batch: items of a batch, at least 1; the whole set if that is smaller.
        seed: of the experiment.
        epoch: 0, 1, 2, ...

    Returns:
        A list of (B,) int64 arrays of rows, 0 .. n_items-1.

    Raises:
        InputError: n_items or batch < 1.
    """
    if n_items < 1:
        raise InputError("There are no items to train on.")
    if batch < 1:
        raise InputError(f"batch = {batch} is not allowed: a batch holds at least 1 item.")
    rows = generator(seed, "batches", epoch).permutation(n_items)
    starts = list(range(0, n_items, batch))
    if len(starts) > 1 and batch > 1 and n_items - starts[-1] == 1:
        starts.pop()
    return np.split(rows, starts[1:])
