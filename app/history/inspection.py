"""What is known of one item in one lane at a moment: what it was mined with, how hard, how often, and what lies near
it. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.history.tracks import Mentions
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.hardness import BANDS, bands_of
from hnm_core.run.item_texts import in_sight
from hnm_core.run.shown import (
    Drawn,
    class_name,
    class_words,
    drawn_items,
    has_several_labels,
    item_of,
    item_words,
    labels_of,
    names_in_short,
    places_of,
    text_of,
)
from hnm_core.spec.registry import is_over_documents

ANCHOR, POSITIVE, NEGATIVE = range(3)
"""Columns of a triplet."""
NEAREST = 6
"""So many neighbours are told."""
SHARED_ROOM = 60
"""Characters of labels that two items share."""
FALSE_BAND = "false"
"""The band of a negative that truly is of the anchor's class."""


class Partner(NamedTuple):
    """An item that was mined together with another."""

    item_id: int
    class_name: str
    """Empty where it is not known."""
    times: int
    separation: float
    """The least d(a,n) - d(a,p) of these times; NaN where it is not known."""
    band: str
    """One of `hnm_core.run.hardness.BANDS`, `FALSE_BAND`, or empty where it is not known how hard it was."""
    words: str
    """Its class with what it is, or its labels and which of them are those of the other, see
    `hnm_core.run.shown.item_words`; empty where it is not known."""


class Neighbour(NamedTuple):
    """An item that lies near another."""

    item_id: int
    class_name: str
    distance: float
    other_class: bool
    """Whether that differs; never told where items have several labels each."""
    words: str
    """See `Partner`."""


class Ranked(NamedTuple):
    """How near an item is to another in a lane, that is near it in the data."""

    item_id: int
    class_name: str
    rank: int
    """1 for the nearest in the lane"""
    distance: float
    other_class: bool
    """Whether that differs; never told where items have several labels each."""
    words: str
    """See `Partner`."""


@dataclass(frozen=True)
class Facts:
    """What does not depend on the lane."""

    item_id: int
    class_name: str
    true_class: str
    """Empty where the truth is not known to differ from the labels of the set."""
    held_out: bool
    over_documents: bool = False
    """Whether its class is what it is, a query or a document."""
    name: str = ""
    """Its id in the user's files, where that is known and another than `item_id`, fit to be shown"""
    text: str = ""
    """How its text begins, likewise"""
    words: str = ""
    """Its class with what it is, see `hnm_core.run.shown.class_words`"""
    labels: tuple[str, ...] | None = None
    """All labels of it, where items have several each and the run tells them"""


@dataclass(frozen=True)
class Inspection:
    """One item in one lane, at the step of the frame that is shown."""

    lane: str
    step: int
    drawn: bool
    """Whether the frame shows it; of an item that is neither shown nor mined now nothing but its past is known."""
    columns: dict[str, float]
    """Its values of the frame's point columns, see `hnm_core.run.events.POINT_COLUMNS`"""
    negatives: tuple[Partner, ...] = ()
    """Mined for it as an anchor, as the frame tells; the hardest first"""
    positives: tuple[Partner, ...] = ()
    anchors: tuple[Partner, ...] = ()
    """For which it was mined as a negative"""
    negatives_so_far: tuple[Partner, ...] = ()
    """Likewise of all frames up to this one; the most frequent first"""
    positives_so_far: tuple[Partner, ...] = ()
    anchors_so_far: tuple[Partner, ...] = ()
    tuples_so_far: int = 0
    """In how many of the tuples that these frames tell of it was the anchor"""
    frames: int = 0
    """How many frames these are"""
    neighbours: tuple[Neighbour, ...] = ()
    """Nearest first, by the shown positions"""
    input_neighbours: tuple[Ranked, ...] = ()
    """The nearest in the data, in their order, with where they are here"""
    projection: str = ""
    """How these were made of more dimensions; empty where they are the embedding itself"""


