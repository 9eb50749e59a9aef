"""The parts of a data set in an experiment: what is trained on, and what is measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import Dataset
from hnm_core.data.split import held_out_classes_mask, held_out_mask
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
    """Part `dataset` as `config` says, or as a file of the user's is parted by itself.

    Raises:
        InputError: it has no official split, or too few classes for a split by classes; or what is left to train on
            has fewer than two classes, or no two items of one class.
    """
    if len(dataset.class_names) < 2:
        raise InputError(f"Data set '{dataset.name}' has one class only: there is nothing to separate.")
    held_out = _held_out(dataset, config, seed)
    trained = np.flatnonzero(~held_out)
    measured = np.flatnonzero(held_out)
    if config.validation > 0:
        part = held_out_classes_mask if config.split == "classes" else held_out_mask
        kept = part(dataset.y[trained], config.validation, seed)
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


def _held_out(dataset: Dataset, config: DataConfig, seed: int) -> NDArray[np.bool_]:
    """(N,) True where an item is kept out of training, before a validation part is."""
    if config.split == "classes":
        return held_out_classes_mask(dataset.y, config.held_out, seed)
    if config.split == "items":
        return held_out_mask(dataset.y, config.held_out, seed) if dataset.held_out is None else dataset.held_out
    official = dataset.held_out if dataset.official is None else dataset.official
    if official is None:
        raise InputError(
            f"Data set '{dataset.name}' has no official split; data.split is items or classes, or its file says which "
            "items are held out."
        )
    if not official.any():
        raise InputError(
            f"None of the {len(official):,} items of data set '{dataset.name}' is of its official test part; take more "
            "points."
        )
    return official
