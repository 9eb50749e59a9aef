"""Lanes over several seeds at equal training time instead of equal steps: what mining costs counts as well."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.results import MARGIN
from hnm_core.studies.comparing import Estimate, Trial, estimate, reached
from hnm_core.studies.verdicts import Line, lines_of


def is_timed(trials: Sequence[Trial]) -> bool:
    """Whether the clock of every seed is known, which it is not of results that earlier versions wrote."""
    return all(trial.seconds for trial in trials)


def equal_seconds(trial: Trial) -> float:
    """How long the quickest lane trained with a seed: where lanes are compared. NaN where nothing was measured."""
    return min((trial.seconds[lane][-1] for lane in _sound(trial)), default=math.nan)


def value_at(trial: Trial, lane: str, seconds: float) -> float:
    """What a lane had come to when it had trained so long, on the line between the measurements before and after, as a
    lane is rarely measured just then; what it ended with, where that was no more than two steps later, as of lanes that
    end by the clock. NaN where it was not measured before, or has failed."""
    if lane not in _sound(trial):
        return math.nan
    clock, curve = trial.seconds[lane], trial.curves[lane]
    steps, ended = curve[-1]
    if clock[-1] - seconds <= 2 * clock[-1] / max(steps, 1):
        return ended
    return float(np.interp(seconds, clock, [value for _, value in curve])) if clock[0] <= seconds else math.nan


def at_equal_time(trials: Sequence[Trial], lane: str) -> Estimate:
    """A lane's `Trial.curves` at `equal_seconds`, over the seeds with which it was measured by then."""
    return estimate([value_at(trial, lane, equal_seconds(trial)) for trial in trials])


def seconds_to(trials: Sequence[Trial], lane: str, base: str) -> Estimate:
    """Seconds of training after which `lane` first had 95 % of what `base` ends with; as `steps_to`, by the clock."""
    found = ((trial, reached(trial, lane, base)) for trial in trials if lane in _sound(trial))
    return estimate([trial.seconds[lane][place] for trial, place in found if place is not None])


def judge_at_equal_time(
    trials: Sequence[Trial], lanes: Sequence[str], base: str, level: str, margin: float = MARGIN
) -> list[Line]:
    """As `hnm_core.studies.verdicts.judge`, of what lanes have at `equal_seconds` in `Trial.curves`, which are of the
    metric `level`."""
    others = [lane for lane in lanes if lane != base]
    return lines_of(
        [(lane, level) for lane in others],
        [_differences(trials, lane, base) for lane in others],
        [trial.seed for trial in trials],
        base,
        margin,
    )


def _differences(trials: Sequence[Trial], lane: str, base: str) -> NDArray[np.float64]:
    """(seeds,) how much `lane` is above `base`; NaN where either was not measured by then."""
    spent = [(trial, equal_seconds(trial)) for trial in trials]
    return np.array([value_at(trial, lane, at) - value_at(trial, base, at) for trial, at in spent], np.float64)


def _sound(trial: Trial) -> list[str]:
    """The lanes that did not fail and were measured."""
    return [lane for lane, clock in trial.seconds.items() if clock and lane not in trial.failed]
