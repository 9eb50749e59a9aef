"""What paired seeds say of lanes beside a baseline: better, worse, no difference, or not told apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from hnm_core.run.results import JUDGED, LESS_IS_BETTER, MARGIN
from hnm_core.studies.comparing import Estimate, Trial, estimate, figure

Verdict = Literal["better", "worse", "no difference", "not told apart"]

LEVEL = 0.05
"""Of each of both tests, over all lines of a table together."""

POWER = 0.8
"""Chance with which `Line.seeds_needed` tell a difference as large as the margin."""

MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Line:
    """A lane beside the baseline in one metric, seed by seed."""

    lane: str
    base: str
    metric: str
    margin: float
    difference: Estimate
    """of the seeds that have a figure on both sides; its interval is of this line alone"""
    p: float
    """two-sided paired t; NaN below two seeds"""
    p_corrected: float
    """by Holm over all lines of the table"""
    p_within: float
    """that the difference is no smaller than the margin (two one-sided t tests), by Holm over all lines as well"""
    unpaired: tuple[int, ...]
    """seeds without a figure on both sides, because a lane failed or was not measured: there is no verdict then, as one
    on the other seeds would favour whoever fails"""
    seeds_needed: int | None
    """so many tell a difference as large as the margin, at the level that the first of so many lines has to reach, if
    differences spread as they did; None where that is told, is not known, or takes more than `MOST_SEEDS`"""

    @property
    def verdict(self) -> Verdict:
        """What is concluded; "no difference" stands for one that is smaller than the margin."""
        if self.unpaired or math.isnan(self.p):
            return "not told apart"
        if self.p_corrected < LEVEL:
            return "better" if (self.difference.mean > 0) != (self.metric in LESS_IS_BETTER) else "worse"
        return "no difference" if self.p_within < LEVEL else "not told apart"

    @property
    def words(self) -> str:
        """The verdict with what has to be known beside it."""
        if self.unpaired:
            return f"{self.verdict}: no figures with seed {', '.join(map(str, self.unpaired))}"
        if self.verdict == "not told apart":
            more = "more than 10,000" if self.seeds_needed is None else f"{self.seeds_needed:,}"
            return self.verdict if math.isnan(self.p) else f"{self.verdict}; {more} seeds would"
        small = self.verdict != "no difference" and self.p_within < LEVEL
        return f"{self.verdict}, by less than {self.margin:g}" if small else self.verdict


def judge(
    trials: Sequence[Trial],
    lanes: Sequence[str],
    base: str,
    metrics: Sequence[str] = JUDGED[:1],
    margin: float = MARGIN,
) -> list[Line]:
    """The table of every other lane beside `base` in every metric, corrected as a whole.

    Args:
        trials: one for each seed.
        lanes: those compared; `base` among them is passed over.
        base: the lane that they are compared with.
        metrics: of `hnm_core.run.results.COMPARED`.
        margin: more than 0; a smaller difference counts as none.
    """
    pairs = [(lane, metric) for metric in metrics for lane in lanes if lane != base]
    found = [_differences(trials, lane, base, metric) for lane, metric in pairs]
    return lines_of(pairs, found, [trial.seed for trial in trials], base, margin)


def lines_of(
    pairs: Sequence[tuple[str, str]],
    differences: Sequence[NDArray[np.float64]],
    seeds: Sequence[int],
    base: str,
    margin: float = MARGIN,
) -> list[Line]:
    """The lines of a table, corrected as a whole.

    Args:
        pairs: lane and metric of each line.
        differences: of each line, (seeds,) how much the lane is above `base`; NaN where either has no figure.
        seeds: which they are.
        base: the lane that the others are compared with.
        margin: more than 0; a smaller difference counts as none.
    """
    known = [values[np.isfinite(values)] for values in differences]
    p = [p_different(values) for values in known]
    p_corrected, p_within = holm(p), holm([p_smaller(values, margin) for values in known])
    lines = []
    for place, (lane, metric) in enumerate(pairs):
        missing = tuple(seed for seed, value in zip(seeds, differences[place], strict=True) if not np.isfinite(value))
        told = min(p_corrected[place], p_within[place]) < LEVEL
        needed = None if told or math.isnan(p[place]) else seeds_to_tell(known[place].std(ddof=1), margin, len(pairs))
        of = estimate(known[place])
        tests = p[place], p_corrected[place], p_within[place]
        lines.append(Line(lane, base, metric, margin, of, *tests, missing, needed))
    return lines


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction of the p-values of one family; one that is NaN counts as 1."""
    values = np.nan_to_num(np.asarray(p, np.float64), nan=1.0)
    order = np.argsort(values, kind="stable")
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1)
    return [float(value) for value in corrected]


def p_different(differences: NDArray[np.float64]) -> float:
    """Of the two-sided t test that the mean difference is 0; NaN below two. Differences that are all the same leave no
    doubt: 0, or 1 where they are 0."""
    if len(differences) < 2:
        return math.nan
    mean, error = _mean_and_error(differences)
    if error == 0:
        return float(mean == 0)
    return float(2 * scipy.stats.t.sf(abs(mean) / error, len(differences) - 1))


def p_smaller(differences: NDArray[np.float64], margin: float) -> float:
    """Of the two one-sided t tests that the mean difference lies below `margin` on either side: the larger of both;
    NaN below two."""
    if len(differences) < 2:
        return math.nan
    mean, error = _mean_and_error(differences)
    if error == 0:
        return float(abs(mean) >= margin)
    return float(scipy.stats.t.sf((margin - abs(mean)) / error, len(differences) - 1))


def seeds_to_tell(spread: float, difference: float, lines: int = 1) -> int | None:
    """The fewest seeds with which a two-sided paired t test tells a `difference` with the chance `POWER`.

    Args:
        spread: standard deviation of the differences between seeds.
        difference: more than 0.
        lines: of the table; the level is `LEVEL` divided by so many.

    Returns:
        2 or more; None where it would take more than `MOST_SEEDS`.
    """
    if spread == 0:
        return 2
    if _power(MOST_SEEDS, difference / spread, LEVEL / lines) < POWER:
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _power(middle, difference / spread, LEVEL / lines) >= POWER else (middle, high)
    return high


def _power(seeds: int, effect: float, level: float) -> float:
    """Chance that the two-sided t test at `level` rejects, at a mean of `effect` standard deviations."""
    limit, shift = float(scipy.stats.t.isf(level / 2, seeds - 1)), effect * math.sqrt(seeds)
    upper, lower = scipy.stats.nct.sf(limit, seeds - 1, shift), scipy.stats.nct.cdf(-limit, seeds - 1, shift)
    if not math.isfinite(upper):  # scipy gives up far out in the tail, where all is on one side of the limit
        return float(shift > limit)
    return float(upper) + (float(lower) if math.isfinite(lower) else 0.0)


def _mean_and_error(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and its standard error; that is 0 where all differences are the same."""
    if (differences == differences[0]).all():
        return float(differences[0]), 0.0
    return float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(len(differences))


def _differences(trials: Sequence[Trial], lane: str, base: str, metric: str) -> NDArray[np.float64]:
    """(seeds,) how much `lane` is above `base`; NaN where either has no figure."""
    return np.array([figure(trial, lane, metric) - figure(trial, base, metric) for trial in trials], np.float64)
