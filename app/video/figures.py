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
from hnm_core.run import cost
from hnm_core.run.history import LaneHistory

Floats = NDArray[np.float64]

MOST_POINTS = 400
"""Of a curve; a longer one is drawn through so many of its points."""
SMOOTH = 0.98
"""Of the loss, see `LaneHistory.smoothed_loss`."""
FEW_STEPS = 25
"""Of fewer steps the time that mining takes is not told."""
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
    """Seconds spent on mining so far, see `hnm_core.run.cost`"""
    mining_mean: Floats
    """(n,) milliseconds that mining took a step, up to each row since the lane mines as it does"""
    timed: bool
    """Whether places of the run are seconds of training, not steps"""

    def step(self, place: float) -> float:
        """The step at a place of the run."""
        if not self.timed:
            return place
        seconds = self.history.seconds
        return float(np.interp(place, np.append(0.0, seconds), np.append(0, self.history.steps)))

    def mining_ms(self, place: float) -> float:
        """What mining costs a step at a place; NaN before there are so many steps that this is more than a guess."""
        count = self.history.rows(math.floor(self.step(place) + 1e-9))
        return float(self.mining_mean[count - 1]) if count else math.nan

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

    spent = cost.mining_ms(history)
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
        Curve(x, np.nancumsum(spent)[rows] / 1e3),
        _running_mean(history, spent),
        timed,
    )


def _running_mean(history: LaneHistory, spent: Floats) -> Floats:
    """(n,) the mean of (n,) values over the rows up to each that are like it; NaN of fewer than `FEW_STEPS`."""
    if not len(spent):
        return spent
    turns = np.searchsorted(history.steps, np.array(history.turns, np.int64))
    borders = np.union1d(turns[turns < len(spent)], np.flatnonzero(np.diff(history.mining)) + 1)
    first = np.concatenate(([0], borders))[np.searchsorted(borders, np.arange(len(spent)), side="right")]
    total, known = np.append(0, np.nancumsum(spent)), np.append(0, np.cumsum(np.isfinite(spent)))
    sums, counts = total[1:] - total[first], known[1:] - known[first]
    few = counts < min(FEW_STEPS, len(spent))
    return np.where(few, np.nan, sums / np.maximum(counts, 1))


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
