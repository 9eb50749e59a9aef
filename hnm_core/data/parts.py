"""The parts of a data set in an experiment: what is trained on, and what is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import Dataset
from hnm_core.data.split import held_out_mask
from hnm_core.errors import InputError
from hnm_core.spec.config import DataConfig


@dataclass(frozen=True, eq=False)
class Parts:
    """Rows of a data set, ascending."""

    trained: NDArray[np.int64]
    """(T,) rows that are trained on"""
    measured: NDArray[np.int64]
    """(H,) rows that metrics are measured on; empty where nothing is kept out of training"""
    held_out: NDArray[np.bool_]
    """(N,) True where an item is not trained on"""
    classes: int
    """that occur among those trained on"""
    smallest_class: int
    """items of the smallest of these"""


def split(dataset: Dataset, config: DataConfig, seed: int) -> Parts:
    """Part `dataset` as `config` says, or as it is parted by itself.

    Raises:
        InputError: what is left to train on has fewer than two classes, or no two items of one class.
    """
    if len(dataset.class_names) < 2:
        raise InputError(f"Data set '{dataset.name}' has one class only: there is nothing to separate.")
    held_out = dataset.held_out
    if held_out is None:
        held_out = held_out_mask(dataset.y, config.held_out, seed)
    trained = np.flatnonzero(~held_out)
    measured = np.flatnonzero(held_out)
    if config.validation > 0:
        kept = held_out_mask(dataset.y[trained], config.validation, seed)
        trained, measured = trained[~kept], trained[kept]
        held_out = held_out.copy()
        held_out[measured] = True
    counts = np.bincount(dataset.y[trained], minlength=len(dataset.class_names))
    if (counts > 0).sum() < 2:
        raise InputError(f"Data set '{dataset.name}': fewer than two classes are left to train on.")
    if counts.max() < 2:
        raise InputError(
            f"Data set '{dataset.name}': without two items of one class left to train on there is no positive pair."
        )
    return Parts(trained, measured, held_out, int((counts > 0).sum()), int(counts[counts > 0].min()))