def facts(started: RunStarted, frames: list[Frame], item_id: int) -> Facts | None:
    """An item of the run, shown or a guest of one of `frames`; None where it is neither."""
    item = item_of(started, frames, item_id)
    if item is None:
        return None
    true_label = _true_label(started, frames, item_id)
    told = text_of(started, item_id)
    return Facts(
        item_id,
        class_name(started, item.label),
        "" if true_label is None else class_name(started, true_label),
        item.held_out,
        is_over_documents(started.config.data.name),
        "" if told is None else in_sight(told.name),
        "" if told is None else in_sight(told.text),
        class_words(started, item.label),
        labels_of(started, item_id, item.label),
    )


def inspect(
    started: RunStarted, frame: Frame, past: Mentions, item_id: int, input_ids: Sequence[int] = ()
) -> Inspection:
    """An item in the lane and at the step of a frame; `past`: what the lane's frames up to this one told of it;
    `input_ids`: what lies nearest to it in the data."""
    drawn = drawn_items(started, frame)
    place = int(drawn.places_of(np.array([item_id]))[0])
    margin = frame.hardness.margin if frame.hardness is not None else 0.0
    triplets = frame.triplets.reshape(-1, 3)
    separation = np.full(len(triplets), np.nan, np.float32) if frame.separation is None else frame.separation
    own = frozenset(started.several.of(item_id)) if started.several is not None else frozenset[int]()
    known = _Known(started, drawn, margin, own)
    now = {role: _partners(known, triplets, separation, item_id, role) for role in range(3)}
    before = {role: _partners(known, past.triplets, past.separation, item_id, role) for role in range(3)}
    return Inspection(
        frame.lane,
        frame.step,
        place >= 0,
        {name: float(column[place]) for name, column in drawn.columns.items()} if place >= 0 else {},
        negatives=_hardest(now[NEGATIVE]),
        positives=_most(now[POSITIVE]),
        anchors=_hardest(now[ANCHOR]),
        negatives_so_far=_most(before[NEGATIVE]),
        positives_so_far=_most(before[POSITIVE]),
        anchors_so_far=_most(before[ANCHOR]),
        tuples_so_far=int((past.triplets[:, ANCHOR] == item_id).sum()),
        frames=past.frames,
        neighbours=_nearest(known, place) if place >= 0 else (),
        input_neighbours=_ranked(known, place, input_ids) if place >= 0 else (),
        projection=frame.projection,
    )


def _partners(
    known: _Known, triplets: NDArray[np.int32], separation: NDArray[np.float32], item_id: int, role: int
) -> list[Partner]:
    """The items that play a role beside the item in (M, 3) triplets: as its negatives, as its positives, or as the
    anchors that it was a negative of."""
    own = NEGATIVE if role == ANCHOR else ANCHOR
    rows = np.flatnonzero((triplets[:, own] == item_id) & (triplets[:, role] >= 0))
    ids, which, times = np.unique(triplets[rows, role], return_inverse=True, return_counts=True)
    least = np.full(len(ids), np.nan, np.float32)
    np.fmin.at(least, which, separation[rows])
    bands = bands_of(least, known.margin)
    false = known.truly_alike(item_id, ids) & (role != POSITIVE)
    told = (ids, times, least, bands, false)
    found = zip(known.names(ids), known.words(ids), *(values.tolist() for values in told), strict=True)
    return [
        Partner(partner_id, name, count, separated, FALSE_BAND if is_false else (*BANDS, "")[band], words)
        for name, words, partner_id, count, separated, band, is_false in found
    ]


