"""Finds items and classes of a run by what a user types. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.item_texts import in_sight
from hnm_core.run.shown import (
    class_name,
    has_several_labels,
    label_counts,
    label_words,
    labels_of,
    names_in_short,
    text_of,
)
from hnm_core.run.told_labels import having

MOST = 12
"""So many matches are listed."""
LABELS_ROOM = 40
"""Characters of the labels of an item."""


class Match(NamedTuple):
    """An item or a whole class that fits what was typed."""

    text: str
    item_id: int = -1
    """-1 where it is a class"""
    label: int = -1
    """-1 where it is an item"""


def nothing_fits(started: RunStarted | None) -> str:
    """What to say where nothing matches: of a large set, only the items that are shown were looked through."""
    if started is None or started.items_total <= len(started.ids):
        of_labels = started is not None and has_several_labels(started)
        return f"No point and no {'label' if of_labels else 'class'} fits"
    return f"Nothing fits among {len(started.ids):,} of {started.items_total:,} points"


def matches(started: RunStarted, frames: Sequence[Frame], text: str) -> list[Match]:
    """The item whose id was typed, classes whose names hold the text, items whose ids begin with it, and items of the
    first such class; at most `MOST`. "class shirt" finds the same classes as "shirt". Where items have several labels
    each, these are found in place of classes, and all items that have one. Where items have ids and texts of
    the user's, those whose ids or texts hold what was typed come first."""
    typed = text.strip().casefold()
    if not typed:
        return []
    guests = [frame.guests for frame in frames if frame.guests is not None]
    ids = np.concatenate([started.ids, *(guest.ids for guest in guests)])
    labels = np.concatenate([started.labels, *(guest.labels for guest in guests)])
    ids, first = np.unique(ids, return_index=True)
    labels = labels[first]

    def item(place: int) -> Match:
        told = text_of(started, int(ids[place]))
        label = int(labels[place])
        names = labels_of(started, int(ids[place]), label)
        kind = names_in_short(names, LABELS_ROOM) if names else class_name(started, label)
        text = f"{ids[place]} · {kind}" if told is None else f"{kind} {in_sight(told.name)} · {in_sight(told.text)}"
        return Match(text, item_id=int(ids[place]))

    found = [item(place) for place in _by_text(started, ids, typed)]
    if typed.isdigit():
        found += [item(place) for place in np.flatnonzero(ids == int(typed)).tolist()]
    wanted = typed.removeprefix("class ").removeprefix("label ").strip() or typed
    named = [label for label, name in enumerate(started.class_names) if wanted in name.casefold()]
    named.sort(key=lambda label: (started.class_names[label].casefold() != wanted, label))
    counts = label_counts(started, ids, labels, np.ones(len(ids), np.bool_))
    for label in named[: MOST // 2]:
        found.append(Match(f"{label_words(started, label)}: {counts[label]:,} points, isolate", label=label))
    if typed.isdigit():
        begins = [
            place for place, known in enumerate(ids.tolist()) if known != int(typed) and str(known).startswith(typed)
        ]
        found += [item(place) for place in begins[:MOST]]
    if named:
        found += [
            item(place) for place in np.flatnonzero(having(started.several, ids, labels, named[:1]))[:MOST].tolist()
        ]
    return list(dict.fromkeys(found))[:MOST]


def _by_text(started: RunStarted, ids: NDArray[np.int64], typed: str) -> list[int]:
    """Places in `ids` of the items whose ids in the user's files are what was typed, begin with it or hold it, then of
    those whose texts hold it as far as they are known; at most `MOST`."""
    ranked: list[tuple[int, int]] = []
    for place, item_id in enumerate(ids.tolist() if started.texts else ()):
        told = text_of(started, item_id)
        name = "" if told is None else told.name.casefold()
        if told is not None and typed in name:
            ranked.append((0 if name == typed else 1 if name.startswith(typed) else 2, place))
        elif told is not None and typed in told.text.casefold():
            ranked.append((3, place))
    return [place for _, place in sorted(ranked)[:MOST]]
