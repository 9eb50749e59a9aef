"""Bands of scatter are quartiles; labels keep apart."""

from __future__ import annotations

import time

import numpy as np
import pytest

from app.history.spread import LEAST, kept_apart, spread

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("count", [640, 1000, 3200, 6000])
def test_that_each_piece_has_the_quartiles_of_its_values(count):
    x, y = np.arange(count, dtype=float), RNG.lognormal(size=count)
    middle, lower, upper = spread(x, y, 100)
    size = max(LEAST, -(-count // 100))
    whole = count // size
    assert len(middle) == whole
    expected = np.quantile(y[: whole * size].reshape(whole, size), (0.25, 0.75), axis=1)
    assert np.allclose(lower[:whole], expected[0])
    assert np.allclose(upper[:whole], expected[1])
    assert (middle[0], middle[-1]) == (0, count - 1)
    assert middle[1] == 1.5 * size - 0.5


def test_that_of_a_long_series_a_sample_is_enough_and_costs_no_more():
    y = RNG.normal(size=1_000_000)
    began = time.thread_time()
    _, lower, upper = spread(np.arange(len(y), dtype=float), y, 150)
    assert time.thread_time() - began < 0.05
    assert lower.mean() == pytest.approx(-0.674, abs=0.05)
    assert upper.mean() == pytest.approx(0.674, abs=0.05)


def test_that_a_few_values_at_the_end_join_the_last_piece():
    y = np.concatenate((RNG.normal(size=32), [50.0]))
    x, lower, upper = spread(np.arange(33, dtype=float), y, 4)
    assert len(x) == 3
    assert x.tolist() == [0, 13, 32]
    assert upper[-1] == np.quantile(y[18:], 0.75)
    assert lower[0] == np.quantile(y[:9], 0.25)


def test_that_what_is_not_finite_is_passed_over():
    y = np.arange(32, dtype=float)
    y[[1, 9, 10]] = np.nan, np.inf, -np.inf
    y[16:24] = np.nan
    x, lower, upper = spread(np.arange(32, dtype=float), y, 4)
    assert len(x) == 3
    for place, part in enumerate((y[:8], y[8:16], y[24:])):
        known = part[np.isfinite(part)]
        assert (lower[place], upper[place]) == tuple(np.quantile(known, (0.25, 0.75)))


def test_that_short_series_have_no_band():
    for count in (0, 1, LEAST):
        assert [len(part) for part in spread(np.arange(count, dtype=float), np.ones(count), 50)] == [0, 0, 0]


def test_that_labels_are_moved_no_more_than_they_must():
    assert kept_apart([10, 40, 90], 12, 0, 100) == [10, 40, 90]
    assert kept_apart([40, 41, 90], 12, 0, 100) == [40, 52, 90]
    assert kept_apart([95, 99, 97], 12, 0, 100) == [76, 100, 88]
    assert kept_apart([-5, -9], 12, 0, 100) == [12, 0]
    assert kept_apart([1, 2, 3], 60, 0, 100) is None
    assert kept_apart([], 12, 0, 100) == []
