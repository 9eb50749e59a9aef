"""Histograms of separations: heights, bands, estimates and ranges, against numpy on the separations themselves."""

from __future__ import annotations

import numpy as np
import pytest

from app.history import histogram
from app.history.histogram import EASY, HARD, SEMI_HARD, Axis, Bands, axis_over, bands_at, bars, bin_at, stretch
from hnm_core.run.hardness import Hardness, bands_of
from hnm_core.run.hardness import histogram as binned

MARGIN = 0.33


def hardness_of(separation: np.ndarray, margin: float = MARGIN) -> Hardness:
    band = bands_of(separation.astype(np.float32), margin)
    counts = [int((band == place).sum()) for place in range(3)]
    return Hardness(margin, *counts, *binned(separation))


@pytest.fixture(scope="module")
def separation() -> np.ndarray:
    return np.random.default_rng(3).normal(0.3, 0.5, 4000)


def test_that_bars_are_shares_of_the_tuples_whatever_the_width_of_a_bin(separation):
    for scale in (1.0, 3.7, 0.01):
        assert bars(hardness_of(separation * scale), MARGIN).share.sum() == pytest.approx(1)
    hardness = hardness_of(separation)
    counted, _ = np.histogram(-separation, bins=-hardness.edges[::-1])  # whose bins are closed to the right
    counted = counted[::-1]
    assert np.allclose(bars(hardness, 0.0).share, counted[counted > 0] / len(separation))


def test_that_the_bin_that_the_margin_goes_through_is_two_bars_and_no_bar_has_two_bands(separation):
    hardness = hardness_of(separation)
    assert hardness.width == 0.1
    drawn = bars(hardness, MARGIN)
    assert len(drawn.left) == np.count_nonzero(hardness.bins) + 1
    assert (drawn.right[drawn.band == HARD] <= 0).all()
    inside = drawn.band == SEMI_HARD
    assert drawn.left[inside].min() == 0
    assert drawn.right[inside].max() == MARGIN == drawn.left[drawn.band == EASY].min()
    cut = np.flatnonzero(drawn.right == MARGIN)[0]
    assert drawn.share[cut] / 0.03 == pytest.approx(drawn.share[cut + 1] / 0.07)
    assert drawn.share[drawn.band == HARD].sum() == pytest.approx(hardness.hard / hardness.total)
    assert (np.diff(drawn.left) > 0).all()


def test_that_a_margin_on_an_edge_splits_no_bin_though_floats_put_it_a_little_beside(separation):
    hardness = hardness_of(separation)
    assert 0.6 in np.round(hardness.edges, 9) and 0.6 not in hardness.edges
    drawn = bars(hardness, 0.6)
    assert len(drawn.left) == np.count_nonzero(hardness.bins)
    assert (drawn.right - drawn.left).min() > 0.09
    place = int(np.argmin(np.abs(hardness.edges - 0.6)))
    assert histogram.bands_within(*hardness.edges[place - 1 : place + 1], 0.6) == [SEMI_HARD]
    assert histogram.bands_within(*hardness.edges[place : place + 2], 0.6) == [EASY]


def test_that_without_a_margin_nothing_is_semi_hard(separation):
    for margin in (0.0, -1.0):
        assert SEMI_HARD not in bars(hardness_of(separation), margin).band
        assert bands_at(hardness_of(separation), margin).semi_hard == 0


def test_that_bands_of_another_margin_are_exact_at_edges_and_at_the_margin_of_the_frame(separation):
    hardness = hardness_of(separation)
    for margin in (*hardness.edges[hardness.edges >= 0], MARGIN, 99.0):
        wanted = int(((separation > 0) & (separation <= margin)).sum())
        assert bands_at(hardness, margin) == Bands(hardness.hard, wanted, len(separation) - hardness.hard - wanted)


def test_that_bands_of_a_margin_within_a_bin_are_off_by_no_more_than_that_bin_and_grow_with_it(separation):
    hardness = hardness_of(separation)
    margins = np.linspace(0, 2, 301)
    estimated = np.array([bands_at(hardness, margin).semi_hard for margin in margins])
    true = np.array([((separation > 0) & (separation <= margin)).sum() for margin in margins])
    assert np.abs(estimated - true).max() <= hardness.bins.max()
    assert (np.diff(estimated) >= 0).all()


def test_that_bins_of_the_newest_tuples_stand_for_all_of_them():
    hardness = Hardness(0.5, 30, 20, 50, 0.5, -1, np.array([3, 2, 2, 3]))  # (-0.5, 0], (0, 0.5], (0.5, 1], (1, 1.5]
    assert bands_at(hardness, 0.5) == (30, 20, 50)
    assert bands_at(hardness, 1.0) == (30, 40, 30)
    assert bands_at(hardness, 1.5) == (30, 70, 0)
    assert bands_at(hardness, 0.25) == (30, 10, 60)


