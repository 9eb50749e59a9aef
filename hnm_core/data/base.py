"""What a data set is: numbers, labels, ids, and what may be known beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int, str], bool | None]
"""Called as progress(done, total, what); total is 0 when unknown; returning False cancels."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Items in id order. Built by `hnm_core.data.create`; arrays are not to be written to."""

    name: str
    x: NDArray[np.float32]
    """(N, D) features, finite."""
    y: NDArray[np.int64]
    """(N,) class of each item, 0 .. C-1."""
    ids: NDArray[np.int64]
    """(N,) distinct ids, ascending."""
    class_names: tuple[str, ...]
    """(C,) name of each class."""
    groups: NDArray[np.int64] | None = None
    """(N,) coarser classes to colour by."""
    y_true: NDArray[np.int64] | None = None
    """(N,) true classes where `y` is known to be noisy."""
    images: NDArray[np.uint8] | None = None
    """(N, H, W) or (N, H, W, 3) pictures of the items."""
    held_out: NDArray[np.bool_] | None = None
    """(N,) the data set's own split; None leaves the split to the experiment."""
