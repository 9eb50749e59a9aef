"""The numbers of lanes as curves and bars that grow with the run: prepared once, looked up for every picture. No Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.history import histogram
from app.history.histogram import Axis
from app.picture.theme import Rgb, Theme
from app.video.film import Film
from app.video.story import Story
from hnm_core.run.history import MINING_COLUMNS, LaneHistory, summed

Floats = NDArray[np.float64]

MOST_POINTS = 400
"""Of a curve; a longer one is drawn through so many of its points."""
SMOOTH = 0.98
"""Of the loss, see `LaneHistory.smoothed_loss`."""
KEYS = 40
"""Frames whose histograms the axis of hardness holds."""


@dataclass(frozen=True, eq=False)
class Curve:
    """n points of a lane, ascending in x."""

    x: Floats
    y: Floats

    def upto(self, place: float) -> tuple[Floats, Floats]:
        """The points up to a place of the run, with one in between at its end."""
        count = int(np.searchsorted(self.x, place, side="right"))
        x, y = self.x[:count], self.y[:count]
        if 0 < count < len(self.x):
            x, y = np.append(x, place), np.append(y, np.interp(place, self.x, self.y))
        return x, y


@dataclass(frozen=True, eq=False)
class Lane:
    """One lane in numbers."""

    name: str
    color: Rgb
    history: LaneHistory
    begins: int
    """Its first step, where it was forked off later"""
    quality: Curve
    loss: Curve
    recall: Curve
    seconds_mined: Curve
    """Seconds spent on mining so far, without first calls"""
    timed: bool
    """Whether places of the run are seconds of training, not steps"""

    def step(self, place: float) -> float:
        """The step at a place of the run."""
        if not self.timed:
            return place
        seconds = self.history.seconds
        return float(np.interp(place, np.append(0.0, seconds), np.append(0, self.history.steps)))

    def value(self, metric: str, place: float) -> float:
        """A metric as it was measured last."""
        return self.history.latest(metric, math.floor(self.step(place) + 1e-9))


def lane_of(story: Story, name: str, theme: Theme, *, timed: bool) -> Lane:
    """The curves of a lane."""
    history = story.lane(name)

    def x_of(steps: NDArray[np.int64]) -> Floats:
        return history.seconds_at(steps) if timed else steps.astype(np.float64)

    def curve(metric: str | None) -> Curve:
        steps, values = history.metric(metric) if metric else (np.empty(0, np.int64), np.empty(0))
        known = np.isfinite(values)
        return Curve(x_of(steps[known]), values[known])

    spent = np.where(history.first_call, 0.0, summed(history.phase_ms, MINING_COLUMNS)) / 1e3
    rows = _thinned(len(history))
    loss = history.smoothed_loss(SMOOTH)[rows] if len(history) else np.empty(0)
    x = x_of(history.steps)[rows]
    return Lane(
        name,
        theme.lane(story.lanes.index(name)),
        history,
        story.recording.begins[name],
        curve(story.metric),
        Curve(x[np.isfinite(loss)], loss[np.isfinite(loss)]),
        curve("mining_recall"),
        Curve(x, np.cumsum(np.nan_to_num(spent))[rows]),
        timed,
    )


def hardness_axis(films: list[Film]) -> Axis | None:
    """One axis for the histograms of all lanes through the whole run; None where nothing was told."""
    stretches, margins = [], []
    for film in films:
        for step in np.unique(film.steps[np.linspace(0, len(film.steps) - 1, KEYS).round().astype(int)]).tolist():
            hardness = film.frame_at(step).hardness
            if hardness is not None and hardness.total:
                stretches.append(histogram.stretch(hardness, hardness.margin))
                margins.append(hardness.margin)
    if not stretches:
        return None
    low, high = (float(np.quantile([ends[side] for ends in stretches], q)) for side, q in ((0, 0.05), (1, 0.95)))
    return histogram.axis_over([(low, high)], margins, None)


def _thinned(count: int) -> NDArray[np.int64]:
    if count <= MOST_POINTS:
        return np.arange(count)
    return np.linspace(0, count - 1, MOST_POINTS).round().astype(np.int64)
