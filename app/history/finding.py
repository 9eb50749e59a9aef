"""Finds items and classes of a run by what a user types. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import class_name

MOST = 12
"""So many matches are listed."""


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
        return "No point and no class fits"
    return f"Nothing fits among {len(started.ids):,} of {started.items_total:,} points"


def matches(started: RunStarted, frames: Sequence[Frame], text: str) -> list[Match]:
    """The item whose id was typed, classes whose names hold the text, items whose ids begin with it, and items of the
    first such class; at most `MOST`. "class shirt" finds the same classes as "shirt"."""
    typed = text.strip().casefold()
    if not typed:
        return []
    guests = [frame.guests for frame in frames if frame.guests is not None]
    ids = np.concatenate([started.ids, *(guest.ids for guest in guests)])
    labels = np.concatenate([started.labels, *(guest.labels for guest in guests)])
    ids, first = np.unique(ids, return_index=True)
    labels = labels[first]

    def item(place: int) -> Match:
        return Match(f"{ids[place]} · {class_name(started, int(labels[place]))}", item_id=int(ids[place]))

    found = []
    if typed.isdigit():
        found = [item(place) for place in np.flatnonzero(ids == int(typed)).tolist()]
    wanted = typed.removeprefix("class ").strip() or typed
    named = [label for label, name in enumerate(started.class_names) if wanted in name.casefold()]
    named.sort(key=lambda label: (started.class_names[label].casefold() != wanted, label))
    counts = np.bincount(labels, minlength=len(started.class_names))
    for label in named[: MOST // 2]:
        found.append(Match(f"class {started.class_names[label]}: {counts[label]:,} points, isolate", label=label))
    if typed.isdigit():
        begins = [
            place for place, known in enumerate(ids.tolist()) if known != int(typed) and str(known).startswith(typed)
        ]
        found += [item(place) for place in begins[:MOST]]
    if named:
        found += [item(place) for place in np.flatnonzero(labels == named[0])[:MOST].tolist()]
    return list(dict.fromkeys(found))[:MOST]
