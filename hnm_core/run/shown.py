"""Which items a frame draws, and where each of them stands.

Three integers name an item, told apart by the endings of names: `*_row` is a row of the training features and of the
bank, `*_id` the number that the data set gave it, `*_place` a place among the items that are drawn. Rows never leave
training; between ids and places it is this module that maps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.item_texts import ItemText
from hnm_core.spec.data_files import WITHOUT
from hnm_core.spec.registry import is_over_documents

QUERY = "query"
"""The name of the class of queries, in runs over queries and documents."""


def places_of(ids: NDArray[np.integer], wanted_id: NDArray[np.integer]) -> NDArray[np.int64]:
    """Places of dataset ids in ascending `ids`; -1 for every id that is not there (an absent end is -1 already)."""
    if len(ids) == 0:
        return np.full(wanted_id.shape, -1, np.int64)
    place = np.minimum(np.searchsorted(ids, wanted_id), len(ids) - 1)
    return np.where(ids[place] == wanted_id, place, -1)


@dataclass(frozen=True, eq=False)
class Drawn:
    """The P items that a frame draws: the `sample` that every frame of the run shows, then the frame's guests."""

    sample: int
    ids: NDArray[np.int64]
    """(P,) ascending among the sample, and among the guests"""
    labels: NDArray[np.int64]
    """(P,)"""
    held_out: NDArray[np.bool_]
    """(P,)"""
    positions: NDArray[np.float32]
    """(P, 3)"""
    columns: Mapping[str, NDArray[np.float32]]
    """(P,) by name"""
    groups: NDArray[np.int64] | None
    """(P,)"""
    true_labels: NDArray[np.int64] | None
    """(P,)"""

    def places_of(self, wanted_id: NDArray[np.integer]) -> NDArray[np.int64]:
        """Places of dataset ids, -1 where an id is not drawn; of the shape of `wanted_id`."""
        return drawn_places(self.ids, self.sample, wanted_id)


def drawn_places(ids: NDArray[np.int64], sample: int, wanted_id: NDArray[np.integer]) -> NDArray[np.int64]:
    """As `places_of`, where the first `sample` ids ascend, and so do the others."""
    place = places_of(ids[:sample], wanted_id)
    if sample == len(ids):
        return place
    guest_place = places_of(ids[sample:], wanted_id)
    return np.where((place < 0) & (guest_place >= 0), sample + guest_place, place)


def drawn_items(started: RunStarted, frame: Frame) -> Drawn:
    """What a frame of a run draws. Without guests the arrays are those of the run and of the frame, not copies."""
    guests, sample = frame.guests, len(started.ids)
    if guests is None:
        of_run = (started.labels, started.held_out, frame.positions, frame.columns, started.groups, started.true_labels)
        return Drawn(sample, started.ids, *of_run)
    return Drawn(
        sample,
        ids=np.concatenate((started.ids, guests.ids)),
        labels=np.concatenate((started.labels, guests.labels)),
        held_out=np.concatenate((started.held_out, np.zeros(len(guests.ids), np.bool_))),
        positions=np.concatenate((frame.positions, guests.positions)),
        columns={
            name: np.concatenate((column, guests.columns[name]))
            for name, column in frame.columns.items()
            if name in guests.columns
        },
        groups=_joined(started.groups, guests.groups),
        true_labels=_joined(started.true_labels, guests.true_labels),
    )


class Item(NamedTuple):
    """What is known of one item."""

    label: int
    held_out: bool


def item_of(started: RunStarted, frames: Iterable[Frame], item_id: int) -> Item | None:
    """An item by its id: one of the run's shown ones or a guest of one of `frames`; None where it is neither."""
    wanted = np.array([item_id])
    place = int(places_of(started.ids, wanted)[0])
    if place >= 0:
        return Item(int(started.labels[place]), bool(started.held_out[place]))
    for guests in (frame.guests for frame in frames if frame.guests is not None):
        place = int(places_of(guests.ids, wanted)[0])
        if place >= 0:
            return Item(int(guests.labels[place]), False)
    return None


def text_of(started: RunStarted, item_id: int) -> ItemText | None:
    """The id and the beginning of the text of an item, as its file has them; None where that is not known."""
    return started.texts.get(item_id)


def query_label(started: RunStarted) -> int:
    """The class of the queries, -1 where there are none: in runs over classes."""
    names = started.class_names
    return names.index(QUERY) if is_over_documents(started.config.data.name) and QUERY in names else -1


def class_name(started: RunStarted, label: int) -> str:
    """The name of a class, its number where it has none."""
    return started.class_names[label] if 0 <= label < len(started.class_names) else str(label)


def has_several_labels(started: RunStarted) -> bool:
    """Whether its items have several labels each, so that the class of one is its rarest label."""
    return started.evaluated is not None and started.evaluated.shares


def class_words(started: RunStarted, label: int) -> str:
    """A class with what it is, for example "class 3", "rarest label sky" or "no label"."""
    name = class_name(started, label)
    if not has_several_labels(started):
        return f"class {name}"
    return "no label" if name == WITHOUT else f"rarest label {name}"


def labels_of(started: RunStarted, item_id: int, label: int) -> tuple[str, ...] | None:
    """The names of all labels of an item, whose rarest is `label`; none where it has none, None where only that one is
    told, as for items of classes."""
    if started.several is None:
        return None
    names = tuple(class_name(started, one) for one in started.several.of(item_id))
    return names if names or class_name(started, label) == WITHOUT else None


def names_in_short(names: Sequence[str], room: int) -> str:
    """For example "boat, sea +3": as many names as go into so many characters, one at least, and how many more."""
    told, length = 0, 0
    for name in names:
        length += len(name) + 2
        if told and length > room:
            break
        told += 1
    more = len(names) - told
    return ", ".join(names[:told]) + (f" +{more:,}" if more else "")


def item_words(started: RunStarted, item_id: int, label: int, room: int = 40) -> str:
    """An item of class `label` by what it is, for example "class 3", "labels boat, sea +3", "no label"; where only its
    rarest label is told, "rarest label sky"."""
    names = labels_of(started, item_id, label)
    if not names:
        return class_words(started, label)
    return f"label{'s' if len(names) > 1 else ''} {names_in_short(names, room)}"


def label_words(started: RunStarted, label: int) -> str:
    """What items can be asked for by: "class 3"; where items have several labels each, "label sky", if all of them are
    told."""
    words = class_words(started, label)
    return words.removeprefix("rarest ") if started.several is not None else words


def label_counts(
    started: RunStarted, ids: NDArray[np.int64], labels: NDArray[np.int64], which: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(L,) how many of the items of these ids and classes that (P,) `which` picks are of each class, or have each label
    where items have several, as far as that is told."""
    count, several = len(started.class_names), started.several
    if several is None:
        return np.bincount(labels[which], minlength=count)
    told = np.isin(several.ids, ids[which])
    untold = which & ~np.isin(ids, several.ids)  # of which the rarest label alone is known, or that there is none
    return np.bincount(several.labels[told], minlength=count) + np.bincount(labels[untold], minlength=count)


def shown_text(started: RunStarted) -> str:
    """For example "20,000 of 60,000 items shown"; empty where all are."""
    shown = len(started.ids)
    return f"{shown:,} of {started.items_total:,} items shown" if started.items_total > shown else ""


def _joined(of_sample: NDArray[np.int64] | None, of_guests: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    return None if of_sample is None or of_guests is None else np.concatenate((of_sample, of_guests))
