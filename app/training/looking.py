"""One item as the data have it: its picture or its numbers, and what lies nearest to it there. No Qt.

The data are loaded again by what the run was configured with, so a run that trains, one that has ended and a recording
are answered alike. Nothing is fetched for it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core import data
from hnm_core.data.base import Dataset, LoadCancelled
from hnm_core.data.options import FileOptions, ImbalancedOptions, MadeUpOptions, OfAnotherOptions
from hnm_core.data.split import stratified_sample
from hnm_core.errors import InputError
from hnm_core.run.shown import names_in_short, places_of
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import Options, is_over_documents
from hnm_core.system.paths import path_of
from hnm_core.system.regular_files import open_regular

NEAREST = 6
ROWS_AT_ONCE = 4096
MOST_KEPT = 256 << 20
"""Bytes of features that are kept unasked, beside those that are trained on."""
MOST_SIDE = 64
"""Pictures of many items are shrunk by a whole number until they are no larger."""
NUMBERS = 6
"""So many features of an item are told."""
LABELS_ROOM = 300
"""Characters of the labels of an item; of more their count is told."""
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
    labels: tuple[str, ...] | None = None
    """All labels of it, where items have several each; none where it has none"""


class Pictured(NamedTuple):
    """The pictures of some items, and nothing of those that the data do not hold."""

    run: int
    """For which run of the window's they were asked for"""
    item_ids: NDArray[np.int64]
    """(K,)"""
    labels: NDArray[np.int64]
    """(K,)"""
    pictures: NDArray[np.uint8] | None = None
    """(K, H, W) or (K, H, W, 3), at most `MOST_SIDE` pixels wide and high; None where the data are no pictures"""
    problem: str = ""
    """Why there are none, in a sentence; empty where there are, or where the data are no pictures"""


class Album(NamedTuple):
    """What is kept of a data set to answer for its pictures."""

    of: str
    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    images: NDArray[np.uint8] | None


class Kept(NamedTuple):
    """A data set that is kept to answer for its items."""

    of: str
    dataset: Dataset


class Looker:
    """Keeps the data of the last run that was loaded, where they are few enough, or asked about, and the pictures of
    the last that was loaded."""

    def __init__(self) -> None:
        self._album: Album | None = None
        self._kept: Kept | None = None

    def look(self, config: ExperimentConfig, item_id: int) -> Looked:
        """An item of the data of a run. Raises nothing: what went wrong is told in `Looked.problem`."""
        dataset = self._data(config)
        if isinstance(dataset, str):
            return Looked(item_id, problem=dataset)
        row = int(np.searchsorted(dataset.ids, item_id))
        if row >= len(dataset.ids) or dataset.ids[row] != item_id:
            return Looked(item_id, problem=f"The data hold no item {item_id}.")
        shown_row = stratified_sample(dataset.y, config.shown, config.seed)
        return Looked(
            item_id,
            int(dataset.y[row]),
            _nearest(dataset, shown_row, row),
            None if dataset.images is None else np.array(dataset.images[row]),
            np.array(dataset.x[row]),
            labels=_labels_of(dataset, row),
        )

    def keep(self, config: ExperimentConfig, dataset: Dataset) -> None:
        """Remember data that somebody else has loaded, of many the pictures alone, so that they need not be loaded
        again. May be called on another thread."""
        self._album = Album(_of(config), dataset.ids, dataset.y, dataset.images)
        if dataset.x.nbytes <= MOST_KEPT:
            self._kept = Kept(_of(config), dataset)

    def pictures(self, config: ExperimentConfig, item_ids: Sequence[int], run: int) -> Pictured:
        """Pictures of items of the data of a run. Raises nothing, as `look`. Data of which it is known that they are no
        pictures are not loaded for it."""
        none, album = np.empty(0, np.int64), self._album
        if is_over_documents(config.data.name):
            return Pictured(run, none, none)
        if album is None or album.of != _of(config):
            dataset = self._data(config) if may_be_pictures(config.data.part.options) else ""
            if isinstance(dataset, str):
                return Pictured(run, none, none, problem=dataset)
            album = self._album = Album(_of(config), dataset.ids, dataset.y, dataset.images)
        rows = places_of(album.ids, np.array(sorted(item_ids), np.int64))
        rows = rows[rows >= 0]
        pictures = None if album.images is None else shrunk(album.images[rows])
        return Pictured(run, album.ids[rows], album.labels[rows], pictures)

    def _data(self, config: ExperimentConfig) -> Dataset | str:
        """The data of a run, or why they are not to be had."""
        try:
            return self._loaded(config)
        except LoadCancelled:
            return "The data are not on this machine, and are not fetched to look at a point."
        except (InputError, OSError) as error:
            return f"The data are not to be had: {error}"

    def _loaded(self, config: ExperimentConfig) -> Dataset:
        kept = self._kept
        if kept is None or kept.of != _of(config):
            kept = self._kept = None  # not two data sets at once
            dataset = data.build(config.data.part, seed=config.seed, progress=no_fetching, several=True)
            kept = self._kept = Kept(_of(config), dataset)
        return kept.dataset


