"""Series against sums done one by one."""

from __future__ import annotations

import numpy as np
import pytest

from hnm_core.run.series import decimate, last_rows, smoothed


def test_that_smoothing_equals_the_debiased_average_computed_one_by_one():
    values = np.random.default_rng(3).normal(size=500)
    for factor in (0.0, 0.3, 0.9, 0.99):
        average, expected = 0.0, []
        for place, value in enumerate(values, start=1):
            average = factor * average + (1 - factor) * value
            expected.append(average / (1 - factor**place))
        np.testing.assert_allclose(smoothed(values, factor), expected, rtol=1e-12, atol=1e-13)


def test_that_a_constant_series_stays_that_constant_when_smoothed():
    np.testing.assert_allclose(smoothed(np.full(5000, 0.7), 0.95), 0.7, rtol=1e-14)


def test_that_smoothing_passes_over_values_that_are_not_finite():
    result = smoothed(np.array([np.nan, 4.0, np.inf, np.nan, 1.0]), 0.5)
    # weights of 4 and 1 at the end: 0.5^3 and 1
    np.testing.assert_allclose(result, [np.nan, 4, 4, 4, (4 / 8 + 1) / (1 / 8 + 1)], rtol=1e-15)


def test_that_a_smoothing_factor_of_one_is_impossible():
    with pytest.raises(ValueError, match="factor = 1"):
        smoothed(np.ones(3), 1)


def test_that_decimation_keeps_the_lowest_and_highest_of_every_pixel():
    x = np.arange(1000.0)
    y = np.random.default_rng(0).normal(size=1000)
    thin_x, thin_y = decimate(x, y, 10)
    assert len(thin_x) <= 20
    # bins are cut on (x[-1] - x[0]) / 10 = 99.9, so compare bin by bin with that cut
    bins = np.floor(x / 99.9).clip(max=9)
    expected = sorted(
        {int(np.flatnonzero(bins == b)[pick(y[bins == b])]) for b in range(10) for pick in (np.argmin, np.argmax)}
    )
    assert np.array_equal(thin_x, x[expected])
    assert np.array_equal(thin_y, y[expected])


def test_that_decimation_bins_by_x_and_not_by_place():
    x = np.concatenate((np.linspace(0, 1, 990), np.linspace(2, 10, 10)))
    y = np.zeros(1000)
    y[995] = 5.0
    thin_x, thin_y = decimate(x, y, 10)
    assert thin_y.max() == 5.0
    assert (thin_x <= 1).sum() <= 4
    assert len(thin_x) <= 20


def test_that_decimation_shows_a_gap_only_where_nothing_is_finite():
    x = np.arange(400.0)
    y = np.where(x % 7 == 0, np.nan, x)
    y[200:240] = np.nan
    thin_x, thin_y = decimate(x, y, 40)
    gap = ~np.isfinite(thin_y)
    assert gap.any()
    assert thin_x[gap].min() >= 199
    assert thin_x[gap].max() < 241


def test_that_a_short_series_is_not_thinned():
    x, y = np.arange(20.0), np.arange(20.0) ** 2
    assert np.array_equal(decimate(x, y, 10)[1], y)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_that_the_last_rows_are_found_looking_back_only_as_far_as_needed(share):
    holds = np.random.default_rng(4).random(5000) < share
    looked: list[slice] = []

    def ask(part: slice) -> np.ndarray:
        looked.append(part)
        return holds[part]

    for start, stop, most in ((0, 5000, 10), (0, 7, 10), (0, 0, 10), (4900, 5000, 64), (3000, 3000, 1)):
        assert last_rows(ask, most, stop, start).tolist() == [
            row for row in range(start, stop) if holds[row]
        ][-most:]  # fmt: skip
    if share >= 0.5:
        assert min(part.start for part in looked if part.stop == 5000) >= 4900


def test_that_a_start_after_the_end_leaves_no_rows():
    assert last_rows(lambda part: np.ones(part.stop - part.start, bool), 5, 3, 8).tolist() == []
