"""One item as the data have it: its picture or its numbers, and what lies nearest to it there. No Qt.

The data are loaded again by what the run was configured with, so a run that trains, one that has ended and a recording
are answered alike. Nothing is fetched for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core import data
from hnm_core.data.base import Dataset, LoadCancelled
from hnm_core.data.split import stratified_sample
from hnm_core.errors import InputError
from hnm_core.spec.config import ExperimentConfig

NEAREST = 6
ROWS_AT_ONCE = 4096
FETCHING = "downloading"
"""How what is said begins while a data set comes from the network."""


class InputNeighbour(NamedTuple):
    """An item near another in the features that the network is given."""

    item_id: int
    label: int
    distance: float
    """Euclidean"""


class Looked(NamedTuple):
    """What the data say of an item."""

    item_id: int
    label: int = -1
    neighbours: tuple[InputNeighbour, ...] = ()
    """Of the items that the run shows, nearest first"""
    picture: NDArray[np.uint8] | None = None
    """(H, W) or (H, W, 3); None where the data are no pictures"""
    row: NDArray[np.float32] | None = None
    """(D,) features"""
    problem: str = ""
    """Why there is nothing to say, in a sentence; empty where there is"""


class Looker:
    """Keeps the data of the last run that was asked about."""

    def __init__(self) -> None:
        self._of = ""
        self._dataset: Dataset | None = None
        self._shown_row: NDArray[np.int64] = np.empty(0, np.int64)

    def look(self, config: ExperimentConfig, item_id: int) -> Looked:
        """An item of the data of a run. Raises nothing: what went wrong is told in `Looked.problem`."""
        try:
            dataset = self._data(config)
        except LoadCancelled:
            return Looked(item_id, problem="The data are not on this machine, and are not fetched to look at a point.")
        except (InputError, OSError) as error:
            return Looked(item_id, problem=f"The data are not to be had: {error}")
        row = int(np.searchsorted(dataset.ids, item_id))
        if row >= len(dataset.ids) or dataset.ids[row] != item_id:
            return Looked(item_id, problem=f"The data hold no item {item_id}.")
        return Looked(
            item_id,
            int(dataset.y[row]),
            _nearest(dataset, self._shown_row, row),
            None if dataset.images is None else np.array(dataset.images[row]),
            np.array(dataset.x[row]),
        )

    def _data(self, config: ExperimentConfig) -> Dataset:
        of = repr((config.data, config.seed, config.shown))
        if self._dataset is None or self._of != of:
            self._dataset = None  # not two data sets at once
            self._dataset = data.build(config.data.part, seed=config.seed, progress=_no_fetching)
            self._of = of
            self._shown_row = stratified_sample(self._dataset.y, config.shown, config.seed)
        return self._dataset


def _no_fetching(_done: int, _total: int, what: str) -> bool:
    return not what.startswith(FETCHING)


def _nearest(dataset: Dataset, shown_row: NDArray[np.int64], row: int) -> tuple[InputNeighbour, ...]:
    """The nearest of the shown rows by Euclidean distance, in double precision; of equals the first in id order."""
    others = shown_row[shown_row != row]
    away = np.empty(len(others))
    here = dataset.x[row].astype(np.float64)
    for start in range(0, len(others), ROWS_AT_ONCE):
        part = others[start : start + ROWS_AT_ONCE]
        away[start : start + len(part)] = np.sqrt(((dataset.x[part] - here) ** 2).sum(1))
    near = np.argsort(away, kind="stable")[:NEAREST]
    return tuple(
        InputNeighbour(int(dataset.ids[others[place]]), int(dataset.y[others[place]]), float(away[place]))
        for place in near.tolist()
    )