def _of(config: ExperimentConfig) -> str:
    """What the data of a run depend on."""
    return repr((config.data, config.seed, config.shown))


def may_be_pictures(options: Options) -> bool:
    """Whether data with these options may come with pictures, as far as that is known without loading them."""
    match options:
        case MadeUpOptions():
            return False
        case ImbalancedOptions():
            return bool(options.of) and may_be_pictures(options.of_part.options)
        case OfAnotherOptions():
            return may_be_pictures(options.of_part.options)
        case FileOptions():
            return _file_has_pictures(options.path)
    return True


def _file_has_pictures(path: str) -> bool:
    """By the list of what is in the file, without reading it."""
    try:
        with open_regular(path_of(path)) as file, zipfile.ZipFile(file) as parts:
            return "images.npy" in parts.namelist()
    except zipfile.BadZipFile:
        return False  # a table
    except (InputError, OSError):
        return True  # loading says what is wrong with it


def shrunk(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(K, H, W[, 3]) pictures with every square of so many pixels made one, their mean, that none is larger than
    `MOST_SIDE`; what is left over at the right and below is cut off."""
    side = -(-max(pictures.shape[1:3]) // MOST_SIDE)
    if side <= 1:
        return np.array(pictures)
    side = min(side, *pictures.shape[1:3])
    count, high, wide = len(pictures), pictures.shape[1] // side, pictures.shape[2] // side
    cut = pictures[:, : high * side, : wide * side]
    mean = cut.reshape(count, high, side, wide, side, *pictures.shape[3:]).mean((2, 4))
    small: NDArray[np.uint8] = np.rint(mean).astype(np.uint8)
    return small


def _labels_of(dataset: Dataset, row: int) -> tuple[str, ...] | None:
    several = dataset.several
    if several is None:
        return None
    return tuple(dataset.class_names[label] for label in several.label[several.offsets[row] : several.offsets[row + 1]])


def labels_text(labels: tuple[str, ...]) -> str:
    """For example "Labels: boat, sea", or where these are many "Labels: boat, sea +30"."""
    return (
        f"Label{'' if len(labels) == 1 else 's'}: {names_in_short(labels, LABELS_ROOM)}"
        if labels
        else "It has no label."
    )


def row_text(row: NDArray[np.float32]) -> str:
    """For example "32 features, of length 1.24: 0.1, −0.4, ..."."""
    first = ", ".join(f"{value:.3g}" for value in row[:NUMBERS].tolist())
    more = ", ..." if len(row) > NUMBERS else ""
    length = float(np.linalg.norm(row.astype(np.float64)))
    told = f"{len(row):,} feature{'s' if len(row) != 1 else ''}, of length {length:.3g}: {first}{more}"
    return told.replace("-", "\N{MINUS SIGN}")


def no_fetching(_done: int, _total: int, what: str) -> bool:
    """As the progress of a load: calls it off where it comes to the network."""
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
