"""One step phase by phase: what is embedded, who searches, what is chosen, what the loss feels, how the points move.

It goes from the cloud before a step to the one after it, by what a frame tells: the chosen tuples, how hard they were,
and of some anchors the candidates that they were chosen from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.candidates import Looked, with_candidates
from app.picture.edges import FALSE, HARD, NEGATIVE, POSITIVE, SEMI_HARD
from app.picture.motion import Motion, motion
from app.picture.scene import Scene
from app.picture.theme import Theme
from hnm_core.run.events import Frame
from hnm_core.run.timing import Phase

SECONDS = 4.0
"""How long a step takes."""
SEEN_AT, FADED_AT = 0.25, 0.6
"""Shares of their acts after which candidates are seen in full, and those that were not chosen are gone"""


@dataclass(frozen=True)
class Act:
    """A part of a step that is shown by itself."""

    phases: frozenset[Phase]
    words: str
    share: float
    """Of the time that the step takes"""


EMBED = Act(frozenset({Phase.EMBED, Phase.BUILD, Phase.BACKGROUND}), "Embed: where every item is now", 0.14)
SEARCH = Act(frozenset({Phase.SEARCH}), "Search: the ringed anchors look for near negatives", 0.2)
SELECT = Act(frozenset({Phase.SELECT, Phase.TRANSFER}), "Select: each is given a positive and a negative", 0.22)
LOSS = Act(frozenset({Phase.FORWARD, Phase.LOSS}), "Loss: only what lies within the margin is felt", 0.2)
STEP = Act(frozenset({Phase.BACKWARD, Phase.STEP}), "Backward and step: the network moves", 0.24)
ACTS = (EMBED, SEARCH, SELECT, LOSS, STEP)

NOT_TOLD = "Search: no candidates are told of in this step"
"""In place of the words of `SEARCH`, where a frame has no candidates"""


@dataclass(frozen=True, eq=False)
class SlowMotion:
    """From the cloud before a step to `goal`, the scene after it, in so many `seconds`."""

    goal: Scene
    seconds: float
    _way: Motion
    _theme: Theme
    _looked: Looked | None
    _felt: NDArray[np.bool_]

    @property
    def start(self) -> NDArray[np.float32]:
        """(S, 3) where the points of the sample stood before the step."""
        return self._way.positions

    def act_at(self, gone: float) -> tuple[Act, float]:
        """What is shown after `gone` seconds, and how much of that is over, 0..1."""
        share = min(max(gone / self.seconds, 0.0), 1.0)
        for act in ACTS:
            if share < act.share or act is STEP:
                return act, min(share / act.share, 1.0)
            share -= act.share
        raise AssertionError("the shares of the acts make up the whole")

    def words_at(self, gone: float) -> str:
        """What is said then, with true numbers where the frame tells them."""
        act, looked = self.act_at(gone)[0], self._looked
        if act is SEARCH:
            return NOT_TOLD if looked is None else f"Search: {looked.found_text} {looked.anchors_text}"
        if act is SELECT and looked is not None:
            return f"Select: of these, {looked.chosen_text}"
        return act.words

    def at(self, gone: float) -> Scene:
        """The scene after `gone` seconds; the goal itself when it is over."""
        if gone >= self.seconds:
            return self.goal
        act, over = self.act_at(gone)
        before = self._way.at(over * self._way.seconds if act is STEP else 0.0)
        if act is EMBED:
            return _with_edges(before, np.zeros(len(before.edges), np.bool_))
        if act is SEARCH:
            return self._searching(before, over)
        if act is SELECT:  # the hardest, which lie on top, come first
            shown = np.arange(len(before.edges)) >= round((1 - over) * len(before.edges))
            chosen = _with_edges(before, shown)
            if self._looked is None:
                return chosen
            return with_candidates(chosen, self._looked, self._theme, 1.0, max(0.0, 1 - over / FADED_AT))
        return _with_edges(before, self._felt)

    def _searching(self, before: Scene, over: float) -> Scene:
        """Anchors with a ring, and from those of which the frame tells it lines to all that was found."""
        looked = self._looked
        anchors = np.unique(self.goal.edges[:, 0]) if looked is None else looked.anchors
        ringed = replace(
            _with_edges(before, np.zeros(len(before.edges), np.bool_)),
            halos=anchors,
            halo_colors=np.tile(np.array((*self._theme.accent, 255), np.uint8), (len(anchors), 1)),
        )
        return ringed if looked is None else with_candidates(ringed, looked, self._theme, min(over / SEEN_AT, 1.0), 1.0)


def slow_motion(shown: Scene | None, goal: Scene, theme: Theme, looked: Looked | None) -> SlowMotion | None:
    """The way from what is shown to `goal`; None where there is none, see `motion`. `looked` is what the anchors of the
    step could choose from, None where the frame does not tell it."""
    way = motion(shown, goal, 0.4)
    if way is None:
        return None
    # A positive is felt where a negative of its anchor is: only what lies within the margin has a loss.
    pushes = np.isin(goal.edge_kinds, (NEGATIVE, SEMI_HARD, HARD, FALSE))
    felt = pushes | ((goal.edge_kinds == POSITIVE) & np.isin(goal.edges[:, 0], goal.edges[pushes, 0]))
    return SlowMotion(goal, SECONDS, way, theme, looked, felt)


def last_step_of(frame: Frame) -> Frame:
    """The frame without what was mined before its last step, where it tells that."""
    if frame.age is None or frame.separation is None:
        return frame
    now = frame.age == 0
    return replace(frame, triplets=frame.triplets[now], separation=frame.separation[now], age=frame.age[now])


def _with_edges(scene: Scene, shown: NDArray[np.bool_]) -> Scene:
    """Some of the edges, and the rings round the ends of these alone."""
    ends = np.unique(scene.edges[shown][:, 1])
    ringed = np.isin(scene.halos, ends)
    return replace(
        scene,
        edges=scene.edges[shown],
        edge_colors=scene.edge_colors[shown],
        edge_shapes=scene.edge_shapes[shown],
        edge_kinds=scene.edge_kinds[shown],
        halos=scene.halos[ringed],
        halo_colors=scene.halo_colors[ringed],
    )
