"""Means over seeds with their confidence intervals, and differences between lanes seed by seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hnm_core.errors import InputError


@dataclass(frozen=True)
class Interval:
    """A mean over seeds, and Student's interval around it."""

    mean: float
    """NaN where there is no value"""
    half_width: float
    """t * s / sqrt(n); NaN for fewer than two values"""
    n: int
    """values that are numbers"""
    confidence: float = 0.95

    @property
    def low(self) -> float:
        """Lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end."""
        return self.mean + self.half_width

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies to one side of 0; a difference whose interval does not is no difference."""
        return self.low > 0 or self.high < 0


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean of the values with its two-sided interval; NaN (not measured) is left out.

    Raises:
        InputError: a confidence outside (0, 1), or an infinite value.
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence = {confidence} is not allowed: more than 0 and less than 1.")
    numbers = [float(value) for value in values if not math.isnan(value)]
    if any(map(math.isinf, numbers)):
        raise InputError("An infinite value has no mean and no interval.")
    n = len(numbers)
    if n == 0:
        return Interval(math.nan, math.nan, 0, confidence)
    mean = math.fsum(numbers) / n
    if n == 1:
        return Interval(mean, math.nan, 1, confidence)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in numbers) / (n - 1))
    return Interval(mean, student_t(n - 1, confidence) * deviation / math.sqrt(n), n, confidence)


def paired_difference(one: Sequence[float], other: Sequence[float], confidence: float = 0.95) -> Interval:
    """Interval of one - other, seed by seed; a seed that lacks either is left out.

    Raises:
        InputError: the two do not hold the same number of seeds.
    """
    if len(one) != len(other):
        raise InputError(f"A paired difference needs the same seeds on both sides, not {len(one)} and {len(other)}.")
    return interval([first - second for first, second in zip(one, other, strict=True)], confidence)


def student_t(degrees: int, confidence: float) -> float:
    """The t with `confidence` of Student's distribution within -t .. t."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + confidence) / 2))
