"""How the run passes in its scene: which lanes, from where to where, how fast, and what is said when. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.history.moments import Moment
from app.picture.theme import Theme
from app.video import clock, hardest
from app.video.clock import Caption, Clock
from app.video.clouds import Clouds
from app.video.figures import Lane, lane_of
from app.video.hardest import Region
from app.video.missing import MissedMoment, missed_moments
from app.video.story import Story
from app.video.template import Scene
from hnm_core.errors import InputError, unknown_name

DEAL_S = 0.9
"""So long one pane takes to become several."""
HOLD_S = 3.2
"""So long a miss is looked at."""
END = 0.04
"""What was missed in the last share of the run is not looked at: the scene would end over it."""
MOST_LANES = 6
"""Of more, clouds would be too small: the template or the user must choose."""


@dataclass(frozen=True, eq=False)
class RunPlan:
    """Everything about the scene but how it looks."""

    seconds: float
    names: tuple[str, ...]
    """Lanes whose clouds are shown"""
    lanes: tuple[Lane, ...]
    """In numbers"""
    clock: Clock
    captions: tuple[Caption, ...]
    marks: tuple[float, ...]
    """Places of the run at which something is told"""
    alike: float | None
    """The share of the scene up to which one pane shows all lanes; None where it never does"""
    region: Region | None
    missed: tuple[tuple[float, float, MissedMoment], ...]
    """From which to which share of the scene a miss is looked at"""

    def place(self, share: float) -> float:
        """Where the run is: a step, or seconds of training."""
        return self.clock.at(share)

    def dealt(self, share: float) -> float:
        """How far one pane has become several, 0..1."""
        if self.alike is None:
            return 1.0
        return min(max((share - self.alike) * self.seconds / DEAL_S, 0.0), 1.0)


def lanes_shown(scene: Scene, story: Story, clouds: Clouds) -> tuple[str, ...]:
    """The lanes of a scene. Raises `InputError` where it names one that the recording does not have."""
    for name in scene.lanes:
        if name not in story.lanes:
            raise unknown_name("lane", name, story.lanes)
    if scene.view == "wipe":
        pair = scene.lanes[:2] if len(scene.lanes) > 1 else story.pair()
        return tuple(dict.fromkeys(pair))
    if scene.view == "one":
        return scene.lanes[:1] or (story.best_miner(),)
    if scene.view == "missed":
        told = [name for name in scene.lanes or story.lanes if any(map(len, story.lane(name).misses.values()))]
        with_cloud = [name for name in told if clouds.films[name] is not None]
        if not with_cloud:
            raise InputError(
                f"No search of '{story.recording.folder}' missed a negative, so the template has nothing to show; "
                "record a run with an approximate miner, for instance lsh."
            )
        return (max(with_cloud, key=lambda name: sum(misses.total for misses in story.lane(name).misses.values())),)
    return scene.lanes or story.lanes


def plan(
    scene: Scene,
    story: Story,
    clouds: Clouds,
    theme: Theme,
    seconds: float,
    steps: tuple[int, int],
    own_captions: Sequence[Caption] | None = None,
) -> RunPlan:
    """The plan of a scene of so many seconds that shows the run from the first to the last of `steps`.

    `own_captions` stand in place of those that are found.
    """
    names = lanes_shown(scene, story, clouds)
    timed = scene.clock == "time"
    lanes = tuple(lane_of(story, name, theme, timed=timed) for name in names)
    first, last = _span(lanes, steps, timed=timed)

    def place_of(moment: Moment) -> float:
        if not timed:
            return float(moment.step)
        lane = next((lane for lane in lanes if lane.name in moment.lanes), lanes[0])
        spent = lane.history.seconds_at(np.array([moment.step]))
        return float(spent[0])

    film = clouds.films[names[0]]
    missed = missed_moments(story, film) if scene.view == "missed" and film is not None else []
    missed = [miss for miss in missed if first <= place_of(miss.moment) <= last - END * (last - first)]
    region = hardest.hardest_region(film) if scene.look == "hardest" and film is not None else None
    shown = set(names)
    found = [
        moment
        for moment in story.moments_of(names)
        if first < place_of(moment) < last and (shown & set(moment.lanes)) and not _beside(moment, shown)
    ]
    part = next((moment for moment in found if moment.kind == "part"), None)
    alike = place_of(part) if part is not None and len(names) > 1 and scene.view == "lanes" else None
    found = _joined_start(found)
    holds = [(place_of(miss.moment), HOLD_S) for miss in missed]
    rough = clock.clock(first, last, seconds, alike=alike, alike_pace=scene.alike_pace, holds=holds)
    told = clock.chosen(
        found, scene.moments, {id(moment): rough.share_of(place_of(moment)) * seconds for moment in found}, seconds - 1
    )
    told = sorted([*told, *(miss.moment for miss in missed)], key=place_of)
    slow_at = [place_of(moment) for moment in told if moment.kind != "missed"]
    exact = clock.clock(
        first, last, seconds, slow_at, scene.slow, alike=alike, alike_pace=scene.alike_pace, holds=holds
    )
    starts = {id(moment): exact.share_of(place_of(moment)) * seconds for moment in told}
    spans = []
    for miss in missed:
        begin = exact.held_from(place_of(miss.moment))
        spans.append((begin, min(begin + _held(holds, seconds) / seconds, 1.0), miss))
    arrived = next((key.at for key in scene.camera if key.near > 0.5), 0.5) * seconds
    told, starts = _with_region(told, starts, region, arrived)
    looks = clock.look_sentences(story.recording.config.about) if scene.about else []
    said = clock.captions(told, starts, {str(kind): text for kind, text in scene.captions.items()}, looks, seconds)
    return RunPlan(
        seconds,
        names,
        lanes,
        exact,
        tuple(said if own_captions is None else own_captions),
        tuple(place_of(moment) for moment in told if moment.kind != "look"),
        exact.share_of(alike) if alike is not None and scene.one_first else None,
        region,
        tuple(spans),
    )


def _with_region(
    told: list[Moment], starts: dict[int, float], region: Region | None, arrived: float
) -> tuple[list[Moment], dict[int, float]]:
    """With a sentence on the region that the camera looks at, said when it gets there, in place of others then."""
    if region is None:
        return told, starts
    words = Moment("look", 0, (), region.text)
    begin = arrived - 0.8
    kept = [
        moment for moment in told if not begin - 1.5 <= starts[id(moment)] <= begin + clock.reading_time(words.text)
    ]
    starts = {**starts, id(words): begin}
    return sorted([*kept, words], key=lambda moment: starts[id(moment)]), starts


def _held(holds: Sequence[tuple[float, float]], seconds: float) -> float:
    """How long each hold is, once they have been fitted to the scene."""
    waited = sum(wait for _, wait in holds)
    return HOLD_S if waited <= 0.6 * seconds else HOLD_S * 0.6 * seconds / waited


def _span(lanes: Sequence[Lane], steps: tuple[int, int], *, timed: bool) -> tuple[float, float]:
    if not timed:
        return float(steps[0]), float(steps[1])
    ends = [lane.history.seconds_at(np.array([step])) for lane in lanes for step in steps]
    return float(min(end[0] for end in ends[::2])), float(max(end[0] for end in ends[1::2]))


def _beside(moment: Moment, shown: set[str]) -> bool:
    """Whether a moment of several lanes speaks of one that is not shown; what all lanes do is told of any."""
    return moment.kind in ("overtake", "apart", "fork") and not shown >= set(moment.lanes)


def _joined_start(found: Sequence[Moment]) -> list[Moment]:
    """Mining begins where lanes part: one sentence for both."""
    part = next((moment for moment in found if moment.kind == "part"), None)
    start = next((moment for moment in found if moment.kind == "warm-up"), None)
    if part is None or start is None or abs(part.step - start.step) > 2:
        return list(found)
    return [moment for moment in found if moment is not part]
