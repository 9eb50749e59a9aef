"""Orders the classes of a bank so that those that lie near each other stand next to each other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hnm_core import kernels
from hnm_core.bank import Bank
from hnm_core.neighbors.kdtree import use_torch_threads

_CELL = 1_024
"""Classes that are chained at once: the time of a chain grows as its square."""


def alike_together(bank: Bank, coordinates: Tensor) -> Bank:
    """The same rows in a bank whose places list each class beside those of nearest mean; kernels must be compiled.

    A KD-tree parts many classes into cells; inside a cell, each class is followed by the nearest that is left. A
    search that leaves out whole blocks of rows then meets blocks that are alike also where a class is smaller than a
    block. The labels of the new bank are the places of the classes in that order.

    Args:
        bank: on the CPU.
        coordinates: (N, d) few numbers that tell where the bank's sorted rows lie.
    """
    from hnm_core.neighbors.chaining import chain
    from hnm_core.neighbors.tree import build_tree

    counts = bank.sizes
    sums = torch.zeros(len(counts), coordinates.shape[1], dtype=torch.float64)
    sums.index_add_(0, torch.repeat_interleave(counts), coordinates.double())
    means = (sums / counts[:, None]).float().numpy()
    nothing, each = np.zeros(len(counts), np.int32), np.arange(len(counts), dtype=np.int32)
    with kernels.launch_lock:
        use_torch_threads()
        order = build_tree(means, nothing, each, False).rows if len(counts) > _CELL else each
        chain(means, order, _CELL)
    rank = torch.empty(len(counts), dtype=torch.int64)
    rank[torch.from_numpy(order).long()] = torch.arange(len(counts))
    return Bank(bank.embeddings, rank[bank.class_of_row], bank.ids, bank.step)
