"""What an approximate search returned in place of the true nearest negatives: moments of a film, each with its pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.history.missed import rows_of
from app.history.moments import Moment, named
from app.picture.missed_edges import MissedPair
from app.video.film import Film
from app.video.story import Story
from hnm_core.run.shown import drawn_items

MOST = 3
"""So many are shown."""


@dataclass(frozen=True)
class MissedMoment:
    """One of them, when it was measured."""

    moment: Moment
    pair: MissedPair


def missed_moments(story: Story, film: Film) -> list[MissedMoment]:
    """Some of the worst misses of a lane whose ends are drawn, each with another anchor, spread over the run."""
    lane = story.lane(film.lane)
    steps = sorted(step for step, misses in lane.misses.items() if len(misses))
    # A warm-up draws at random, so that what its searches missed is told only where there is nothing else.
    steps = [step for step in steps if lane.mining[: lane.rows(step)][-1:].all()] or steps
    found: list[MissedMoment] = []
    seen: set[int] = set()
    for chosen in np.array_split(np.array(steps), min(MOST, len(steps)) or 1):
        for step in chosen[::-1].tolist():
            miss = _worst_drawn(story, film, step, seen)
            if miss is not None:
                found.append(miss)
                seen.add(miss.pair.anchor)
                break
    return found


def _worst_drawn(story: Story, film: Film, step: int, seen: set[int]) -> MissedMoment | None:
    misses = story.lane(film.lane).misses[step]
    drawn = drawn_items(story.started, film.frame_at(step))
    for row in rows_of(misses, story.started):
        ends = drawn.places_of(np.array([row.anchor, row.nearest, row.found]))
        if row.anchor in seen or row.found < 0 or (ends < 0).any():
            continue
        recall = story.lane(film.lane).latest("mining_recall", step)
        text = f"Step {step:,}: {named(film.lane)} missed the nearest negative; what it found is {row.farther} farther."
        numbers = {"step": f"{step:,}", "lane": film.lane, "lanes": film.lane, "value": f"{recall:.2f}"}
        return MissedMoment(
            Moment("missed", step, (film.lane,), text, numbers), MissedPair(row.anchor, row.nearest, row.found)
        )
    return None
