"""Which moment of the run a picture shows, and which sentence stands below it. Pure functions, no Qt."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.history.moments import Moment

GRID = 4097
"""Places of the run at which its pace is known."""
WIDTH = 0.03
"""How far round a moment the run is slower, as a share of it."""
FIRST_PACE, FIRST_WIDTH = 7.0, 0.06
"""The run begins so many times slower, for such a share of it: clouds change fastest then."""
FIRST_S, LAST_S = 0.4, 0.8
"""The run waits so long at its beginning and at its end, where the film has the time."""
READING_S, PER_LETTER_S = 1.3, 0.045
"""How long a sentence stands."""
SHORTEST_S = 1.0
"""A sentence that would stand for less is not said."""
APART_S = 0.25
"""Between two sentences."""
QUIET_S = 1.2
"""What to look for is said where nothing happens for so much longer than it takes to read."""
LONGEST_LOOK = 130
"""Letters of a sentence that says what to look for; longer ones are for the window."""
PRIORITY = ("missed", "end", "collapse", "fork", "warm-up", "part", "overtake", "apart", "goal")
"""Which moment is told where there is time for one only."""


@dataclass(frozen=True, eq=False)
class Clock:
    """From a share of the scene to a place in the run; never backwards."""

    first: float
    last: float
    shares: NDArray[np.float64]
    """(GRID,) of the scene's time, ascending from 0; after the last one the run stands at its end"""

    def at(self, share: float) -> float:
        """The place in the run when a share (0..1) of the scene has passed."""
        places = np.linspace(self.first, self.last, len(self.shares))
        return float(np.interp(min(max(share, 0.0), 1.0), self.shares, places))

    def held_from(self, place: float) -> float:
        """When it begins to stand still at a place where it does."""
        return float(self.shares[_place_in_grid(place, self.first, max(self.last - self.first, 1e-9))])

    def share_of(self, place: float) -> float:
        """When the run gets to a place."""
        places = np.linspace(self.first, self.last, len(self.shares))
        return float(np.interp(place, places, self.shares))


def clock(
    first: float,
    last: float,
    seconds: float,
    slow_at: Sequence[float] = (),
    slow: float = 1.0,
    alike: float | None = None,
    alike_pace: float = 1.0,
    holds: Sequence[tuple[float, float]] = (),
) -> Clock:
    """The clock of a scene of so many seconds that shows the run from `first` to `last`.

    Args:
        first: where the run begins.
        last: where it ends.
        seconds: length of the scene.
        slow_at: places where it is up to `slow` times slower.
        slow: how many times.
        alike: up to here all lanes are the same, and each step takes only the share `alike_pace` of the time.
        alike_pace: see there.
        holds: places at which it stands still, each with seconds.
    """
    places, length = np.linspace(first, last, GRID), max(last - first, 1e-9)
    pace = np.ones(GRID)
    if alike is not None:
        pace[places < alike] = alike_pace
    for place, times, width in ((first, FIRST_PACE, FIRST_WIDTH), *((place, slow, WIDTH) for place in slow_at)):
        near = np.abs(places - place) / (width * length)
        pace += (times - 1) * np.where(near < 1, 0.5 + 0.5 * np.cos(np.pi * np.minimum(near, 1)), 0)
    spent = np.concatenate(([0.0], np.cumsum((pace[1:] + pace[:-1]) / 2)))
    spent /= spent[-1]
    still, at_end = [(first, min(FIRST_S, 0.05 * seconds)), *holds], min(LAST_S, 0.08 * seconds)
    waited = at_end + sum(wait for _, wait in still)
    if waited > 0.7 * seconds:
        fitted = 0.7 * seconds / waited
        still, at_end = [(place, wait * fitted) for place, wait in still], at_end * fitted
        waited = 0.7 * seconds
    shares = spent * (seconds - waited)
    for place, wait in still:
        # Standing still takes one step of the grid, so that the share of a place stays one number.
        shares[_place_in_grid(place, first, length) + 1 :] += wait
    # At the end it waits behind the last place, not before it: what was measured there is to be read meanwhile.
    return Clock(first, last, shares / (shares[-1] + at_end))