def test_that_a_separation_is_in_the_bin_above_whose_left_edge_it_is():
    hardness = Hardness(0.5, 3, 2, 5, 0.5, -1, np.array([3, 2, 5]))
    assert bin_at(hardness, 0.0) == (-0.5, 0.0, 3, 0.3)
    assert bin_at(hardness, 0.01) == (0.0, 0.5, 2, 0.2)
    assert bin_at(hardness, 1.0) == (0.5, 1.0, 5, 0.5)
    assert bin_at(hardness, 1.01) is None
    assert bin_at(hardness, -0.5) is None


def test_that_tuples_zero_and_the_margin_are_on_the_axis():
    low, high = stretch(hardness_of(np.linspace(0.5, 0.9, 50)), 0.2)
    assert (low, high) == (0.0, pytest.approx(0.9))
    assert stretch(hardness_of(np.linspace(0.5, 0.9, 50)), 5.0) == (0.0, 5.0)
    assert stretch(hardness_of(np.full(9, -2.0)), 0.2) == (pytest.approx(-2.0, abs=0.11), 0.2)
    assert stretch(Hardness(0.0, 0, 0, 0, 1.0, 0, np.zeros(4, int)), 0.0) == (0.0, 1.0)


def test_that_an_axis_is_straight_round_zero_and_its_places_are_those_of_arsinh():
    axis = Axis(-2.0, 40.0, 0.5)
    low, high = np.arcsinh(-4.0), np.arcsinh(80.0)
    assert axis.place(3.0) == pytest.approx((np.arcsinh(6.0) - low) / (high - low))
    assert axis.share(np.array([-2.0, 3.0, 40.0])) == pytest.approx([0, axis.place(3.0), 1])
    for separation in (-1.9, 0.0, 0.01, 7.0):
        assert axis.separation(axis.place(separation)) == pytest.approx(separation, abs=1e-12)
    near = np.diff(axis.share(np.array([-0.05, 0.0, 0.05])))
    assert near[0] == pytest.approx(near[1])
    assert near[0] > 20 * np.diff(axis.share(np.array([30.0, 30.05])))[0]


def test_that_an_axis_stays_while_its_stretches_and_margins_fit_well():
    first = axis_over([(-1.0, 2.0), (0.0, 3.0)], [0.5, 0.5], None)
    assert first.low < -1 and 3 < first.high < 3.5 and first.bend == 0.5
    assert axis_over([(-1.0, 2.9)], [0.6], first) is first
    assert axis_over([(-1.0, 5.0)], [0.5], first).high > 5
    nearer = axis_over([(-0.1, 0.4)], [0.5], first)
    assert nearer.high - nearer.low < 1
    assert axis_over([(-1.0, 2.9)], [0.1], first).bend == 0.1
    none = axis_over([], [], None)
    assert none.low < 0 and none.high > 1


def test_that_ticks_are_round_apart_and_one_is_zero():
    for axis in (Axis(-2.0, 40.0, 0.5), Axis(-0.13, 0.47, 0.05), Axis(-3e-4, 9e-4, 1e-3), Axis(0.0, 7.0, 7.0)):
        ticks = histogram.ticks(axis, 0.15)
        assert 0.0 in ticks and len(ticks) > 2
        assert axis.low <= min(ticks) and max(ticks) <= axis.high
        assert np.diff(axis.share(np.array(ticks))).min() >= 0.15
        assert all(float(f"{tick:.0e}") == tick for tick in ticks)


def test_that_moves_end_on_round_numbers():
    assert histogram.on_grid(0.4871, 0.005) == 0.485
    assert histogram.next_on_grid(0.5, 0.05, 1) == 0.55
    assert histogram.next_on_grid(0.5, 0.05, -1) == 0.45
    assert histogram.next_on_grid(0.487, 0.05, 1) == 0.5
    assert histogram.next_on_grid(0.487, 0.05, -1) == 0.45


def test_that_a_bin_knows_all_bands_that_reach_into_it():
    assert histogram.bands_within(-0.5, 0.0, 0.3) == [HARD]
    assert histogram.bands_within(0.0, 0.2, 0.3) == [SEMI_HARD]
    assert histogram.bands_within(0.2, 0.4, 0.3) == [SEMI_HARD, EASY]
    assert histogram.bands_within(0.0, 0.2, 0.0) == [EASY]