@dataclass(frozen=True, eq=False)
class _Known:
    """What a frame knows of other items."""

    started: RunStarted
    drawn: Drawn
    margin: float
    own: frozenset[int]
    """All labels of the item that is looked at, where items have several each and they are told"""

    def names(self, ids: NDArray[np.integer]) -> list[str]:
        """The class of each item, empty where it is not known."""
        return [class_name(self.started, label) if label >= 0 else "" for label in self._labels(ids)]

    def words(self, ids: NDArray[np.integer]) -> list[str]:
        """Likewise with what it is."""
        known = zip(ids.tolist(), self._labels(ids), strict=True)
        return [self._words(item, label) if label >= 0 else "" for item, label in known]

    def _words(self, item_id: int, label: int) -> str:
        words, several = item_words(self.started, item_id, label), self.started.several
        own, other = self.own, several.of(item_id) if several is not None else []
        if not own or not other:
            return words
        shared = [class_name(self.started, one) for one in other if one in own]
        return f"{words}; shares {names_in_short(shared, SHARED_ROOM) if shared else 'no label'}"

    def of_other_class(self, places: NDArray[np.int64], place: int) -> list[bool]:
        """Whether the drawn items at `places` are of another class than the one at `place`."""
        labels = self.drawn.labels
        if has_several_labels(self.started):  # those of two rarest labels may share one
            return [False] * len(places)
        different: list[bool] = (labels[places] != labels[place]).tolist()
        return different

    def _labels(self, ids: NDArray[np.integer]) -> list[int]:
        labels: list[int] = np.append(self.drawn.labels, -1)[self.drawn.places_of(ids)].tolist()
        return labels

    def truly_alike(self, item_id: int, ids: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which of the items are of the item's class in truth, where that is known to differ from the labels."""
        truth, place = self.drawn.true_labels, int(self.drawn.places_of(np.array([item_id]))[0])
        if truth is None or place < 0:
            return np.zeros(len(ids), np.bool_)
        alike: NDArray[np.bool_] = np.append(truth, -1)[self.drawn.places_of(ids)] == truth[place]
        return alike


def _hardest(partners: list[Partner]) -> tuple[Partner, ...]:
    return tuple(sorted(partners, key=lambda one: (np.isnan(one.separation), one.separation, one.item_id)))


def _most(partners: list[Partner]) -> tuple[Partner, ...]:
    return tuple(sorted(partners, key=lambda one: (-one.times, one.item_id)))


def _distances(drawn: Drawn, place: int) -> NDArray[np.float64]:
    """(P,) how far off every drawn item is by the shown positions; itself and what is not finite for ever."""
    away: NDArray[np.float64] = np.linalg.norm(
        drawn.positions.astype(np.float64) - drawn.positions[place].astype(np.float64), axis=1
    )
    away[place] = np.inf
    away[~np.isfinite(away)] = np.inf
    return away


def _nearest(known: _Known, place: int) -> tuple[Neighbour, ...]:
    drawn, away = known.drawn, _distances(known.drawn, place)
    near = np.argsort(away, kind="stable")[:NEAREST]
    near = near[np.isfinite(away[near])]
    other, ids = known.of_other_class(near, place), drawn.ids[near]
    return tuple(map(Neighbour, ids.tolist(), known.names(ids), away[near].tolist(), other, known.words(ids)))


def _ranked(known: _Known, place: int, input_ids: Sequence[int]) -> tuple[Ranked, ...]:
    """Where the lane has items; those that it does not draw are left out."""
    drawn, away = known.drawn, _distances(known.drawn, place)
    others = drawn.places_of(np.array(input_ids, np.int64))
    others = others[np.append(np.isfinite(away), False)[others]]
    ranks = 1 + np.searchsorted(np.sort(away), away[others])
    other, ids = known.of_other_class(others, place), drawn.ids[others]
    told = (known.names(ids), ranks.tolist(), away[others].tolist(), other, known.words(ids))
    return tuple(map(Ranked, ids.tolist(), *told))


def _true_label(started: RunStarted, frames: list[Frame], item_id: int) -> int | None:
    """The true class of an item, where it is known to differ from the labels of the set."""
    guests = [frame.guests for frame in frames if frame.guests is not None]
    known = [(started.ids, started.true_labels), *((guest.ids, guest.true_labels) for guest in guests)]
    for ids, truth in known:
        place = int(places_of(ids, np.array([item_id]))[0])
        if place >= 0:
            return None if truth is None else int(truth[place])
    return None