def _place_in_grid(place: float, first: float, length: float) -> int:
    return min(round((place - first) / length * (GRID - 1)), GRID - 2)


@dataclass(frozen=True)
class Caption:
    """A sentence, and from when to when of the scene it stands there, in seconds."""

    start: float
    end: float
    text: str
    kind: str
    """Of the moment; "look" for what to look for"""

    def opacity(self, now: float, fade: float = 0.25) -> float:
        """How much of it is seen, 0..1."""
        return min(max(min((now - self.start) / fade, (self.end - now) / fade), 0.0), 1.0)


def in_turn(captions: Sequence[Caption]) -> list[Caption]:
    """One sentence at a time: each ends, at the latest, where the next one begins."""
    said = sorted(captions, key=lambda one: one.start)
    nexts = [*(one.start for one in said[1:]), math.inf]
    return [replace(one, end=min(one.end, begun)) for one, begun in zip(said, nexts, strict=False)]


def reading_time(text: str) -> float:
    """Seconds that a sentence needs."""
    return READING_S + PER_LETTER_S * len(text)


def chosen(found: Sequence[Moment], kinds: Sequence[str], seconds_of: Mapping[int, float], end: float) -> list[Moment]:
    """The moments for which there is time, in their order: of two that come too close together the weightier."""
    taken: list[Moment] = []
    wanted = [moment for moment in found if moment.kind in kinds]
    for moment in sorted(wanted, key=lambda moment: PRIORITY.index(moment.kind)):
        now, needs = seconds_of[id(moment)], reading_time(moment.text)
        if all(_clear(now, needs, seconds_of[id(other)], reading_time(other.text)) for other in taken) and now < end:
            taken.append(moment)
    return sorted(taken, key=lambda moment: seconds_of[id(moment)])


def _clear(one: float, needs: float, other: float, other_needs: float) -> bool:
    return abs(one - other) >= 0.75 * (needs if one <= other else other_needs)


def captions(
    told: Sequence[Moment],
    seconds_of: Mapping[int, float],
    words: Mapping[str, str],
    looks: Sequence[str],
    end: float,
) -> list[Caption]:
    """The sentences of a scene of `end` seconds: each moment from when it happens, in its own words or in those of the
    template; between them what to look for, one sentence at a time."""
    spans = []
    for place, moment in enumerate(told):
        start = seconds_of[id(moment)]
        text = sentence(moment, words)
        until = seconds_of[id(told[place + 1])] - APART_S if place + 1 < len(told) else end
        told_for = Caption(start, min(start + max(2.0, 1.25 * reading_time(text)), until), text, moment.kind)
        if told_for.end - told_for.start >= SHORTEST_S:
            spans.append(told_for)
    said, now = list[Caption](), 0.15
    queue = list(looks)
    ahead: list[Caption | None] = [*spans, None]
    for span in ahead:
        until = span.start - APART_S if span is not None else end - 0.3
        while queue and until - now >= reading_time(queue[0]):
            text = queue.pop(0)
            finish = min(now + 1.35 * reading_time(text), until)
            said.append(Caption(now, finish, text, "look"))
            now = finish + QUIET_S
        if span is not None:
            said.append(span)
            now = span.end + QUIET_S
    return said


def sentence(moment: Moment, words: Mapping[str, str]) -> str:
    """What is said of a moment: in the template's words where it has some and the moment has all their numbers."""
    pattern = words.get(moment.kind)
    if pattern is None:
        return moment.text
    try:
        return pattern.format_map(moment.numbers)
    except KeyError:
        return moment.text


def look_sentences(about: str) -> list[str]:
    """What to look for, as sentences that can be read in passing."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(about.split()))
    return [text for text in sentences if 0 < len(text) <= LONGEST_LOOK]
